// Half of gov::kernels; see gov_kernels.cmake.
#include "gov/kernel/compiled.hpp"

GOV_KERNELS(, double)
