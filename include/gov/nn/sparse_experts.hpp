// A mixture of experts as Mixtral has it (Jiang et al. 2024; transformers: MixtralSparseMoeBlock):
// softmax over all experts, the top k of it, divided by their sum; each expert a gated feed-forward
//   y += sum_k weight_k W_2(activation(W_1 x) * W_3 x)
// Each expert's weights are parameters of their own, as checkpoints hold them. Noise on the
// router's input is for training and not here.
#pragma once

#include <array>

#include "gov/core/observer.hpp"
#include "gov/kernel/topk.hpp"
#include "gov/nn/expert_groups.hpp"

namespace gov {

template <index_t Hidden, index_t Intermediate, index_t Experts, index_t TopK,
          kernel::Activation Act>
struct SparseExperts {
  static_assert(1 <= TopK && TopK <= Experts,
                "gov: num_experts_per_tok must be between 1 and num_local_experts");
  using Router = Linear<Hidden, Experts, false>;

  // One weight of one expert.
  template <index_t Out, index_t In>
  struct Weight {
    OneExpertMatrix<Out, In> weight;
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
    }
  };
  struct Expert {
    Weight<Intermediate, Hidden> w1;  // gate
    Weight<Hidden, Intermediate> w2;  // down
    Weight<Intermediate, Hidden> w3;  // up
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "w1", p.w1...);
      gov::visit(v, name / "w2", p.w2...);
      gov::visit(v, name / "w3", p.w3...);
    }
  };
  struct Params {
    typename Router::Params router;
    std::array<Expert, static_cast<std::size_t>(Experts)> experts;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "router", p.router...);
      gov::visit(v, name / "experts", p.experts...);
    }
  };

  // x [tokens, Hidden] normed; adds to y [tokens, Hidden].
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, Absent, Input<T> x, Rows<T> y,
                      O& observer, index_t layer) {
    const ArenaScope scope(context.arena);
    const auto logits = context.rows(x.rows, Experts);
    Context<T> exact{context.kernels, context.pool, context.arena};  // rounding may not choose
    Router::forward(exact, p.router, x, logits);
    observe(observer, "router", layer, logits);
    const Rows<index_t> chosen(context.arena.template allocate<index_t>(x.rows * TopK), x.rows,
                               TopK);
    const auto weights = context.rows(x.rows, TopK);
    choose(context, logits, chosen, weights);
    observe(observer, "router_indices", layer, chosen);
    observe(observer, "router_weights", layer, weights);

    const auto groups = ExpertGroups::of(context, chosen, Experts);
    const auto expert = [&](index_t e) -> const Expert& {
      return p.experts[static_cast<std::size_t>(e)];
    };
    const auto gate = context.rows(groups.choices, Intermediate),
               up = context.rows(groups.choices, Intermediate);
    groups.multiply(
        context, [&](index_t e) { return expert(e).w1.weight.view(); }, nullptr, x, groups.token,
        gate);
    groups.multiply(
        context, [&](index_t e) { return expert(e).w3.weight.view(); }, nullptr, x, groups.token,
        up);
    for_each_row(context, groups.choices, Intermediate, [&](index_t i) {
      T *const g = gate.row(i), *const u = up.row(i);
      context.kernels.activate(Act, g, Intermediate);
      for (index_t c = 0; c < Intermediate; ++c) u[c] *= g[c];
    });
    const auto down = context.rows(groups.choices, Hidden);
    groups.multiply(
        context, [&](index_t e) { return expert(e).w2.weight.view(); }, nullptr, up, nullptr, down);
    groups.combine(context, weights, down, y);
  }

 private:
  template <class T>
  static void choose(Context<T>& context, Rows<T> logits, Rows<index_t> chosen, Rows<T> weights) {
    const ArenaScope scope(context.arena);
    const auto shares = context.rows(1, Experts);
    for (index_t t = 0; t < logits.rows; ++t) {
      std::copy_n(logits.row(t), Experts, shares.data);
      context.kernels.softmax(shares.data, Experts);
      kernel::top_k(shares.data, Experts, TopK, chosen.row(t));
      T sum(0);
      for (index_t k = 0; k < TopK; ++k) sum += weights(t, k) = shares(0, chosen(t, k));
      for (index_t k = 0; k < TopK; ++k) weights(t, k) /= sum;
    }
  }
};

}  // namespace gov
