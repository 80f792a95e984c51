// Attention of many queries in bf16 (Arithmetic::fast): a vision tower's, where every token sees
// every token, and a prompt's. Keys and values are laid out once per head so that a vector holds
// sixteen keys, then sixteen numbers of the output, and nothing is summed across a vector:
//   keys    [head_dim / 2][keys][2]     scores[q][16 keys] += (q pair) . (key pairs)
//   values  [keys / 2][head_dim][2]     out[q][16 numbers] += (p pair) . (value pairs)
// Queries, keys, values and exp(score - max) are rounded to bf16; sums, the softmax and its divisor
// are f32. A query's bits do not depend on the others of its block.
#pragma once

#include "gov/kernel/avx512/kernels.hpp"
#include "gov/kernel/avx512/pack.hpp"
#include "gov/kernel/avx512/transpose.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512::rounded {

inline constexpr index_t query_block = 6;  // by two vectors of keys, or four of the output
inline constexpr index_t key_unit = 32;

inline constexpr index_t padded_keys(index_t keys) { return round_up(keys, key_unit); }

// Keys and values of one head in the layout above.
inline index_t head_bytes(index_t keys, index_t head_dim) {
  return 2 * padded_keys(keys) * head_dim * 2;
}
// Scratch of one worker: scores in f32, and their exponentials in bf16.
inline index_t score_bytes(index_t keys) { return query_block * padded_keys(keys) * (4 + 2); }

inline bool serves(index_t head_dim) { return head_dim % 16 == 0 && head_dim <= 256; }

GOV_SIMD std::uint32_t bf16_pair(float low, float high) {
  return std::uint32_t{to_bf16(low).bits} | std::uint32_t{to_bf16(high).bits} << 16;
}

// Dwords of two vectors of sixteen bf16, by turns: [low 0, high 0, low 1, ...].
GOV_SIMD __m512i by_turns(__m512 low, __m512 high) {
  const __m512i picks = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(picks, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

inline GOV_TARGET_AVX512_BF16 void pack_head(const PackKeysArgs& args) {
  const Rows<const float>&k = args.k, v = args.v;
  const index_t keys = padded_keys(args.keys), width = k.cols, rows = padded_keys(k.rows);
  auto* const key_pairs = reinterpret_cast<std::uint32_t*>(args.out) + args.first;
  std::byte* const value_pairs = args.out + (keys + args.first) * width * 2;
  for (index_t first = 0; first < rows; first += 16) {
    for (index_t d = 0; d < width; d += 16) {  // 16 keys of 16 numbers, transposed by pairs
      __m512i pairs[16];
      GOV_UNROLL for (int j = 0; j < 16; ++j) {
        const __m512 numbers = first + j < k.rows
                                   ? _mm512_loadu_ps(k.data + (first + j) * k.stride + d)
                                   : _mm512_setzero_ps();
        pairs[j] = _mm512_zextsi256_si512((__m256i)_mm512_cvtneps_pbh(numbers));
      }
      transpose(pairs);
      GOV_UNROLL for (int pair = 0; pair < 8; ++pair) {
        _mm512_storeu_si512(key_pairs + (d / 2 + pair) * keys + first, pairs[pair]);
      }
    }
  }
  for (index_t j = 0; j < rows; j += 2)
    for (index_t d = 0; d < width; d += 16) {
      const __m512 low =
          j < v.rows ? _mm512_loadu_ps(v.data + j * v.stride + d) : _mm512_setzero_ps();
      const __m512 high =
          j + 1 < v.rows ? _mm512_loadu_ps(v.data + (j + 1) * v.stride + d) : _mm512_setzero_ps();
      _mm512_storeu_si512(value_pairs + (j / 2 * width + d) * 4, by_turns(low, high));
    }
}

GOV_SIMD __m512i broadcast_pair(const std::uint32_t* pair) {
  return _mm512_set1_epi32(static_cast<int>(*pair));
}

// scores[q][keys] of M queries, given as pairs, for keys [begin, end).
template <int M>
GOV_SIMD void score_block(const std::uint32_t (*queries)[128], const std::uint32_t* key_pairs,
                          index_t keys, index_t begin, index_t end, index_t width, float scale,
                          float* scores) {
  for (index_t j = begin; j < end; j += key_unit) {
    __m512 sum[M][2];
    GOV_UNROLL for (int q = 0; q < M; ++q) sum[q][0] = sum[q][1] = _mm512_setzero_ps();
    for (index_t pair = 0; pair < width / 2; ++pair) {
      const __m512bh first = (__m512bh)_mm512_loadu_si512(key_pairs + pair * keys + j),
                     second = (__m512bh)_mm512_loadu_si512(key_pairs + pair * keys + j + 16);
      GOV_UNROLL for (int q = 0; q < M; ++q) {
        const __m512bh query = (__m512bh)broadcast_pair(&queries[q][pair]);
        sum[q][0] = _mm512_dpbf16_ps(sum[q][0], query, first);
        sum[q][1] = _mm512_dpbf16_ps(sum[q][1], query, second);
      }
    }
    const __m512 factor = _mm512_set1_ps(scale);
    GOV_UNROLL for (int q = 0; q < M; ++q) {
      _mm512_storeu_ps(scores + q * keys + j, _mm512_mul_ps(sum[q][0], factor));
      _mm512_storeu_ps(scores + q * keys + j + 16, _mm512_mul_ps(sum[q][1], factor));
    }
  }
}

// Lanes of keys [j, j + 16) that are in [first, last).
GOV_SIMD __mmask16 lanes_between(index_t first, index_t last) {
  return static_cast<__mmask16>(lanes_below(last) & ~lanes_below(first));
}

// exp(score - max) of keys [first, last) as bf16, zeros for the rest of [begin, end); returns
// 1 / sum of the rounded ones, exp(sink - max) with them.
GOV_SIMD float exponentials(const float* scores, index_t first, index_t last, index_t begin,
                            index_t end, const float* sink, std::byte* out) {
  __m512 most = _mm512_set1_ps(sink ? *sink : -__builtin_inff());
  for (index_t j = begin; j < end; j += 16)
    most = _mm512_mask_max_ps(most, lanes_between(first - j, last - j), _mm512_loadu_ps(scores + j),
                              most);
  float top = _mm512_reduce_max_ps(most);
  if (!(top > -__builtin_inff())) top = 0.f;
  const __m512 shift = _mm512_set1_ps(top);
  __m512 sum = _mm512_setzero_ps();
  for (index_t j = begin; j < end; j += 16) {
    const __m512 e = _mm512_maskz_mov_ps(lanes_between(first - j, last - j),
                                         exp(_mm512_sub_ps(_mm512_loadu_ps(scores + j), shift)));
    const __m256i words = (__m256i)_mm512_cvtneps_pbh(e);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + j * 2), words);
    sum = _mm512_add_ps(sum, from_bf16(words));
  }
  float total = sum_lanes(sum);
  if (sink) total += _mm512_cvtss_f32(exp(_mm512_set1_ps(*sink - top)));
  return total == 0.f ? 0.f : 1.f / total;
}

