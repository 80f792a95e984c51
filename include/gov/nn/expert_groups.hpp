// Tokens grouped by the expert that they chose, so that each expert's weights are read once per
// call, and the products of all groups in one loop. What a mixture does between its products is its
// own (experts.hpp, sparse_experts.hpp).
#pragma once

#include <algorithm>
#include <span>

#include "gov/nn/linear.hpp"

namespace gov {

// The choices of a call as slots in order of expert, then token. A choice is token * top_k + k.
struct ExpertGroups {
  index_t experts = 0, top_k = 0, choices = 0;
  index_t* begin = nullptr;  // [experts + 1]: the slots of expert e are [begin[e], begin[e + 1])
  index_t* token = nullptr;  // [choices]: of each slot
  index_t* place = nullptr;  // [choices]: the slot of each choice

  // chosen [tokens, top_k]; in scratch memory.
  template <class T>
  static ExpertGroups of(Context<T>& context, Rows<index_t> chosen, index_t experts) {
    const index_t top_k = chosen.cols, choices = chosen.rows * top_k;
    const auto room = [&](index_t count) {
      return context.arena.template allocate<index_t>(count);
    };
    ExpertGroups g{experts, top_k, choices, room(experts + 1), room(choices), room(choices)};
    std::fill_n(g.begin, experts + 1, index_t{0});
    for (index_t s = 0; s < choices; ++s) ++g.begin[chosen.data[s] + 1];
    for (index_t e = 0; e < experts; ++e) g.begin[e + 1] += g.begin[e];
    for (index_t s = 0; s < choices; ++s) g.place[s] = g.begin[chosen.data[s]]++;
    std::copy_backward(g.begin, g.begin + experts, g.begin + experts + 1), g.begin[0] = 0;
    for (index_t s = 0; s < choices; ++s) g.token[g.place[s]] = s / top_k;
    return g;
  }

  // y[slots of expert e] = x[pick of those slots] view(e)^T + bias[e], all experts' tiles in one
  // loop; pick null: x has a row per slot; bias [experts, out] may be null. Experts with few slots
  // may take another kernel than those with many.
  template <class T, class View>
  void multiply(Context<T>& context, const View& view, const float* bias, Input<T> x,
                const index_t* pick, Rows<T> y) const {
    constexpr index_t columns = 64, rows = 128;
    const index_t out = y.cols, column_tiles = (out + columns - 1) / columns;
    const ArenaScope scope(context.arena);
    Piece* const pieces = context.arena.template allocate<Piece>(y.rows / rows + experts);
    index_t count = 0, unrounded = 0;
    for (index_t e = 0; e < experts; ++e) {
      const index_t wanted = begin[e + 1] - begin[e];
      const kernel::Packing packing = context.packing(view(e).format, wanted);
      if (packing == kernel::Packing::none) unrounded += wanted;
      for (index_t first = begin[e]; first < begin[e + 1]; first += rows)
        pieces[count++] = {e, first, std::min(rows, begin[e + 1] - first), packing, nullptr};
    }
    const auto gathered = context.rows(pick && unrounded > 0 ? y.rows : 0, x.cols);
    pack_pieces(context, std::span(pieces, static_cast<std::size_t>(count)), x, pick, gathered);
    context.pool.parallel_for(count * column_tiles, [&](index_t i) {
      const Piece& piece = pieces[i / column_tiles];
      const index_t first = i % column_tiles * columns, last = std::min(out, first + columns);
      const float* const offset = bias ? bias + piece.expert * out : nullptr;
      if constexpr (std::is_same_v<T, float>)
        if (piece.packed)
          return context.kernels.rounded()->matmul({piece.packing, piece.packed, view(piece.expert),
                                                    offset, y.slice(piece.first, piece.count),
                                                    first, last});
      context.kernels.matmul({.x = (pick ? gathered : x).slice(piece.first, piece.count),
                              .w = view(piece.expert),
                              .bias = offset,
                              .y = y.slice(piece.first, piece.count),
                              .first = first,
                              .last = last});
    });
  }

  // y[token] += sum of weights(token, k) times the row of that choice, in the order of the choice,
  // whatever other tokens share the call.
  template <class T>
  void combine(Context<T>& context, Rows<T> weights, Rows<T> rows, Rows<T> y) const {
    context.pool.parallel_for((y.rows + 15) / 16, [&](index_t chunk) {
      for (index_t t = chunk * 16; t < std::min(y.rows, chunk * 16 + 16); ++t)
        for (index_t k = 0; k < top_k; ++k)
          context.kernels.axpy(weights(t, k), rows.row(place[t * top_k + k]), y.row(t), y.cols);
    });
  }

 private:
  struct Piece {
    index_t expert, first, count;
    kernel::Packing packing;
    std::byte* packed;
  };

  // Each piece's rows, gathered: rounded where its kernel wants them so, else into `gathered`.
  template <class T>
  static void pack_pieces(Context<T>& context, std::span<Piece> pieces, Input<T> x,
                          const index_t* pick, Rows<T> gathered) {
    const kernel::RoundedProducts* const rounded = context.kernels.rounded();
    for (auto& piece : pieces)
      if (piece.packing != kernel::Packing::none)
        piece.packed = context.arena.template allocate<std::byte>(
            rounded->packed_bytes(piece.packing, piece.count, x.cols));
    const auto is_packed = [](const Piece& piece) { return piece.packed != nullptr; };
    if (!pick && std::none_of(pieces.begin(), pieces.end(), is_packed)) return;
    constexpr index_t chunk = 16, chunks = 8;  // of a piece's at most 128 rows
    context.pool.parallel_for(static_cast<index_t>(pieces.size()) * chunks, [&](index_t i) {
      const Piece& piece = pieces[static_cast<std::size_t>(i / chunks)];
      const index_t first = i % chunks * chunk, last = std::min(piece.count, first + chunk);
      if (first >= last) return;
      if constexpr (std::is_same_v<T, float>)
        if (piece.packed)
          return rounded->pack({pick ? x : x.slice(piece.first, piece.count), piece.packing,
                                pick ? pick + piece.first : nullptr, first, last, piece.packed});
      if (pick)
        for (index_t row = first; row < last; ++row)
          std::copy_n(x.row(pick[piece.first + row]), x.cols, gathered.row(piece.first + row));
    });
  }
};

}  // namespace gov
