// Widening of stored weights, exact in f32 (FP4 * 2^127 and above overflows to infinity, as the
// format's product does). T is any scalar that is constructible from float.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>

#include "gov/core/tensor.hpp"
#include "gov/kernel/arch.hpp"

namespace gov::kernel {

// FP4 E2M1 by its nibble: sign, two bits of exponent, one of fraction.
inline constexpr std::array<float, 16> fp4_values{0.f,  .5f,  1.f,  1.5f,  2.f,  3.f,  4.f,  6.f,
                                                  -0.f, -.5f, -1.f, -1.5f, -2.f, -3.f, -4.f, -6.f};

// E8M0, 2^(s - 127) for s in 0..254; s = 0 is subnormal. 255 (NaN in the format) is refused when a
// checkpoint is loaded; here it is infinity, so that it shows.
constexpr float e8m0_to_float(std::uint8_t s) {
  return std::bit_cast<float>(s == 0 ? 0x00400000u : std::uint32_t{s} << 23);
}

inline constexpr std::array<float, 256> e8m0_values = [] {
  std::array<float, 256> values{};
  for (std::size_t s = 0; s < values.size(); ++s)
    values[s] = e8m0_to_float(static_cast<std::uint8_t>(s));
  return values;
}();

template <class U>
U load_as(const std::byte* p) {  // rows of a mapped file need not be aligned
  U value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// out[i] = w[row, begin + i] for i < count; in blocked formats begin is a multiple of block_size.
template <class T>
void widen_range(const WeightView& w, index_t row, index_t begin, index_t count, T* out) {
  const std::byte* const data = w.row(row);
  switch (w.format) {
    case Format::f32:
      for (index_t i = 0; i < count; ++i) out[i] = T(load_as<float>(data + (begin + i) * 4));
      return;
    case Format::bf16:
      for (index_t i = 0; i < count; ++i)
        out[i] = T(to_float(load_as<bf16>(data + (begin + i) * 2)));
      return;
    case Format::f16:
      for (index_t i = 0; i < count; ++i)
        out[i] = T(to_float(load_as<f16>(data + (begin + i) * 2)));
      return;
    case Format::q8:
    case Format::mxfp4: break;
  }
  assert(begin % block_size == 0);
  const std::byte* const scales = w.row_scales(row);
  for (index_t i = 0; i < count; i += block_size) {
    const index_t block = (begin + i) / block_size, end = std::min(count, i + block_size);
    if (w.format == Format::q8) {
      const float scale = to_float(load_as<bf16>(scales + block * 2));
      for (index_t j = i; j < end; ++j)
        out[j] = T(scale * static_cast<float>(load_as<std::int8_t>(data + begin + j)));
    } else {
      const float scale = e8m0_values[load_as<std::uint8_t>(scales + block)];
      for (index_t j = i; j < end; ++j) {
        const auto byte = load_as<std::uint8_t>(data + (begin + j) / 2);
        out[j] = T(scale * fp4_values[(j & 1) ? byte >> 4 : byte & 15]);
      }
    }
  }
}

template <class T>
void widen_row(scalar, const WeightView& w, index_t row, T* out) {
  assert(0 <= row && row < w.out);
  widen_range(w, row, 0, w.in, out);
}

}  // namespace gov::kernel
