// Products of many rows with bf16 activations for AVX-512 with BF16: sixteen columns lie side by
// side in a vector, so that nothing is summed across one and eight rows by 32 columns of sums stay
// in registers. Weights are widened, transposed by pairs of numbers, into a panel [pairs][32
// columns][2] that stays in the L1 cache for all rows; a pair of each row is broadcast. It pays
// from about 32 rows on. Inputs are summed in ascending order (by fours for MXFP4).
#pragma once

#include "gov/kernel/avx512/transpose.hpp"
#include "gov/kernel/avx512/widen_bf16.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512::rounded::pairs {

inline constexpr index_t panel_columns = 32, panel_numbers = 256;  // 16 KB
inline constexpr index_t pair_bytes = panel_columns * 4;
inline constexpr index_t most_rows = 128;  // whose sums are kept: 16 KB
inline constexpr int tile = 8;

// M rows of x, `pairs` pairs of numbers, against the panel; sums [row][32 columns].
template <int M>
GOV_SIMD void multiply_tile(const std::byte* x, index_t x_stride, const std::byte* w, index_t pairs,
                            float* sums) {
  __m512 sum[M][2];
  GOV_UNROLL for (int i = 0; i < M; ++i) {
    sum[i][0] = _mm512_load_ps(sums + i * panel_columns);
    sum[i][1] = _mm512_load_ps(sums + i * panel_columns + 16);
  }
  for (index_t p = 0; p < pairs; ++p, w += pair_bytes, x += 4) {
    const __m512bh left = as_bf16(_mm512_load_si512(w)), right = as_bf16(_mm512_load_si512(w + 64));
    GOV_UNROLL for (int i = 0; i < M; ++i) {
      const __m512bh inputs = as_bf16(_mm512_set1_epi32(load_as<int>(x + i * x_stride)));
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], left, inputs);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], right, inputs);
    }
  }
  GOV_UNROLL for (int i = 0; i < M; ++i) {
    _mm512_store_ps(sums + i * panel_columns, sum[i][0]);
    _mm512_store_ps(sums + i * panel_columns + 16, sum[i][1]);
  }
}

// Numbers [k0, k0 + depth) of columns [n, n + 16) of at most `columns`, into half a panel.
template <Packing P>
GOV_SIMD void fill_panel(const WeightView& w, index_t n, index_t columns, index_t k0, index_t depth,
                         std::byte* panel) {
  constexpr index_t unit = P == Packing::bf16_pairs ? block_size : group_size;
  alignas(64) std::byte rows[16][unit * 2];
  for (index_t k = 0; k < depth; k += unit) {
    for (index_t j = 0; j < 16; ++j) {  // past the last column: its sums are dropped
      const index_t row = n + (j < columns ? j : columns - 1);
      const index_t next = row + panel_columns < w.out ? row + panel_columns : row;
      if constexpr (P == Packing::bf16_pairs) {
        prefetch(w.row(next) + (k0 + k) * 2);
        _mm512_store_si512(rows[j], load_words(w.row(row), k0 + k, w.in));
      } else {
        prefetch(w.row(next) + (k0 + k) / 2);
        fp4_to_bf16(w.row(row) + (k0 + k) / 2, w.row_scales(row) + (k0 + k) / block_size,
                    w.in - k0 - k, rows[j]);
      }
    }
    for (index_t v = 0; v < unit; v += block_size) {
      __m512i vectors[16];
      GOV_UNROLL for (int j = 0; j < 16; ++j) vectors[j] = _mm512_load_si512(rows[j] + v * 2);
      transpose(vectors);
      std::byte* const to = panel + (k + v) / 2 * pair_bytes;
      GOV_UNROLL for (int p = 0; p < 16; ++p) _mm512_store_si512(to + p * pair_bytes, vectors[p]);
    }
  }
}

// Rows [m0, m0 + rows) of at most most_rows.
template <Packing P>
inline GOV_TARGET_AVX512_BF16 void multiply_block(const RoundedMatmulArgs& args, index_t m0,
                                                  index_t rows) {
  alignas(64) std::byte panel[panel_numbers / 2 * pair_bytes];
  alignas(64) float sums[most_rows * panel_columns];
  constexpr index_t unit = P == Packing::bf16_pairs ? block_size : group_size;
  const index_t in = args.w.in, stride = packed_row(P, in).bytes;
  const std::byte* const x = args.x + m0 * stride;
  for (index_t n0 = args.first; n0 < args.last; n0 += panel_columns) {
    const index_t columns = args.last - n0 < panel_columns ? args.last - n0 : panel_columns;
    for (index_t i = 0; i < rows * panel_columns; i += 16)
      _mm512_store_ps(sums + i, _mm512_setzero_ps());
    for (index_t k0 = 0; k0 < in; k0 += panel_numbers) {
      const index_t left = in - k0 < panel_numbers ? in - k0 : panel_numbers;
      const index_t depth = (left + unit - 1) / unit * unit;
      fill_panel<P>(args.w, n0, columns, k0, depth, panel);
      if (columns > 16) fill_panel<P>(args.w, n0 + 16, columns - 16, k0, depth, panel + 64);
      index_t m = 0;
      for (; m + tile <= rows; m += tile)
        multiply_tile<tile>(x + m * stride + k0 * 2, stride, panel, depth / 2,
                            sums + m * panel_columns);
      for (; m < rows; ++m)
        multiply_tile<1>(x + m * stride + k0 * 2, stride, panel, depth / 2,
                         sums + m * panel_columns);
    }
    for (index_t m = 0; m < rows; ++m)
      for (index_t j = 0; j < columns; j += 16) {
        const auto there = static_cast<__mmask16>(lanes_below(columns - j));
        __m512 sum = _mm512_load_ps(sums + m * panel_columns + j);
        if (args.bias) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, args.bias + n0 + j));
        float* const y = args.y.data + (m0 + m) * args.y.stride + n0 + j;
        if (args.accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(there, y), sum);
        _mm512_mask_storeu_ps(y, there, sum);
      }
  }
}

template <Packing P>
inline void multiply(const RoundedMatmulArgs& args) {
  for (index_t m = 0; m < args.y.rows; m += most_rows)
    multiply_block<P>(args, m, args.y.rows - m < most_rows ? args.y.rows - m : most_rows);
}

}  // namespace gov::kernel::on_avx512::rounded::pairs

#undef GOV_SIMD
#pragma GCC diagnostic pop
