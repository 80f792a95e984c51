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
  double softmax_scale = 0;  // 0: 1 / sqrt(head_dim)
  double scale() const {
    return softmax_scale > 0 ? softmax_scale : 1.0 / std::sqrt(static_cast<double>(head_dim));
  }
};

// Scratch for the scores of one unit of work per worker: [workers, group * longest].
template <class T>
Rows<T> score_rows(Context<T>& context, const AttentionShape& shape, index_t longest) {
  return context.rows(context.pool.size(),
                      round_up(shape.heads / shape.kv_heads * longest, cache_line / 4));
}

// Both kinds of attention with their operands in bf16, for many tokens: keys and values of each key
// head are laid out first, by `copy_keys(head, first, k, v)` from k.rows keys on, then blocks of
// tokens go over them. `args` has what the calls share.
template <class CopyKeys>
void rounded_attention(Context<float>& context, const AttentionShape& shape, Rows<const float> q,
                       Rows<float> out, const float* sinks, kernel::RoundedAttentionArgs args,
                       const CopyKeys& copy_keys) {
  constexpr index_t key_block = 128;
  const kernel::RoundedAttention& attention = context.kernels.rounded()->attention;
  const ArenaScope scope(context.arena);
  const index_t width = shape.head_dim, group = shape.heads / shape.kv_heads;
  const index_t token_block = std::max<index_t>(1, 96 / group);
  const index_t bytes = round_up(attention.packed_bytes(args.keys, width), cache_line);
  const index_t scratch_bytes = round_up(attention.scratch_bytes(args.keys), cache_line);
  std::byte* const packed = context.arena.allocate<std::byte>(bytes * shape.kv_heads);
  std::byte* const scratch = context.arena.allocate<std::byte>(scratch_bytes * context.pool.size());
  const auto rows = context.rows(context.pool.size() * 2, key_block * width);
  const index_t key_blocks = (args.keys + key_block - 1) / key_block;
  context.pool.parallel_for(key_blocks * shape.kv_heads, [&](index_t unit, int worker) {
    const index_t head = unit / key_blocks, first = unit % key_blocks * key_block;
    const index_t count = std::min(key_block, args.keys - first);
    const Rows<float> k(rows.row(2 * worker), count, width),
        v(rows.row(2 * worker + 1), count, width);
    copy_keys(head, first, k, v);
    attention.pack({k, v, first, args.keys, packed + head * bytes});
  });
  const index_t blocks = (q.rows + token_block - 1) / token_block;
  context.pool.parallel_for(blocks * shape.kv_heads, [&](index_t unit, int worker) {
    const index_t block = unit % blocks, head = unit / blocks;
    const index_t token =
        (args.causal ? blocks - 1 - block : block) * token_block;  // longest first
    const index_t count = std::min(token_block, q.rows - token), at = head * group * width;
    kernel::RoundedAttentionArgs own = args;
    own.q = {q.row(token) + at, count, group * width, q.stride};
    own.out = {out.row(token) + at, count, group * width, out.stride};
    own.group = group, own.seen += token;
    own.packed = packed + head * bytes;
    own.sinks = sinks ? sinks + head * group : nullptr;
    own.scale = shape.scale();
    own.scratch = scratch + worker * scratch_bytes;
    attention.attend(own);
  });
}

// Whether `tokens` queries may and should take it. may_round: the weights around it are not f32.
template <class T>
bool rounds_attention(const Context<T>& context, index_t head_dim, bool may_round, index_t tokens) {
  if constexpr (std::is_same_v<T, float>) {
    constexpr index_t worth_packing = 16;
    const kernel::RoundedProducts* const rounded = context.kernels.rounded();
    return may_round && tokens >= worth_packing && rounded &&
           context.arithmetic != Arithmetic::invariant && rounded->attention.serves(head_dim);
  } else {
    return false;
  }
}

// q, out [tokens, heads * head_dim]: the tokens at positions first_position.. of the sequence whose
// keys and values, these tokens' own included, lie in `cache`. sinks [heads] or null. may_round:
// the weights around it are not f32, so that Arithmetic::fast may use bf16 for many tokens. slopes
// [heads] or null: ALiBi's, which are always computed in f32.
template <class T, class O>
void causal_attention(Context<T>& context, const AttentionShape& shape, Input<T> q,
                      KvCache<T>& cache, index_t first_position, const float* sinks, Rows<T> out,
                      O& observer, index_t layer, bool may_round = false,
                      const float* slopes = nullptr) {
  if constexpr (std::is_same_v<T, float> && !observes_attention<O>)
    if (!slopes && rounds_attention(context, shape.head_dim, may_round, q.rows)) {
      const index_t first = cache.first_visible(first_position);
      return rounded_attention(context, shape, q, out, sinks,
                               {.keys = first_position + q.rows - first,
                                .causal = true,
                                .seen = first_position + 1 - first,
                                .window = cache.window()},
                               [&](index_t head, index_t from, Rows<float> k, Rows<float> v) {
                                 cache.copy(head, first + from, k, v);
                               });
    }
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
    args.slopes = slopes ? slopes + head : nullptr;
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

// Every token sees every token: q, out [tokens, heads * head_dim], k, v [tokens, kv_heads *
// head_dim]. A block of tokens shares each pass over a head's keys, as the heads of a group do.
// may_round: the weights around it are not f32, so that Arithmetic::fast may use bf16 here too.
template <class T>
void full_attention(Context<T>& context, const AttentionShape& shape, Input<T> q, Input<T> k,
                    Input<T> v, Rows<T> out, bool may_round = false) {
  if constexpr (std::is_same_v<T, float>)
    if (rounds_attention(context, shape.head_dim, may_round, q.rows))
      return rounded_attention(
          context, shape, q, out, nullptr, {.keys = k.rows},
          [&](index_t head, index_t from, Rows<float> keys, Rows<float> values) {
            for (index_t i = 0; i < keys.rows; ++i) {
              std::copy_n(k.row(from + i) + head * shape.head_dim, shape.head_dim, keys.row(i));
              std::copy_n(v.row(from + i) + head * shape.head_dim, shape.head_dim, values.row(i));
            }
          });
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
