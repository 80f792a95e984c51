#include "gov/kernel/backend.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/kernel_cases.hpp"

namespace matmul_test {

using namespace gov;
using namespace gov::test;
using kernel::Kernels;
using kernel::MatmulArgs;

constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<float> run(const Kernels<float>& kernels, const WeightView& w,
                       const std::vector<float>& x, const float* bias = nullptr) {
  const index_t rows = w.in == 0 ? 0 : static_cast<index_t>(x.size()) / w.in;
  std::vector<float> y(static_cast<std::size_t>(rows * w.out), 7.f);
  kernels.matmul({.x = {x.data(), rows, w.in},
                  .w = w,
                  .bias = bias,
                  .y = {y.data(), rows, w.out},
                  .first = 0,
                  .last = w.out});
  return y;
}

std::vector<double> exact(const GuardedWeight& w, const std::vector<float>& x, const float* bias) {
  const index_t in = w.view.in, out = w.view.out;
  const index_t rows = static_cast<index_t>(x.size()) / in;
  const auto weights = w.widened<double>();
  std::vector<double> y;
  for (index_t m = 0; m < rows; ++m)
    for (index_t n = 0; n < out; ++n) {
      double sum = bias ? static_cast<double>(bias[n]) : 0;
      for (index_t k = 0; k < in; ++k)
        sum += static_cast<double>(x[static_cast<std::size_t>(m * in + k)]) *
               weights[static_cast<std::size_t>(n * in + k)];
      y.push_back(sum);
    }
  return y;
}

bool fits(Format format, index_t in) { return !is_blocked(format) || in % block_size == 0; }

TEST_CASE("matmul agrees with f64 for every backend, format and odd size") {
  constexpr index_t depths[] = {1,  2,  7,  8,  9,   15,  16,  17,  19,  31,   32,  33,
                                35, 64, 96, 97, 131, 257, 320, 509, 544, 1031, 2880};
  constexpr index_t row_counts[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 70};
  for (const auto* kernels : available_kernels())
    for (const Format format : all_formats)
      for (const index_t in : depths) {
        if (!fits(format, in)) continue;
        const index_t out = in == 2880 ? 21 : in % 2 ? 19 : 6;
        const GuardedWeight w(format, out, in, 1, in % 3);
        const GuardedBuffer<float> bias(normal_values(out, 2));
        for (const index_t rows : row_counts) {
          CAPTURE(kernels->name);
          CAPTURE(to_string(format));
          CAPTURE(in);
          CAPTURE(rows);
          const auto values = normal_values(rows * in, 3);
          const GuardedBuffer<float> x(values);
          GuardedBuffer<float> y(rows * out);
          kernels->matmul({.x = {x.data(), rows, in},
                           .w = w.view,
                           .bias = bias.data(),
                           .y = {y.data(), rows, out},
                           .first = 0,
                           .last = out});
          REQUIRE(nmse(y, exact(w, values, bias.data())) <= 1e-12);
          REQUIRE(y.intact());
        }
      }
}

TEST_CASE("a row's bits do not depend on the other rows, the columns asked for, or the format") {
  constexpr index_t depths[] = {1, 17, 96, 131, 320, 1031, 1056, 2880};
  for (const auto* kernels : invariant_kernels())
    for (const Format format : all_formats)
      for (const index_t in : depths) {
        if (!fits(format, in)) continue;
        CAPTURE(kernels->name);
        CAPTURE(to_string(format));
        CAPTURE(in);
        const index_t out = 23, rows = 75;
        const GuardedWeight w(format, out, in, 4);
        const auto x = normal_values(rows * in, 5), bias = normal_values(out, 6);
        const auto y = run(*kernels, w.view, x, bias.data());

        const auto widened = w.widened<float>();
        const WeightView as_f32{Format::f32, reinterpret_cast<const std::byte*>(widened.data()),
                                nullptr, out, in};
        REQUIRE(same_bits(run(*kernels, as_f32, x, bias.data()), y));

        for (const index_t count : {1, 2, 3, 4, 6, 13, 16, 29, 64}) {  // any cut of the rows
          std::vector<float> parts(y.size());
          for (index_t m = 0; m < rows; m += count) {
            const index_t part = std::min(count, rows - m);
            kernels->matmul({.x = {x.data() + m * in, part, in},
                             .w = w.view,
                             .bias = bias.data(),
                             .y = {parts.data() + m * out, part, out},
                             .first = 0,
                             .last = out});
          }
          REQUIRE(same_bits(parts, y));
        }
        for (const index_t count : {1, 5, 16, 22}) {  // any cut of the columns
          std::vector<float> parts(y.size());
          for (index_t n = 0; n < out; n += count)
            kernels->matmul({.x = {x.data(), rows, in},
                             .w = w.view,
                             .bias = bias.data(),
                             .y = {parts.data(), rows, out},
                             .first = n,
                             .last = std::min(out, n + count)});
          REQUIRE(same_bits(parts, y));
        }
      }
}

TEST_CASE("matmul accumulates, and leaves columns outside [first, last) and strides alone") {
  for (const auto* kernels : available_kernels())
    for (const index_t rows : {1, 2, 9}) {
      CAPTURE(kernels->name);
      CAPTURE(rows);
      const index_t in = 37, out = 11, x_stride = 41, y_stride = 13;
      const GuardedWeight w(Format::f32, out, in, 7);
      const auto x = normal_values(rows * x_stride, 8), bias = normal_values(out, 9);
      const auto before = normal_values(rows * y_stride, 10);
      auto y = before;
      kernels->matmul({.x = {x.data(), rows, in, x_stride},
                       .w = w.view,
                       .bias = bias.data(),
                       .y = {y.data(), rows, out, y_stride},
                       .first = 2,
                       .last = 9,
                       .accumulate = true});
      for (index_t m = 0; m < rows; ++m) {
        const std::vector<float> row(x.begin() + m * x_stride, x.begin() + m * x_stride + in);
        const auto sums = exact(w, row, bias.data());
        for (index_t n = 0; n < y_stride; ++n) {
          const auto at = static_cast<std::size_t>(m * y_stride + n);
          if (n < 2 || n >= 9)
            REQUIRE(y[at] == before[at]);
          else
            REQUIRE(y[at] == doctest::Approx(static_cast<double>(before[at]) +
                                             sums[static_cast<std::size_t>(n)])
                                 .epsilon(1e-5));
        }
      }
    }
}

TEST_CASE("matmul of no rows, no columns or no inputs") {
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    const GuardedWeight w(Format::f32, 3, 5, 1);
    const auto x = normal_values(10, 2);
    std::vector<float> y(6, 7.f);
    kernels->matmul(
        {.x = {nullptr, 0, 5}, .w = w.view, .y = {nullptr, 0, 3}, .first = 0, .last = 3});
    kernels->matmul(
        {.x = {x.data(), 2, 5}, .w = w.view, .y = {y.data(), 2, 3}, .first = 1, .last = 1});
    CHECK(y == std::vector<float>(6, 7.f));
    const float bias[3] = {1, 2, 3};
    const WeightView empty{Format::f32, nullptr, nullptr, 3, 0};
    for (const index_t rows : {1, 2}) {
      kernels->matmul({.x = {nullptr, rows, 0},
                       .w = empty,
                       .bias = bias,
                       .y = {y.data(), rows, 3},
                       .first = 0,
                       .last = 3});
    }
    CHECK(y == std::vector<float>{1, 2, 3, 1, 2, 3});
  }
}

