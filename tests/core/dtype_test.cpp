#include "gov/core/dtype.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>

#include "gov/core/rng.hpp"

using namespace gov;

static_assert(to_float(to_bf16(1.0f)) == 1.0f && to_bf16(1.0f).bits == 0x3f80);
static_assert(to_float(to_f16(1.0f)) == 1.0f && to_f16(1.0f).bits == 0x3c00);

namespace {

// The value of an f16 by its definition.
double f16_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double size = exponent == 0    ? std::ldexp(fraction, -24)
                      : exponent == 31 ? std::numeric_limits<double>::infinity()
                                       : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

}  // namespace

TEST_CASE("all 65,536 bf16 and f16 widen by definition and come back") {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float b = to_float(bf16{bits}), h = to_float(f16{bits});
    REQUIRE(std::bit_cast<std::uint32_t>(b) == i << 16);
    if (is_nan(b))
      REQUIRE(is_nan(to_float(to_bf16(b))));
    else
      REQUIRE(to_bf16(b) == bf16{bits});
    if ((bits & 0x7fff) > 0x7c00) {
      REQUIRE(is_nan(h));
      REQUIRE(is_nan(to_float(to_f16(h))));
    } else {
      REQUIRE(static_cast<double>(h) == f16_value(bits));
      REQUIRE(std::signbit(h) == ((bits & 0x8000) != 0));
      REQUIRE(to_f16(h) == f16{bits});
    }
  }
}

TEST_CASE("narrowing rounds to the nearest, the even one of two, and overflows to infinity") {
  Rng rng(1);
  const auto check = [](float x, auto narrowed, auto lower, auto upper) {
    const double value = static_cast<double>(x), found = static_cast<double>(to_float(narrowed));
    const double below = static_cast<double>(to_float(lower)),
                 above = static_cast<double>(to_float(upper));
    const double nearest = std::min(std::abs(value - below), std::abs(value - above));
    REQUIRE(std::abs(value - found) == nearest);
    if (std::abs(value - below) == std::abs(value - above) && below != above)
      REQUIRE(narrowed.bits % 2 == 0);
  };
  for (int i = 0; i < 300000; ++i) {
    auto bits = static_cast<std::uint32_t>(rng.next()) & 0x7fffffffu;
    if (i % 4 == 0) bits &= 0xffff8000u;  // ties of bf16
    const float x = std::bit_cast<float>(bits);
    if (!is_finite(x)) continue;
    const bf16 down{static_cast<std::uint16_t>(bits >> 16)},
        up{static_cast<std::uint16_t>(down.bits + 1)};
    if (is_finite(to_float(up))) {
      check(x, to_bf16(x), down, up);
      CHECK(to_bf16(-x).bits == (to_bf16(x).bits | 0x8000));
    }
  }
  for (std::uint16_t h = 0; h < 0x7bff; ++h) {  // between every two neighbours
    const f16 lower{h}, upper{static_cast<std::uint16_t>(h + 1)};
    const float a = to_float(lower), b = to_float(upper), middle = (a + b) / 2;
    for (const float x : {middle, std::nextafter(middle, 0.f), std::nextafter(middle, 1e9f), a,
                          std::nextafter(a, 1e9f)})
      check(x, to_f16(x), lower, upper);
  }
  CHECK(to_f16(65519.996f).bits == 0x7bff);
  CHECK(to_f16(65520.f).bits == 0x7c00);
  CHECK(to_f16(-1e20f).bits == 0xfc00);
  CHECK(to_f16(0x1p-25f).bits == 0);
  CHECK(to_f16(std::nextafter(0x1p-25f, 1.f)).bits == 1);
  CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(to_bf16(std::numeric_limits<float>::infinity()).bits == 0x7f80);
  CHECK(is_nan(to_float(to_bf16(std::bit_cast<float>(0x7f800001u)))));  // a NaN of low bits only
  CHECK(is_nan(to_float(to_f16(std::bit_cast<float>(0x7f800001u)))));
}

TEST_CASE("is_finite and is_nan") {
  CHECK(is_finite(0.f));
  CHECK(is_finite(std::numeric_limits<float>::max()));
  CHECK(!is_finite(std::numeric_limits<float>::infinity()));
  CHECK(!is_finite(std::numeric_limits<float>::quiet_NaN()));
  CHECK(is_nan(-std::numeric_limits<float>::quiet_NaN()));
  CHECK(!is_nan(-std::numeric_limits<float>::infinity()));
}

TEST_CASE("dtype names are those of safetensors files, each at its own place") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < dtype_table.size(); ++i) {
    CHECK(static_cast<std::size_t>(dtype_table[i].dtype) == i);
    CHECK(parse_dtype(dtype_table[i].name) == dtype_table[i].dtype);
    names.insert(dtype_table[i].name);
  }
  CHECK(names.size() == dtype_table.size());
  CHECK(to_string(DType::BF16) == "BF16");
  CHECK(bits_of(DType::F4) == 4);
  CHECK(bits_of(DType::F6_E2M3) == 6);
  CHECK(bits_of(DType::U8) == 8);
  CHECK(bits_of(DType::C64) == 64);
  CHECK(!parse_dtype("bf16"));
  CHECK(!parse_dtype(""));
  CHECK(!parse_dtype("BF16 "));
}
