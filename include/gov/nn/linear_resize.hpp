// Linear interpolation of a grid of tokens, as torch's interpolate does it (linear, bilinear,
// trilinear; align_corners false, no antialias): sample i of `out` lies at (i + 1/2) in / out - 1/2
// of `in`, borders clamped.
#pragma once

#include <algorithm>

#include "gov/nn/context.hpp"

namespace gov {

// Tokens of some frames, [frames, height, width] row-major.
struct TokenGrid {
  index_t frames = 1, height = 1, width = 1;
  constexpr index_t tokens() const { return frames * height * width; }
  friend constexpr bool operator==(const TokenGrid&, const TokenGrid&) = default;
};

// Sample = (1 - weight) x[first] + weight x[second].
struct LinearTaps {
  index_t first = 0, second = 0;
  double weight = 0;
};

inline LinearTaps linear_taps(index_t i, index_t in, index_t out) {
  const double source = std::max(
      0.0,
      (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5);
  const auto first = std::min(static_cast<index_t>(source), in - 1);
  return {first, std::min(first + 1, in - 1), source - static_cast<double>(first)};
}

// x [from.tokens(), C] -> y [to.tokens(), C]. Equal grids are copied, bit for bit.
template <class T>
void resize_linear(Context<T>& context, Input<T> x, const TokenGrid& from, const TokenGrid& to,
                   Rows<T> y) {
  for_each_row(context, y.rows, 8 * y.cols, [&](index_t row) {
    T* const out = y.row(row);
    if (from == to) {
      std::copy_n(x.row(row), y.cols, out);
      return;
    }
    const LinearTaps taps[3] = {linear_taps(row / (to.height * to.width), from.frames, to.frames),
                                linear_taps(row / to.width % to.height, from.height, to.height),
                                linear_taps(row % to.width, from.width, to.width)};
    std::fill_n(out, y.cols, T(0));
    for (int corner = 0; corner < 8; ++corner) {
      double weight = 1;
      index_t source[3];
      for (int axis = 0; axis < 3; ++axis) {
        const bool second = corner >> (2 - axis) & 1;
        weight *= second ? taps[axis].weight : 1 - taps[axis].weight;
        source[axis] = second ? taps[axis].second : taps[axis].first;
      }
      if (weight != 0)
        context.kernels.axpy(static_cast<T>(weight),
                             x.row((source[0] * from.height + source[1]) * from.width + source[2]),
                             out, y.cols);
    }
  });
}

}  // namespace gov
