// Narrowing of f32 rows in plain words: the truth that other tags are held against, bit for bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

#include "gov/core/error.hpp"
#include "gov/core/tensor.hpp"
#include "gov/kernel/scalar/widen.hpp"

namespace gov::kernel {

// How far stored numbers are from what they were made of: sums of squares, to be added up.
struct QuantizeError {
  double error = 0, size = 0;

  double nmse() const { return size == 0 ? 0 : error / size; }
  QuantizeError& operator+=(const QuantizeError& other) {
    error += other.error, size += other.size;
    return *this;
  }
};

// The code of the FP4 number nearest to x, |x| above 6 saturated.
constexpr std::uint8_t to_fp4(float x) {
  const float size = x < 0 ? -x : x;
  // Halves between neighbours go to the even code: <= where the lower code is even.
  const int code = size <= .25f    ? 0
                   : size < .75f   ? 1
                   : size <= 1.25f ? 2
                   : size < 1.75f  ? 3
                   : size <= 2.5f  ? 4
                   : size < 3.5f   ? 5
                   : size <= 5.f   ? 6
                                   : 7;
  return static_cast<std::uint8_t>(code == 0 || x > 0 ? code : code | 8);
}

inline float largest_magnitude(const float* x, index_t n) {
  float largest = 0;
  for (index_t i = 0; i < n; ++i) {
    if (!is_finite(x[i]))
      throw Error({.code = Errc::not_finite,
                   .file = {},
                   .field = "quantize",
                   .expected = "finite numbers",
                   .found = is_nan(x[i]) ? "NaN" : "infinity"});
    largest = std::max(largest, std::abs(x[i]));
  }
  return largest;
}

struct Mxfp4Block {
  std::uint8_t codes[block_size / 2]{};  // two numbers each, the first in the low nibble
  std::uint8_t scale = 127;
};

inline Mxfp4Block to_mxfp4(const float* x) {
  Mxfp4Block best;
  const float largest = largest_magnitude(x, block_size);
  if (largest == 0) return best;
  const int standard = std::clamp(std::ilogb(largest) - 2, -127, 127);
  double least = 0;
  for (int exponent = standard; exponent <= std::min(standard + 1, 127); ++exponent) {
    Mxfp4Block block;
    block.scale = static_cast<std::uint8_t>(exponent + 127);
    double error = 0;
    for (index_t i = 0; i < block_size; ++i) {
      const float ratio = static_cast<float>(std::ldexp(static_cast<double>(x[i]), -exponent));
      const std::uint8_t code = to_fp4(ratio);
      block.codes[i / 2] |= static_cast<std::uint8_t>(i % 2 ? code << 4 : code);
      const double off = static_cast<double>(ratio) - static_cast<double>(fp4_values[code]);
      error += std::ldexp(off * off, 2 * (exponent - standard));
    }
    if (exponent == standard || error < least) best = block, least = error;
  }
  return best;
}

// The scale of a q8 block whose largest magnitude is given, finite.
inline bf16 q8_scale(float largest) {
  if (largest == 0) return {};
  bf16 scale{static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(largest / 127.f) >> 16)};
  while (static_cast<double>(to_float(scale)) * 127 < static_cast<double>(largest)) ++scale.bits;
  if (!is_finite(to_float(scale) * 127.f)) --scale.bits;  // within 1 % of the largest f32
  return scale;
}

struct Q8Block {
  std::int8_t codes[block_size]{};
  bf16 scale;
};

inline Q8Block to_q8(const float* x) {
  Q8Block block;
  block.scale = q8_scale(largest_magnitude(x, block_size));
  const double scale = static_cast<double>(to_float(block.scale));
  if (scale == 0) return block;
  for (index_t i = 0; i < block_size; ++i)
    block.codes[i] = static_cast<std::int8_t>(
        std::clamp(std::nearbyint(static_cast<double>(x[i]) / scale), -127., 127.));
  return block;
}

// Stores x [n] as one row of `format` (kernel/quantize.hpp).
inline QuantizeError quantize_row(scalar, Format format, const float* x, index_t n, std::byte* data,
                                  std::byte* scales) {
  for (index_t b = 0; b * block_size < n && is_blocked(format); ++b) {
    if (format == Format::q8) {
      const Q8Block block = to_q8(x + b * block_size);
      std::memcpy(data + b * block_size, block.codes, sizeof block.codes);
      std::memcpy(scales + b * 2, &block.scale, 2);
    } else {
      const Mxfp4Block block = to_mxfp4(x + b * block_size);
      std::memcpy(data + b * (block_size / 2), block.codes, sizeof block.codes);
      scales[b] = std::byte{block.scale};
    }
  }
  if (format == Format::f32) std::memcpy(data, x, static_cast<std::size_t>(n) * 4);
  for (index_t i = 0; i < n && row_bytes(format, 2) == 4; ++i) {
    const std::uint16_t bits = format == Format::bf16 ? to_bf16(x[i]).bits : to_f16(x[i]).bits;
    std::memcpy(data + i * 2, &bits, 2);
  }
  QuantizeError result;
  const WeightView stored{format, data, scales, 1, n};
  for (index_t k = 0; k < n; k += block_size) {
    float widened[block_size];
    const index_t count = std::min(block_size, n - k);
    widen_range(stored, 0, k, count, widened);
    for (index_t i = 0; i < count; ++i) {
      const double value = static_cast<double>(x[k + i]);
      const double off = static_cast<double>(widened[i]) - value;
      result += {off * off, value * value};
    }
  }
  return result;
}

}  // namespace gov::kernel
