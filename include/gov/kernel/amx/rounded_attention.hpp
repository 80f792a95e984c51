// Attention of many queries in bf16 on AMX, block by block of keys with a running softmax
// (FlashAttention: Dao et al. 2022, arXiv 2205.14135), everything transposed so that sixteen
// queries lie side by side in a vector and nothing is summed across one:
//   scores [16 keys][16 queries] = K  tile [16 keys][32 d] by Q tile [16 pairs of d][16 queries][2]
//   out    [16 d][16 queries]   += V^T tile [16 d][32 keys] by P tile [16 pairs of keys][16 q][2]
// Packed keys: [keys / 16][head_dim / 32] tiles of K, then [keys / 32][head_dim / 16] of V^T.
// Rounding and order are as in avx512's, but for the running maximum. A query's bits do not depend
// on the others of its block.
#pragma once

#include "gov/kernel/amx/multiply.hpp"
#include "gov/kernel/amx/pack.hpp"
#include "gov/kernel/avx512/rounded_attention.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_amx {

inline constexpr index_t widest_head = 256;
inline constexpr index_t query_rows = 2 * tile_rows;
inline constexpr index_t key_chunk = 96;  // scores and weights stay in the L1 cache

inline index_t head_steps(index_t width) { return (width + block_size - 1) / block_size; }
inline index_t padded_keys(index_t keys) { return round_up(keys, block_size); }
inline index_t value_offset(index_t keys, index_t width) {
  return padded_keys(keys) / tile_rows * head_steps(width) * tile_bytes;
}
inline index_t head_bytes(index_t keys, index_t width) {
  return value_offset(keys, width) + padded_keys(keys) / block_size * (width / 16) * tile_bytes;
}
inline index_t no_scratch(index_t) { return 0; }

inline GOV_TARGET_AVX512_BF16 void pack_keys(const PackKeysArgs& args) {
  const Rows<const float>&k = args.k, v = args.v;
  const index_t width = k.cols, steps = head_steps(width), rows = padded_keys(k.rows);
  for (index_t j = 0; j < rows; ++j)
    for (index_t s = 0; s < steps; ++s) {
      __m512 block[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
      if (j < k.rows) on_avx512::load_block(k.data + j * k.stride, s * block_size, width, block);
      const index_t key = args.first + j;
      _mm512_store_si512(
          args.out + (key / tile_rows * steps + s) * tile_bytes + key % tile_rows * 64,
          on_avx512::block_to_bf16(block));
    }
  std::byte* const values = args.out + value_offset(args.keys, width);
  for (index_t j = 0; j < rows; j += block_size)
    for (index_t d = 0; d < width; d += tile_rows) {
      __m512i tile[16];  // [pair of keys][d][2]
      GOV_UNROLL for (int pair = 0; pair < 16; ++pair) {
        const index_t key = j + 2 * pair;
        const float* const from = v.data + key * v.stride + d;
        tile[pair] = on_avx512::rounded::by_turns(
            key < v.rows ? _mm512_loadu_ps(from) : _mm512_setzero_ps(),
            key + 1 < v.rows ? _mm512_loadu_ps(from + v.stride) : _mm512_setzero_ps());
      }
      on_avx512::transpose(tile);
      std::byte* const to =
          values + ((args.first + j) / block_size * (width / 16) + d / 16) * tile_bytes;
      GOV_UNROLL for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 64, tile[i]);
    }
}

// What sixteen queries know after some keys.
struct RunningSoftmax {
  __m512 most, sum;
  __m512i first, last;  // the keys that each sees
  std::int32_t latest_first, earliest_last;
};

