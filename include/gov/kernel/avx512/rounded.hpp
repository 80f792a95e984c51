// Products with rounded activations (Arithmetic::fast and int8) for AVX-512 with BF16, VNNI, VBMI.
//
//   bf16 weights     vdpbf16ps on the stored numbers, any number of rows
//   MXFP4, few rows  FP4 looked up as integers 2 * value, vpdpwssd (int16) or vpdpbusd (int8), one
//                    f32 scale per block; one row of weights at a time, prefetched
//   MXFP4, more      looked up as bf16 with the block's scale added to the exponent, into a panel
//                    that stays in the L1 cache for all rows; vdpbf16ps
//   8-bit, few rows  vpdpwssd (int16) or vpdpbusd (int8), two blocks at a time, four rows of
//                    activations for each of weights
//   many rows        rounded_pairs.hpp (bf16) and rounded_quads.hpp (int8), columns side by side
//
// Partial sums are one vector per result, inputs in ascending order, folded by one tree. vdpbf16ps
// takes subnormal numbers for zero.
#pragma once

#include "gov/kernel/avx512/pack.hpp"
#include "gov/kernel/avx512/rounded_attention.hpp"
#include "gov/kernel/avx512/rounded_pairs.hpp"
#include "gov/kernel/avx512/rounded_quads.hpp"
#include "gov/kernel/avx512/vec.hpp"
#include "gov/kernel/avx512/widen_bf16.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512 {

namespace rounded {

inline constexpr index_t most_few_rows = 4, worth_pairs = 32, worth_pairs_q8 = 24, worth_quads = 12;
inline constexpr index_t bytes_ahead = 4096;  // a row follows the one before

GOV_SIMD void finish_one(const RoundedMatmulArgs& args, index_t m, index_t n, float sum) {
  if (args.bias) sum += args.bias[n];
  float& y = args.y.data[m * args.y.stride + n];
  y = args.accumulate ? y + sum : sum;
}

// ---- MXFP4 -------------------------------------------------------------------------------------

// 2 * value of each code; as 16-bit words twice, for vpermw looks at five bits of an index.
alignas(64) inline constexpr std::int16_t fp4_words[32] = {
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12,
    0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
// 2 * value + 12 as bytes, four times, for vpermb looks at six.
alignas(64) inline constexpr std::uint8_t fp4_bytes[64] = {
    12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9,  8,  6,  4,  0,  12, 13, 14, 15, 16, 18,
    20, 24, 12, 11, 10, 9,  8,  6,  4,  0,  12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9,
    8,  6,  4,  0,  12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9,  8,  6,  4,  0};
// Each block's scale 2^(s - 127) in four lanes (2^-127 counts as 0).
GOV_SIMD __m512 spread_scales(int four) {
  constexpr int none = static_cast<int>(0x80008080u);  // byte 2 of a lane is the scale's place
  const __m512i picks = _mm512_setr_epi32(
      none, none, none, none, none + 0x10000, none + 0x10000, none + 0x10000, none + 0x10000,
      none + 0x20000, none + 0x20000, none + 0x20000, none + 0x20000, none + 0x30000,
      none + 0x30000, none + 0x30000, none + 0x30000);
  return _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_shuffle_epi8(_mm512_set1_epi32(four), picks), 7));
}

