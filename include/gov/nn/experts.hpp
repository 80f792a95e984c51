// A mixture of experts as GPT-OSS has it (transformers: GptOssMLP): router logits, top-k, then
// softmax over the chosen ones; experts with interleaved gate and up columns and a clamped SwiGLU:
//   a = (clamp(up) + 1) * gate * sigmoid(alpha * gate),  y = sum_slot weight * (a W_down + b_down)
// The choices of all tokens are computed expert by expert (expert_groups.hpp). With VisionBias
// (GPT-OSS-Vision) the router's logits have one more learned offset on the rows of images.
#pragma once

#include "gov/core/observer.hpp"
#include "gov/kernel/topk.hpp"
#include "gov/nn/expert_groups.hpp"

namespace gov {

struct SwiGlu {
  double limit = 7, alpha = 1.702;
};

template <index_t Hidden, index_t Intermediate, index_t Experts, index_t TopK,
          bool VisionBias = false>
struct MixtureOfExperts {
  static_assert(1 <= TopK && TopK <= Experts,
                "gov: num_experts_per_tok must be between 1 and num_local_experts");
  using Router = Linear<Hidden, Experts>;

  struct Params {
    typename Router::Params router;
    present_if<VisionBias, OptionalVector<Experts>> vision_bias;
    ExpertMatrix<Experts, 2 * Intermediate, Hidden> gate_up_proj;  // rows alternate gate, up
    Vector<Experts, 2 * Intermediate> gate_up_proj_bias;
    ExpertMatrix<Experts, Hidden, Intermediate> down_proj;
    Vector<Experts, Hidden> down_proj_bias;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "router", p.router...);
      gov::visit(v, name / "router" / "vision_bias", p.vision_bias...);
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
    if constexpr (VisionBias)
      if (context.modality) add_vision_bias(context.modality, p.vision_bias.values(), logits);
    observe(observer, "router", layer, logits);
    const Rows<index_t> chosen(context.arena.template allocate<index_t>(choices), x.rows, TopK);
    const auto weights = context.rows(x.rows, TopK);
    choose(context, logits, chosen, weights);
    observe(observer, "router_indices", layer, chosen);
    observe(observer, "router_weights", layer, weights);

    // x[token] W_gate_up^T of each choice, the activation, and W_down^T.
    const auto groups = ExpertGroups::of(context, chosen, Experts);
    const auto gate_up = context.rows(choices, 2 * Intermediate);
    groups.multiply(
        context, [&](index_t e) { return p.gate_up_proj.view(e); }, p.gate_up_proj_bias.values(), x,
        groups.token, gate_up);
    context.pool.parallel_for((choices + 15) / 16, [&](index_t chunk) {
      for (index_t i = chunk * 16; i < std::min(choices, chunk * 16 + 16); ++i)
        context.kernels.swiglu_clamped(gate_up.row(i), Intermediate, glu.limit, glu.alpha,
                                       gate_up.row(i));
    });
    const auto down = context.rows(choices, Hidden);
    groups.multiply(
        context, [&](index_t e) { return p.down_proj.view(e); }, p.down_proj_bias.values(),
        Rows<T>(gate_up.data, choices, Intermediate, gate_up.stride), nullptr, down);
    groups.combine(context, weights, down, y);
  }

 private:
  template <class T>
  static void add_vision_bias(const index_t* modality, const float* bias, Rows<T> logits) {
    for (index_t t = 0; t < logits.rows; ++t)
      for (index_t e = 0; modality[t] && e < Experts; ++e) logits(t, e) += T(bias[e]);
  }
  template <class T>
  static void choose(Context<T>& context, Input<T> logits, Rows<index_t> chosen, Rows<T> weights) {
    for (index_t t = 0; t < logits.rows; ++t) {
      kernel::top_k(logits.row(t), Experts, TopK, chosen.row(t));
      for (index_t k = 0; k < TopK; ++k) weights(t, k) = logits(t, chosen(t, k));
      context.kernels.softmax(weights.row(t), TopK);
    }
  }
};

}  // namespace gov
