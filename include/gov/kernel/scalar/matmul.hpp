// y[m, n] (+)= sum_k x[m, k] * w[n, k] + bias[n]. Eight chains (k mod 8), folded at the end in one
// order: it halves the rounding error of one chain and is the same for every call.
#pragma once

#include "gov/kernel/kernels.hpp"
#include "gov/kernel/scalar/widen.hpp"

namespace gov::kernel {

inline constexpr int chain_count = 8;

// Partial sums of a reduction: element i of it goes to chain i mod 8.
template <class T>
struct Chains {
  T part[chain_count]{};

  T fold() const {
    return ((part[0] + part[4]) + (part[2] + part[6])) +
           ((part[1] + part[5]) + (part[3] + part[7]));
  }
};

template <class T>
T dot(const T* a, const T* b, index_t n) {
  Chains<T> sum;
  for (index_t i = 0; i < n; ++i) sum.part[i % chain_count] += a[i] * b[i];
  return sum.fold();
}

template <class T>
void matmul(scalar, const MatmulArgs<T>& args) {
  constexpr index_t row_block = 8, chunk = 256;  // both leave each sum's order alone
  const index_t in = args.w.in;
  assert(args.x.cols == in && 0 <= args.first && args.last <= args.w.out);
  T weights[chunk];
  for (index_t n = args.first; n < args.last; ++n) {
    for (index_t m0 = 0; m0 < args.x.rows; m0 += row_block) {
      const index_t rows = std::min(row_block, args.x.rows - m0);
      Chains<T> sums[row_block]{};
      for (index_t k0 = 0; k0 < in; k0 += chunk) {
        const index_t count = std::min(chunk, in - k0);
        widen_range(args.w, n, k0, count, weights);
        for (index_t m = 0; m < rows; ++m) {
          const T* const x = args.x.row(m0 + m) + k0;
          for (index_t k = 0; k < count; ++k) sums[m].part[k % chain_count] += x[k] * weights[k];
        }
      }
      for (index_t m = 0; m < rows; ++m) {
        T sum = sums[m].fold();
        if (args.bias) sum += T(args.bias[n]);
        T& y = args.y(m0 + m, n);
        y = args.accumulate ? y + sum : sum;
      }
    }
  }
}

// Rounding buys nothing here.
inline const RoundedProducts* rounded_products(scalar) { return nullptr; }

}  // namespace gov::kernel