template <Packing P, int M>
GOV_SIMD void multiply_fp4_few(const RoundedMatmulArgs& args, index_t m, index_t n) {
  const PackedRow packed = packed_row(P, args.w.in);
  const std::byte* data = args.w.row(n);
  const std::byte* scales = args.w.row_scales(n);
  const std::byte* x = args.x + m * packed.bytes;
  const std::byte* after = x + packed.numbers;
  const __m512i table = _mm512_load_si512(
      P == Packing::int16_fours ? static_cast<const void*>(fp4_words) : fp4_bytes);
  __m512 sum[M];
  GOV_UNROLL for (int i = 0; i < M; ++i) sum[i] = _mm512_setzero_ps();
  for (index_t left = args.w.in; left > 0; left -= group_size, data += 64, scales += 4) {
    prefetch(data + bytes_ahead);
    const __m512i codes = load_codes(data, left);
    const __m512 scale = spread_scales(load_scales(scales, left));
    if constexpr (P == Packing::int16_fours) {
      const __m512i w0 = _mm512_permutexvar_epi16(codes, table),
                    w1 = _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 4), table),
                    w2 = _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 8), table),
                    w3 = _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 12), table);
      GOV_UNROLL for (int i = 0; i < M; ++i) {
        const std::byte* const at = x + i * packed.bytes;
        __m512i a = _mm512_dpwssd_epi32(_mm512_setzero_si512(), w0, _mm512_load_si512(at));
        a = _mm512_dpwssd_epi32(a, w1, _mm512_load_si512(at + 64));
        __m512i b = _mm512_dpwssd_epi32(_mm512_setzero_si512(), w2, _mm512_load_si512(at + 128));
        b = _mm512_dpwssd_epi32(b, w3, _mm512_load_si512(at + 192));
        const __m512 factor = _mm512_mul_ps(scale, _mm512_load_ps(after + i * packed.bytes));
        sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(a, b)), factor, sum[i]);
      }
      x += 256, after += 64;
    } else {
      const __m512i even = _mm512_permutexvar_epi8(codes, table),
                    odd = _mm512_permutexvar_epi8(_mm512_srli_epi16(codes, 4), table);
      GOV_UNROLL for (int i = 0; i < M; ++i) {
        const std::byte *const at = x + i * packed.bytes, *const tail = after + i * packed.bytes;
        __m512i a = _mm512_dpbusd_epi32(_mm512_load_si512(tail + 64), even, _mm512_load_si512(at));
        a = _mm512_dpbusd_epi32(a, odd, _mm512_load_si512(at + 64));
        const __m512 factor = _mm512_mul_ps(scale, _mm512_load_ps(tail));
        sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(a), factor, sum[i]);
      }
      x += 128, after += 128;
    }
  }
  GOV_UNROLL for (int i = 0; i < M; ++i) finish_one(args, m + i, n, sum_lanes(sum[i]));
}

// ---- 8-bit blocks ------------------------------------------------------------------------------

// Two blocks fill a vector, each half of it. The factors of sixteen blocks are made together.
template <Packing P, int M>
GOV_SIMD void multiply_q8_few(const RoundedMatmulArgs& args, index_t m, index_t n) {
  const PackedRow packed = packed_row(P, args.w.in);
  const std::byte* data = args.w.row(n);
  const std::byte* const scales = args.w.row_scales(n);
  const std::byte* x = args.x + m * packed.bytes;
  const std::byte* const after = x + packed.numbers;
  const index_t blocks = args.w.in / block_size;
  const __m512i halves = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  __m512 sum[M];
  GOV_UNROLL for (int i = 0; i < M; ++i) sum[i] = _mm512_setzero_ps();
  for (index_t first = 0; first < blocks; first += 16) {
    const index_t count = blocks - first < 16 ? blocks - first : 16;
    const auto there = static_cast<__mmask16>(lanes_below(count));
    const __m512 scale = from_bf16(_mm256_maskz_loadu_epi16(there, scales + first * 2));
    __m512 factors[M];
    GOV_UNROLL for (int i = 0; i < M; ++i) {
      const std::byte* const own = after + i * packed.bytes + first * 4;
      factors[i] = _mm512_mul_ps(scale, _mm512_maskz_loadu_ps(there, own));
      if constexpr (P == Packing::int8)
        sum[i] = _mm512_fmadd_ps(scale, _mm512_maskz_loadu_ps(there, own + blocks * 4), sum[i]);
    }
    __m512i pick = halves;
    for (index_t b = 0; b < count; b += 2, data += 64) {
      prefetch(data + bytes_ahead);
      const __m512i w =
          b + 1 < count ? _mm512_loadu_si512(data) : _mm512_maskz_loadu_epi8(0xffffffffu, data);
      __m512i products[M];
      if constexpr (P == Packing::int16) {
        const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8),
                      odd = _mm512_srai_epi16(w, 8);
        GOV_UNROLL for (int i = 0; i < M; ++i) {
          const std::byte* const at = x + i * packed.bytes;
          products[i] = _mm512_dpwssd_epi32(_mm512_setzero_si512(), even, _mm512_load_si512(at));
          products[i] = _mm512_dpwssd_epi32(products[i], odd, _mm512_load_si512(at + 64));
        }
        x += 128;
      } else {
        const __m512i shifted = _mm512_xor_si512(w, _mm512_set1_epi8(-128));  // w + 128
        GOV_UNROLL for (int i = 0; i < M; ++i) {
          products[i] = _mm512_dpbusd_epi32(_mm512_setzero_si512(), shifted,
                                            _mm512_load_si512(x + i * packed.bytes));
        }
        x += 64;
      }
      GOV_UNROLL for (int i = 0; i < M; ++i) {
        sum[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[i]),
                                 _mm512_permutexvar_ps(pick, factors[i]), sum[i]);
      }
      pick = _mm512_add_epi32(pick, _mm512_set1_epi32(2));
    }
  }
  GOV_UNROLL for (int i = 0; i < M; ++i) finish_one(args, m + i, n, sum_lanes(sum[i]));
}