TEST_CASE("a NaN or Inf in an input or a weight shows in exactly the sums that it enters") {
  for (const auto* kernels : available_kernels())
    for (const index_t rows : {1, 2, 6})
      for (const index_t in : {1, 16, 33, 70})
        for (const float bad : {quiet_nan, infinity, -infinity}) {
          CAPTURE(kernels->name);
          CAPTURE(rows);
          CAPTURE(in);
          const index_t out = 6;
          const GuardedWeight w(Format::f32, out, in, 1);
          for (const index_t at : {index_t{0}, in / 2, in - 1}) {
            auto x = normal_values(rows * in, 2);
            x[static_cast<std::size_t>((rows - 1) * in + at)] = bad;
            const auto y = run(*kernels, w.view, x);
            for (index_t m = 0; m < rows; ++m)
              for (index_t n = 0; n < out; ++n)
                REQUIRE(is_finite(y[static_cast<std::size_t>(m * out + n)]) == (m < rows - 1));

            auto weights = w.widened<float>();
            weights[static_cast<std::size_t>(2 * in + at)] = bad;
            const WeightView planted{
                Format::f32, reinterpret_cast<const std::byte*>(weights.data()), nullptr, out, in};
            const auto z = run(*kernels, planted, normal_values(rows * in, 2));
            for (index_t m = 0; m < rows; ++m)
              for (index_t n = 0; n < out; ++n)
                REQUIRE(is_finite(z[static_cast<std::size_t>(m * out + n)]) == (n != 2));
          }
        }
}

