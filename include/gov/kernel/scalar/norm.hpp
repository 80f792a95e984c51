// RMSNorm (Zhang and Sennrich 2019) and LayerNorm (Ba et al. 2016). The variance is taken about the
// mean in a second pass, so a large mean does not cancel it away.
#pragma once

#include <cmath>

#include "gov/kernel/scalar/matmul.hpp"

namespace gov::kernel {

template <class T>
void rms_norm(scalar, const T* x, const float* weight, index_t n, double eps, T* y) {
  using std::sqrt;
  const T inverse = T(1.f) / sqrt(dot(x, x, n) / T(static_cast<double>(n)) + T(eps));
  for (index_t i = 0; i < n; ++i) y[i] = x[i] * inverse * T(weight[i]);
}

template <class T>
void layer_norm(scalar, const T* x, const float* weight, const float* bias, index_t n, double eps,
                T* y) {
  using std::sqrt;
  const T count = T(static_cast<double>(n));
  Chains<T> sum, square;
  for (index_t i = 0; i < n; ++i) sum.part[i % chain_count] += x[i];
  const T mean = sum.fold() / count;
  for (index_t i = 0; i < n; ++i) {
    const T offset = x[i] - mean;
    square.part[i % chain_count] += offset * offset;
  }
  const T inverse = T(1.f) / sqrt(square.fold() / count + T(eps));
  for (index_t i = 0; i < n; ++i) {
    const T scaled = (x[i] - mean) * inverse * T(weight[i]);
    y[i] = bias ? scaled + T(bias[i]) : scaled;
  }
}

}  // namespace gov::kernel
