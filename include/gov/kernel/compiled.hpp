// The kernels of every backend lie in a library: CMake's target gov::kernels includes this before
// all else, so that no file of a program compiles them again. The library says GOV_KERNELS(, T).
#pragma once

#include "gov/kernel/backend.hpp"

#define GOV_KERNELS(prefix, T)                                         \
  namespace gov::kernel {                                              \
  prefix template const Kernels<T>* find_kernels<T>(std::string_view); \
  prefix template const Kernels<T>& best_kernels<T>();                 \
  }

GOV_KERNELS(extern, float)
GOV_KERNELS(extern, double)
