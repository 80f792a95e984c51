// Sixteen f32 lanes of AVX-512: the operations that the kernels of simd/ are written in.
// avx2/vec.hpp has the same names for eight lanes.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "gov/core/tensor.hpp"
#include "gov/kernel/arch.hpp"
#include "gov/kernel/scalar/widen.hpp"

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512

namespace gov::kernel::on_avx512 {

using Vec = __m512;
using Mask = __mmask16;
inline constexpr index_t lanes = 16;
inline constexpr int tile_rows = 4;  // by 4 columns: 16 sums and 5 operands of 32 registers
inline constexpr int few_rows = 4;   // of x at a time where weights are widened in registers
inline constexpr index_t widen_from_rows = 16;  // from here on they are widened into a panel
inline constexpr index_t row_block = 64;        // rows whose sums are kept between panels; 32 KB
inline constexpr int head_tile = 4;       // query heads that share the loads of keys and values
inline constexpr int output_vectors = 4;  // of a head's output, held while keys go by

GOV_SIMD Mask first_lanes(index_t count) { return static_cast<Mask>((1u << count) - 1u); }

GOV_SIMD Vec zero() { return _mm512_setzero_ps(); }
GOV_SIMD Vec set(float x) { return _mm512_set1_ps(x); }
GOV_SIMD Vec load(const float* p) { return _mm512_loadu_ps(p); }
GOV_SIMD void store(float* p, Vec x) { _mm512_storeu_ps(p, x); }
// The first `count` lanes, the others 0; count in [0, lanes).
GOV_SIMD Vec load_part(const float* p, index_t count) {
  return _mm512_maskz_loadu_ps(first_lanes(count), p);
}
GOV_SIMD void store_part(float* p, Vec x, index_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), x);
}
GOV_SIMD Vec keep_part(Vec x, index_t count) { return _mm512_maskz_mov_ps(first_lanes(count), x); }

GOV_SIMD Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
GOV_SIMD Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
GOV_SIMD Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
GOV_SIMD Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
GOV_SIMD Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
GOV_SIMD Vec fnma(Vec a, Vec b, Vec c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
GOV_SIMD Vec fms(Vec a, Vec b, Vec c) { return _mm512_fmsub_ps(a, b, c); }    // a b - c
// The second operand where either is NaN.
GOV_SIMD Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
GOV_SIMD Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
GOV_SIMD Vec abs(Vec x) { return _mm512_abs_ps(x); }
GOV_SIMD Vec negate(Vec x) { return _mm512_xor_ps(x, set(-0.f)); }
GOV_SIMD Mask less(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
GOV_SIMD Vec select(Mask mask, Vec yes, Vec no) { return _mm512_mask_blend_ps(mask, no, yes); }
GOV_SIMD Vec round(Vec x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
GOV_SIMD Vec times_power_of_two(Vec x, Vec whole) { return _mm512_scalef_ps(x, whole); }

// 2 * lanes values in pairs: the first of each, and the second.
GOV_SIMD void split_pairs(const float* p, Vec& even, Vec& odd) {
  const __m512i picks =
      _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const Vec low = load(p), high = load(p + lanes);
  even = _mm512_permutex2var_ps(low, picks, high);
  odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(picks, _mm512_set1_epi32(1)), high);
}

// Lane sums of four vectors at once, each by the same tree:
// within a quarter (0 + 2) + (1 + 3), then the quarters likewise.
GOV_SIMD __m128 sum_lanes(Vec a, Vec b, Vec c, Vec d) {
  const Vec ab = add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const Vec cd = add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
  const Vec quarters = add(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
  const __m256 half =
      _mm256_add_ps(_mm512_castps512_ps256(quarters), _mm512_extractf32x8_ps(quarters, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}
GOV_SIMD __m128 first_four(Vec x) { return _mm512_castps512_ps128(x); }
GOV_SIMD float sum_lanes(Vec x) { return _mm_cvtss_f32(sum_lanes(x, x, x, x)); }
GOV_SIMD float max_lanes(Vec x) { return _mm512_reduce_max_ps(x); }

// Stored weights, widened. Words and bytes are in the order of the lanes.
GOV_SIMD Vec from_bf16(__m256i words) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
}
GOV_SIMD Vec load_bf16(const std::byte* p) {
  return from_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
GOV_SIMD Vec load_bf16_part(const std::byte* p, index_t count) {
  return from_bf16(_mm256_maskz_loadu_epi16(first_lanes(count), p));
}
GOV_SIMD Vec load_f16(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
GOV_SIMD Vec load_f16_part(const std::byte* p, index_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), p));
}
// One block of 32: q8.
GOV_SIMD void load_q8_block(const std::byte* p, float scale, Vec out[2]) {
  const Vec factor = set(scale);
  GOV_UNROLL for (int i = 0; i < 2; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * 16));
    out[i] = mul(factor, _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
  }
}
// One block of 32: mxfp4. A nibble picks its lane of scale * table; permutexvar looks at 4 bits
// only.
GOV_SIMD void load_mxfp4_block(const std::byte* p, float scale, Vec out[2]) {
  const Vec table = mul(set(scale), load(fp4_values.data()));
  const __m128i even = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m128i odd = _mm_srli_epi16(even, 4);
  out[0] = _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(_mm_unpacklo_epi8(even, odd)), table);
  out[1] = _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(_mm_unpackhi_epi8(even, odd)), table);
}

}  // namespace gov::kernel::on_avx512

#undef GOV_SIMD
