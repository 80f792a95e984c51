// Kernels without a reduction: rotary positions (Su et al. 2021, halves layout), axpy, layer scale.
#pragma once

#include <cassert>

#include "gov/kernel/arch.hpp"
#include "gov/kernel/kernels.hpp"

namespace gov::kernel {

template <class T>
void rope(scalar, T* x, index_t heads, index_t head_dim, const T* cos, const T* sin) {
  assert(head_dim % 2 == 0);
  const index_t half = head_dim / 2;
  for (index_t h = 0; h < heads; ++h, x += head_dim) {
    for (index_t i = 0; i < half; ++i) {
      const T a = x[i], b = x[half + i];
      x[i] = a * cos[i] - b * sin[i];
      x[half + i] = b * cos[i] + a * sin[i];
    }
  }
}

template <class T>
void axpy(scalar, T a, const T* x, T* y, index_t n) {
  for (index_t i = 0; i < n; ++i) y[i] += a * x[i];
}

template <class T>
void scale_add(scalar, const float* scale, const T* x, T* y, index_t n) {
  for (index_t i = 0; i < n; ++i) y[i] += T(scale[i]) * x[i];
}

}  // namespace gov::kernel
