// TokenPacker (arXiv 2407.02392; CircleRadon/TokenPacker, multimodal_projector/builder.py): a
// picture's s x s neighbours become one token. The coarse token is the interpolated grid of one
// layer's features, what it attends to are the features of several layers, side by side, in its
// window; no residual; then Linear, GELU, Linear to the language model. Parameters are named as in
// the original's files.
#pragma once

#include <algorithm>
#include <string>

#include "gov/projector/packer_module.hpp"

namespace gov {

template <index_t VisionWidth, index_t Levels, index_t TextWidth, index_t Scale,
          index_t Inner = 1024, index_t Heads = Inner / 128>
struct TokenPacker {
  static constexpr double layer_norm_eps = 1e-6;
  static_assert(Levels >= 1 && Scale >= 1, "gov: TokenPacker needs a level and a scale_factor");
  static constexpr index_t fold = Scale;  // a side of the grid is divided by it
  static constexpr std::string_view takes = "a square grid of patches that scale_factor divides";
  static constexpr index_t input_width = VisionWidth, output_width = TextWidth;
  static constexpr index_t levels_width = Levels * VisionWidth;
  static constexpr index_t row_width = VisionWidth + levels_width;  // x and the levels in one row
  using Query = Linear<VisionWidth, Inner, false>;
  using Keys = SequentialMlp<levels_width, Inner>;
  using Norm = LayerNorm<Inner>;
  using Attention = MultiheadAttention<Inner, Heads>;
  using Output = SequentialMlp<Inner, TextWidth>;

  struct Params {
    typename Query::Params q_proj_1;
    typename Keys::Params k_proj_1, v_proj_1;
    typename Norm::Params ln_q_1, ln_k_1, ln_v_1;
    typename Attention::Params clip_attn;
    typename Output::Params mlp;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "q_proj_1", p.q_proj_1...);
      gov::visit(v, name / "k_proj_1", p.k_proj_1...);
      gov::visit(v, name / "v_proj_1", p.v_proj_1...);
      gov::visit(v, name / "ln_q_1", p.ln_q_1...);
      gov::visit(v, name / "ln_k_1", p.ln_k_1...);
      gov::visit(v, name / "ln_v_1", p.ln_v_1...);
      gov::visit(v, name / "clip_attn", p.clip_attn...);
      gov::visit(v, name / "mlp", p.mlp...);
    }
  };

  // Rows that come out of so many; 0 where they form no square grid that Scale divides.
  static constexpr index_t tokens(index_t rows) {
    const index_t side = side_of(rows);
    return side > 0 && side * side == rows && side % Scale == 0 ? rows / (Scale * Scale) : 0;
  }
  // Numbers of scratch memory for so many rows that come out.
  static constexpr index_t scratch(index_t tokens) {
    const index_t keys = tokens * Scale * Scale;
    return tokens * (VisionWidth + 4 * Inner + std::max(Inner, TextWidth)) +
           keys * (levels_width + 4 * Inner);
  }

  // Rows [grid^2, row_width], each of x and then the levels, as TileFeatures has them ->
  // y [(grid / Scale)^2, TextWidth].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> rows, Rows<T> y) {
    const Rows<const T> x(rows.data, rows.rows, VisionWidth, rows.stride),
        levels(rows.data + VisionWidth, rows.rows, levels_width, rows.stride);
    forward(context, p, x, levels, side_of(rows.rows), y);
  }

  // x [grid^2, VisionWidth] and levels [grid^2, Levels * VisionWidth] of one picture ->
  // y [(grid / Scale)^2, TextWidth].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, Input<T> levels,
                      index_t grid, Rows<T> y) {
    const TokenGrid from{1, grid, grid}, to{1, grid / Scale, grid / Scale};
    if (grid < 1 || grid % Scale != 0 || x.rows != from.tokens() || levels.rows != x.rows ||
        y.rows != to.tokens())
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "token grid",
                   .expected = "a square grid whose side is a multiple of " + std::to_string(Scale),
                   .found = std::to_string(x.rows) + " tokens, side " + std::to_string(grid)});
    const ArenaScope scope(context.arena);
    const auto coarse = context.rows(to.tokens(), VisionWidth),
               q = context.rows(to.tokens(), Inner), mixed = context.rows(to.tokens(), Inner),
               windows = context.rows(from.tokens(), levels_width),
               k = context.rows(from.tokens(), Inner), v = context.rows(from.tokens(), Inner);
    resize_linear(context, x, from, to, coarse);
    Query::forward(context, p.q_proj_1, coarse, q);
    Norm::forward(context, p.ln_q_1, layer_norm_eps, q, q);
    gather_windows(context, levels, from, to, 0, windows);
    Keys::forward(context, p.k_proj_1, windows, k);
    Norm::forward(context, p.ln_k_1, layer_norm_eps, k, k);
    Keys::forward(context, p.v_proj_1, windows, v);
    Norm::forward(context, p.ln_v_1, layer_norm_eps, v, v);
    Attention::forward(context, p.clip_attn, q, k, v, Scale * Scale, mixed);
    Output::forward(context, p.mlp, mixed, y);
  }

 private:
  static constexpr index_t side_of(index_t rows) {
    index_t side = 0;
    while ((side + 1) * (side + 1) <= rows) ++side;
    return side;
  }
};

// Of LLaVA-1.5-7B: 576 tokens of CLIP-L at 336 pixels become 144.
using TokenPacker144 = TokenPacker<1024, 4, 4096, 2>;
static_assert(parameter_count<TokenPacker144> == 36'722'688);

}  // namespace gov
