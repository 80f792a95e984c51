// A plain feed-forward layer (transformers: GPT2MLP, MptMLP): y += W_down activation(W_up x).
#pragma once

#include "gov/core/observer.hpp"
#include "gov/nn/linear.hpp"

namespace gov {

// Turned: checkpoints hold the weights [in, out] (GPT-2's Conv1D).
template <index_t Hidden, index_t Intermediate, kernel::Activation Act, bool HasBias,
          bool Turned = false>
struct Mlp {
  using Up = Linear<Hidden, Intermediate, HasBias, Turned>;
  using Down = Linear<Intermediate, Hidden, HasBias, Turned>;

  struct Params {
    typename Up::Params up_proj;
    typename Down::Params down_proj;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "up_proj", p.up_proj...);
      gov::visit(v, name / "down_proj", p.down_proj...);
    }
  };

  // x [tokens, Hidden] normed; adds to y [tokens, Hidden].
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, Absent, Input<T> x, Rows<T> y, O&,
                      index_t) {
    const ArenaScope scope(context.arena);
    const auto inner = context.rows(x.rows, Intermediate);
    Up::forward(context, p.up_proj, x, inner);
    for_each_row(context, x.rows, Intermediate,
                 [&](index_t i) { context.kernels.activate(Act, inner.row(i), Intermediate); });
    Down::forward(context, p.down_proj, inner, y, true);
  }
};

}  // namespace gov
