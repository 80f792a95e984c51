#include "gov/kernel/quantize.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"

using namespace gov;
using namespace gov::test;
using namespace gov::kernel;

namespace {

std::vector<float> decoded(Format format, const std::vector<float>& x,
                           QuantizeError* error = nullptr) {
  const auto n = static_cast<index_t>(x.size());
  GuardedBuffer<std::byte> data(row_bytes(format, n)), scales(scale_bytes(format, n));
  const QuantizeError found = quantize_row(format, x.data(), n, data.data(), scales.data());
  REQUIRE(data.intact());
  REQUIRE(scales.intact());
  if (error) *error = found;
  std::vector<float> y(x.size());
  kernel::widen_row(scalar{}, WeightView{format, data.data(), scales.data(), 1, n}, 0, y.data());
  REQUIRE(found.nmse() == doctest::Approx(nmse(y, x)));
  return y;
}

}  // namespace

TEST_CASE("to_fp4 picks the nearest of the sixteen values, the even code on a tie") {
  for (int i = -8000; i <= 8000; ++i) {
    const float x = static_cast<float>(i) / 1000;
    const float found = fp4_values[to_fp4(x)];
    float least = 99;
    for (const float value : fp4_values) least = std::min(least, std::abs(value - x));
    REQUIRE(std::abs(found - x) == least);
  }
  const float ties[] = {.25f, .75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.f};
  const float even[] = {0.f, 1.f, 1.f, 2.f, 2.f, 4.f, 4.f};
  for (std::size_t i = 0; i < 7; ++i) {
    CHECK(fp4_values[to_fp4(ties[i])] == even[i]);
    CHECK(fp4_values[to_fp4(-ties[i])] == -even[i]);
  }
  CHECK(fp4_values[to_fp4(1e30f)] == 6.f);
  CHECK(to_fp4(-0.f) == 0);
  CHECK(to_fp4(-.1f) == 0);
  for (std::uint8_t code = 0; code < 16; ++code)
    if (code != 8) CHECK(to_fp4(fp4_values[code]) == code);
}

TEST_CASE("what is on the mxfp4 grid comes back exactly, for every scale") {
  for (int s = 0; s < 255; ++s) {
    std::vector<float> x(32);
    bool finite = true;
    for (std::size_t i = 0; i < 32; ++i) {
      x[i] = fp4_values[i % 16] * e8m0_to_float(static_cast<std::uint8_t>(s));
      finite = finite && is_finite(x[i]);
    }
    if (finite)
      REQUIRE(decoded(Format::mxfp4, x) == x);
    else
      REQUIRE_THROWS_AS(to_mxfp4(x.data()), Error);
  }
}

TEST_CASE("the mxfp4 scale is the better of the standard's and the next") {
  std::vector<float> x(32, 0.f);
  x[0] = 6;  // floor(log2 6) - 2 = 0
  CHECK(to_mxfp4(x.data()).scale == 127);
  x[0] = 7.9f;  // 6 at scale 1 or 8 at scale 2
  CHECK(to_mxfp4(x.data()).scale == 128);
  for (std::size_t i = 1; i < 32; ++i) x[i] = i % 2 ? .5f : 1.5f;  // lost at the larger scale
  x[0] = 6.1f;
  CHECK(to_mxfp4(x.data()).scale == 127);
  const std::vector<float> zeros(32, 0.f);
  CHECK(decoded(Format::mxfp4, zeros) == zeros);
  const auto values = normal_values(32 * 500, 1);
  double ours = 0, standard = 0;
  for (std::size_t b = 0; b < values.size(); b += 32) {
    const float* const block = values.data() + b;
    const Mxfp4Block stored = to_mxfp4(block);
    const double scale = static_cast<double>(e8m0_to_float(stored.scale));
    const double plain = std::ldexp(1.0, std::ilogb(largest_magnitude(block, 32)) - 2);
    for (std::size_t i = 0; i < 32; ++i) {
      const double value = static_cast<double>(block[i]);
      const auto code = stored.codes[i / 2] >> (i % 2 ? 4 : 0) & 15;
      ours += std::pow(
          scale * static_cast<double>(fp4_values[static_cast<std::size_t>(code)]) - value, 2);
      standard += std::pow(
          plain * static_cast<double>(fp4_values[to_fp4(static_cast<float>(value / plain))]) -
              value,
          2);
    }
  }
  MESSAGE("mxfp4 squared error against the standard's scale: ", ours / standard);
  CHECK(ours < standard);
}

TEST_CASE("q8 codes stay within +-127 and every number within half a step") {
  for (const double deviation : {1e-38, 1e-20, 1.0, 1e30}) {
    const auto x = normal_values(32 * 200, 2, deviation);
    for (std::size_t b = 0; b < x.size(); b += 32) {
      const Q8Block block = to_q8(x.data() + b);
      const double scale = static_cast<double>(to_float(block.scale));
      for (std::size_t i = 0; i < 32; ++i) {
        REQUIRE(block.codes[i] >= -127);
        REQUIRE(std::abs(scale * block.codes[i] - static_cast<double>(x[b + i])) <=
                scale * 0.500001);
      }
    }
  }
  const std::vector<float> zeros(32, 0.f), tiny(32, 1e-45f);
  CHECK(decoded(Format::q8, zeros) == zeros);
  for (const float value : decoded(Format::q8, tiny)) CHECK(is_finite(value));
  std::vector<float> large(32, std::numeric_limits<float>::max());
  for (const float value : decoded(Format::q8, large))
    CHECK((is_finite(value) && value >= 0.98f * large[0]));
}

