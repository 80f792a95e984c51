// Learned positions for another image size: bicubic interpolation of the grid as torch does it
// (a = -0.75, align_corners false, no antialias, border clamped). Equal sizes add the table as is.
#pragma once

#include <array>
#include <cmath>

#include "gov/core/config.hpp"
#include "gov/nn/norm.hpp"

namespace gov {

struct CubicTaps {
  std::array<index_t, 4> index;
  std::array<double, 4> weight;
};

// The four source samples of output sample i when `in` samples become `out`.
inline CubicTaps cubic_taps(index_t i, index_t in, index_t out) {
  constexpr double a = -0.75;
  const double source =
      (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
  const double floor = std::floor(source), t = source - floor;
  const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  CubicTaps taps{{}, {far(t + 1), near(t), near(1 - t), far(2 - t)}};
  for (index_t k = 0; k < 4; ++k)
    taps.index[static_cast<std::size_t>(k)] =
        std::clamp<index_t>(static_cast<index_t>(floor) - 1 + k, 0, in - 1);
  return taps;
}

// out [1 + to.height * to.width, width] += table [1 + count, width]; row 0 is the class token's.
// As in transformers the table is resized unless the counts match and the image is square, and is
// read as a square grid even where the tower's own is not.
template <class T>
void add_positions(Context<T>& context, const float* table, index_t count, Extent to, bool square,
                   Rows<T> out) {
  const index_t width = out.cols;
  const bool resize = !(square && count == to.height * to.width);
  const auto side = static_cast<index_t>(std::sqrt(static_cast<double>(count)));
  const Extent from{side, side};
  for_each_row(context, out.rows, width, [&](index_t row) {
    T* const y = out.row(row);
    if (row == 0 || !resize) {
      for (index_t c = 0; c < width; ++c) y[c] += static_cast<T>(table[row * width + c]);
      return;
    }
    const CubicTaps vertical = cubic_taps((row - 1) / to.width, from.height, to.height);
    const CubicTaps horizontal = cubic_taps((row - 1) % to.width, from.width, to.width);
    for (index_t c = 0; c < width; ++c) {
      double sum = 0;
      for (std::size_t v = 0; v < 4; ++v) {
        const float* const line = table + (1 + vertical.index[v] * from.width) * width + c;
        double across = 0;
        for (std::size_t h = 0; h < 4; ++h)
          across += horizontal.weight[h] * static_cast<double>(line[horizontal.index[h] * width]);
        sum += vertical.weight[v] * across;
      }
      y[c] += static_cast<T>(sum);
    }
  });
}

}  // namespace gov
