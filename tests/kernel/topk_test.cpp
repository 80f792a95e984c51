#include "gov/kernel/topk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "gov/core/rng.hpp"

namespace topk_test {

using namespace gov;
using kernel::top_k;

std::vector<int> chosen(const std::vector<float>& x, index_t k) {
  std::vector<int> out(static_cast<std::size_t>(k), -1);
  top_k(x.data(), static_cast<index_t>(x.size()), k, out.data());
  return out;
}
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

TEST_CASE("the largest first; of equal values the lower index first") {
  CHECK(chosen({1, 5, 3, 5, 2}, 3) == std::vector{1, 3, 2});
  CHECK(chosen({2, 2, 2, 2}, 3) == std::vector{0, 1, 2});
  CHECK(chosen({0.f, -0.f, 0.f}, 2) == std::vector{0, 1});
  CHECK(chosen({-1, -infinity, infinity}, 3) == std::vector{2, 0, 1});
  CHECK(chosen({4}, 1) == std::vector{0});
  CHECK(chosen({4, 1}, 0).empty());
  CHECK(chosen({}, 0).empty());
}

TEST_CASE("NaN counts as the largest, wherever it stands") {
  CHECK(chosen({1, quiet_nan, infinity}, 2) == std::vector{1, 2});
  CHECK(chosen({quiet_nan, 9, quiet_nan, 3}, 3) == std::vector{0, 2, 1});
  CHECK(chosen({1, 2, 3, quiet_nan}, 1) == std::vector{3});
}

TEST_CASE("top_k is the head of a stable descending sort") {
  Rng rng(5);
  for (const std::size_t n : {1u, 7u, 32u, 129u})
    for (int round = 0; round < 50; ++round) {
      std::vector<float> x(n);
      for (float& value : x) value = static_cast<float>(rng.next() % 9);
      std::vector<int> order(n);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
        return x[static_cast<std::size_t>(a)] > x[static_cast<std::size_t>(b)];
      });
      for (std::size_t k = 0; k <= std::min<std::size_t>(n, 8); ++k)
        REQUIRE(chosen(x, static_cast<index_t>(k)) ==
                std::vector<int>(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k)));
      const auto all = chosen(x, static_cast<index_t>(n));
      REQUIRE(all == order);
    }
}

}  // namespace topk_test
