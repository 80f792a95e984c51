#include "gov/kernel/scalar/elementwise.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/kernel_cases.hpp"

using namespace gov;
using namespace gov::test;

TEST_CASE("rope rotates the halves of each head") {
  for (const auto* kernels : available_kernels())
    for (const index_t head_dim : {2, 6, 14, 16, 18, 32, 34, 64, 66, 128})
      for (const index_t heads : {0, 1, 3}) {
        CAPTURE(kernels->name);
        CAPTURE(head_dim);
        const index_t half = head_dim / 2;
        std::vector<float> c, s;
        for (index_t i = 0; i < half; ++i) {
          c.push_back(static_cast<float>(std::cos(0.3 * static_cast<double>(i + 1))));
          s.push_back(static_cast<float>(std::sin(0.3 * static_cast<double>(i + 1))));
        }
        const auto values = normal_values(heads * head_dim, 1);
        const GuardedBuffer<float> cos(c), sin(s);
        GuardedBuffer<float> x(values);
        kernels->rope(x.data(), heads, head_dim, cos.data(), sin.data());
        REQUIRE(x.intact());
        for (index_t h = 0; h < heads; ++h)
          for (index_t i = 0; i < half; ++i) {
            const auto at = static_cast<std::size_t>(h * head_dim + i);
            const auto j = static_cast<std::size_t>(i);
            const double a = static_cast<double>(values[at]);
            const double b = static_cast<double>(values[at + static_cast<std::size_t>(half)]);
            const double cosine = static_cast<double>(c[j]), sine = static_cast<double>(s[j]);
            REQUIRE(std::abs(static_cast<double>(x[h * head_dim + i]) - (a * cosine - b * sine)) <=
                    1e-6);
            REQUIRE(std::abs(static_cast<double>(x[h * head_dim + half + i]) -
                             (b * cosine + a * sine)) <= 1e-6);
          }
      }
}

TEST_CASE("axpy and scale_add: f64, tails, misaligned pointers, NaN") {
  for (const auto* kernels : available_kernels())
    for (const index_t n : {0, 1, 7, 8, 9, 15, 16, 17, 31, 35, 67, 131}) {
      CAPTURE(kernels->name);
      CAPTURE(n);
      const auto a = normal_values(n, 1), b = normal_values(n, 2), c = normal_values(n, 3);
      const GuardedBuffer<float> x(a, 1), scale(b);
      GuardedBuffer<float> y(c, 2), z(c);
      kernels->axpy(0.37f, x.data(), y.data(), n);
      kernels->scale_add(scale.data(), x.data(), z.data(), n);
      REQUIRE(y.intact());
      REQUIRE(z.intact());
      for (index_t i = 0; i < n; ++i) {
        const auto j = static_cast<std::size_t>(i);
        REQUIRE(static_cast<double>(y[i]) ==
                doctest::Approx(static_cast<double>(c[j]) +
                                static_cast<double>(0.37f) * static_cast<double>(a[j]))
                    .epsilon(1e-6));
        REQUIRE(static_cast<double>(z[i]) ==
                doctest::Approx(static_cast<double>(c[j]) +
                                static_cast<double>(b[j]) * static_cast<double>(a[j]))
                    .epsilon(1e-6));
      }
      if (n > 0) {
        auto planted = a;
        planted.back() = std::numeric_limits<float>::quiet_NaN();
        kernels->axpy(0.f, planted.data(), y.data(), n);
        REQUIRE(is_nan(y[n - 1]));
        if (n > 1) REQUIRE(!is_nan(y[n - 2]));
      }
    }
}