// out[q][d .. d + 16 V) = sum_j p[q][j] v[j][d ..] * inverse[q] over keys [begin, end)
template <int M, int V>
GOV_SIMD void mix_block(const std::byte* p, const std::byte* value_pairs, index_t keys,
                        index_t begin, index_t end, index_t width, const float* inverse,
                        float* const* out, index_t d) {
  __m512 sum[M][V];
  GOV_UNROLL for (int q = 0; q < M; ++q) {
    GOV_UNROLL for (int i = 0; i < V; ++i) sum[q][i] = _mm512_setzero_ps();
  }
  for (index_t pair = begin / 2; pair < end / 2; ++pair) {
    __m512bh values[V];
    GOV_UNROLL for (int i = 0; i < V; ++i) {
      values[i] = (__m512bh)_mm512_loadu_si512(value_pairs + (pair * width + d + i * 16) * 4);
    }
    GOV_UNROLL for (int q = 0; q < M; ++q) {
      const __m512bh weight = (__m512bh)broadcast_pair(
          reinterpret_cast<const std::uint32_t*>(p + (q * keys + pair * 2) * 2));
      GOV_UNROLL for (int i = 0; i < V; ++i) {
        sum[q][i] = _mm512_dpbf16_ps(sum[q][i], weight, values[i]);
      }
    }
  }
  GOV_UNROLL for (int q = 0; q < M; ++q) {
    GOV_UNROLL for (int i = 0; i < V; ++i) {
      _mm512_storeu_ps(out[q] + d + i * 16, _mm512_mul_ps(sum[q][i], _mm512_set1_ps(inverse[q])));
    }
  }
}

// Queries [row, row + M), counted by tokens, then heads.
template <int M>
inline GOV_TARGET_AVX512_BF16 void attend_block(const RoundedAttentionArgs& args, index_t row) {
  const index_t group = args.group, width = args.q.cols / group, keys = padded_keys(args.keys);
  std::uint32_t queries[M][128];
  float* out[M];
  for (int q = 0; q < M; ++q) {
    const index_t token = (row + q) / group, head = (row + q) % group;
    const float* const from = args.q.row(token) + head * width;
    out[q] = args.out.row(token) + head * width;
    for (index_t pair = 0; pair < width / 2; ++pair)
      queries[q][pair] = bf16_pair(from[2 * pair], from[2 * pair + 1]);
  }
  const index_t begin = args.first_key(row / group) / key_unit * key_unit,
                end = padded_keys(args.last_key((row + M - 1) / group));
  auto* const scores = reinterpret_cast<float*>(args.scratch);
  std::byte* const p = args.scratch + query_block * keys * 4;
  score_block<M>(queries, reinterpret_cast<const std::uint32_t*>(args.packed), keys, begin, end,
                 width, static_cast<float>(args.scale), scores);
  float inverse[M];
  for (int q = 0; q < M; ++q) {
    const index_t token = (row + q) / group;
    inverse[q] =
        exponentials(scores + q * keys, args.first_key(token), args.last_key(token), begin, end,
                     args.sinks ? args.sinks + (row + q) % group : nullptr, p + q * keys * 2);
  }
  const std::byte* const value_pairs = args.packed + keys * width * 2;
  index_t d = 0;
  for (; d + 64 <= width; d += 64)
    mix_block<M, 4>(p, value_pairs, keys, begin, end, width, inverse, out, d);
  for (; d < width; d += 16)
    mix_block<M, 1>(p, value_pairs, keys, begin, end, width, inverse, out, d);
}

inline void attend(const RoundedAttentionArgs& args) {
  const index_t rows = args.q.rows * args.group;
  index_t row = 0;
  for (; row + query_block <= rows; row += query_block) attend_block<query_block>(args, row);
  for (; row < rows; ++row) attend_block<1>(args, row);
}

inline constexpr RoundedAttention attention_kernels{&serves, &head_bytes, &score_bytes, &pack_head,
                                                    &attend};

}  // namespace gov::kernel::on_avx512::rounded

#undef GOV_SIMD
#pragma GCC diagnostic pop
