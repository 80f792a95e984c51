// Narrowing of f32 rows, eight numbers at a time, with the same bits as the scalar tag. Only the
// QuantizeError is summed in another order, so its last digits differ.
#pragma once

#include <immintrin.h>

#include "gov/kernel/scalar/quantize.hpp"

namespace gov::kernel {

namespace avx2_quantize {

// Vectors of GCC and Clang: what is written as arithmetic is one instruction each.
using F32 = float __attribute__((vector_size(32)));
using I32 = std::int32_t __attribute__((vector_size(32)));
using U32 = std::uint32_t __attribute__((vector_size(32)));
using F64 = double __attribute__((vector_size(32)));
using F32x4 = float __attribute__((vector_size(16)));
using U64 = std::uint64_t __attribute__((vector_size(32)));
using U8x32 = std::uint8_t __attribute__((vector_size(32)));
using U16 = std::uint16_t __attribute__((vector_size(16)));
using U8 = std::uint8_t __attribute__((vector_size(8)));
using U16x16 = std::uint16_t __attribute__((vector_size(32)));
using U8x16 = std::uint8_t __attribute__((vector_size(16)));

struct Sums {
  F64 error{}, size{};
  double scaled = 0;  // errors that were summed in units of a block's scale
};

GOV_TARGET_AVX2 GOV_INLINE double sum(const F64& lanes) {
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}
GOV_TARGET_AVX2 GOV_INLINE double power_of_two(int exponent) {  // of a normal double
  return __builtin_bit_cast(double, static_cast<std::uint64_t>(exponent + 1023) << 52);
}
GOV_TARGET_AVX2 GOV_INLINE float power_of_two_f32(int exponent) {  // of a normal float
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(exponent + 127) << 23);
}
GOV_TARGET_AVX2 GOV_INLINE void widen(const F32& x, F64& low, F64& high) {
  low = __builtin_convertvector(__builtin_shufflevector(x, x, 0, 1, 2, 3), F64);
  high = __builtin_convertvector(__builtin_shufflevector(x, x, 4, 5, 6, 7), F64);
}
GOV_TARGET_AVX2 GOV_INLINE void add_squares(const F32& x, F64& sums) {
  F64 low, high;
  widen(x, low, high);
  sums += low * low;
  sums += high * high;
}
GOV_TARGET_AVX2 GOV_INLINE void add(Sums& sums, const F32& x, const F32& stored) {
  F64 low, high, stored_low, stored_high;
  widen(x, low, high), widen(stored, stored_low, stored_high);
  stored_low -= low, stored_high -= high;
  sums.error += stored_low * stored_low;
  sums.error += stored_high * stored_high;
  sums.size += low * low;
  sums.size += high * high;
}

// Bits of the largest magnitude of a block.
GOV_TARGET_AVX2 GOV_INLINE std::int32_t largest_bits(const F32* x) {
  I32 largest{};
  for (int k = 0; k < 4; ++k) {
    const I32 bits = reinterpret_cast<I32>(x[k]) & 0x7fffffff;
    const I32 more = bits > largest;
    largest = (bits & more) | (largest & ~more);
  }
  std::int32_t result = 0;
  for (int i = 0; i < 8; ++i) result = largest[i] > result ? largest[i] : result;
  return result;
}

// |x| * factor rounded to a number of FP4, ties to even. Adding and taking away 2^22 times the
// larger of 1 and the power of two below it drops all but one bit of fraction.
GOV_TARGET_AVX2 GOV_INLINE void round_fp4(const F32& x, float factor, F32& value, F64& error) {
  const F32 ratio = reinterpret_cast<F32>(reinterpret_cast<I32>(x * factor) & 0x7fffffff);
  I32 power = reinterpret_cast<I32>(ratio) & 0x7f800000;
  const I32 below = power < 0x3f800000;
  power = (power & ~below) | (0x3f800000 & below);
  const F32 magic = reinterpret_cast<F32>(power + (22 << 23));
  value = (ratio + magic) - magic;
  const I32 above = value > 6.f;
  value = reinterpret_cast<F32>((reinterpret_cast<I32>(value) & ~above) | (0x40c00000 & above));
  add_squares(ratio - value, error);  // exact, and so are its squares
}

GOV_TARGET_AVX2 GOV_INLINE void store_mxfp4(const float* from, std::byte* codes, std::byte* scale,
                                            Sums& sums) {
  F32 x[4], value[2][4];
  std::memcpy(x, from, sizeof x);
  const std::int32_t largest = largest_bits(x);
  for (int k = 0; k < 4; ++k) add_squares(x[k], sums.size);
  if (largest >= 0x7f800000) largest_magnitude(from, block_size);  // throws
  const int power = (largest >> 23) - 129;                         // floor(log2) - 2
  const int standard = largest == 0 ? 0 : power < -127 ? -127 : power;
  F64 lanes[2]{};
  for (int k = 0; k < 4; ++k) round_fp4(x[k], power_of_two_f32(-standard), value[0][k], lanes[0]);
  int chosen = 0;
  double least = sum(lanes[0]);
  if (least > 0) {
    for (int k = 0; k < 4; ++k)
      round_fp4(x[k], power_of_two_f32(-standard - 1), value[1][k], lanes[1]);
    const double other = 4 * sum(lanes[1]), gap = other - least;
    if (-1e-10 * least < gap && gap < 1e-10 * least)  // as near as the order of a sum: in order
      chosen = to_mxfp4(from).scale - (standard + 127);
    else
      chosen = gap < 0;
    if (chosen) least = other;
  }
  sums.scaled += least * power_of_two(2 * standard);
  *scale = static_cast<std::byte>(standard + chosen + 127);
  U64 packed{};  // byte k of lane j is byte 4 k + j of the codes
  for (int k = 0; k < 4; ++k) {
    const F32& v = value[chosen][k];
    const I32 low = v < 1.f;  // 0 and 0.5, which have no leading one
    const I32 code = ((__builtin_convertvector(v + v, I32) & low) |
                      (((reinterpret_cast<I32>(v) >> 22) - 252) & ~low));
    const I32 sign = (reinterpret_cast<I32>(x[k]) < 0) & (code != 0) & 8;
    const U64 pair = reinterpret_cast<U64>(code | sign);
    packed |= ((pair | (pair >> 28)) & 0xff) << (8 * k);
  }
  const U8x32 lanes_of = reinterpret_cast<U8x32>(packed);
  const U8x16 bytes = __builtin_shufflevector(lanes_of, lanes_of, 0, 8, 16, 24, 1, 9, 17, 25, 2, 10,
                                              18, 26, 3, 11, 19, 27);
  std::memcpy(codes, &bytes, sizeof bytes);
}

GOV_TARGET_AVX2 GOV_INLINE void store_q8(const float* from, std::byte* codes, std::byte* scale,
                                         Sums& sums) {
  F32 x[4];
  std::memcpy(x, from, sizeof x);
  const std::int32_t bits = largest_bits(x);
  if (bits >= 0x7f800000) largest_magnitude(from, block_size);  // throws
  const bf16 step = q8_scale(__builtin_bit_cast(float, bits));
  std::memcpy(scale, &step, 2);
  const float width = to_float(step);
  const double divisor = bits == 0 ? 1. : static_cast<double>(width);
  constexpr double magic = 0x1.8p52;  // adding it rounds to a whole number, ties to even
  for (int k = 0; k < 4; ++k) {
    F64 low, high;
    widen(x[k], low, high);
    low = (low / divisor + magic) - magic, high = (high / divisor + magic) - magic;
    const F32 value =
        __builtin_shufflevector(__builtin_convertvector(low, F32x4),
                                __builtin_convertvector(high, F32x4), 0, 1, 2, 3, 4, 5, 6, 7);
    I32 code = __builtin_convertvector(value, I32);
    const I32 above = code > 127, below = code < -127;
    code = (code & ~(above | below)) | (127 & above) | (-127 & below);
    const U8x32 bytes = reinterpret_cast<U8x32>(code);
    const U8 narrow = __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 16, 20, 24, 28);
    std::memcpy(codes + 8 * k, &narrow, sizeof narrow);
    add(sums, x[k], __builtin_convertvector(code, F32) * width);
  }
}

