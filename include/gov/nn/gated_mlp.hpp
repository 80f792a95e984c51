// A gated feed-forward layer (Shazeer 2020; transformers: LlamaMLP and its relatives):
//   y += W_down(activation(W_gate x) * W_up x)
#pragma once

#include "gov/core/observer.hpp"
#include "gov/nn/linear.hpp"

namespace gov {

template <index_t Hidden, index_t Intermediate, kernel::Activation Act, bool HasBias = false>
struct GatedMlp {
  using Up = Linear<Hidden, Intermediate, HasBias>;
  using Down = Linear<Intermediate, Hidden, HasBias>;

  struct Params {
    typename Up::Params gate_proj, up_proj;
    typename Down::Params down_proj;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "gate_proj", p.gate_proj...);
      gov::visit(v, name / "up_proj", p.up_proj...);
      gov::visit(v, name / "down_proj", p.down_proj...);
    }
  };

  // x [tokens, Hidden] normed; adds to y [tokens, Hidden].
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, Absent, Input<T> x, Rows<T> y, O&,
                      index_t) {
    const ArenaScope scope(context.arena);
    const auto gate = context.rows(x.rows, Intermediate), up = context.rows(x.rows, Intermediate);
    Up::forward(context, p.gate_proj, x, gate);
    Up::forward(context, p.up_proj, x, up);
    for_each_row(context, x.rows, Intermediate, [&](index_t i) {
      T *const g = gate.row(i), *const u = up.row(i);
      context.kernels.activate(Act, g, Intermediate);
      for (index_t c = 0; c < Intermediate; ++c) u[c] *= g[c];
    });
    Down::forward(context, p.down_proj, up, y, true);
  }
};

}  // namespace gov
