// Products of many rows with bf16 activations on AMX. A tile of weights is sixteen stored rows by
// 32 numbers, so nothing is laid out anew but the activations (pack.hpp), and the result comes as
// [columns][rows] and is transposed on its way out.
//
//   bf16     the stored numbers
//   MXFP4    looked up as bf16, the block's scale added to the exponent
//   8-bit    number times scale as the sum of two bf16, which is exact: two tiles a step
//
// 32 rows of weights by a few hundred numbers are widened into a panel that stays in the L1 cache
// for all rows of the activations. What few rows need is avx512's (rounded.hpp there).
#pragma once

#include "gov/kernel/amx/rounded_attention.hpp"
#include "gov/kernel/avx512/rounded.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_amx {

inline constexpr index_t panel_columns = 2 * tile_rows;
inline constexpr index_t panel_steps = 8;  // tiles of 32 numbers: 16 KB
inline constexpr index_t most_rows = 128;  // whose sums are kept: 16 KB

// Tiles of weights that a step of 32 numbers takes.
template <Format F>
inline constexpr int copies = F == Format::q8 ? 2 : 1;

// 32 numbers of 8 bits times their scale, as high + low.
GOV_SIMD void split_q8(const std::byte* data, float scale, __m512i& high, __m512i& low) {
  __m512 product[2], rest[2];
  GOV_UNROLL for (int i = 0; i < 2; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + i * 16));
    product[i] =
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), _mm512_set1_ps(scale));
  }
  high = on_avx512::block_to_bf16(product);
  rest[0] = _mm512_sub_ps(product[0], on_avx512::from_bf16(_mm512_castsi512_si256(high)));
  rest[1] = _mm512_sub_ps(product[1], on_avx512::from_bf16(_mm512_extracti64x4_epi64(high, 1)));
  low = on_avx512::block_to_bf16(rest);
}

// Numbers [k0, k0 + steps * 32) of row n become one row of tiles that are `stride` bytes apart.
template <Format F>
GOV_SIMD void widen_to_tiles(const WeightView& w, index_t n, index_t k0, index_t steps,
                             const std::byte* next, std::byte* out) {
  constexpr index_t stride = 2 * tile_bytes;  // of two tiles, one below the other
  if constexpr (F == Format::bf16) {
    for (index_t s = 0; s < steps; ++s) {
      const index_t k = k0 + s * block_size;
      on_avx512::rounded::prefetch(next + k * 2);
      _mm512_store_si512(out + s * stride, on_avx512::rounded::load_words(w.row(n), k, w.in));
    }
  } else if constexpr (F == Format::q8) {
    const std::byte* const scales = w.row_scales(n);
    for (index_t s = 0; s < steps; ++s) {
      const index_t k = k0 + s * block_size;
      if (s % 2 == 0) on_avx512::rounded::prefetch(next + k);
      __m512i high, low;
      split_q8(w.row(n) + k, to_float(load_as<bf16>(scales + k / block_size * 2)), high, low);
      _mm512_store_si512(out + 2 * s * stride, high);
      _mm512_store_si512(out + (2 * s + 1) * stride, low);
    }
  } else {
    for (index_t s = 0; s < steps; s += 4) {
      const index_t k = k0 + s * block_size;
      on_avx512::rounded::prefetch(next + k / 2);
      on_avx512::rounded::fp4_to_bf16(w.row(n) + k / 2, w.row_scales(n) + k / block_size, w.in - k,
                                      out + s * stride, stride);
    }
  }
}

// A tile of sums [columns][rows] goes to rows [m, m + rows) and columns [n, n + columns) of y.
GOV_SIMD void finish_tile(const RoundedMatmulArgs& args, const float* sums, index_t m, index_t rows,
                          index_t n, index_t columns) {
  const __mmask16 there = on_avx512::first_lanes(columns);
  __m512i tile[tile_rows];
  GOV_UNROLL for (int i = 0; i < 16; ++i) tile[i] = _mm512_load_si512(sums + i * tile_rows);
  on_avx512::transpose(tile);
  const __m512 bias = args.bias ? _mm512_maskz_loadu_ps(there, args.bias + n) : _mm512_setzero_ps();
  float* y = args.y.data + m * args.y.stride + n;
  GOV_UNROLL for (int i = 0; i < 16; ++i) {
    if (i < rows) {
      __m512 sum = _mm512_add_ps(_mm512_castsi512_ps(tile[i]), bias);
      if (args.accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(there, y), sum);
      _mm512_mask_storeu_ps(y, there, sum);
      y += args.y.stride;
    }
  }
}

