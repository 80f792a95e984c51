// matmul by Eigen's product, after widening panels of weights to f32. Everything else of the eigen
// tag is scalar's. Its sums depend on the shape of the call: not for the Invariant policy.
#pragma once

// g++ 12 takes the undefined operands of its own AVX-512 intrinsics for uninitialised variables.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <Eigen/Core>

#include "gov/kernel/kernels.hpp"
#include "gov/kernel/scalar/matmul.hpp"

namespace gov::kernel {

inline void matmul(eigen, const MatmulArgs<float>& args) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Stride = Eigen::OuterStride<>;
  constexpr index_t panel_rows = 64, panel_depth = 256;
  const index_t in = args.w.in;
  assert(args.x.cols == in && 0 <= args.first && args.last <= args.w.out);
  float panel[panel_rows * panel_depth];
  for (index_t n = args.first; n < args.last; n += panel_rows) {
    const index_t columns = std::min(panel_rows, args.last - n);
    if (!args.accumulate)
      for (index_t m = 0; m < args.x.rows; ++m) std::fill_n(args.y.row(m) + n, columns, 0.f);
    if (args.x.rows == 0) continue;
    Eigen::Map<Matrix, 0, Stride> y(args.y.data + n, args.x.rows, columns, Stride(args.y.stride));
    for (index_t k = 0; k < in; k += panel_depth) {
      const index_t depth = std::min(panel_depth, in - k);
      for (index_t j = 0; j < columns; ++j)
        widen_range(args.w, n + j, k, depth, panel + j * panel_depth);
      const Eigen::Map<const Matrix, 0, Stride> x(args.x.data + k, args.x.rows, depth,
                                                  Stride(args.x.stride));
      const Eigen::Map<const Matrix, 0, Stride> w(panel, columns, depth, Stride(panel_depth));
      y.noalias() += x * w.transpose();
    }
    if (args.bias) y.rowwise() += Eigen::Map<const Eigen::RowVectorXf>(args.bias + n, columns);
  }
}

}  // namespace gov::kernel

#pragma GCC diagnostic pop
