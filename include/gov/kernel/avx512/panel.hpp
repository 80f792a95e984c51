// Products of many rows on AVX-512: sixteen columns lie side by side in a vector, so that nothing
// is summed across one, and eight rows by 32 columns of sums stay in registers. 32 columns of
// weights by a few hundred numbers are widened and transposed into a panel that stays in the L1
// cache for all rows; a few numbers of each row are broadcast.
//
// How numbers lie in it is Layout's (rounded_pairs.hpp, rounded_quads.hpp):
//   numbers                                      of a column in a panel
//   unit<F>                                      its depth is a multiple of this
//   scaled<F>                                    it reads scales [block][32 columns]
//   fill<F>(w, n, columns, k0, depth, out)       half a panel: columns [n, n + 16) of `columns`
//   multiply<F, M>(x, w, scales, depth, sums)    M rows of x; sums [row][32 columns]
#pragma once

#include <bit>

#include "gov/kernel/avx512/pack.hpp"
#include "gov/kernel/avx512/vec.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512::rounded::panel {

inline constexpr index_t width = 32, bytes = 16 << 10;
inline constexpr index_t row_bytes = width * 4;  // two bf16 or four bytes of each column
inline constexpr index_t most_rows = 128;        // whose sums are kept: 16 KB
inline constexpr int tile = 8;                   // rows at once: 16 vectors of sums

// Packed rows from number k0 on.
struct Inputs {
  const std::byte* row;
  PackedRow packed;
  index_t k0;
};

// The scales [block][32] of blocks from `block` on, of columns [n, n + columns). MXFP4's are
// halved, for it is multiplied as 2 * value (2^-127 counts as 0).
template <Format F>
GOV_SIMD void fill_scales(const WeightView& w, index_t n, index_t columns, index_t block,
                          index_t blocks, float* scales) {
  for (index_t j = 0; j < width; ++j) {
    const std::byte* const own = w.row_scales(n + (j < columns ? j : columns - 1));
    for (index_t b = 0; b < blocks; ++b) {
      float& scale = scales[b * width + j];
      if constexpr (F == Format::mxfp4)
        scale = .5f * std::bit_cast<float>(std::to_integer<std::uint32_t>(own[block + b]) << 23);
      else
        scale = to_float(load_as<bf16>(own + (block + b) * 2));
    }
  }
}

// sums to rows [m, m + rows) and columns [n, n + columns) of y.
GOV_SIMD void finish(const RoundedMatmulArgs& args, const float* sums, index_t m, index_t rows,
                     index_t n, index_t columns) {
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < columns; j += 16) {
      const auto there = static_cast<__mmask16>(lanes_below(columns - j));
      __m512 sum = _mm512_load_ps(sums + i * width + j);
      if (args.bias) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(there, args.bias + n + j));
      float* const y = args.y.data + (m + i) * args.y.stride + n + j;
      if (args.accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(there, y), sum);
      _mm512_mask_storeu_ps(y, there, sum);
    }
}

// Rows [m0, m0 + rows) of at most most_rows. What is left behind whole tiles is the last eight rows
// once more, whose sums lie behind the others; less than eight rows go one by one.
template <class Layout, Format F>
inline GOV_TARGET_AVX512_BF16 void multiply_block(const RoundedMatmulArgs& args, index_t m0,
                                                  index_t rows) {
  alignas(64) std::byte weights[bytes];
  alignas(64) float sums[most_rows * width];
  alignas(64) float scales[Layout::numbers / block_size * width];
  constexpr index_t unit = Layout::template unit<F>;
  const index_t in = args.w.in, whole = rows / tile * tile;
  const bool again = whole > 0 && whole < rows;
  const PackedRow packed = packed_row(args.packing, in);
  for (index_t n0 = args.first; n0 < args.last; n0 += width) {
    const index_t columns = args.last - n0 < width ? args.last - n0 : width;
    for (index_t i = 0; i < (again ? whole + tile : rows) * width; i += 16)
      _mm512_store_ps(sums + i, _mm512_setzero_ps());
    for (index_t k0 = 0; k0 < in; k0 += Layout::numbers) {
      const index_t left = in - k0 < Layout::numbers ? in - k0 : Layout::numbers;
      const index_t depth = (left + unit - 1) / unit * unit;
      Layout::template fill<F>(args.w, n0, columns, k0, depth, weights);
      if (columns > 16)
        Layout::template fill<F>(args.w, n0 + 16, columns - 16, k0, depth, weights + 64);
      if constexpr (Layout::template scaled<F>)
        fill_scales<F>(args.w, n0, columns, k0 / block_size, depth / block_size, scales);
      const std::byte* const x = args.x + m0 * packed.bytes;
      for (index_t m = 0; m < (again ? rows : whole); m += tile) {
        const index_t at = m < whole ? m : rows - tile;
        Layout::template multiply<F, tile>({x + at * packed.bytes, packed, k0}, weights, scales,
                                           depth, sums + m * width);
      }
      for (index_t m = 0; m < (whole > 0 ? 0 : rows); ++m)
        Layout::template multiply<F, 1>({x + m * packed.bytes, packed, k0}, weights, scales, depth,
                                        sums + m * width);
    }
    finish(args, sums, m0, again ? whole : rows, n0, columns);
    if (again)
      finish(args, sums + (2 * whole + tile - rows) * width, m0 + whole, rows - whole, n0, columns);
  }
}

template <class Layout, Format F>
inline void multiply(const RoundedMatmulArgs& args) {
  for (index_t m = 0; m < args.y.rows; m += most_rows)
    multiply_block<Layout, F>(args, m, args.y.rows - m < most_rows ? args.y.rows - m : most_rows);
}

}  // namespace gov::kernel::on_avx512::rounded::panel

#undef GOV_SIMD
#pragma GCC diagnostic pop
