// Rounds f32 activations into the layouts of Packing, for AVX-512 with BF16, VNNI and VBMI.
//
//   bf16         [in up to a multiple of 32], zeros behind the end
//   bf16_fours   [groups of 128][4][32]: number 4 i + j of a group lies at [j][i]
//   int16        pairs of blocks, [even 32][odd 32] int16, then a scale per block
//   int16_fours  groups as above, then 16 scales a group, each block's four times
//   int8         blocks of 32 int8, pairs of them, then a scale, then scale * -128 * sum per block
//   int8_fours   groups [even 64][odd 64], then 16 scales and 16 starts (-12 * sum)
//   int8_quads   blocks of 32 int8, then a scale and a start (int32, -128 * sum) per block
//
// NaN and infinity make the block's scale so, and with it the product.
#pragma once

#include <immintrin.h>

#include <cassert>

#include "gov/core/arena.hpp"
#include "gov/kernel/arch.hpp"
#include "gov/kernel/kernels.hpp"

// g++ 12 takes the undefined operands of its own AVX-512 intrinsics for uninitialised variables.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512_BF16

namespace gov::kernel::on_avx512 {

inline constexpr index_t group_size = 4 * block_size;  // 128 numbers: 64 bytes of FP4

// Parts of a packed row, in bytes.
struct PackedRow {
  index_t numbers = 0;  // where the scales begin
  index_t bytes = 0;    // of the whole row
};

inline PackedRow packed_row(Packing packing, index_t in) {
  const index_t blocks = (in + block_size - 1) / block_size, pairs = (blocks + 1) / 2;
  const index_t groups = (in + group_size - 1) / group_size;
  // An odd number of cache lines keeps rows apart in a cache's sets.
  const auto spread = [](index_t bytes) { return round_up(bytes, cache_line) | cache_line; };
  switch (packing) {
    case Packing::none:
    case Packing::bf16_tiles:
    case Packing::bf16_tiles_fours: break;
    case Packing::bf16:
    case Packing::bf16_pairs: return {blocks * 64, spread(blocks * 64)};
    case Packing::bf16_fours:
    case Packing::bf16_fours_pairs: return {groups * 256, spread(groups * 256)};
    case Packing::int16: return {pairs * 128, spread(pairs * 128 + blocks * 4)};
    case Packing::int16_fours: return {groups * 256, spread(groups * 320)};
    case Packing::int8: return {pairs * 64, spread(pairs * 64 + blocks * 8)};
    case Packing::int8_fours: return {groups * 128, spread(groups * 256)};
    case Packing::int8_quads: return {blocks * 32, spread(blocks * 40)};
  }
  return {};
}

inline index_t row_unit(Packing packing) { return packed_row(packing, 1).bytes > 0 ? 1 : 0; }

inline index_t packed_row_bytes(Packing packing, index_t in) {
  return packed_row(packing, in).bytes;
}

// A bit for each of the first `count` lanes of sixteen.
GOV_SIMD unsigned lanes_below(index_t count) {
  return count <= 0 ? 0u : count >= 16 ? 0xffffu : (1u << count) - 1u;
}

// 32 numbers from x + k, zeros from `in` on.
GOV_SIMD void load_block(const float* x, index_t k, index_t in, __m512 out[2]) {
  GOV_UNROLL for (int i = 0; i < 2; ++i) {
    const index_t left = in - k - i * 16;
    if (left >= 16)
      out[i] = _mm512_loadu_ps(x + k + i * 16);
    else
      out[i] = left > 0 ? _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << left) - 1u),
                                                x + k + i * 16)
                        : _mm512_setzero_ps();
  }
}

GOV_SIMD __m512i block_to_bf16(const __m512 x[2]) {
  return (__m512i)_mm512_cvtne2ps_pbh(x[1], x[0]);
}

// The largest magnitude of a block; NaN if there is one, since as integers NaNs are the largest.
GOV_SIMD float largest(const __m512 x[2]) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  const __m512i most = _mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(x[0]), magnitude),
                                        _mm512_and_si512(_mm512_castps_si512(x[1]), magnitude));
  const unsigned bits = _mm512_reduce_max_epu32(most);
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

// 32 numbers as integers of at most `limit`, and what one of them is worth. A block with NaN or
// infinity, or with nothing that matters, is all zeros; its scale says the rest.
GOV_SIMD float block_to_integers(const __m512 x[2], float limit, __m512i out[2]) {
  const float most = largest(x);
  const bool usable = most > 1e-30f && most <= 3.4e38f;  // limit / most is finite
  const auto there = static_cast<__mmask16>(usable ? 0xffff : 0);
  const __m512 factor = _mm512_set1_ps(usable ? limit / most : 0.f);
  GOV_UNROLL for (int i = 0; i < 2; ++i) {
    out[i] = _mm512_maskz_cvtps_epi32(there, _mm512_mul_ps(x[i], factor));
  }
  return most / limit;
}

