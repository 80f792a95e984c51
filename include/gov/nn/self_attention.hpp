// Self-attention of a decoder layer (transformers: LlamaAttention and its relatives,
// GptOssAttention among them): q, k, v projections, an optional norm of each head, positions,
// grouped-query attention over the cache with an optional window and learned sinks, output
// projection.
//
// C::config gives the sizes (nn/geometry.hpp); C::attention(config) says which parts there are.
#pragma once

#include "gov/nn/attention.hpp"
#include "gov/nn/geometry.hpp"
#include "gov/nn/linear.hpp"
#include "gov/nn/norm.hpp"

namespace gov {

struct AttentionParts {
  bool qkv_bias = false, output_bias = false;
  bool sinks = false;    // one learned logit per query head (GPT-OSS)
  bool qk_norm = false;  // RmsNorm of each head's query and key before their rotation (Qwen3)
};

template <class C>
struct SelfAttention {
  static constexpr LanguageGeometry geometry = geometry_of(C::config);
  static constexpr AttentionParts parts = C::attention(C::config);
  static constexpr AttentionShape shape{geometry.num_attention_heads, geometry.num_key_value_heads,
                                        geometry.head_dim};
  static constexpr index_t q_width = shape.heads * shape.head_dim;
  static constexpr index_t kv_width = shape.kv_heads * shape.head_dim;
  static_assert(shape.heads % shape.kv_heads == 0,
                "gov: num_attention_heads must be a multiple of num_key_value_heads");
  static_assert(shape.head_dim % 2 == 0, "gov: head_dim must be even for rotary positions");

  using Query = Linear<geometry.hidden_size, q_width, parts.qkv_bias>;
  using KeyValue = Linear<geometry.hidden_size, kv_width, parts.qkv_bias>;
  using Output = Linear<q_width, geometry.hidden_size, parts.output_bias>;
  using HeadNorm = typename RmsNorm<shape.head_dim>::Params;

  struct Params {
    typename Query::Params q_proj;
    typename KeyValue::Params k_proj, v_proj;
    typename Output::Params o_proj;
    present_if<parts.qk_norm, HeadNorm> q_norm, k_norm;
    present_if<parts.sinks, Vector<shape.heads>> sinks;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "q_proj", p.q_proj...);
      gov::visit(v, name / "k_proj", p.k_proj...);
      gov::visit(v, name / "v_proj", p.v_proj...);
      gov::visit(v, name / "o_proj", p.o_proj...);
      gov::visit(v, name / "q_norm", p.q_norm...);
      gov::visit(v, name / "k_norm", p.k_norm...);
      gov::visit(v, name / "sinks", p.sinks...);
    }
  };

  // x [tokens, hidden] normed; `angles` turns queries and keys (rotary.hpp), but for layers that it
  // leaves out (nope.hpp); adds to y [tokens, hidden]. Writes the new keys and values behind each
  // cache's length and leaves committing to the caller.
  template <class T, class Steps, class Angles, class O>
  static void forward(Context<T>& context, const Params& p, const Steps& steps,
                      const Angles& angles, Input<T> x, Rows<T> y, O& observer, index_t layer) {
    const ArenaScope scope(context.arena);
    const auto q = context.rows(x.rows, q_width), k = context.rows(x.rows, kv_width),
               v = context.rows(x.rows, kv_width), out = context.rows(x.rows, q_width);
    Query::forward(context, p.q_proj, x, q);
    KeyValue::forward(context, p.k_proj, x, k);
    KeyValue::forward(context, p.v_proj, x, v);
    bool turned = true;
    if constexpr (requires { angles.turns(layer); }) turned = angles.turns(layer);
    for_each_row(context, x.rows, q_width + kv_width, [&](index_t t) {
      if constexpr (parts.qk_norm) {
        norm_heads(context, p.q_norm, q.row(t), shape.heads);
        norm_heads(context, p.k_norm, k.row(t), shape.kv_heads);
      }
      if (!turned) return;
      angles.turn(context, t, q.row(t), shape.heads);
      angles.turn(context, t, k.row(t), shape.kv_heads);
    });
    const float* sinks = nullptr;
    if constexpr (parts.sinks) sinks = p.sinks.values();
    index_t first = 0;
    for (const auto& step : steps) {
      KvCache<T>& cache = step.cache(layer);
      const index_t position = cache.length();
      for (index_t t = 0; t < step.rows; ++t)
        cache.write(position + t, k.row(first + t), v.row(first + t));
      causal_attention(context, shape, q.slice(first, step.rows), cache, position, sinks,
                       out.slice(first, step.rows), observer, layer,
                       p.q_proj.weight.format != Format::f32);
      first += step.rows;
    }
    Output::forward(context, p.o_proj, out, y, true);
  }

 private:
  template <class T>
  static void norm_heads(const Context<T>& context, const HeadNorm& norm, T* x, index_t heads) {
    for (index_t h = 0; h < heads; ++h, x += shape.head_dim)
      context.kernels.rms_norm(x, norm.weight.values(), shape.head_dim, geometry.norm_eps, x);
  }
};

}  // namespace gov
