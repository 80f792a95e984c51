// A mixture of experts as GPT-OSS has it (transformers: GptOssMLP): router logits, top-k, then
// softmax over the chosen ones; experts with interleaved gate and up columns and a clamped SwiGLU:
//   a = (clamp(up) + 1) * gate * sigmoid(alpha * gate),  y = sum_slot weight * (a W_down + b_down)
// Tokens are grouped by expert, so each expert's weights are read once per call; the sum over a
// token's choices runs in the order of the choice, whatever other tokens share the call.
#pragma once

#include <span>

#include "gov/core/observer.hpp"
#include "gov/kernel/topk.hpp"
#include "gov/nn/linear.hpp"

namespace gov {

struct SwiGlu {
  double limit = 7, alpha = 1.702;
};

template <index_t Hidden, index_t Intermediate, index_t Experts, index_t TopK>
struct MixtureOfExperts {
  static_assert(1 <= TopK && TopK <= Experts,
                "gov: num_experts_per_tok must be between 1 and num_local_experts");
  using Router = Linear<Hidden, Experts>;

  struct Params {
    typename Router::Params router;
    ExpertMatrix<Experts, 2 * Intermediate, Hidden> gate_up_proj;  // rows alternate gate, up
    Vector<Experts, 2 * Intermediate> gate_up_proj_bias;
    ExpertMatrix<Experts, Hidden, Intermediate> down_proj;
    Vector<Experts, Hidden> down_proj_bias;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "router", p.router...);
      const auto experts = name / "experts";
      gov::visit(v, experts / "gate_up_proj", p.gate_up_proj...);
      gov::visit(v, experts / "gate_up_proj_bias", p.gate_up_proj_bias...);
      gov::visit(v, experts / "down_proj", p.down_proj...);
      gov::visit(v, experts / "down_proj_bias", p.down_proj_bias...);
    }
  };

  // x [tokens, Hidden] normed; adds to y [tokens, Hidden].
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const SwiGlu& glu, Input<T> x,
                      Rows<T> y, O& observer, index_t layer) {
    const ArenaScope scope(context.arena);
    const index_t choices = x.rows * TopK;
    const auto logits = context.rows(x.rows, Experts);
    Context<T> exact{context.kernels, context.pool, context.arena};  // rounding may not choose
    Router::forward(exact, p.router, x, logits);
    observe(observer, "router", layer, logits);
    const Rows<index_t> chosen(context.arena.template allocate<index_t>(choices), x.rows, TopK);
    const auto weights = context.rows(x.rows, TopK);
    choose(context, logits, chosen, weights);
    observe(observer, "router_indices", layer, chosen);
    observe(observer, "router_weights", layer, weights);

    // Slots in order of expert, then token: order[begin[e] .. begin[e + 1]).
    index_t* const begin = context.arena.template allocate<index_t>(Experts + 1);
    index_t* const order = context.arena.template allocate<index_t>(choices);
    std::fill_n(begin, Experts + 1, index_t{0});
    for (index_t s = 0; s < choices; ++s) ++begin[chosen.data[s] + 1];
    for (index_t e = 0; e < Experts; ++e) begin[e + 1] += begin[e];
    for (index_t s = 0; s < choices; ++s) order[begin[chosen.data[s]]++] = s;
    std::copy_backward(begin, begin + Experts, begin + Experts + 1), begin[0] = 0;

    // The tokens of the slots; then x[token] W_gate_up^T, the activation, and W_down^T.
    index_t* const token = context.arena.template allocate<index_t>(choices);
    for (index_t i = 0; i < choices; ++i) token[i] = order[i] / TopK;
    const auto gate_up = context.rows(choices, 2 * Intermediate);
    grouped(context, begin, p.gate_up_proj, p.gate_up_proj_bias.values(), x, token, gate_up);
    context.pool.parallel_for((choices + 15) / 16, [&](index_t chunk) {
      for (index_t i = chunk * 16; i < std::min(choices, chunk * 16 + 16); ++i)
        context.kernels.swiglu_clamped(gate_up.row(i), Intermediate, glu.limit, glu.alpha,
                                       gate_up.row(i));
    });
    const auto down = context.rows(choices, Hidden);
    grouped(context, begin, p.down_proj, p.down_proj_bias.values(),
            Rows<T>(gate_up.data, choices, Intermediate, gate_up.stride), nullptr, down);

    index_t* const place = context.arena.template allocate<index_t>(choices);
    for (index_t i = 0; i < choices; ++i) place[order[i]] = i;
    context.pool.parallel_for((x.rows + 15) / 16, [&](index_t chunk) {
      for (index_t t = chunk * 16; t < std::min(x.rows, chunk * 16 + 16); ++t)
        for (index_t k = 0; k < TopK; ++k)
          context.kernels.axpy(weights(t, k), down.row(place[t * TopK + k]), y.row(t), Hidden);
    });
  }

 private:
  template <class T>
  static void choose(Context<T>& context, Input<T> logits, Rows<index_t> chosen, Rows<T> weights) {
    for (index_t t = 0; t < logits.rows; ++t) {
      kernel::top_k(logits.row(t), Experts, TopK, chosen.row(t));
      for (index_t k = 0; k < TopK; ++k) weights(t, k) = logits(t, chosen(t, k));
      context.kernels.softmax(weights.row(t), TopK);
    }
  }

  // y[slots of expert e] = x[pick of those slots] W_e^T + b_e, all experts' tiles in one loop; pick
  // null: x has a row per slot. Experts with few slots may take another kernel than those with
  // many.
  template <class T, class W>
  static void grouped(Context<T>& context, const index_t* begin, const W& w, const float* bias,
                      Input<T> x, const index_t* pick, Rows<T> y) {
    constexpr index_t columns = 64, rows = 128;
    constexpr index_t column_tiles = (W::out + columns - 1) / columns;
    const ArenaScope scope(context.arena);
    struct Piece {
      index_t expert, first, count;
      kernel::Packing packing;
      std::byte* packed;
    };
    Piece* const pieces = context.arena.template allocate<Piece>(y.rows / rows + Experts);
    index_t count = 0, unrounded = 0;
    for (index_t e = 0; e < Experts; ++e) {
      const index_t wanted = begin[e + 1] - begin[e];
      const kernel::Packing packing = context.packing(w.format, wanted);
      if (packing == kernel::Packing::none) unrounded += wanted;
      for (index_t first = begin[e]; first < begin[e + 1]; first += rows)
        pieces[count++] = {e, first, std::min(rows, begin[e + 1] - first), packing, nullptr};
    }
    const auto gathered = context.rows(pick && unrounded > 0 ? y.rows : 0, x.cols);
    pack_pieces(context, std::span(pieces, static_cast<std::size_t>(count)), x, pick, gathered);
    context.pool.parallel_for(count * column_tiles, [&](index_t i) {
      const Piece& piece = pieces[i / column_tiles];
      const index_t first = i % column_tiles * columns, last = std::min(W::out, first + columns);
      const float* const offset = bias + piece.expert * W::out;
      if constexpr (std::is_same_v<T, float>)
        if (piece.packed)
          return context.kernels.rounded()->matmul(
              {piece.packing, piece.packed, w.view(piece.expert), offset,
               y.slice(piece.first, piece.count), first, last});
      context.kernels.matmul({.x = (pick ? gathered : x).slice(piece.first, piece.count),
                              .w = w.view(piece.expert),
                              .bias = offset,
                              .y = y.slice(piece.first, piece.count),
                              .first = first,
                              .last = last});
    });
  }

  // Each piece's rows, gathered: rounded where its kernel wants them so, else into `gathered`.
  template <class T, class Pieces>
  static void pack_pieces(Context<T>& context, Pieces pieces, Input<T> x, const index_t* pick,
                          Rows<T> gathered) {
    const kernel::RoundedProducts* const rounded = context.kernels.rounded();
    for (auto& piece : pieces)
      if (piece.packing != kernel::Packing::none)
        piece.packed = context.arena.template allocate<std::byte>(
            rounded->packed_bytes(piece.packing, piece.count, x.cols));
    const auto is_packed = [](const auto& piece) { return piece.packed != nullptr; };
    if (!pick && std::none_of(pieces.begin(), pieces.end(), is_packed)) return;
    constexpr index_t chunk = 16, chunks = 8;  // of a piece's at most 128 rows
    context.pool.parallel_for(static_cast<index_t>(pieces.size()) * chunks, [&](index_t i) {
      const auto& piece = pieces[static_cast<std::size_t>(i / chunks)];
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
