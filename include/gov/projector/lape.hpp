// Language-aligned positional embedding (LLaVA-ST, arXiv 2501.08282): a token at frame t, row i,
// column j of a grid gets T[t] + H[i] + W[j], each the mean of a table that reads positions (rows
// of the input embedding) and one that writes them (rows of the output head), interpolated to the
// grid. Images take T[0].
//
// Neighbouring token propagation trains a table W as W + R W - stopgrad(R W), R_ij = 2^-|i - j|:
// forward that is W itself, backward it is propagate_neighbours.
#pragma once

#include <string>

#include "gov/core/params.hpp"
#include "gov/nn/linear_resize.hpp"

namespace gov {

// G <- (I + R^T) G, in place; G [rows, width]. R is symmetric, and I + R the sum of a decay by half
// down the rows and one up.
template <class T>
void propagate_neighbours(Context<T>& context, Rows<T> gradient) {
  const ArenaScope scope(context.arena);
  const auto down = context.rows(gradient.rows, gradient.cols);
  for (index_t i = 0; i < gradient.rows; ++i) {
    std::copy_n(gradient.row(i), gradient.cols, down.row(i));
    if (i > 0) context.kernels.axpy(T(0.5), down.row(i - 1), down.row(i), gradient.cols);
  }
  for (index_t i = gradient.rows - 2; i >= 0; --i)
    context.kernels.axpy(T(0.5), gradient.row(i + 1), gradient.row(i), gradient.cols);
  for (index_t i = 0; i < gradient.rows; ++i)
    context.kernels.axpy(T(1), down.row(i), gradient.row(i), gradient.cols);
}

// The row of a table of `rows` rows at p in [0, 1] of its length; outside it is clipped.
inline LinearTaps location_taps(double p, index_t rows) {
  if (std::isnan(p))
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "location",
                 .expected = "a number in [0, 1]",
                 .found = "nan"});
  const double place = std::clamp(p, 0.0, 1.0) * static_cast<double>(rows - 1);
  const auto first = static_cast<index_t>(place);
  return {first, std::min(first + 1, rows - 1), place - static_cast<double>(first)};
}

template <index_t Width, index_t Frames, index_t Positions = 100>
struct Lape {
  static constexpr index_t frames = Frames, positions = Positions, width = Width;

  struct Params {
    Vector<Frames, Width> temporal_input, temporal_output;
    Vector<Positions, Width> height_input, height_output, width_input, width_output;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      const auto table = [&](std::string_view part, auto&... tables) {
        gov::visit(v, name / part / "weight", tables...);
      };
      table("temporal_input_embeddings", p.temporal_input...);
      table("temporal_output_embeddings", p.temporal_output...);
      table("spatial_height_input_embeddings", p.height_input...);
      table("spatial_height_output_embeddings", p.height_output...);
      table("spatial_width_input_embeddings", p.width_input...);
      table("spatial_width_output_embeddings", p.width_output...);
    }
  };

  // x [grid.tokens(), Width] += positions.
  template <class T>
  static void add(Context<T>& context, const Params& p, const TokenGrid& grid, Rows<T> x) {
    const ArenaScope scope(context.arena);
    const auto along = [&](const auto& in, const auto& out, index_t rows, index_t count) {
      const auto table = context.rows(count, Width);
      for (index_t i = 0; i < count; ++i) {
        const LinearTaps taps = linear_taps(i, rows, count);
        for (index_t c = 0; c < Width; ++c) {
          const auto mean = [&](index_t row) {
            return (T(in.values()[row * Width + c]) + T(out.values()[row * Width + c])) / 2;
          };
          const T weight = static_cast<T>(taps.weight);
          table(i, c) = (1 - weight) * mean(taps.first) + weight * mean(taps.second);
        }
      }
      return table;
    };
    const auto t = grid.frames == 1
                       ? along(p.temporal_input, p.temporal_output, 1, 1)
                       : along(p.temporal_input, p.temporal_output, Frames, grid.frames);
    const auto h = along(p.height_input, p.height_output, Positions, grid.height);
    const auto w = along(p.width_input, p.width_output, Positions, grid.width);
    for_each_row(context, x.rows, Width, [&](index_t row) {
      const index_t frame = row / (grid.height * grid.width);
      for (const T* const part :
           {t.row(frame), h.row(row / grid.width % grid.height), w.row(row % grid.width)})
        context.kernels.axpy(T(1), part, x.row(row), Width);
    });
  }

  // What a location place-holder's embedding is, for its input and its output token alike: table is
  // the input table of time (rows = Frames), height or width (rows = Positions); out [Width].
  template <class T>
  static void embed_location(const float* table, index_t rows, double location, T* out) {
    const LinearTaps taps = location_taps(location, rows);
    const T weight = static_cast<T>(taps.weight);
    for (index_t c = 0; c < Width; ++c)
      out[c] = (1 - weight) * T(table[taps.first * Width + c]) +
               weight * T(table[taps.second * Width + c]);
  }
};

static_assert(parameter_count<Lape<768, 8>> == 319'488);

}  // namespace gov
