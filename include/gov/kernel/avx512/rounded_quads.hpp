// Products of many rows with int8 activations for AVX-512 with VNNI and VBMI: a panel (panel.hpp)
// is [fours of numbers][32 columns][4] of blocked weights as unsigned bytes, number + 128, MXFP4's
// as 2 * value. A block's sum is an integer, exact, then multiplied by the scales of both; blocks
// are summed in ascending order.
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

struct Quads {
  static constexpr index_t numbers = panel::bytes / panel::width;
  template <Format F>
  static constexpr index_t unit = block_size;
  template <Format F>
  static constexpr bool scaled = true;

  template <Format F, int M>
  GOV_SIMD static void multiply(const panel::Inputs& x, const std::byte* w, const float* scales,
                                index_t depth, float* sums) {
    const index_t stride = x.packed.bytes;
    const std::byte *at = x.row + x.k0, *after = x.row + x.packed.numbers + x.k0 / block_size * 8;
    for (index_t k = 0; k < depth; k += block_size, after += 8, scales += panel::width) {
      __m512i sum[M][2];
      GOV_UNROLL for (int i = 0; i < M; ++i) {
        sum[i][0] = sum[i][1] = _mm512_set1_epi32(load_as<int>(after + i * stride + 4));
      }
      GOV_UNROLL for (int q = 0; q < block_size / 4; ++q, w += panel::row_bytes, at += 4) {
        const __m512i left = _mm512_load_si512(w), right = _mm512_load_si512(w + 64);
        GOV_UNROLL for (int i = 0; i < M; ++i) {
          const __m512i inputs = _mm512_set1_epi32(load_as<int>(at + i * stride));
          sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], left, inputs);
          sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], right, inputs);
        }
      }
      GOV_UNROLL for (int i = 0; i < 2 * M; ++i) {
        const __m512 own = _mm512_set1_ps(load_as<float>(after + i / 2 * stride)),
                     factor = _mm512_mul_ps(own, _mm512_load_ps(scales + i % 2 * 16));
        float* const to = sums + i * 16;
        _mm512_store_ps(
            to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i / 2][i % 2]), factor, _mm512_load_ps(to)));
      }
    }
  }

  // 2 * value + 128 of each code, four times, for vpermb looks at six bits of an index.
  alignas(64) static constexpr std::uint8_t fp4_bytes[64] = {
      128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
      128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
      128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116,
      128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116};

  // 64 bytes of each column at a time.
  template <Format F>
  GOV_SIMD static void fill(const WeightView& w, index_t n, index_t columns, index_t k0,
                            index_t depth, std::byte* out) {
    constexpr index_t per_byte = F == Format::mxfp4 ? 2 : 1;
    const __m512i table = _mm512_load_si512(fp4_bytes);
    const __m512i first = _mm512_set1_epi64(0x2c2824200c080400),  // of 32 bits nibbles 0 to 3,
        second = _mm512_set1_epi64(0x3c3834301c181410);           // 4 to 7
    for (index_t k = 0; k < depth; k += 64 * per_byte) {
      const index_t left = depth - k < 64 * per_byte ? depth - k : 64 * per_byte;
      const __mmask64 there = ~std::uint64_t{0} >> (64 - left / per_byte);
      __m512i words[16];
      GOV_UNROLL for (int j = 0; j < 16; ++j) {  // past the last column: its sums are dropped
        const index_t row = n + (j < columns ? j : columns - 1);
        const index_t next = row + panel::width < w.out ? row + panel::width : row;
        prefetch(w.row(next) + (k0 + k) / per_byte);
        words[j] = _mm512_maskz_loadu_epi8(there, w.row(row) + (k0 + k) / per_byte);
      }
      transpose(words);
      std::byte* to = out + k / 4 * panel::row_bytes;
      for (index_t i = 0; i < left / (4 * per_byte); ++i, to += per_byte * panel::row_bytes) {
        if constexpr (F == Format::mxfp4) {
          const __m512i low = _mm512_multishift_epi64_epi8(first, words[i]),
                        high = _mm512_multishift_epi64_epi8(second, words[i]);
          _mm512_store_si512(to, _mm512_permutexvar_epi8(low, table));
          _mm512_store_si512(to + panel::row_bytes, _mm512_permutexvar_epi8(high, table));
        } else {
          _mm512_store_si512(to, _mm512_xor_si512(words[i], _mm512_set1_epi8(-128)));
        }
      }
    }
  }
};

}  // namespace gov::kernel::on_avx512::rounded

#undef GOV_SIMD
#pragma GCC diagnostic pop
