#include "gov/kernel/scalar/norm.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/kernel_cases.hpp"

using namespace gov;
using namespace gov::test;

namespace {
constexpr index_t sizes[] = {1,  2,  7,  8,  9,   15,  16,  17,  31,  32,   33,  35,
                             63, 64, 65, 67, 127, 128, 131, 257, 509, 1024, 2880};
}

TEST_CASE("rms_norm and layer_norm agree with f64, in place or not, with or without bias") {
  for (const auto* kernels : available_kernels())
    for (const index_t n : sizes)
      for (const index_t shift : {0, 1}) {
        CAPTURE(kernels->name);
        CAPTURE(n);
        auto values = normal_values(n, 1);
        for (float& value : values) value += 3;
        const GuardedBuffer<float> x(values, shift), weight(normal_values(n, 2), shift),
            bias(normal_values(n, 3), shift);
        const std::vector<double> exact_x(values.begin(), values.end());
        std::vector<double> exact(static_cast<std::size_t>(n));
        GuardedBuffer<float> y(n, shift), same(values, shift);

        kernel::rms_norm(kernel::scalar{}, exact_x.data(), weight.data(), n, 1e-5, exact.data());
        kernels->rms_norm(x.data(), weight.data(), n, 1e-5, y.data());
        kernels->rms_norm(same.data(), weight.data(), n, 1e-5, same.data());
        REQUIRE(nmse(y, exact) <= 1e-12);
        REQUIRE(same_bits(y, same));
        REQUIRE(y.intact());

        for (const float* const b : {static_cast<const float*>(nullptr), bias.data()}) {
          kernel::layer_norm(kernel::scalar{}, exact_x.data(), weight.data(), b, n, 1e-6,
                             exact.data());
          kernels->layer_norm(x.data(), weight.data(), b, n, 1e-6, y.data());
          std::copy(values.begin(), values.end(), same.begin());
          kernels->layer_norm(same.data(), weight.data(), b, n, 1e-6, same.data());
          if (n > 2) REQUIRE(nmse(y, exact) <= 1e-11);  // of one value the variance is 0
          REQUIRE(same_bits(y, same));
          REQUIRE(y.intact());
        }
      }
}

TEST_CASE("layer_norm keeps a small variance beside a large mean") {
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    std::vector<float> x(1000), weight(1000, 1.f), y(1000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = i % 2 ? 1000.5f : 999.5f;
    kernels->layer_norm(x.data(), weight.data(), nullptr, 1000, 0, y.data());
    for (std::size_t i = 0; i < x.size(); ++i)
      REQUIRE(y[i] == doctest::Approx(i % 2 ? 1 : -1).epsilon(1e-4));
  }
}

TEST_CASE(
    "a NaN or Inf anywhere makes the whole row NaN or shows where it stands; zeros stay zero") {
  for (const auto* kernels : available_kernels())
    for (const index_t n : sizes) {
      CAPTURE(kernels->name);
      CAPTURE(n);
      const std::vector<float> weight(static_cast<std::size_t>(n), 1.f);
      for (const index_t at : {index_t{0}, n / 2, n - 1}) {
        for (const bool layer : {false, true})
          for (const float bad :
               {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
            auto x = normal_values(n, 1);
            x[static_cast<std::size_t>(at)] = bad;
            if (layer)
              kernels->layer_norm(x.data(), weight.data(), nullptr, n, 1e-5, x.data());
            else
              kernels->rms_norm(x.data(), weight.data(), n, 1e-5, x.data());
            REQUIRE(is_nan(x[static_cast<std::size_t>(at)]));
            if (is_nan(bad)) REQUIRE(is_nan(x[0]));
          }
      }
      std::vector<float> zeros(static_cast<std::size_t>(n), 0.f);
      kernels->rms_norm(zeros.data(), weight.data(), n, 1e-5, zeros.data());
      REQUIRE(zeros == std::vector<float>(static_cast<std::size_t>(n), 0.f));
      kernels->layer_norm(zeros.data(), weight.data(), nullptr, n, 1e-5, zeros.data());
      REQUIRE(zeros == std::vector<float>(static_cast<std::size_t>(n), 0.f));
    }
  for (const auto* kernels : available_kernels()) {
    kernels->rms_norm(nullptr, nullptr, 0, 1e-5, nullptr);
    kernels->layer_norm(nullptr, nullptr, nullptr, 0, 1e-5, nullptr);
  }
}
