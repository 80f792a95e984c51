// Products of many rows with bf16 activations for AVX-512 with BF16: a panel (panel.hpp) is [pairs
// of numbers][32 columns][2]. It pays from some 16 to 32 rows on. Inputs are summed in ascending
// order (by fours for MXFP4). 8-bit numbers are whole and so exact in bf16; a block's sum is
// multiplied by its scale.
#pragma once

#include "gov/kernel/avx512/panel.hpp"
#include "gov/kernel/avx512/transpose.hpp"
#include "gov/kernel/avx512/widen_bf16.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512::rounded {

struct Pairs {
  static constexpr index_t numbers = panel::bytes / panel::width / 2;
  template <Format F>
  static constexpr index_t unit = F == Format::mxfp4 ? group_size : block_size;
  template <Format F>
  static constexpr bool scaled = F == Format::q8;

  template <int M>
  GOV_SIMD static void multiply_pairs(const std::byte*& x, index_t stride, const std::byte*& w,
                                      index_t pairs, __m512 sum[M][2]) {
    for (index_t p = 0; p < pairs; ++p, w += panel::row_bytes, x += 4) {
      const __m512bh left = as_bf16(_mm512_load_si512(w)),
                     right = as_bf16(_mm512_load_si512(w + 64));
      GOV_UNROLL for (int i = 0; i < M; ++i) {
        const __m512bh inputs = as_bf16(_mm512_set1_epi32(load_as<int>(x + i * stride)));
        sum[i][0] = _mm512_dpbf16_ps(sum[i][0], left, inputs);
        sum[i][1] = _mm512_dpbf16_ps(sum[i][1], right, inputs);
      }
    }
  }

  template <Format F, int M>
  GOV_SIMD static void multiply(const panel::Inputs& x, const std::byte* w, const float* scales,
                                index_t depth, float* sums) {
    const std::byte* at = x.row + x.k0 * 2;
    __m512 sum[M][2];
    if constexpr (scaled<F>) {
      for (index_t k = 0; k < depth; k += block_size, scales += panel::width) {
        GOV_UNROLL for (int i = 0; i < 2 * M; ++i) sum[i / 2][i % 2] = _mm512_setzero_ps();
        multiply_pairs<M>(at, x.packed.bytes, w, block_size / 2, sum);
        GOV_UNROLL for (int i = 0; i < 2 * M; ++i) {
          const __m512 scale = _mm512_load_ps(scales + i % 2 * 16);
          float* const to = sums + i * 16;
          _mm512_store_ps(to, _mm512_fmadd_ps(sum[i / 2][i % 2], scale, _mm512_load_ps(to)));
        }
      }
    } else {
      GOV_UNROLL for (int i = 0; i < 2 * M; ++i) sum[i / 2][i % 2] = _mm512_load_ps(sums + i * 16);
      multiply_pairs<M>(at, x.packed.bytes, w, depth / 2, sum);
      GOV_UNROLL for (int i = 0; i < 2 * M; ++i) _mm512_store_ps(sums + i * 16, sum[i / 2][i % 2]);
    }
  }

  // 32 numbers of 8 bits, without their scale.
  GOV_SIMD static __m512i q8_to_bf16(const std::byte* data) {
    __m512 values[2];
    GOV_UNROLL for (int i = 0; i < 2; ++i) {
      const __m128i whole = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + i * 16));
      values[i] = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(whole));
    }
    return block_to_bf16(values);
  }

  template <Format F>
  GOV_SIMD static void fill(const WeightView& w, index_t n, index_t columns, index_t k0,
                            index_t depth, std::byte* out) {
    for (index_t k = 0; k < depth; k += unit<F>) {
      __m512i vectors[16];
      int scales[16];
      GOV_UNROLL for (int j = 0; j < 16; ++j) {  // past the last column: its sums are dropped
        const index_t row = n + (j < columns ? j : columns - 1);
        const index_t next = row + panel::width < w.out ? row + panel::width : row;
        if constexpr (F == Format::bf16) {
          prefetch(w.row(next) + (k0 + k) * 2);
          vectors[j] = load_words(w.row(row), k0 + k, w.in);
        } else if constexpr (F == Format::q8) {
          if (k % 64 == 0) prefetch(w.row(next) + k0 + k);
          vectors[j] = q8_to_bf16(w.row(row) + k0 + k);
        } else {
          prefetch(w.row(next) + (k0 + k) / 2);
          vectors[j] = load_codes(w.row(row) + (k0 + k) / 2, w.in - k0 - k);
          scales[j] = load_scales(w.row_scales(row) + (k0 + k) / block_size, w.in - k0 - k);
        }
      }
      transpose(vectors);
      std::byte* const to = out + k / 2 * panel::row_bytes;
      if constexpr (F == Format::mxfp4) {
        const __m512i all = _mm512_loadu_si512(scales);
        widen_codes(vectors, all, to);
        const __m512i odd = _mm512_sub_epi8(all, _mm512_set1_epi8(2));  // outside [2, 252]?
        if (_mm512_cmpgt_epu8_mask(odd, _mm512_set1_epi8(static_cast<char>(250))) != 0)
          widen_codes_one_by_one(w, n, columns, k0 + k, to);
      } else {
        GOV_UNROLL for (int p = 0; p < 16; ++p)
            _mm512_store_si512(to + p * panel::row_bytes, vectors[p]);
      }
    }
  }

  // A group of sixteen columns, eight codes of each in a vector: pair [j][i] is the numbers 8 i + j
  // and 8 i + 4 + j. Four scales of a column are in its lane.
  GOV_SIMD static void widen_codes(const __m512i codes[16], __m512i scales, std::byte* out) {
    const __m512i table = _mm512_load_si512(fp4_bf16);
    const __m512i lanes = _mm512_set_epi64(
        0x800c800c80088008, 0x8004800480008000, 0x800c800c80088008, 0x8004800480008000,
        0x800c800c80088008, 0x8004800480008000, 0x800c800c80088008, 0x8004800480008000);
    GOV_UNROLL for (int i = 0; i < 16; ++i) {
      const __m512i pick = _mm512_add_epi32(lanes, _mm512_set1_epi32(i / 4 * 0x10001));
      const __m512i own = _mm512_shuffle_epi8(scales, pick);
      const __m512i shift = _mm512_slli_epi16(_mm512_sub_epi16(own, _mm512_set1_epi16(127)), 7);
      GOV_UNROLL for (int j = 0; j < 4; ++j) {
        const __m512i words =
            _mm512_permutexvar_epi16(j == 0 ? codes[i] : _mm512_srli_epi16(codes[i], 4 * j), table);
        const __mmask32 some = _mm512_test_epi16_mask(words, words);
        _mm512_store_si512(out + (16 * j + i) * panel::row_bytes,
                           _mm512_mask_add_epi16(words, some, words, shift));
      }
    }
  }

  // The same for scales that would leave bf16's normal range in an exponent.
  static void widen_codes_one_by_one(const WeightView& w, index_t n, index_t columns, index_t k0,
                                     std::byte* out) {
    for (index_t j = 0; j < (columns < 16 ? columns : 16); ++j)
      for (index_t k = 0; k < group_size && k0 + k < w.in; ++k) {
        const std::uint16_t word = fp4_word(w.row(n + j), w.row_scales(n + j), k0 + k);
        std::byte* const to = out + (k % 4 * 16 + k / 8) * panel::row_bytes + j * 4;
        __builtin_memcpy(to + k / 4 % 2 * 2, &word, 2);
      }
  }
};

}  // namespace gov::kernel::on_avx512::rounded

#undef GOV_SIMD
#pragma GCC diagnostic pop
