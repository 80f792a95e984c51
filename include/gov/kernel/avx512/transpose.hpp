// 16 x 16 numbers of 32 bits, transposed in registers (AVX-512).
#pragma once

#include <immintrin.h>

#include "gov/kernel/arch.hpp"

// g++ 12 takes the undefined operands of its own AVX-512 intrinsics for uninitialised variables.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace gov::kernel::on_avx512 {

GOV_INLINE GOV_TARGET_AVX512 void transpose(__m512i rows[16]) {
  __m512i pairs[16], fours[16];
  GOV_UNROLL for (int i = 0; i < 16; i += 2) {  // [2 rows] x 2 numbers in each 128 bits
    pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  GOV_UNROLL for (int i = 0; i < 16; i += 4) {  // number 4 q + j of four rows, quarter q
    GOV_UNROLL for (int j = 0; j < 4; ++j) {
      const __m512i a = pairs[i + j / 2], b = pairs[i + 2 + j / 2];
      fours[i + j] = j % 2 ? _mm512_unpackhi_epi64(a, b) : _mm512_unpacklo_epi64(a, b);
    }
  }
  GOV_UNROLL for (int j = 0; j < 4; ++j) {  // the same quarter of all sixteen rows
    const __m512i a = _mm512_shuffle_i32x4(fours[j], fours[4 + j], 0x44),
                  b = _mm512_shuffle_i32x4(fours[j], fours[4 + j], 0xee),
                  c = _mm512_shuffle_i32x4(fours[8 + j], fours[12 + j], 0x44),
                  d = _mm512_shuffle_i32x4(fours[8 + j], fours[12 + j], 0xee);
    rows[j] = _mm512_shuffle_i32x4(a, c, 0x88), rows[4 + j] = _mm512_shuffle_i32x4(a, c, 0xdd);
    rows[8 + j] = _mm512_shuffle_i32x4(b, d, 0x88), rows[12 + j] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
}

}  // namespace gov::kernel::on_avx512

#pragma GCC diagnostic pop
