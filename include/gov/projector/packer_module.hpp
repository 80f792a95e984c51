// One step of LLaVA-ST's packer (TokenPackerModule; arXiv 2501.08282): a grid of tokens becomes a
// coarser one. Each coarse token starts as the interpolated grid, Q0, and adds what it finds by
// attention in the tokens of its window, or in all of them:
//   out = Q0 + to_out(MHA(LN(to_q(Q0)), LN(to_k(x)), LN(to_v(x))))
// to_q, to_k, to_v: Linear, GELU, Linear.
#pragma once

#include <string>

#include "gov/core/config.hpp"
#include "gov/nn/linear_resize.hpp"
#include "gov/nn/multihead_attention.hpp"
#include "gov/projector/llava_projector.hpp"

namespace gov {

enum class PackAttention {
  window,  // a coarse token sees the tokens it stands for
  global,  // every token (the BabyLM fork)
};

template <>
struct EnumNames<PackAttention> {
  static constexpr std::string_view type = "gov::PackAttention";
  static constexpr std::array<std::pair<std::string_view, PackAttention>, 2> values{
      {{"window", PackAttention::window}, {"global", PackAttention::global}}};
  static constexpr std::array<std::string_view, 2> enumerators{"window", "global"};
};

// Linear, GELU, Linear with the names of torch's Sequential.
template <index_t In, index_t Out>
struct SequentialMlp : LlavaProjector<In, Out> {
  struct Params : LlavaProjector<In, Out>::Params {
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "0", p.first...);
      gov::visit(v, name / "2", p.last...);
    }
  };
};

// Rows of x [from.tokens(), C] by windows: those of coarse token `first`, then of the next; within
// a window by frame, row and column.
template <class T>
void gather_windows(Context<T>& context, Input<T> x, const TokenGrid& from, const TokenGrid& to,
                    index_t first, Rows<T> y) {
  const TokenGrid window{from.frames / to.frames, from.height / to.height, from.width / to.width};
  for_each_row(context, y.rows, x.cols, [&](index_t row) {
    const index_t coarse = first + row / window.tokens(), inside = row % window.tokens();
    const index_t t =
        coarse / (to.height * to.width) * window.frames + inside / (window.height * window.width);
    const index_t i =
        coarse / to.width % to.height * window.height + inside / window.width % window.height;
    const index_t j = coarse % to.width * window.width + inside % window.width;
    std::copy_n(x.row((t * from.height + i) * from.width + j), x.cols, y.row(row));
  });
}

inline bool divides(const TokenGrid& to, const TokenGrid& from) {
  return to.tokens() > 0 && from.frames % to.frames == 0 && from.height % to.height == 0 &&
         from.width % to.width == 0;
}

template <index_t Width, index_t Inner = 1024, index_t Heads = 8>
struct PackerModule {
  static constexpr double layer_norm_eps = 1e-5;
  using Mlp = SequentialMlp<Width, Inner>;
  using Norm = LayerNorm<Inner>;
  using Attention = MultiheadAttention<Inner, Heads>;
  using Output = Linear<Inner, Width, false>;

  struct Params {
    typename Mlp::Params to_q, to_k, to_v;
    typename Norm::Params ln_q, ln_k, ln_v;
    typename Attention::Params attn;
    typename Output::Params to_out;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      const auto inner = name / "devide_attention";  // as checkpoints spell it
      gov::visit(v, inner / "to_q", p.to_q...);
      gov::visit(v, inner / "to_k", p.to_k...);
      gov::visit(v, inner / "to_v", p.to_v...);
      gov::visit(v, inner / "ln_q", p.ln_q...);
      gov::visit(v, inner / "ln_k", p.ln_k...);
      gov::visit(v, inner / "ln_v", p.ln_v...);
      gov::visit(v, inner / "attn", p.attn...);
      gov::visit(v, inner / "to_out", p.to_out...);
    }
  };

  // x [from.tokens(), Width] -> y [to.tokens(), Width].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, const TokenGrid& from,
                      const TokenGrid& to, PackAttention attention, Rows<T> y) {
    check_grids(from, to, attention, x.rows, y.rows);
    const ArenaScope scope(context.arena);
    const auto start = context.rows(y.rows, Width);
    resize_linear(context, x, from, to, start);
    const bool windows = attention == PackAttention::window;
    const index_t window = windows ? from.tokens() / to.tokens() : 0;
    // Windows do not know of each other, so scratch is for some of them at a time.
    constexpr index_t keys_at_once = 4096;
    const index_t step = windows ? std::max<index_t>(1, keys_at_once / window) : y.rows;
    for (index_t first = 0; first < y.rows; first += step) {
      const ArenaScope inner_scope(context.arena);
      const index_t count = std::min(step, y.rows - first);
      Rows<const T> seen = x;
      if (windows) {
        const auto gathered = context.rows(count * window, Width);
        gather_windows(context, x, from, to, first, gathered);
        seen = gathered;
      }
      const auto through = [&](const auto& mlp, const auto& norm, Input<T> tokens) {
        const auto inner = context.rows(tokens.rows, Inner);
        Mlp::forward(context, mlp, tokens, inner);
        Norm::forward(context, norm, layer_norm_eps, inner, inner);
        return inner;
      };
      const auto q = through(p.to_q, p.ln_q, start.slice(first, count));
      const auto k = through(p.to_k, p.ln_k, seen);
      const auto v = through(p.to_v, p.ln_v, seen);
      const auto mixed = context.rows(count, Inner);
      Attention::forward(context, p.attn, q, k, v, window, mixed);
      const auto out = y.slice(first, count);
      for (index_t i = 0; i < count; ++i) std::copy_n(start.row(first + i), Width, out.row(i));
      Output::forward(context, p.to_out, mixed, out, true);
    }
  }

 private:
  static void check_grids(const TokenGrid& from, const TokenGrid& to, PackAttention attention,
                          index_t rows_in, index_t rows_out) {
    const auto text = [](const TokenGrid& g) {
      return std::to_string(g.frames) + "x" + std::to_string(g.height) + "x" +
             std::to_string(g.width);
    };
    if (from.tokens() < 1 || to.tokens() < 1 || rows_in != from.tokens() ||
        rows_out != to.tokens() || (attention == PackAttention::window && !divides(to, from)))
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "token grid",
                   .expected = text(to) + " cut into equal windows",
                   .found = text(from) + ", " + std::to_string(rows_in) + " tokens"});
  }
};

static_assert(parameter_count<PackerModule<1024>> == 11'550'720);
static_assert(parameter_count<PackerModule<768>> == 10'502'144);

}  // namespace gov