GOV_SIMD __m512i narrow_to_int16(const __m512i x[2]) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtsepi32_epi16(x[0])),
                            _mm512_cvtsepi32_epi16(x[1]), 1);
}

GOV_SIMD void store_bytes(const __m512i x[2], std::byte* out) {
  _mm_store_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtsepi32_epi8(x[0]));
  _mm_store_si128(reinterpret_cast<__m128i*>(out + 16), _mm512_cvtsepi32_epi8(x[1]));
}

// Four vectors of 32 words in order become [j][i] = word 4 i + j.
GOV_SIMD void split_fours(const __m512i in[4], __m512i out[4]) {
  alignas(64) static constexpr std::uint16_t picks[64] = {
      0, 4, 8,  12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60,  // words 4 i
      1, 5, 9,  13, 17, 21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61,  // words 4 i + 1
      2, 6, 10, 14, 18, 22, 26, 30, 34, 38, 42, 46, 50, 54, 58, 62,  // words 4 i + 2
      3, 7, 11, 15, 19, 23, 27, 31, 35, 39, 43, 47, 51, 55, 59, 63};
  const __m512i low = _mm512_load_si512(picks), high = _mm512_load_si512(picks + 32);
  const __m512i a = _mm512_permutex2var_epi16(in[0], low, in[1]),
                b = _mm512_permutex2var_epi16(in[2], low, in[3]),
                c = _mm512_permutex2var_epi16(in[0], high, in[1]),
                d = _mm512_permutex2var_epi16(in[2], high, in[3]);
  out[0] = _mm512_shuffle_i64x2(a, b, 0x44), out[1] = _mm512_shuffle_i64x2(a, b, 0xee);
  out[2] = _mm512_shuffle_i64x2(c, d, 0x44), out[3] = _mm512_shuffle_i64x2(c, d, 0xee);
}

inline GOV_TARGET_AVX512_BF16 void pack_bf16(const float* x, index_t in, std::byte* out) {
  for (index_t k = 0; k < in; k += block_size, out += 64) {
    __m512 block[2];
    load_block(x, k, in, block);
    _mm512_store_si512(out, block_to_bf16(block));
  }
}

inline GOV_TARGET_AVX512_BF16 void pack_bf16_fours(const float* x, index_t in, std::byte* out) {
  for (index_t k = 0; k < in; k += group_size, out += 256) {
    __m512i words[4], fours[4];
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      __m512 block[2];
      load_block(x, k + j * block_size, in, block);
      words[j] = block_to_bf16(block);
    }
    split_fours(words, fours);
    GOV_UNROLL for (int j = 0; j < 4; ++j) _mm512_store_si512(out + j * 64, fours[j]);
  }
}

inline GOV_TARGET_AVX512_BF16 void pack_int16(const float* x, index_t in, std::byte* out,
                                              float* scales) {
  const __m512i even =
      _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                       24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_add_epi16(even, _mm512_set1_epi16(1));
  for (index_t k = 0; k < in; k += 2 * block_size, out += 128) {
    __m512i words[2];
    GOV_UNROLL for (int i = 0; i < 2; ++i) {
      __m512 block[2];
      __m512i whole[2];
      load_block(x, k + i * block_size, in, block);
      const float scale = block_to_integers(block, 32767.f, whole);
      if (k + i * block_size < in) *scales++ = scale;
      words[i] = narrow_to_int16(whole);
    }
    _mm512_store_si512(out, _mm512_permutex2var_epi16(words[0], even, words[1]));
    _mm512_store_si512(out + 64, _mm512_permutex2var_epi16(words[0], odd, words[1]));
  }
}

// Scales are halved: FP4 is multiplied as the integer 2 * value.
inline GOV_TARGET_AVX512_BF16 void pack_int16_fours(const float* x, index_t in, std::byte* out,
                                                    float* scales) {
  for (index_t k = 0; k < in; k += group_size, out += 256, scales += 16) {
    __m512i words[4], fours[4];
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      __m512 block[2];
      __m512i whole[2];
      load_block(x, k + j * block_size, in, block);
      const float scale = block_to_integers(block, 32767.f, whole);
      _mm_store_ps(scales + j * 4, _mm_set1_ps(.5f * scale));
      words[j] = narrow_to_int16(whole);
    }
    split_fours(words, fours);
    GOV_UNROLL for (int j = 0; j < 4; ++j) _mm512_store_si512(out + j * 64, fours[j]);
  }
}