// ---- bf16 --------------------------------------------------------------------------------------

template <int M>
GOV_SIMD void multiply_bf16_few(const RoundedMatmulArgs& args, index_t m, index_t n) {
  const PackedRow packed = packed_row(Packing::bf16, args.w.in);
  const std::byte* const row = args.w.row(n);
  const std::byte* const x = args.x + m * packed.bytes;
  __m512 sum[M];
  GOV_UNROLL for (int i = 0; i < M; ++i) sum[i] = _mm512_setzero_ps();
  for (index_t k = 0; k < args.w.in; k += block_size) {
    prefetch(row + k * 2 + bytes_ahead);
    const __m512i w = load_words(row, k, args.w.in);
    GOV_UNROLL for (int i = 0; i < M; ++i) {
      sum[i] = _mm512_dpbf16_ps(sum[i], as_bf16(w),
                                as_bf16(_mm512_load_si512(x + i * packed.bytes + k * 2)));
    }
  }
  GOV_UNROLL for (int i = 0; i < M; ++i) finish_one(args, m + i, n, sum_lanes(sum[i]));
}

// ---- many rows: a panel of weights as bf16, kept in the L1 cache -----------------------------

inline constexpr index_t panel_columns = 8, panel_numbers = 1024;  // 16 KB
inline constexpr index_t panel_stride = panel_numbers * 2;
inline constexpr index_t most_rows = 128;  // whose sums are kept: 64 KB
inline constexpr int tile = 4;

// Numbers [k0, k0 + panel_numbers) of one row.
template <Packing P>
GOV_SIMD void widen_to_bf16(const WeightView& w, index_t n, index_t k0, index_t depth,
                            const std::byte* next, std::byte* out) {
  if constexpr (P == Packing::bf16) {
    for (index_t k = 0; k < depth; k += block_size) {
      prefetch(next + (k0 + k) * 2);
      _mm512_store_si512(out + k * 2, load_words(w.row(n), k0 + k, w.in));
    }
  } else {
    const std::byte* const data = w.row(n);
    const std::byte* const scales = w.row_scales(n);
    for (index_t k = 0; k < depth; k += group_size) {
      prefetch(next + (k0 + k) / 2);
      fp4_to_bf16(data + (k0 + k) / 2, scales + (k0 + k) / block_size, w.in - k0 - k, out + k * 2);
    }
  }
}