TEST_CASE("error statistics of normal numbers, per format") {
  const auto x = normal_values(32 * 1000, 3);
  const auto error = [&](Format format) {
    QuantizeError found;
    decoded(format, x, &found);
    MESSAGE(to_string(format), " NMSE of normal numbers: ", found.nmse());
    return found.nmse();
  };
  CHECK(error(Format::f32) == 0);
  CHECK(error(Format::bf16) < 3e-6);
  CHECK(error(Format::f16) < 5e-8);
  CHECK(error(Format::q8) < 6e-5);
  CHECK(error(Format::mxfp4) < 1.5e-2);
}

TEST_CASE("NaN and infinity have no code in the blocked formats and stay in the others") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> x(64, 1.f);
    x[40] = bad;
    std::byte data[256], scales[8];
    for (const Format format : {Format::q8, Format::mxfp4}) {
      CHECK(thrown([&] { quantize_row(format, x.data(), 64, data, scales); }).code() ==
            Errc::not_finite);
    }
    for (const Format format : {Format::bf16, Format::f16}) {
      quantize_row(format, x.data(), 64, data);
      float y[64];
      kernel::widen_row(scalar{}, WeightView{format, data, nullptr, 1, 64}, 0, y);
      CHECK(!is_finite(y[40]));
      CHECK(y[39] == 1.f);
    }
  }
}

namespace {

// Blocks of every kind: normal ones at all scales, on the grid, ties, subnormals, the largest.
std::vector<float> hard_values() {
  std::vector<float> x = normal_values(32 * 2000, 7);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t block = i / 32;
    x[i] *= std::ldexp(1.f, static_cast<int>(block % 250) - 125);
    if (block % 3 == 1) x[i] = to_float(to_bf16(x[i]));  // few bits: sums of squares that tie
  }
  for (int exponent = -149; exponent < 126; ++exponent)
    for (int i = 0; i < 32; ++i) {  // halves and quarters of steps, either sign
      const float unit = static_cast<float>(i * 17 % 29 - 14) / 4;
      x.push_back(unit * std::ldexp(1.f, exponent - 1));
    }
  for (const float value : {0.f, -0.f, 1e-45f, -1e-45f, std::numeric_limits<float>::max(),
                            -std::numeric_limits<float>::max(), std::ldexp(1.f, -126)})
    for (int i = 0; i < 32; ++i) x.push_back(i % 5 == 0 ? value : value / 3);
  return x;
}

}  // namespace

TEST_CASE("quantize_row stores the bits of the plain loops") {
  if (!avx2::available()) return;
  const std::vector<float> x = hard_values();
  for (const Format format : {Format::mxfp4, Format::q8, Format::bf16, Format::f16, Format::f32}) {
    CAPTURE(to_string(format));
    for (std::size_t first = 0; first < x.size(); first += 32) {
      const index_t n = is_blocked(format) ? 32 : 17 + static_cast<index_t>(first / 32 % 16);
      GuardedBuffer<std::byte> data(row_bytes(format, n)), scales(scale_bytes(format, n));
      std::byte plain[32 * 4]{}, plain_scales[2]{};
      const QuantizeError fast =
          quantize_row(avx2{}, format, x.data() + first, n, data.data(), scales.data());
      const QuantizeError truth =
          quantize_row(scalar{}, format, x.data() + first, n, plain, plain_scales);
      REQUIRE(data.intact());
      REQUIRE(scales.intact());
      REQUIRE(std::memcmp(data.data(), plain, static_cast<std::size_t>(row_bytes(format, n))) == 0);
      REQUIRE(std::memcmp(scales.data(), plain_scales,
                          static_cast<std::size_t>(scale_bytes(format, n))) == 0);
      if (is_finite(static_cast<float>(truth.error))) {
        REQUIRE(fast.error == doctest::Approx(truth.error));
        REQUIRE(fast.size == doctest::Approx(truth.size));
      }
    }
  }
}

TEST_CASE("NaN and infinity are stored by every tag alike") {
  if (!avx2::available()) return;
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(), 1e30f})
    for (const Format format : {Format::bf16, Format::f16}) {
      std::vector<float> x(64, 0.1f);
      x[5] = x[41] = bad;
      std::vector<std::byte> fast(256), plain(256);  // for f32, or g++ 12 warns
      quantize_row(avx2{}, format, x.data(), 64, fast.data(), nullptr);
      quantize_row(scalar{}, format, x.data(), 64, plain.data(), nullptr);
      CHECK(fast == plain);
    }
  std::vector<float> x(64, 1.f);
  x[40] = std::numeric_limits<float>::infinity();
  std::byte data[64], scales[4];
  for (const Format format : {Format::mxfp4, Format::q8})
    CHECK_THROWS_AS(quantize_row(scalar{}, format, x.data(), 64, data, scales), Error);
}
