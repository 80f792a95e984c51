// One layer of a vision transformer, norms first (Dosovitskiy et al. 2020), in place:
//   x += s1 * attention(norm1(x)),  x += s2 * mlp(norm2(x))
// s1 and s2 are learned vectors (layer scale, Touvron et al. 2021) or absent. Every token sees
// every token. The feed-forward is W_down act(W_up x) or, gated, W_down (silu(a) * b) with (a, b)
// the halves of W_up x (Shazeer 2020). LayerNorm or RMSNorm; q and k may be normed over the full
// width.
//
// A tower says of its layers: struct L { static constexpr EncoderParts parts; static constexpr
// EncoderNames names; } with the names that its checkpoints use.
#pragma once

#include <array>

#include "gov/core/config.hpp"
#include "gov/core/observer.hpp"
#include "gov/kernel/activation_names.hpp"
#include "gov/nn/attention.hpp"
#include "gov/nn/linear.hpp"
#include "gov/nn/norm.hpp"

namespace gov {

enum class NormType { layer_norm, rms_norm };

template <>
struct EnumNames<NormType> {
  static constexpr std::string_view type = "gov::NormType";
  static constexpr std::array<std::pair<std::string_view, NormType>, 2> values{
      {{"layer_norm", NormType::layer_norm}, {"rms_norm", NormType::rms_norm}}};
  static constexpr std::array<std::string_view, 2> enumerators{"layer_norm", "rms_norm"};
};

struct EncoderParts {
  index_t hidden_size = 0, intermediate_size = 0, num_attention_heads = 0;
  double layer_norm_eps = 0;
  kernel::Activation hidden_act{};
  bool qkv_bias = true, layer_scale = false, gated = false, qk_norm = false;
  NormType norm_type = NormType::layer_norm;
};

struct EncoderNames {
  std::string_view norm1, norm2, q_proj, k_proj, v_proj, o_proj, up_proj, down_proj;
  std::string_view scale1{}, scale2{}, q_norm{}, k_norm{};
};

template <class L>
struct EncoderLayer {
  static constexpr EncoderParts parts = L::parts;
  static constexpr EncoderNames names = L::names;
  static constexpr index_t hidden = parts.hidden_size, inner = parts.intermediate_size;
  static constexpr AttentionShape shape{parts.num_attention_heads, parts.num_attention_heads,
                                        hidden / parts.num_attention_heads};
  static constexpr index_t scratch_width = 6 * hidden + (parts.gated ? 3 : 1) * inner;  // a token's
  static constexpr double qk_norm_eps = 1e-6;  // InternViT's, whatever layer_norm_eps says

  using Norm =
      std::conditional_t<parts.norm_type == NormType::rms_norm, RmsNorm<hidden>, LayerNorm<hidden>>;
  using Projection = Linear<hidden, hidden, parts.qkv_bias>;
  using Output = Linear<hidden, hidden>;
  using Up = Linear<hidden, parts.gated ? 2 * inner : inner>;
  using Down = Linear<inner, hidden>;
  using Scale = present_if<parts.layer_scale, Vector<hidden>>;
  using HeadsNorm = present_if<parts.qk_norm, typename RmsNorm<hidden>::Params>;

  struct Params {
    typename Norm::Params norm1, norm2;
    typename Projection::Params q_proj, k_proj, v_proj;
    HeadsNorm q_norm, k_norm;
    typename Output::Params o_proj;
    typename Up::Params up_proj;
    typename Down::Params down_proj;
    Scale scale1, scale2;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / names.norm1, p.norm1...);
      gov::visit(v, name / names.norm2, p.norm2...);
      gov::visit(v, name / names.q_proj, p.q_proj...);
      gov::visit(v, name / names.k_proj, p.k_proj...);
      gov::visit(v, name / names.v_proj, p.v_proj...);
      gov::visit(v, name / names.q_norm, p.q_norm...);
      gov::visit(v, name / names.k_norm, p.k_norm...);
      gov::visit(v, name / names.o_proj, p.o_proj...);
      gov::visit(v, name / names.up_proj, p.up_proj...);
      gov::visit(v, name / names.down_proj, p.down_proj...);
      gov::visit(v, name / names.scale1, p.scale1...);
      gov::visit(v, name / names.scale2, p.scale2...);
    }
  };

  // x [tokens, hidden], in place.
  template <class T>
  static void forward(Context<T>& context, const Params& p, Rows<T> x) {
    const ArenaScope scope(context.arena);
    const auto rows = [&](index_t width) { return context.rows(x.rows, width); };
    const auto normed = rows(hidden), q = rows(hidden), k = rows(hidden), v = rows(hidden),
               mixed = rows(hidden);
    Norm::forward(context, p.norm1, parts.layer_norm_eps, x, normed);
    Projection::forward(context, p.q_proj, normed, q);
    Projection::forward(context, p.k_proj, normed, k);
    Projection::forward(context, p.v_proj, normed, v);
    if constexpr (parts.qk_norm) {
      RmsNorm<hidden>::forward(context, p.q_norm, qk_norm_eps, q, q);
      RmsNorm<hidden>::forward(context, p.k_norm, qk_norm_eps, k, k);
    }
    full_attention(context, shape, q, k, v, mixed, p.q_proj.weight.format != Format::f32);
    add<Output>(context, p.o_proj, p.scale1, mixed, normed, x);

    Norm::forward(context, p.norm2, parts.layer_norm_eps, x, normed);
    const auto wide = rows(inner);
    if constexpr (parts.gated) {
      const auto both = rows(2 * inner);
      Up::forward(context, p.up_proj, normed, both);
      for_each_row(context, wide.rows, 2 * inner, [&](index_t i) {
        T *const gate = both.row(i), *const to = wide.row(i);
        context.kernels.activate(kernel::Activation::silu, gate, inner);
        for (index_t c = 0; c < inner; ++c) to[c] = gate[c] * gate[inner + c];
      });
    } else {
      Up::forward(context, p.up_proj, normed, wide);
      for_each_row(context, wide.rows, inner, [&](index_t i) {
        context.kernels.activate(parts.hidden_act, wide.row(i), inner);
      });
    }
    add<Down>(context, p.down_proj, p.scale2, wide, normed, x);
  }

 private:
  // to += scale * Last(x); without a scale the product adds by itself.
  template <class Last, class T>
  static void add(Context<T>& context, const typename Last::Params& p, const Scale& scale,
                  Input<T> x, Rows<T> part, Rows<T> to) {
    if constexpr (parts.layer_scale) {
      Last::forward(context, p, x, part);
      for_each_row(context, to.rows, hidden, [&](index_t i) {
        context.kernels.scale_add(scale.values(), part.row(i), to.row(i), hidden);
      });
    } else {
      (void)scale, (void)part;
      Last::forward(context, p, x, to, true);
    }
  }
};

// Runs the first `count` layers on x in place; the observer sees the state before each and the
// last.
template <class Layer, std::size_t Layers, class T, class O>
void run_encoder(Context<T>& context, const std::array<typename Layer::Params, Layers>& layers,
                 index_t count, Rows<T> x, O& observer) {
  for (index_t i = 0; i < count; ++i) {
    context.throw_if_cancelled();
    observe(observer, "vision_hidden_states", i, x);
    Layer::forward(context, layers[static_cast<std::size_t>(i)], x);
  }
  observe(observer, "vision_hidden_states", count, x);
}

}  // namespace gov
