// Learned positions for another image size: bicubic interpolation of the grid as torch does it
// (align_corners false), either
//   bicubic      a = -0.75, four samples, border clamped;
//   antialiased  a = -0.5, the filter as wide as the shrinking makes it, samples beyond the border
//                left out and their weight shared among the others (DINOv2 with registers).
// Equal sizes add the table as is.
#pragma once

#include <array>
#include <cmath>

#include "gov/core/config.hpp"
#include "gov/nn/norm.hpp"

namespace gov {

enum class PositionFilter { bicubic, antialiased };

// Keys' cubic convolution kernel with parameter a, within one sample and between one and two.
constexpr double cubic_inner(double x, double a) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
constexpr double cubic_outer(double x, double a) {
  return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

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
  CubicTaps taps{
      {}, {cubic_outer(t + 1, a), cubic_inner(t, a), cubic_inner(1 - t, a), cubic_outer(2 - t, a)}};
  for (index_t k = 0; k < 4; ++k)
    taps.index[static_cast<std::size_t>(k)] =
        std::clamp<index_t>(static_cast<index_t>(floor) - 1 + k, 0, in - 1);
  return taps;
}

// Source samples and their weights, as many as there are.
struct TapList {
  const index_t* index;
  const double* weight;
  index_t count;
};

// The source samples of output sample i with antialiasing, in the arena.
inline TapList antialiased_taps(Arena& arena, index_t i, index_t in, index_t out) {
  constexpr double a = -0.5;
  const double scale = static_cast<double>(in) / static_cast<double>(out),
               stretch = std::max(scale, 1.0);
  const double centre = scale * (static_cast<double>(i) + 0.5);
  const auto first = std::max<index_t>(0, static_cast<index_t>(centre - 2 * stretch + 0.5)),
             last = std::min<index_t>(in, static_cast<index_t>(centre + 2 * stretch + 0.5));
  auto* const index = arena.allocate<index_t>(last - first);
  auto* const weight = arena.allocate<double>(last - first);
  double sum = 0;
  for (index_t k = 0; k < last - first; ++k) {
    const double x = std::abs((static_cast<double>(first + k) - centre + 0.5) / stretch);
    index[k] = first + k;
    weight[k] = x < 1 ? cubic_inner(x, a) : x < 2 ? cubic_outer(x, a) : 0;
    sum += weight[k];
  }
  for (index_t k = 0; k < last - first; ++k) weight[k] /= sum;
  return {index, weight, last - first};
}

// One number of the grid [., from_width, width] whose first is at `grid`.
inline double resized_position(const float* grid, index_t from_width, index_t width,
                               const TapList& vertical, const TapList& horizontal) {
  double sum = 0;
  for (index_t v = 0; v < vertical.count; ++v) {
    const float* const line = grid + vertical.index[v] * from_width * width;
    double across = 0;
    for (index_t h = 0; h < horizontal.count; ++h)
      across += horizontal.weight[h] * static_cast<double>(line[horizontal.index[h] * width]);
    sum += vertical.weight[v] * across;
  }
  return sum;
}

// out [own + to.height * to.width, width] += table [own + count, width]; own is 1 where a class
// token has row 0, else 0. As in transformers the table is resized unless the counts match and
// `as_is` (the image is square), and is read as a square grid even where the tower's own is not.
template <class T>
void add_positions(Context<T>& context, const float* table, index_t count, Extent to, bool as_is,
                   Rows<T> out, PositionFilter filter = PositionFilter::bicubic) {
  const ArenaScope scope(context.arena);
  const index_t width = out.cols, own = out.rows - to.height * to.width;
  const bool resize = !(as_is && count == to.height * to.width);
  const auto side = static_cast<index_t>(std::sqrt(static_cast<double>(count)));
  const bool antialiased = resize && filter == PositionFilter::antialiased;
  TapList *rows = nullptr, *columns = nullptr;
  if (antialiased) {
    rows = context.arena.template allocate<TapList>(to.height);
    columns = context.arena.template allocate<TapList>(to.width);
    for (index_t i = 0; i < to.height; ++i)
      rows[i] = antialiased_taps(context.arena, i, side, to.height);
    for (index_t i = 0; i < to.width; ++i)
      columns[i] = antialiased_taps(context.arena, i, side, to.width);
  }
  for_each_row(context, out.rows, width, [&](index_t row) {
    T* const y = out.row(row);
    if (row < own || !resize) {
      for (index_t c = 0; c < width; ++c) y[c] += static_cast<T>(table[row * width + c]);
      return;
    }
    const float* const grid = table + own * width;
    const index_t down = (row - own) / to.width, right = (row - own) % to.width;
    if (antialiased) {
      for (index_t c = 0; c < width; ++c)
        y[c] += static_cast<T>(resized_position(grid + c, side, width, rows[down], columns[right]));
      return;
    }
    const CubicTaps vertical = cubic_taps(down, side, to.height);
    const CubicTaps horizontal = cubic_taps(right, side, to.width);
    const TapList up_down{vertical.index.data(), vertical.weight.data(), 4},
        left_right{horizontal.index.data(), horizontal.weight.data(), 4};
    for (index_t c = 0; c < width; ++c)
      y[c] += static_cast<T>(resized_position(grid + c, side, width, up_down, left_right));
  });
}

}  // namespace gov
