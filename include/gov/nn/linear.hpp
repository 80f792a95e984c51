// Linear: y = x W^T + b, weight [out, in] as stored. Work is cut into tiles of fixed size, so the
// result does not depend on the number of threads.
#pragma once

#include <algorithm>

#include "gov/core/params.hpp"
#include "gov/nn/context.hpp"

namespace gov {

// Activations rounded for a product, in the arena: row i is row (pick ? pick[i] : i) of x.
template <class T>
const std::byte* pack_rows(Context<T>& context, kernel::Packing packing, Input<T> x,
                           const index_t* pick, index_t count) {
  constexpr index_t chunk = 16;
  const kernel::RoundedProducts& rounded = *context.kernels.rounded();
  const index_t bytes = rounded.packed_bytes(packing, count, x.cols);
  std::byte* const packed = context.arena.template allocate<std::byte>(bytes);
  const auto pack = [&](index_t i) {
    if constexpr (std::is_same_v<T, float>)
      rounded.pack({x, packing, pick, i * chunk, std::min(count, i * chunk + chunk), packed});
  };
  const index_t chunks = (count + chunk - 1) / chunk;
  if (count * x.cols < index_t{1} << 14)
    for (index_t i = 0; i < chunks; ++i) pack(i);
  else
    context.pool.parallel_for(chunks, pack);
  return packed;
}

// y (+)= x w^T + bias with run-time extents; x [rows, in], y [rows, out]; bias may be null.
template <class T>
void matmul(Context<T>& context, Input<T> x, const WeightView& w, const float* bias, Rows<T> y,
            bool accumulate = false) {
  constexpr index_t columns = 64, rows = 128, worth_sharing = index_t{1} << 15;
  const ArenaScope scope(context.arena);
  const kernel::Packing packing = context.packing(w.format, x.rows);
  const std::byte* const packed =
      packing == kernel::Packing::none ? nullptr : pack_rows(context, packing, x, nullptr, x.rows);
  const auto tile = [&](index_t row, index_t row_count, index_t first, index_t last) {
    if constexpr (std::is_same_v<T, float>)
      if (packed) {
        const kernel::RoundedProducts& rounded = *context.kernels.rounded();
        return rounded.matmul({packing, packed + row * rounded.row_bytes(packing, w.in), w, bias,
                               y.slice(row, row_count), first, last, accumulate});
      }
    context.kernels.matmul({.x = x.slice(row, row_count),
                            .w = w,
                            .bias = bias,
                            .y = y.slice(row, row_count),
                            .first = first,
                            .last = last,
                            .accumulate = accumulate});
  };
  if (x.rows * w.out * w.in < worth_sharing) return tile(0, x.rows, 0, w.out);
  const index_t row_tiles = (x.rows + rows - 1) / rows,
                column_tiles = (w.out + columns - 1) / columns;
  context.pool.parallel_for(row_tiles * column_tiles, [&](index_t i) {
    const index_t row = i % row_tiles * rows, first = i / row_tiles * columns;
    tile(row, std::min(rows, x.rows - row), first, std::min(w.out, first + columns));
  });
}

// Turned: checkpoints hold the weight [in, out].
template <index_t In, index_t Out, bool HasBias = true, bool Turned = false>
struct Linear {
  struct Params {
    std::conditional_t<Turned, TurnedMatrix<Out, In>, Matrix<Out, In>> weight;
    present_if<HasBias, Vector<Out>> bias;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
      gov::visit(v, name / "bias", p.bias...);
    }
    const float* bias_values() const {
      if constexpr (HasBias)
        return bias.values();
      else
        return nullptr;
    }
  };

  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, Rows<T> y,
                      bool accumulate = false) {
    matmul(context, x, p.weight.view(), p.bias_values(), y, accumulate);
  }
};

}  // namespace gov