GOV_TARGET_AVX2 GOV_INLINE void store_bf16(const float* from, std::byte* to, Sums& sums) {
  F32 x;
  std::memcpy(&x, from, sizeof x);
  const U32 bits = reinterpret_cast<U32>(x);
  const U32 nan = reinterpret_cast<U32>((bits & 0x7fffffffu) > 0x7f800000u);
  const U32 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const U32 half = (rounded & ~nan) | (((bits >> 16) | 0x40u) & nan);
  const U16x16 pairs = reinterpret_cast<U16x16>(half);
  const U16 narrow = __builtin_shufflevector(pairs, pairs, 0, 2, 4, 6, 8, 10, 12, 14);
  std::memcpy(to, &narrow, sizeof narrow);
  add(sums, x, reinterpret_cast<F32>(half << 16));
}

// A NaN has other bits than the scalar tag gives it: false, and nothing is stored.
GOV_TARGET_AVX2 GOV_INLINE bool store_f16(const float* from, std::byte* to, Sums& sums) {
  const __m256 x = _mm256_loadu_ps(from);
  if (_mm256_movemask_ps(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)) != 0) return false;
  const __m128i half = _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), half);
  add(sums, reinterpret_cast<F32>(x), reinterpret_cast<F32>(_mm256_cvtph_ps(half)));
  return true;
}

GOV_TARGET_AVX2 GOV_INLINE void store_f32(const float* from, std::byte* to, Sums& sums) {
  F32 x;
  std::memcpy(&x, from, sizeof x);
  std::memcpy(to, &x, sizeof x);
  add(sums, x, x);
}

}  // namespace avx2_quantize

GOV_TARGET_AVX2 inline QuantizeError quantize_row(avx2, Format format, const float* x, index_t n,
                                                  std::byte* data, std::byte* scales) {
  using namespace avx2_quantize;
  Sums sums;
  index_t i = 0;
  switch (format) {
    case Format::mxfp4:
      for (; i < n; i += block_size)
        store_mxfp4(x + i, data + i / 2, scales + i / block_size, sums);
      break;
    case Format::q8:
      for (; i < n; i += block_size) store_q8(x + i, data + i, scales + i / block_size * 2, sums);
      break;
    case Format::bf16:
      for (; i + 8 <= n; i += 8) store_bf16(x + i, data + i * 2, sums);
      break;
    case Format::f16:
      while (i + 8 <= n && store_f16(x + i, data + i * 2, sums)) i += 8;
      break;
    case Format::f32:
      for (; i + 8 <= n; i += 8) store_f32(x + i, data + i * 4, sums);
      break;
  }
  QuantizeError result{sum(sums.error) + sums.scaled, sum(sums.size)};
  if (i < n)
    result += quantize_row(scalar{}, format, x + i, n - i, data + row_bytes(format, i), scales);
  return result;
}

}  // namespace gov::kernel