// M rows of x against four rows of the panel; sums is [row, panel row, lane].
template <int M>
GOV_SIMD void multiply_bf16_tile(const std::byte* x, index_t x_stride, const std::byte* w,
                                 index_t depth, float* sums) {
  __m512 sum[M][4];
  GOV_UNROLL for (int i = 0; i < M; ++i) {
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      sum[i][j] = _mm512_load_ps(sums + (i * panel_columns + j) * 16);
    }
  }
  for (index_t k = 0; k < depth; k += block_size) {
    __m512bh weights[4];
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      weights[j] = as_bf16(_mm512_load_si512(w + j * panel_stride + k * 2));
    }
    GOV_UNROLL for (int i = 0; i < M; ++i) {
      const __m512bh inputs = as_bf16(_mm512_load_si512(x + i * x_stride + k * 2));
      GOV_UNROLL for (int j = 0; j < 4; ++j) {
        sum[i][j] = _mm512_dpbf16_ps(sum[i][j], weights[j], inputs);
      }
    }
  }
  GOV_UNROLL for (int i = 0; i < M; ++i) {
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      _mm512_store_ps(sums + (i * panel_columns + j) * 16, sum[i][j]);
    }
  }
}

template <Packing P>
inline GOV_TARGET_AVX512_BF16 void multiply_many(const RoundedMatmulArgs& args, index_t m0,
                                                 index_t rows) {
  alignas(64) std::byte panel[panel_columns * panel_stride];
  alignas(64) float sums[most_rows * panel_columns * 16];
  constexpr index_t unit = P == Packing::bf16 ? block_size : group_size;
  const index_t in = args.w.in, stride = packed_row(P, in).bytes;
  const std::byte* const x = args.x + m0 * stride;
  for (index_t n0 = args.first; n0 < args.last; n0 += panel_columns) {
    const index_t columns = args.last - n0 < panel_columns ? args.last - n0 : panel_columns;
    const index_t tiles = (columns + 3) / 4;
    for (index_t i = 0; i < rows * panel_columns; ++i)
      _mm512_store_ps(sums + i * 16, _mm512_setzero_ps());
    for (index_t k0 = 0; k0 < in; k0 += panel_numbers) {
      const index_t left = in - k0 < panel_numbers ? in - k0 : panel_numbers;
      const index_t depth = (left + unit - 1) / unit * unit;
      for (index_t j = 0; j < tiles * 4; ++j) {  // past the last column: its sums are dropped
        const index_t n = n0 + (j < columns ? j : columns - 1);
        widen_to_bf16<P>(args.w, n, k0, depth,
                         args.w.row(n + panel_columns < args.w.out ? n + panel_columns : n),
                         panel + j * panel_stride);
      }
      for (index_t m = 0; m < rows;) {
        const index_t step = rows - m >= tile ? tile : 1;
        const std::byte* const at = x + m * stride + k0 * 2;
        for (index_t t = 0; t < tiles; ++t) {
          float* const to = sums + (m * panel_columns + t * 4) * 16;
          if (step == tile)
            multiply_bf16_tile<tile>(at, stride, panel + t * 4 * panel_stride, depth, to);
          else
            multiply_bf16_tile<1>(at, stride, panel + t * 4 * panel_stride, depth, to);
        }
        m += step;
      }
    }
    for (index_t m = 0; m < rows; ++m)
      for (index_t t = 0; t < tiles; ++t) {
        const float* const at = sums + (m * panel_columns + t * 4) * 16;
        alignas(16) float parts[4];
        _mm_store_ps(parts, sum_lanes(load(at), load(at + 16), load(at + 32), load(at + 48)));
        for (index_t j = 0; j < 4 && t * 4 + j < columns; ++j)
          finish_one(args, m0 + m, n0 + t * 4 + j, parts[j]);
      }
  }
}

