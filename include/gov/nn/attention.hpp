// Attention over prepared queries: softmax(scale q k^T [+ sink]) v per head, grouped-query (Ainslie
// et al. 2023). Causal over a KvCache with an optional sliding window and sinks, or bidirectional
// within one image. Each (token, key head) is one unit of work with one order of reduction.
#pragma once

#include <cassert>
#include <cmath>

#include "gov/core/observer.hpp"
#include "gov/nn/context.hpp"
#include "gov/nn/kv_cache.hpp"

namespace gov {

struct AttentionShape {
  index_t heads, kv_heads, head_dim;
  double scale() const { return 1.0 / std::sqrt(static_cast<double>(head_dim)); }
};

// Scratch for the scores of one unit of work per worker: [workers, group * longest].
template <class T>
Rows<T> score_rows(Context<T>& context, const AttentionShape& shape, index_t longest) {
  return context.rows(context.pool.size(),
                      round_up(shape.heads / shape.kv_heads * longest, cache_line / 4));
}

// q, out [tokens, heads * head_dim]: the tokens at positions first_position.. of the sequence whose
// keys and values, these tokens' own included, lie in `cache`. sinks [heads] or null.
template <class T, class O>
void causal_attention(Context<T>& context, const AttentionShape& shape, Input<T> q,
                      KvCache<T>& cache, index_t first_position, const float* sinks, Rows<T> out,
                      O& observer, index_t layer) {
  const ArenaScope scope(context.arena);
  const index_t group = shape.heads / shape.kv_heads;
  const index_t seen = first_position + q.rows;
  Rows<T> maps;
  if constexpr (observes_attention<O>) {
    maps = context.rows(q.rows * shape.heads, seen);
    std::fill_n(maps.data, maps.rows * seen, T(0));
  }
  const auto scratch =
      score_rows(context, shape, cache.window() ? std::min(cache.window(), seen) : seen);
  context.pool.parallel_for(q.rows * shape.kv_heads, [&](index_t unit, int worker) {
    const index_t token = q.rows - 1 - unit / shape.kv_heads;  // longest first
    const index_t head = unit % shape.kv_heads * group, position = first_position + token;
    const index_t first = cache.first_visible(position);
    const auto pieces = cache.pieces(head / group, first, position + 1);
    kernel::AttentionArgs<T> args;
    args.query = q.row(token) + head * shape.head_dim;
    args.out = out.row(token) + head * shape.head_dim;
    args.query_stride = args.head_dim = shape.head_dim;
    args.group = group;
    for (std::size_t i = 0; i < 2; ++i)
      args.pieces[i] = {pieces[i].keys, pieces[i].values, pieces[i].count, pieces[i].begin};
    args.format = cache.format();
    args.key_stride = shape.head_dim, args.run = cache.run(), args.run_stride = cache.run_stride();
    args.sinks = sinks ? sinks + head : nullptr;
    args.scale = shape.scale();
    args.scores = scratch.row(worker);
    context.kernels.attention(args);
    if constexpr (observes_attention<O>)
      for (index_t g = 0; g < group; ++g)
        std::copy_n(args.scores + g * (position + 1 - first), position + 1 - first,
                    maps.row(token * shape.heads + head + g) + first);
  });
  if constexpr (observes_attention<O>)
    observe(observer, "attention", layer, maps);
  else
    (void)observer, (void)layer;
}

// Full attention with its operands in bf16: keys and values of each head are laid out first, then
// blocks of tokens go over them.
inline void rounded_full_attention(Context<float>& context, const AttentionShape& shape,
                                   Rows<const float> q, Rows<const float> k, Rows<const float> v,
                                   Rows<float> out) {
  constexpr index_t block = 48;
  const kernel::RoundedAttention& attention = context.kernels.rounded()->full_attention;
  const ArenaScope scope(context.arena);
  const index_t width = shape.head_dim, bytes = attention.packed_bytes(k.rows, width);
  const index_t scratch_bytes = round_up(attention.scratch_bytes(k.rows), cache_line);
  std::byte* const packed = context.arena.allocate<std::byte>(bytes * shape.kv_heads);
  std::byte* const scratch = context.arena.allocate<std::byte>(scratch_bytes * context.pool.size());
  context.pool.parallel_for(shape.kv_heads, [&](index_t head) {
    attention.pack({k.data + head * width, k.rows, width, k.stride},
                   {v.data + head * width, v.rows, width, v.stride}, packed + head * bytes);
  });
  const index_t blocks = (q.rows + block - 1) / block;
  context.pool.parallel_for(blocks * shape.heads, [&](index_t unit, int worker) {
    const index_t token = unit % blocks * block, head = unit / blocks;
    const index_t rows = std::min(block, q.rows - token);
    attention.attend({.q = {q.row(token) + head * width, rows, width, q.stride},
                      .out = {out.row(token) + head * width, rows, width, out.stride},
                      .packed = packed + head / (shape.heads / shape.kv_heads) * bytes,
                      .keys = k.rows,
                      .scale = shape.scale(),
                      .scratch = scratch + worker * scratch_bytes});
  });
}

// Every token sees every token: q, out [tokens, heads * head_dim], k, v [tokens, kv_heads *
// head_dim]. A block of tokens shares each pass over a head's keys, as the heads of a group do.
// may_round: the weights around it are not f32, so that Arithmetic::fast may use bf16 here too.
template <class T>
void full_attention(Context<T>& context, const AttentionShape& shape, Input<T> q, Input<T> k,
                    Input<T> v, Rows<T> out, bool may_round = false) {
  if constexpr (std::is_same_v<T, float>)
    if (may_round && context.arithmetic != Arithmetic::invariant && context.kernels.rounded() &&
        context.kernels.rounded()->full_attention.serves(shape.head_dim))
      return rounded_full_attention(context, shape, q, k, v, out);
  assert(q.stride == out.stride);
  constexpr index_t block = 16;
  const ArenaScope scope(context.arena);
  const auto scratch = context.rows(context.pool.size(), round_up(block * k.rows, cache_line / 4));
  const index_t blocks = (q.rows + block - 1) / block;
  context.pool.parallel_for(blocks * shape.heads, [&](index_t unit, int worker) {
    const index_t token = unit % blocks * block, head = unit / blocks;
    const index_t offset = head * shape.head_dim;
    const index_t shared = head / (shape.heads / shape.kv_heads) * shape.head_dim;
    kernel::AttentionArgs<T> args;
    args.query = q.row(token) + offset;
    args.out = out.row(token) + offset;
    args.query_stride = q.stride;
    args.group = std::min(block, q.rows - token);
    args.head_dim = shape.head_dim;
    args.pieces[0] = {k.data + shared, v.data + shared, k.rows};
    args.key_stride = k.stride;
    args.scale = shape.scale();
    args.scores = scratch.row(worker);
    context.kernels.attention(args);
  });
}

}  // namespace gov