// Weights are multiplied as unsigned numbers, 128 too large: `starts` take that back.
inline GOV_TARGET_AVX512_BF16 void pack_int8(const float* x, index_t in, std::byte* out,
                                             float* scales, float* starts) {
  for (index_t k = 0; k < in; k += block_size, out += 32) {
    __m512 block[2];
    __m512i whole[2];
    load_block(x, k, in, block);
    const float scale = block_to_integers(block, 127.f, whole);
    const int sum = _mm512_reduce_add_epi32(_mm512_add_epi32(whole[0], whole[1]));
    store_bytes(whole, out);
    *scales++ = scale;
    *starts++ = scale * (-128.f * static_cast<float>(sum));
  }
  if ((in + block_size - 1) / block_size % 2 != 0) __builtin_memset(out, 0, 32);
}

// after: per group 16 scales (f32, halved) and 16 starts (int32: the first of a block's four
// lanes).
inline GOV_TARGET_AVX512_BF16 void pack_int8_fours(const float* x, index_t in, std::byte* out,
                                                   std::byte* after) {
  for (index_t k = 0; k < in; k += group_size, out += 128, after += 128) {
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      __m512 block[2];
      __m512i whole[2];
      load_block(x, k + j * block_size, in, block);
      const float scale = block_to_integers(block, 127.f, whole);
      const int start = -12 * _mm512_reduce_add_epi32(_mm512_add_epi32(whole[0], whole[1]));
      _mm_store_ps(reinterpret_cast<float*>(after) + j * 4, _mm_set1_ps(.5f * scale));
      _mm_store_si128(reinterpret_cast<__m128i*>(after + 64 + j * 16),
                      _mm_setr_epi32(start, 0, 0, 0));
      // As 16 words (even, odd): even bytes are the low halves.
      const __m256i bytes =
          _mm256_inserti128_si256(_mm256_castsi128_si256(_mm512_cvtsepi32_epi8(whole[0])),
                                  _mm512_cvtsepi32_epi8(whole[1]), 1);
      const __m128i even = _mm256_cvtepi16_epi8(bytes),
                    odd = _mm256_cvtepi16_epi8(_mm256_srli_epi16(bytes, 8));
      _mm_store_si128(reinterpret_cast<__m128i*>(out + j * 16), even);
      _mm_store_si128(reinterpret_cast<__m128i*>(out + 64 + j * 16), odd);
    }
  }
}

inline GOV_TARGET_AVX512_BF16 void pack_int8_quads(const float* x, index_t in, std::byte* out,
                                                   std::byte* after) {
  for (index_t k = 0; k < in; k += block_size, out += 32, after += 8) {
    __m512 block[2];
    __m512i whole[2];
    load_block(x, k, in, block);
    const float scale = block_to_integers(block, 127.f, whole);
    const int start = -128 * _mm512_reduce_add_epi32(_mm512_add_epi32(whole[0], whole[1]));
    store_bytes(whole, out);
    __builtin_memcpy(after, &scale, 4);
    __builtin_memcpy(after + 4, &start, 4);
  }
}

inline void pack(const PackArgs& args) {
  const index_t in = args.x.cols;
  const PackedRow row = packed_row(args.packing, in);
  for (index_t i = args.first; i < args.last; ++i) {
    const float* const x = args.x.row(args.pick ? args.pick[i] : i);
    std::byte* const out = args.out + i * row.bytes;
    std::byte* const after = out + row.numbers;
    switch (args.packing) {
      case Packing::none:
      case Packing::bf16_tiles:
      case Packing::bf16_tiles_fours: assert(false); break;
      case Packing::bf16:
      case Packing::bf16_pairs: pack_bf16(x, in, out); break;
      case Packing::bf16_fours:
      case Packing::bf16_fours_pairs: pack_bf16_fours(x, in, out); break;
      case Packing::int16: pack_int16(x, in, out, reinterpret_cast<float*>(after)); break;
      case Packing::int16_fours:
        pack_int16_fours(x, in, out, reinterpret_cast<float*>(after));
        break;
      case Packing::int8: {
        auto* const scales = reinterpret_cast<float*>(after);
        pack_int8(x, in, out, scales, scales + (in + block_size - 1) / block_size);
        break;
      }
      case Packing::int8_fours: pack_int8_fours(x, in, out, after); break;
      case Packing::int8_quads: pack_int8_quads(x, in, out, after); break;
    }
  }
}

}  // namespace gov::kernel::on_avx512

#undef GOV_SIMD
#pragma GCC diagnostic pop