// Rows [m0, m0 + rows) of at most most_rows.
template <class Tiles, Format F>
inline GOV_TARGET_AVX512_BF16 void multiply_block(const RoundedMatmulArgs& args, index_t m0,
                                                  index_t rows) {
  alignas(64) std::byte panel[panel_steps * 2 * tile_bytes];
  alignas(64) float sums[most_rows * panel_columns];
  constexpr index_t chunk = panel_steps / copies<F>;  // steps of a panel
  constexpr auto multiply_2x2 = &multiply_tiles<Tiles, 2, 2, copies<F>>;
  constexpr auto multiply_2x1 = &multiply_tiles<Tiles, 2, 1, copies<F>>;
  constexpr auto multiply_1x2 = &multiply_tiles<Tiles, 1, 2, copies<F>>;
  constexpr auto multiply_1x1 = &multiply_tiles<Tiles, 1, 1, copies<F>>;
  const index_t total = packed_steps(args.packing, args.w.in);
  const index_t x_stride = total * tile_bytes;
  const std::byte* const x = args.x + m0 * total * 64;
  for (index_t n0 = args.first; n0 < args.last; n0 += panel_columns) {
    const index_t columns = args.last - n0 < panel_columns ? args.last - n0 : panel_columns;
    const bool wide = columns > tile_rows;
    for (index_t done = 0; done < total; done += chunk) {
      const index_t steps = total - done < chunk ? total - done : chunk;
      for (index_t j = 0; j < (wide ? panel_columns : tile_rows); ++j) {
        const index_t n = n0 + (j < columns ? j : columns - 1);  // past the last: a sum to drop
        const index_t next = n + panel_columns < args.w.out ? n + panel_columns : n;
        widen_to_tiles<F>(args.w, n, done * block_size, steps, args.w.row(next),
                          panel + j / tile_rows * tile_bytes + j % tile_rows * 64);
      }
      for (index_t m = 0; m < rows; m += 2 * tile_rows) {
        const bool both = rows - m > tile_rows;
        const auto multiply =
            wide ? (both ? multiply_2x2 : multiply_2x1) : (both ? multiply_1x2 : multiply_1x1);
        multiply({panel, 2 * tile_bytes, tile_bytes,
                  x + m / tile_rows * x_stride + done * tile_bytes, tile_bytes, x_stride, steps},
                 done == 0, sums + m * panel_columns);
      }
    }
    for (index_t m = 0; m < rows; m += tile_rows)
      for (index_t j = 0; j < columns; j += tile_rows) {
        const index_t tile = j / tile_rows * 2 + m / tile_rows % 2;
        finish_tile(args, sums + m / (2 * tile_rows) * (4 * tile_numbers) + tile * tile_numbers,
                    m0 + m, rows - m < tile_rows ? rows - m : tile_rows, n0 + j,
                    columns - j < tile_rows ? columns - j : tile_rows);
      }
  }
}

template <class Tiles, Format F>
inline void multiply(const RoundedMatmulArgs& args) {
  const typename Tiles::Scope scope;
  for (index_t m = 0; m < args.y.rows; m += most_rows)
    multiply_block<Tiles, F>(args, m, args.y.rows - m < most_rows ? args.y.rows - m : most_rows);
}

template <class Tiles>
inline void matmul(const RoundedMatmulArgs& args) {
  if (args.packing == Packing::bf16_tiles_fours) return multiply<Tiles, Format::mxfp4>(args);
  if (args.packing != Packing::bf16_tiles) return on_avx512::rounded::matmul(args);
  if (args.w.format == Format::bf16) return multiply<Tiles, Format::bf16>(args);
  assert(args.w.format == Format::q8);
  multiply<Tiles, Format::q8>(args);
}

inline Packing packing(Arithmetic arithmetic, Format format, index_t rows) {
  const Packing few = on_avx512::rounded::packing(arithmetic, format, rows);
  if (arithmetic == Arithmetic::invariant || rows <= on_avx512::rounded::most_few_rows) return few;
  switch (format) {
    case Format::bf16: return Packing::bf16_tiles;
    case Format::mxfp4:
      return few == Packing::int8_fours && rows <= 8 ? few : Packing::bf16_tiles_fours;
    case Format::q8: return few == Packing::int8 && rows <= 8 ? few : Packing::bf16_tiles;
    case Format::f32:
    case Format::f16: return few;
  }
  return few;
}

template <class Tiles>
inline constexpr RoundedProducts products{&packing, &row_unit,      &packed_row_bytes,
                                          &pack,    &matmul<Tiles>, attention_kernels<Tiles>};

}  // namespace gov::kernel::on_amx

#undef GOV_SIMD
#pragma GCC diagnostic pop

namespace gov::kernel {

inline const RoundedProducts* rounded_products(amx) { return &on_amx::products<on_amx::Tiles>; }

}  // namespace gov::kernel