// Rows [m, m + M) against all columns.
template <Packing P, int M>
inline GOV_TARGET_AVX512_BF16 void multiply_few(const RoundedMatmulArgs& args, index_t m) {
  for (index_t n = args.first; n < args.last; ++n) {
    if constexpr (P == Packing::int16_fours || P == Packing::int8_fours)
      multiply_fp4_few<P, M>(args, m, n);
    else if constexpr (P == Packing::bf16)
      multiply_bf16_few<M>(args, m, n);
    else
      multiply_q8_few<P, M>(args, m, n);
  }
}

template <Packing P>
inline void multiply_few_rows(const RoundedMatmulArgs& args, index_t m) {
  for (; args.y.rows - m >= 4; m += 4) multiply_few<P, 4>(args, m);
  switch (args.y.rows - m) {
    case 3: return multiply_few<P, 3>(args, m);
    case 2: return multiply_few<P, 2>(args, m);
    case 1: return multiply_few<P, 1>(args, m);
  }
}

template <Packing P>
inline void multiply_many_rows(const RoundedMatmulArgs& args) {
  for (index_t m = 0; m < args.y.rows; m += most_rows)
    multiply_many<P>(args, m, args.y.rows - m < most_rows ? args.y.rows - m : most_rows);
}

inline void matmul(const RoundedMatmulArgs& args) {
  switch (args.packing) {
    case Packing::none:
    case Packing::bf16_tiles:
    case Packing::bf16_tiles_fours: assert(false); break;
    case Packing::bf16:
      return args.y.rows > most_few_rows ? multiply_many_rows<Packing::bf16>(args)
                                         : multiply_few_rows<Packing::bf16>(args, 0);
    case Packing::bf16_fours: return multiply_many_rows<Packing::bf16_fours>(args);
    case Packing::bf16_pairs:
      return args.w.format == Format::q8 ? panel::multiply<Pairs, Format::q8>(args)
                                         : panel::multiply<Pairs, Format::bf16>(args);
    case Packing::bf16_fours_pairs: return panel::multiply<Pairs, Format::mxfp4>(args);
    case Packing::int16: return multiply_few_rows<Packing::int16>(args, 0);
    case Packing::int16_fours: return multiply_few_rows<Packing::int16_fours>(args, 0);
    case Packing::int8: return multiply_few_rows<Packing::int8>(args, 0);
    case Packing::int8_fours: return multiply_few_rows<Packing::int8_fours>(args, 0);
    case Packing::int8_quads:
      return args.w.format == Format::q8 ? panel::multiply<Quads, Format::q8>(args)
                                         : panel::multiply<Quads, Format::mxfp4>(args);
  }
}

inline Packing packing(Arithmetic arithmetic, Format format, index_t rows) {
  const bool int8 = arithmetic == Arithmetic::int8;
  if (arithmetic == Arithmetic::invariant) return Packing::none;
  switch (format) {
    case Format::f32:
    case Format::f16: return Packing::none;
    case Format::bf16: return rows >= worth_pairs ? Packing::bf16_pairs : Packing::bf16;
    case Format::q8:
      if (int8) return rows < worth_quads ? Packing::int8 : Packing::int8_quads;
      return rows < worth_pairs_q8 ? Packing::int16 : Packing::bf16_pairs;
    case Format::mxfp4:
      if (int8) return rows < worth_quads ? Packing::int8_fours : Packing::int8_quads;
      if (rows >= worth_pairs) return Packing::bf16_fours_pairs;
      return rows <= most_few_rows ? Packing::int16_fours : Packing::bf16_fours;
  }
  return Packing::none;
}

inline constexpr RoundedProducts products{&packing, &row_unit, &packed_row_bytes,
                                          &pack,    &matmul,   attention_kernels};

}  // namespace rounded

}  // namespace gov::kernel::on_avx512

#undef GOV_SIMD
#pragma GCC diagnostic pop

namespace gov::kernel {

inline const RoundedProducts* rounded_products(avx512) {
  return cpu_features().avx512_bf16 ? &on_avx512::rounded::products : nullptr;
}

}  // namespace gov::kernel
