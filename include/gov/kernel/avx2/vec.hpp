// Eight f32 lanes of AVX2 with FMA and F16C: the operations that the kernels of simd/ are written
// in. avx512/vec.hpp has the same names for sixteen lanes.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "gov/core/tensor.hpp"
#include "gov/kernel/arch.hpp"
#include "gov/kernel/scalar/widen.hpp"

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX2

namespace gov::kernel::on_avx2 {

using Vec = __m256;
using Mask = __m256;  // all bits of a lane, or none
inline constexpr index_t lanes = 8;
inline constexpr int tile_rows = 3;  // by 4 columns: 12 sums and 4 operands of 16 registers
inline constexpr int few_rows = 2;   // of x at a time where weights are widened in registers
inline constexpr index_t widen_from_rows = 4;  // from here on they are widened into a panel
inline constexpr index_t row_block = 66;       // rows whose sums are kept between panels; 17 KB
inline constexpr int head_tile = 3;       // query heads that share the loads of keys and values
inline constexpr int output_vectors = 4;  // of a head's output, held while keys go by

GOV_SIMD __m256i first_lanes(index_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

GOV_SIMD Vec zero() { return _mm256_setzero_ps(); }
GOV_SIMD Vec set(float x) { return _mm256_set1_ps(x); }
GOV_SIMD Vec load(const float* p) { return _mm256_loadu_ps(p); }
GOV_SIMD void store(float* p, Vec x) { _mm256_storeu_ps(p, x); }
// The first `count` lanes, the others 0; count in [0, lanes).
GOV_SIMD Vec load_part(const float* p, index_t count) {
  return _mm256_maskload_ps(p, first_lanes(count));
}
GOV_SIMD void store_part(float* p, Vec x, index_t count) {
  _mm256_maskstore_ps(p, first_lanes(count), x);
}
GOV_SIMD Vec keep_part(Vec x, index_t count) {
  return _mm256_and_ps(x, _mm256_castsi256_ps(first_lanes(count)));
}

GOV_SIMD Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
GOV_SIMD Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
GOV_SIMD Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
GOV_SIMD Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
GOV_SIMD Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }    // a b + c
GOV_SIMD Vec fnma(Vec a, Vec b, Vec c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a b
GOV_SIMD Vec fms(Vec a, Vec b, Vec c) { return _mm256_fmsub_ps(a, b, c); }    // a b - c
// The second operand where either is NaN.
GOV_SIMD Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
GOV_SIMD Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
GOV_SIMD Vec abs(Vec x) { return _mm256_andnot_ps(set(-0.f), x); }
GOV_SIMD Vec negate(Vec x) { return _mm256_xor_ps(x, set(-0.f)); }
GOV_SIMD Mask less(Vec a, Vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
GOV_SIMD Vec select(Mask mask, Vec yes, Vec no) { return _mm256_blendv_ps(no, yes, mask); }
GOV_SIMD Vec round(Vec x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
GOV_SIMD Vec power_of_two(__m256i exponent) {  // normal results only
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23));
}
// In two halves, so that results may be subnormal or overflow; |whole| <= 252.
GOV_SIMD Vec times_power_of_two(Vec x, Vec whole) {
  const __m256i n = _mm256_cvtps_epi32(whole), half = _mm256_srai_epi32(n, 1);
  return mul(mul(x, power_of_two(half)), power_of_two(_mm256_sub_epi32(n, half)));
}

// 2 * lanes values in pairs: the first of each, and the second.
GOV_SIMD void split_pairs(const float* p, Vec& even, Vec& odd) {
  const Vec low = load(p), high = load(p + lanes);
  even = _mm256_castpd_ps(
      _mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88)), 0xd8));
  odd = _mm256_castpd_ps(
      _mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd)), 0xd8));
}

// Lane sums of four vectors at once, each by the same tree:
// within a half (0 + 2) + (1 + 3), then the halves.
GOV_SIMD __m128 sum_lanes(Vec a, Vec b, Vec c, Vec d) {
  const Vec ab = add(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  const Vec cd = add(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
  const __m256d low = _mm256_unpacklo_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
  const __m256d high = _mm256_unpackhi_pd(_mm256_castps_pd(ab), _mm256_castps_pd(cd));
  const Vec halves = add(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
  return _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
}
GOV_SIMD __m128 first_four(Vec x) { return _mm256_castps256_ps128(x); }
GOV_SIMD float sum_lanes(Vec x) { return _mm_cvtss_f32(sum_lanes(x, x, x, x)); }
GOV_SIMD float max_lanes(Vec x) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

// Stored weights, widened. Words and bytes are in the order of the lanes.
GOV_SIMD __m128i load_words(const std::byte* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
GOV_SIMD __m128i load_words_part(const std::byte* p, index_t count) {
  alignas(16) std::byte buffer[16] = {};
  __builtin_memcpy(buffer, p, static_cast<std::size_t>(count) * 2);
  return _mm_load_si128(reinterpret_cast<const __m128i*>(buffer));
}
GOV_SIMD Vec from_bf16(__m128i words) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
}
GOV_SIMD Vec load_bf16(const std::byte* p) { return from_bf16(load_words(p)); }
GOV_SIMD Vec load_bf16_part(const std::byte* p, index_t count) {
  return from_bf16(load_words_part(p, count));
}
GOV_SIMD Vec load_f16(const std::byte* p) { return _mm256_cvtph_ps(load_words(p)); }
GOV_SIMD Vec load_f16_part(const std::byte* p, index_t count) {
  return _mm256_cvtph_ps(load_words_part(p, count));
}
// One block of 32: q8.
GOV_SIMD void load_q8_block(const std::byte* p, float scale, Vec out[4]) {
  const Vec factor = set(scale);
  GOV_UNROLL for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i * 8));
    out[i] = mul(factor, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
  }
}
// One block of 32: mxfp4. Three bits of a nibble pick a magnitude, the fourth is the sign.
GOV_SIMD void load_mxfp4_block(const std::byte* p, float scale, Vec out[4]) {
  const Vec table = mul(set(scale), load(fp4_values.data()));
  const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  GOV_UNROLL for (int i = 0; i < 4; ++i) {
    int four_bytes;
    __builtin_memcpy(&four_bytes, p + i * 4, 4);
    const __m256i nibbles = _mm256_srlv_epi32(_mm256_set1_epi32(four_bytes), shifts);
    const __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(nibbles, 3), 31);
    out[i] = _mm256_xor_ps(_mm256_permutevar8x32_ps(table, nibbles), _mm256_castsi256_ps(sign));
  }
}

}  // namespace gov::kernel::on_avx2

#undef GOV_SIMD
