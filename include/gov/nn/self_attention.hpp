// Self-attention of a decoder layer (transformers: GptOssAttention and its Llama-like relatives):
// q, k, v projections, rotary positions, grouped-query attention over the cache with an optional
// window and learned sinks, output projection.
//
// C::config gives hidden_size, num_attention_heads, num_key_value_heads, head_dim, attention_bias
// and window(layer); C::attention_sinks says whether heads have a sink.
#pragma once

#include "gov/nn/attention.hpp"
#include "gov/nn/linear.hpp"
#include "gov/nn/rope.hpp"

namespace gov {

template <class C>
struct SelfAttention {
  static constexpr auto& config = C::config;
  static constexpr AttentionShape shape{config.num_attention_heads, config.num_key_value_heads,
                                        config.head_dim};
  static constexpr index_t q_width = shape.heads * shape.head_dim;
  static constexpr index_t kv_width = shape.kv_heads * shape.head_dim;
  static_assert(shape.heads % shape.kv_heads == 0,
                "gov: num_attention_heads must be a multiple of num_key_value_heads");
  static_assert(shape.head_dim % 2 == 0, "gov: head_dim must be even for rotary positions");

  using Query = Linear<config.hidden_size, q_width, config.attention_bias>;
  using KeyValue = Linear<config.hidden_size, kv_width, config.attention_bias>;
  using Output = Linear<q_width, config.hidden_size, config.attention_bias>;

  struct Params {
    typename Query::Params q_proj;
    typename KeyValue::Params k_proj, v_proj;
    typename Output::Params o_proj;
    present_if<C::attention_sinks, Vector<shape.heads>> sinks;  // one logit per query head

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "q_proj", p.q_proj...);
      gov::visit(v, name / "k_proj", p.k_proj...);
      gov::visit(v, name / "v_proj", p.v_proj...);
      gov::visit(v, name / "o_proj", p.o_proj...);
      gov::visit(v, name / "sinks", p.sinks...);
    }
  };

  // x [tokens, hidden] normed; cos, sin [tokens, head_dim / 2]; adds to y [tokens, hidden]. Writes
  // the new keys and values behind each cache's length and leaves committing to the caller.
  template <class T, class Steps, class O>
  static void forward(Context<T>& context, const Params& p, const Steps& steps, Input<T> cos,
                      Input<T> sin, Input<T> x, Rows<T> y, O& observer, index_t layer) {
    const ArenaScope scope(context.arena);
    const auto q = context.rows(x.rows, q_width), k = context.rows(x.rows, kv_width),
               v = context.rows(x.rows, kv_width), out = context.rows(x.rows, q_width);
    Query::forward(context, p.q_proj, x, q);
    KeyValue::forward(context, p.k_proj, x, k);
    KeyValue::forward(context, p.v_proj, x, v);
    for_each_row(context, x.rows, q_width + kv_width, [&](index_t t) {
      context.kernels.rope(q.row(t), shape.heads, shape.head_dim, cos.row(t), sin.row(t));
      context.kernels.rope(k.row(t), shape.kv_heads, shape.head_dim, cos.row(t), sin.row(t));
    });
    const float* sinks = nullptr;
    if constexpr (C::attention_sinks) sinks = p.sinks.values();
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
};

}  // namespace gov
