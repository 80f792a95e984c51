// Stored bf16 and MXFP4 weights as bf16 vectors, for AVX-512 with BF16 and VBMI.
#pragma once

#include "gov/kernel/avx512/pack.hpp"
#include "gov/kernel/avx512/vec.hpp"
#include "gov/kernel/scalar/widen.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512::rounded {

GOV_SIMD void prefetch(const std::byte* p) {
  _mm_prefetch(reinterpret_cast<const char*>(p), _MM_HINT_T0);
}

GOV_SIMD __m512bh as_bf16(__m512i x) { return (__m512bh)x; }

// bf16 bits of the values; -0 is +0.
alignas(64) inline constexpr std::uint16_t fp4_bf16[32] = {
    0,      0x3f00, 0x3f80, 0x3fc0, 0x4000, 0x4040, 0x4080, 0x40c0, 0,      0xbf00, 0xbf80,
    0xbfc0, 0xc000, 0xc040, 0xc080, 0xc0c0, 0,      0x3f00, 0x3f80, 0x3fc0, 0x4000, 0x4040,
    0x4080, 0x40c0, 0,      0xbf00, 0xbf80, 0xbfc0, 0xc000, 0xc040, 0xc080, 0xc0c0};

// 64 bytes of codes and the scales of four blocks; less at a row's end, the rest zeros of scale 1.
GOV_SIMD __m512i load_codes(const std::byte* data, index_t left) {
  if (left >= group_size) return _mm512_loadu_si512(data);
  return _mm512_maskz_loadu_epi8((std::uint64_t{1} << (left / 2)) - 1, data);
}
GOV_SIMD int load_scales(const std::byte* scales, index_t left) {
  int four = 0x7f7f7f7f;
  if (left >= group_size)
    __builtin_memcpy(&four, scales, 4);
  else
    __builtin_memcpy(&four, scales, static_cast<std::size_t>(left / block_size));
  return four;
}

// 32 stored bf16 from k; zeros from `in` on.
GOV_SIMD __m512i load_words(const std::byte* row, index_t k, index_t in) {
  if (in - k >= block_size) return _mm512_loadu_si512(row + k * 2);
  return _mm512_maskz_loadu_epi16((1u << (in - k)) - 1u, row + k * 2);
}

// Number k of a row as bf16, by way of f32: exact but for subnormal numbers.
inline std::uint16_t fp4_word(const std::byte* data, const std::byte* scales, index_t k) {
  const int code = static_cast<int>(data[k / 2]) >> (k % 2 * 4) & 15;
  const float value = fp4_values[static_cast<std::size_t>(code)] *
                      e8m0_values[static_cast<std::uint8_t>(scales[k / block_size])];
  unsigned bits;
  __builtin_memcpy(&bits, &value, 4);
  return static_cast<std::uint16_t>(bits >> 16);
}

// A group of a row as bf16 by fours, `stride` bytes from one to the next, the scales added to the
// exponents. Scales that would leave bf16's normal range go by way of f32.
GOV_SIMD void fp4_to_bf16(const std::byte* data, const std::byte* scales, index_t left,
                          std::byte* out, index_t stride = 64) {
  const __m512i codes = load_codes(data, left), table = _mm512_load_si512(fp4_bf16);
  const int four = load_scales(scales, left);
  const __m512i picks = _mm512_set_epi64(0x8003800380038003, 0x8003800380038003, 0x8002800280028002,
                                         0x8002800280028002, 0x8001800180018001, 0x8001800180018001,
                                         0x8000800080008000, 0x8000800080008000);
  const __m512i spread = _mm512_shuffle_epi8(_mm512_set1_epi32(four), picks);
  const __m512i shift = _mm512_slli_epi16(_mm512_sub_epi16(spread, _mm512_set1_epi16(127)), 7);
  GOV_UNROLL for (int j = 0; j < 4; ++j) {
    const __m512i words =
        _mm512_permutexvar_epi16(j == 0 ? codes : _mm512_srli_epi16(codes, 4 * j), table);
    const __mmask32 some = _mm512_test_epi16_mask(words, words);
    _mm512_storeu_si512(out + j * stride, _mm512_mask_add_epi16(words, some, words, shift));
  }
  const __m512i odd = _mm512_sub_epi16(spread, _mm512_set1_epi16(2));  // outside [2, 252]?
  if (_mm512_cmpgt_epu16_mask(odd, _mm512_set1_epi16(250)) != 0 && left > 0) {
    for (index_t k = 0; k < group_size && k < left; ++k) {
      const std::uint16_t word = fp4_word(data, scales, k);
      __builtin_memcpy(out + k % 4 * stride + k / 4 * 2, &word, 2);
    }
  }
}

}  // namespace gov::kernel::on_avx512::rounded

#undef GOV_SIMD
#pragma GCC diagnostic pop
