// Self-attention of the older decoders (transformers: GPT2Attention, MptAttention): one fused q, k,
// v projection, as many key as query heads, positions that were added to the embeddings or lean on
// the scores (ALiBi), an optional limit on what the projection gives.
//
// C::config gives the sizes (nn/geometry.hpp); C::fused_attention(config) the rest.
#pragma once

#include "gov/nn/attention.hpp"
#include "gov/nn/geometry.hpp"
#include "gov/nn/linear.hpp"

namespace gov {

struct FusedAttentionParts {
  bool bias = false;
  bool turned = false;       // checkpoints hold the weights [in, out] (GPT-2's Conv1D)
  double clip_qkv = 0;       // 0: no limit
  double softmax_scale = 0;  // 0: 1 / sqrt(head_dim)
};

template <class C>
struct FusedAttention {
  static constexpr LanguageGeometry geometry = geometry_of(C::config);
  static constexpr FusedAttentionParts parts = C::fused_attention(C::config);
  static constexpr index_t hidden = geometry.hidden_size;
  static constexpr AttentionShape shape{geometry.num_attention_heads, geometry.num_attention_heads,
                                        geometry.head_dim, parts.softmax_scale};
  static_assert(shape.heads * shape.head_dim == hidden,
                "gov: the hidden size must be a multiple of the number of heads");

  using Qkv = Linear<hidden, 3 * hidden, parts.bias, parts.turned>;
  using Output = Linear<hidden, hidden, parts.bias, parts.turned>;

  struct Params {
    typename Qkv::Params qkv_proj;  // rows q, k, v
    typename Output::Params o_proj;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "qkv_proj", p.qkv_proj...);
      gov::visit(v, name / "o_proj", p.o_proj...);
    }
  };

  // x [tokens, hidden] normed; place.slopes (ALiBi) or nothing; adds to y [tokens, hidden]. Writes
  // the new keys and values behind each cache's length and leaves committing to the caller.
  template <class T, class Steps, class Place, class O>
  static void forward(Context<T>& context, const Params& p, const Steps& steps, const Place& place,
                      Input<T> x, Rows<T> y, O& observer, index_t layer) {
    const ArenaScope scope(context.arena);
    const auto qkv = context.rows(x.rows, 3 * hidden), out = context.rows(x.rows, hidden);
    Qkv::forward(context, p.qkv_proj, x, qkv);
    if constexpr (parts.clip_qkv > 0)
      for_each_row(context, x.rows, 3 * hidden, [&](index_t t) {
        constexpr auto most = static_cast<float>(parts.clip_qkv);
        for (index_t i = 0; i < 3 * hidden; ++i)
          qkv(t, i) = std::min(std::max(qkv(t, i), T(-most)), T(most));
      });
    const float* slopes = nullptr;
    if constexpr (requires { place.slopes; }) slopes = place.slopes;
    const Rows<T> q(qkv.data, x.rows, hidden, qkv.stride);
    index_t first = 0;
    for (const auto& step : steps) {
      KvCache<T>& cache = step.cache(layer);
      const index_t position = cache.length();
      for (index_t t = 0; t < step.rows; ++t) {
        const T* const row = qkv.row(first + t);
        cache.write(position + t, row + hidden, row + 2 * hidden);
      }
      causal_attention(context, shape, q.slice(first, step.rows), cache, position, nullptr,
                       out.slice(first, step.rows), observer, layer,
                       p.qkv_proj.weight.format != Format::f32, slopes);
      first += step.rows;
    }
    Output::forward(context, p.o_proj, out, y, true);
  }
};

}  // namespace gov
