// The projection of GPT-OSS-Vision's adapter: a learned token in front of the tower's, if there is
// one, then y = Linear(LayerNorm(x)), token by token. The token is not computed from the others:
// whatever pools them is behind it, in the language model.
#pragma once

#include <algorithm>
#include <string_view>

#include "gov/nn/linear.hpp"
#include "gov/nn/norm.hpp"

namespace gov {

template <index_t VisionWidth, index_t TextWidth, bool HasPoolToken = true>
struct PoolTokenProjector {
  static constexpr double layer_norm_eps = 1e-5;
  static constexpr std::string_view takes = "at least one token of the tower";
  static constexpr index_t input_width = VisionWidth, output_width = TextWidth;
  static constexpr index_t added = HasPoolToken ? 1 : 0;
  static constexpr index_t tokens(index_t rows) { return rows > 0 ? rows + added : 0; }
  // Numbers of scratch memory for so many tokens.
  static constexpr index_t scratch(index_t tokens) { return tokens * VisionWidth; }
  using Norm = LayerNorm<VisionWidth>;
  using Proj = Linear<VisionWidth, TextWidth>;

  struct Params {
    present_if<HasPoolToken, Vector<1, 1, VisionWidth>> pool_token;
    typename Norm::Params norm;
    typename Proj::Params proj;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "pool_token", p.pool_token...);
      gov::visit(v, name / "norm", p.norm...);
      gov::visit(v, name / "proj", p.proj...);
    }
  };

  // x [rows, VisionWidth] -> y [tokens(rows), TextWidth].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, Rows<T> y) {
    const ArenaScope scope(context.arena);
    const auto normed = context.rows(y.rows, VisionWidth);
    const auto behind = normed.slice(added, x.rows);
    if constexpr (HasPoolToken) {
      std::copy_n(p.pool_token.values(), VisionWidth, normed.row(0));
      const auto first = normed.slice(0, 1);
      Norm::forward(context, p.norm, layer_norm_eps, first, first);
    }
    Norm::forward(context, p.norm, layer_norm_eps, x, behind);
    Proj::forward(context, p.proj, normed, y);
  }
};

}  // namespace gov
