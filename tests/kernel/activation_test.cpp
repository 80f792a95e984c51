#include "gov/kernel/scalar/activation.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/kernel_cases.hpp"

namespace activation_test {

using namespace gov;
using namespace gov::test;
using kernel::Activation;

constexpr Activation activations[] = {Activation::gelu, Activation::gelu_tanh,
                                      Activation::quick_gelu, Activation::silu, Activation::relu};
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// Every 997th f32 of either sign below 2^12, zeros and subnormals included.
std::vector<float> sweep() {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0x45800000u; bits += 997)
    for (const std::uint32_t sign : {0u, 0x80000000u})
      values.push_back(std::bit_cast<float>(bits | sign));
  return values;
}

GOV_TARGET_AVX2 void exp_avx2(float* x, index_t n) {
  for (index_t i = 0; i < n; i += 8)
    _mm256_storeu_ps(x + i, kernel::on_avx2::exp(_mm256_loadu_ps(x + i)));
}

GOV_TARGET_AVX512 void exp_avx512(float* x, index_t n) {
  for (index_t i = 0; i < n; i += 16)
    _mm512_storeu_ps(x + i, kernel::on_avx512::exp(_mm512_loadu_ps(x + i)));
}

TEST_CASE("activations over a sweep of f32: error below 1.5e-7 of |x|, and 2e-6 of the value") {
  const auto x = sweep();
  for (const auto* kernels : available_kernels())
    for (const Activation activation : activations) {
      CAPTURE(kernels->name);
      CAPTURE(static_cast<int>(activation));
      auto y = x;
      kernels->activate(activation, y.data(), static_cast<index_t>(y.size()));
      double worst = 0, worst_relative = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double exact = kernel::activation_value(activation, static_cast<double>(x[i]));
        const double error = std::abs(static_cast<double>(y[i]) - exact);
        worst = std::max(worst, error / std::max(std::abs(static_cast<double>(x[i])), 1e-30));
        // Far from 0 the exponent's own rounding shows: relative to the value, errors grow with
        // |x|. Values below 1e-30 are left out.
        if (std::abs(exact) > 1e-30)
          worst_relative = std::max(
              worst_relative, error / std::abs(exact) / (1 + std::abs(static_cast<double>(x[i]))));
      }
      MESSAGE(kernels->name, " activation ", static_cast<int>(activation), ": ", worst, " of |x|, ",
              worst_relative, " of the value");
      CHECK(worst <= (activation == Activation::gelu ? 1e-7 : 1.5e-7));
      CHECK(worst_relative <= 2e-6);
    }
}

TEST_CASE("the vector exp is within 2 ulp of f64 from -104 to 89, subnormal results included") {
  const auto check = [](void (*exp_all)(float*, index_t)) {
    std::vector<float> x;
    for (double value = -104; value < 88.72; value += 0.00037)
      x.push_back(static_cast<float>(value));
    x.resize(x.size() / 16 * 16);
    auto y = x;
    exp_all(y.data(), static_cast<index_t>(y.size()));
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      const double ulp = std::ldexp(1.0, std::max(-149, std::ilogb(exact) - 23));
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) / ulp);
    }
    MESSAGE("worst error of exp: ", worst, " ulp");
    CHECK(worst <= 2);
    float edges[16] = {-infinity, -105.f, infinity, 88.73f, quiet_nan, 0.f, -0.f};
    exp_all(edges, 16);
    CHECK(edges[0] == 0.f);
    CHECK(edges[1] == 0.f);
    CHECK(edges[2] == infinity);
    CHECK(edges[3] == infinity);
    CHECK(is_nan(edges[4]));
    CHECK(edges[5] == 1.f);
    CHECK(edges[6] == 1.f);
  };
  if (kernel::avx2::available()) check(exp_avx2);
  if (kernel::avx512::available()) check(exp_avx512);
}

TEST_CASE("activations: tails, guard pages, a value's bits do not depend on its place") {
  for (const auto* kernels : available_kernels())
    for (const Activation activation : activations)
      for (const index_t n : {0, 1, 7, 8, 9, 15, 16, 17, 35, 67}) {
        CAPTURE(kernels->name);
        CAPTURE(n);
        const auto values = normal_values(n, 1, 3);
        GuardedBuffer<float> y(values, n % 2);
        kernels->activate(activation, y.data(), n);
        REQUIRE(y.intact());
        for (index_t i = 0; i < n; ++i) {
          float one = values[static_cast<std::size_t>(i)];
          kernels->activate(activation, &one, 1);
          REQUIRE(std::memcmp(&one, &y[i], 4) == 0);
        }
      }
}

TEST_CASE("activations let NaN through and reach their limits") {
  for (const auto* kernels : available_kernels())
    for (const Activation activation : activations) {
      CAPTURE(kernels->name);
      CAPTURE(static_cast<int>(activation));
      float x[] = {quiet_nan, infinity, 1e30f, -1e30f, 0.f, -100.f};
      kernels->activate(activation, x, 6);
      CHECK(is_nan(x[0]));
      CHECK(x[1] == infinity);
      CHECK(x[2] == 1e30f);
      CHECK(x[3] == 0.f);
      CHECK(x[4] == 0.f);
      CHECK(std::abs(x[5]) <= 1e-38f);
    }
}

TEST_CASE("swiglu_clamped agrees with f64, in place as well, clamps both sides and keeps NaN") {
  constexpr double limit = 7, alpha = 1.702;
  for (const auto* kernels : available_kernels())
    for (const index_t n : {0, 1, 7, 8, 9, 15, 16, 17, 35, 67, 720}) {
      CAPTURE(kernels->name);
      CAPTURE(n);
      const auto values = normal_values(2 * n, 1, 6);
      const std::vector<double> wide(values.begin(), values.end());
      std::vector<double> exact(static_cast<std::size_t>(n));
      kernel::swiglu_clamped(kernel::scalar{}, wide.data(), n, limit, alpha, exact.data());
      const GuardedBuffer<float> x(values);
      GuardedBuffer<float> y(n), same(values);
      kernels->swiglu_clamped(x.data(), n, limit, alpha, y.data());
      REQUIRE(nmse(y, exact) <= 1e-13);
      REQUIRE(y.intact());
      kernels->swiglu_clamped(same.data(), n, limit, alpha, same.data());
      REQUIRE(same.intact());
      REQUIRE(std::equal(y.begin(), y.end(), same.begin()));
      for (index_t i = 0; i < n; ++i)
        for (const index_t part : {0, 1}) {
          auto planted = values;
          planted[static_cast<std::size_t>(2 * i + part)] = quiet_nan;
          kernels->swiglu_clamped(planted.data(), n, limit, alpha, y.data());
          REQUIRE(is_nan(y[i]));
        }
    }
  for (const auto* kernels : available_kernels()) {
    const float gate_up[] = {1e9f, 1e9f, -1e9f, -1e9f, 2.f, -1e9f};
    float y[3];
    kernels->swiglu_clamped(gate_up, 3, limit, alpha, y);
    CHECK(y[0] == doctest::Approx(8 * 7 / (1 + std::exp(-alpha * 7))).epsilon(1e-6));
    CHECK(y[1] == 0.f);  // the gate has no lower clamp: sigmoid takes it to 0
    CHECK(y[2] == doctest::Approx(-6 * 2 / (1 + std::exp(-alpha * 2))).epsilon(1e-6));
  }
}

}  // namespace activation_test