TEST_CASE(
    "every stored value passes through matmul exactly: 65,536 bf16 and f16, q8, 4,096 mxfp4") {
  // One input is 1 and the others 0, so the product is the weight itself.
  const auto check = [](const Kernels<float>& kernels, const WeightView& w, index_t rows) {
    std::vector<float> expected(static_cast<std::size_t>(w.in)), row(expected.size());
    for (index_t n = 0; n < w.out; ++n) {
      kernel::widen_row(kernel::scalar{}, w, n, expected.data());
      kernels.widen_row(w, n, row.data());
      for (std::size_t k = 0; k < row.size(); ++k) {
        if (is_nan(expected[k]))
          REQUIRE(is_nan(row[k]));
        else
          REQUIRE(std::memcmp(&row[k], &expected[k], 4) == 0);
      }
    }
    for (index_t k = 0; k < w.in; ++k) {
      std::vector<float> x(static_cast<std::size_t>(rows * w.in));
      for (index_t m = 0; m < rows; ++m) x[static_cast<std::size_t>(m * w.in + k)] = 1;
      const auto y = run(kernels, w, x);
      for (index_t n = 0; n < w.out; ++n) {
        kernel::widen_row(kernel::scalar{}, w, n, expected.data());
        bool clean = true;
        for (const float value : expected) clean = clean && is_finite(value);
        for (index_t m = 0; m < rows && clean; ++m)
          REQUIRE(y[static_cast<std::size_t>(m * w.out + n)] ==
                  expected[static_cast<std::size_t>(k)]);
      }
    }
  };
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (const Format format : {Format::bf16, Format::f16}) {
      std::vector<std::uint16_t> all(65536);
      for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
      const WeightView w{format, reinterpret_cast<const std::byte*>(all.data()), nullptr, 2048, 32};
      check(*kernels, w, 1);
      check(*kernels, w, 5);
    }
    std::vector<std::byte> codes, scales;
    for (int s = 0; s < 256; ++s) {  // 255 is NaN in the format; here it shows as infinity
      for (int i = 0; i < 16; ++i)
        codes.push_back(static_cast<std::byte>((2 * i % 16) | (2 * i + 1) % 16 << 4));
      scales.push_back(static_cast<std::byte>(s));
    }
    for (int s = 0; s < 255; ++s) {
      const WeightView w{Format::mxfp4, codes.data(), scales.data(), 256, 32};
      std::vector<float> row(32);
      kernels->widen_row(w, s, row.data());
      for (std::size_t i = 0; i < 32; ++i)
        REQUIRE(row[i] == static_cast<float>(std::ldexp(
                              static_cast<double>(kernel::fp4_values[i % 16]), s - 127)));
    }
    const WeightView w{Format::mxfp4, codes.data(), scales.data(), 256, 32};
    check(*kernels, w, 1);
    check(*kernels, w, 5);

    std::vector<std::byte> numbers, factors;
    for (int i = 0; i < 256; ++i) numbers.push_back(static_cast<std::byte>(i));
    for (int i = 0; i < 8; ++i) {
      const bf16 factor = to_bf16(0.37f * static_cast<float>(i + 1));
      factors.resize(factors.size() + 2);
      std::memcpy(factors.data() + factors.size() - 2, &factor, 2);
    }
    const WeightView q8{Format::q8, numbers.data(), factors.data(), 8, 32};
    check(*kernels, q8, 1);
    check(*kernels, q8, 5);
  }
}

}  // namespace matmul_test