// Scores [pairs of 16 keys][2][2 query tiles][16][16] of query tile m become weights
// [steps][2 query tiles][16 pairs][16][2]; returns what earlier sums are to be multiplied by.
GOV_SIMD __m512 weigh(RunningSoftmax& state, const float* scores, index_t m, index_t key,
                      index_t count, float scale, std::byte* weights) {
  const __m512 nothing = _mm512_set1_ps(-__builtin_inff());
  const bool all = key >= state.latest_first && key + count <= state.earliest_last;
  const __m512 factor = _mm512_set1_ps(scale);
  alignas(64) float seen[key_chunk][16];
  __m512 most = state.most;
  for (index_t j = 0; j < count; ++j) {
    const float* const from =
        scores + ((j / 32 * 2 + j / 16 % 2) * 2 + m) * tile_numbers + j % 16 * 16;
    __m512 x = _mm512_mul_ps(_mm512_load_ps(from), factor);
    if (!all) {
      const __m512i at = _mm512_set1_epi32(static_cast<int>(key + j));
      const auto there = static_cast<__mmask16>(_mm512_cmple_epi32_mask(state.first, at) &
                                                _mm512_cmpgt_epi32_mask(state.last, at));
      x = _mm512_mask_mov_ps(nothing, there, x);
    }
    _mm512_store_ps(seen[j], x);
    most = _mm512_max_ps(x, most);  // a NaN is passed over here and shows in its exponential
  }
  const __mmask16 none = _mm512_cmp_ps_mask(most, nothing, _CMP_EQ_OQ);
  const __m512 shift = _mm512_mask_mov_ps(most, none, _mm512_setzero_ps());
  const __m512 kept = on_avx512::exp(_mm512_sub_ps(state.most, shift));
  __m512 sum = _mm512_mul_ps(state.sum, kept);
  for (index_t j = 0; j < count; j += 2) {
    __m512 e[2];
    GOV_UNROLL for (int i = 0; i < 2; ++i) {
      const __m512 x = _mm512_load_ps(seen[j + i]);
      e[i] = on_avx512::exp(_mm512_sub_ps(x, shift));
      if (!all)
        e[i] = _mm512_mask_mov_ps(e[i], _mm512_cmp_ps_mask(x, nothing, _CMP_EQ_OQ),
                                  _mm512_setzero_ps());
    }
    const __m512i words = on_avx512::rounded::by_turns(e[0], e[1]);
    _mm512_store_si512(weights + (j / 32 * 2 + m) * tile_bytes + j % 32 / 2 * 64, words);
    const __m512 even = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
                 odd = _mm512_castsi512_ps(
                     _mm512_and_si512(words, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
    sum = _mm512_add_ps(_mm512_add_ps(sum, even), odd);
  }
  state.most = most, state.sum = sum;
  return kept;
}

// Queries [row, row + 32) of `rows`, counted by tokens, then heads.
template <class Tiles>
inline GOV_TARGET_AVX512_BF16 void attend_block(const RoundedAttentionArgs& args, index_t row,
                                                index_t rows) {
  constexpr index_t most_steps = widest_head / block_size;
  alignas(64) std::byte queries[most_steps * 2 * tile_bytes];
  alignas(64) float scores[key_chunk * query_rows];
  alignas(64) std::byte weights[key_chunk * query_rows * 2];
  alignas(64) float sums[widest_head * query_rows];
  const index_t group = args.group, width = args.q.cols / group, steps = head_steps(width);
  RunningSoftmax state[2];
  for (index_t m = 0; m < 2; ++m) {
    alignas(64) std::byte packed[tile_rows][widest_head * 2];
    alignas(64) std::int32_t first[tile_rows], last[tile_rows];
    alignas(64) float sinks[tile_rows];
    RunningSoftmax& s = state[m];
    s.latest_first = 0, s.earliest_last = static_cast<std::int32_t>(args.keys);
    for (index_t i = 0; i < tile_rows; ++i) {
      const index_t r = row + m * tile_rows + i;
      const bool there = r < row + rows;  // or a query of zeros that sees nothing
      const index_t token = there ? r / group : 0, head = there ? r % group : 0;
      first[i] = there ? static_cast<std::int32_t>(args.first_key(token)) : 0;
      last[i] = there ? static_cast<std::int32_t>(args.last_key(token)) : 0;
      sinks[i] = there && args.sinks ? args.sinks[head] : -__builtin_inff();
      s.latest_first = first[i] > s.latest_first ? first[i] : s.latest_first;
      s.earliest_last = last[i] < s.earliest_last ? last[i] : s.earliest_last;
      if (there)
        on_avx512::pack_bf16(args.q.row(token) + head * width, width, packed[i]);
      else
        __builtin_memset(packed[i], 0, static_cast<std::size_t>(steps * 64));
    }
    for (index_t step = 0; step < steps; ++step) {
      __m512i tile[16];
      GOV_UNROLL for (int i = 0; i < 16; ++i) tile[i] = _mm512_load_si512(packed[i] + step * 64);
      on_avx512::transpose(tile);
      std::byte* const to = queries + (step * 2 + m) * tile_bytes;
      GOV_UNROLL for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 64, tile[i]);
    }
    s.first = _mm512_load_si512(first), s.last = _mm512_load_si512(last);
    s.most = _mm512_load_ps(sinks);
    // exp(sink - most), most being the sink: 1, or 0 without one.
    s.sum = _mm512_set1_ps(args.sinks ? 1.f : 0.f);
  }
  const index_t begin = args.first_key(row / group) / key_chunk * key_chunk,
                end = args.last_key((row + rows - 1) / group);
  const std::byte* const values = args.packed + value_offset(args.keys, width);
  for (index_t key = begin; key < end; key += key_chunk) {
    const index_t left = padded_keys(end - key), count = left < key_chunk ? left : key_chunk;
    for (index_t j = 0; j < count; j += 32)
      multiply_tiles<Tiles, 2, 2>(
          {args.packed + (key + j) / tile_rows * steps * tile_bytes, tile_bytes, steps * tile_bytes,
           queries, 2 * tile_bytes, tile_bytes, steps},
          true, scores + j * query_rows);
    for (index_t m = 0; m < 2; ++m) {
      const __m512 kept =
          weigh(state[m], scores, m, key, count, static_cast<float>(args.scale), weights);
      if (key == begin || _mm512_cmp_ps_mask(kept, _mm512_set1_ps(1.f), _CMP_NEQ_UQ) == 0) continue;
      for (index_t d = 0; d < width; ++d) {
        float* const at = sums + ((d / 32 * 2 + d / 16 % 2) * 2 + m) * tile_numbers + d % 16 * 16;
        _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), kept));
      }
    }
    for (index_t d = 0; d < width; d += 32) {
      const TileSteps by{values + (key / block_size * (width / 16) + d / 16) * tile_bytes,
                         width / 16 * tile_bytes,
                         tile_bytes,
                         weights,
                         2 * tile_bytes,
                         tile_bytes,
                         count / block_size};
      if (d + 16 < width)
        multiply_tiles<Tiles, 2, 2>(by, key == begin, sums + d * query_rows);
      else
        multiply_tiles<Tiles, 1, 2>(by, key == begin, sums + d * query_rows);
    }
  }
  for (index_t m = 0; m < 2; ++m) {
    const __mmask16 any = _mm512_cmp_ps_mask(state[m].sum, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    const __m512 inverse = _mm512_maskz_div_ps(any, _mm512_set1_ps(1.f), state[m].sum);
    for (index_t d = 0; d < width; d += 16) {
      const float* const from = sums + ((d / 32 * 2 + d / 16 % 2) * 2 + m) * tile_numbers;
      __m512i tile[16];
      GOV_UNROLL for (int i = 0; i < 16; ++i) {
        tile[i] = _mm512_castps_si512(_mm512_mul_ps(_mm512_load_ps(from + i * 16), inverse));
      }
      on_avx512::transpose(tile);
      GOV_UNROLL for (int i = 0; i < 16; ++i) {
        const index_t r = row + m * tile_rows + i;
        if (r < row + rows)
          _mm512_storeu_ps(args.out.row(r / group) + r % group * width + d,
                           _mm512_castsi512_ps(tile[i]));
      }
    }
  }
}

template <class Tiles>
inline void attend(const RoundedAttentionArgs& args) {
  const typename Tiles::Scope scope;
  const index_t rows = args.q.rows * args.group;
  for (index_t row = 0; row < rows; row += query_rows)
    attend_block<Tiles>(args, row, rows - row < query_rows ? rows - row : query_rows);
}

template <class Tiles>
inline constexpr RoundedAttention attention_kernels{&on_avx512::rounded::serves, &head_bytes,
                                                    &no_scratch, &pack_keys, &attend<Tiles>};

}  // namespace gov::kernel::on_amx

#undef GOV_SIMD
#pragma GCC diagnostic pop
