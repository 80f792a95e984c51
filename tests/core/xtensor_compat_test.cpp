#include "gov/core/xtensor_compat.hpp"

#include <doctest/doctest.h>

#include <xtensor/xpad.hpp>

#include <cmath>
#include <numeric>
#include <span>
#include <vector>

namespace gov {
namespace {

std::vector<float> counting(std::size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

TEST_CASE("as_xtensor is a view in row-major order") {
  std::vector<float> data = counting(24);
  auto view = as_xtensor(data.data(), 2, 3, 4);
  static_assert(std::is_same_v<decltype(view), XtensorView<float, 3>>);
  CHECK(view.shape()[0] == 2);
  CHECK(view.shape()[2] == 4);
  CHECK(view(1, 2, 3) == 23);
  CHECK(view(1, 0, 2) == 14);
  view(0, 1, 1) = -7;
  CHECK(data[5] == -7);
  xt::view(view, 1, xt::all(), 0) = 100;
  CHECK(data[12] == 100);
  CHECK(data[16] == 100);
  CHECK(data[13] == 13);

  const std::vector<float>& constant = data;
  const auto reading = as_xtensor(constant, 4, 6);
  CHECK(&reading(3, 5) == &constant[23]);
  xt::xtensor<float, 1> sums =
      xt::sum(as_xtensor(constant, 4, 6), {1}, xt::evaluation_strategy::immediate);
  CHECK(sums(0) == doctest::Approx(0 + 1 + 2 + 3 + 4 - 7));
}

TEST_CASE("as_xtensor checks its shape") {
  std::vector<float> data(6);
  CHECK_THROWS_AS(as_xtensor(data.data(), -1, 6), Error);
  CHECK_THROWS_AS(as_xtensor(data, 2, 4), Error);
  CHECK_THROWS_AS(as_xtensor(data.data(), index_t{1} << 40, index_t{1} << 40), Error);
  CHECK(as_xtensor(data.data(), 0, 6).size() == 0);
  CHECK_THROWS_AS(as_xtensor(std::span<const float>(data), 7), Error);
  CHECK(as_xtensor(std::span<const float>(data), 3, 2).shape()[0] == 3);
}

// What goes wrong in xtensor 0.24 under C++20 without the specialisations.
TEST_CASE("a dynamic shape is not a fixed rank") {
  using Shape = xt::xarray<float>::shape_type;
  static_assert(
      std::is_same_v<xt::detail::xtype_for_shape<Shape>::type<float, xt::layout_type::row_major>,
                     xt::xarray<float>>);
  using Signed = xt::svector<std::ptrdiff_t, 4>;
  static_assert(
      std::is_same_v<xt::detail::xtype_for_shape<Signed>::type<float, xt::layout_type::row_major>,
                     xt::xarray<float>>);
  using Fixed = xt::xtensor<float, 3>::shape_type;
  static_assert(
      std::is_same_v<xt::detail::xtype_for_shape<Fixed>::type<float, xt::layout_type::row_major>,
                     xt::xtensor<float, 3>>);
}

TEST_CASE("reductions of xarray") {
  xt::xarray<double> a = xt::arange<double>(24);
  a.reshape({2, 3, 4});
  CHECK(xt::sum(a)() == 276);
  CHECK(xt::sum(a, xt::evaluation_strategy::immediate)() == 276);
  CHECK(xt::eval(xt::sum(a))() == 276);
  const xt::xarray<double> rows = xt::eval(xt::sum(a, {2}));
  CHECK(rows.dimension() == 2);
  CHECK(rows(1, 2) == 20 + 21 + 22 + 23);
  CHECK(xt::mean(a, xt::evaluation_strategy::immediate)() == 11.5);
  CHECK(xt::amax(a, xt::evaluation_strategy::immediate)() == 23);
  const xt::xarray<double> five = xt::ones<double>({1, 2, 1, 2, 3});
  CHECK(xt::sum(five, xt::evaluation_strategy::immediate)() == 12);
}

TEST_CASE("tile and pad of xarray") {
  const xt::xarray<int> a = {{1, 2}, {3, 4}};
  const xt::xarray<int> tiled = xt::tile(a, {2, 1});
  CHECK(tiled.shape()[0] == 4);
  CHECK(tiled(3, 1) == 4);
  const xt::xarray<int> padded = xt::pad(a, {{1, 0}, {0, 2}});
  CHECK(padded.shape()[0] == 3);
  CHECK(padded.shape()[1] == 4);
  CHECK(padded(0, 0) == 0);
  CHECK(padded(2, 1) == 4);
  CHECK(padded(2, 3) == 0);
}

TEST_CASE("eval of mixed expressions keeps the shape") {
  xt::xarray<double> a = xt::arange<double>(6);
  a.reshape({2, 3});
  const xt::xtensor<double, 1> b = {10, 20, 30};
  const xt::xarray<double> c = xt::eval(a + b);
  CHECK(c.dimension() == 2);
  CHECK(c(1, 2) == 35);
}

// The textbook softmax with a lazy keep_dims sum is wrong in every xtensor; these two forms are
// right.
TEST_CASE("softmax in the two right forms") {
  xt::xtensor<float, 2> logits = {{1, 2, 3, 4}, {0, 0, 0, 0}, {-1, 5, 2, -3}};
  const xt::xtensor<float, 2> e = xt::exp(logits);
  const xt::xtensor<float, 2> total =
      xt::sum(e, {1}, xt::keep_dims | xt::evaluation_strategy::immediate);
  const xt::xtensor<float, 2> first = e / total;
  const xt::xtensor<float, 1> flat = xt::sum(e, {1}, xt::evaluation_strategy::immediate);
  const xt::xtensor<float, 2> second = e / xt::view(flat, xt::all(), xt::newaxis());
  for (std::size_t i = 0; i < 3; ++i) {
    float sum = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      CHECK(first(i, j) == doctest::Approx(std::exp(logits(i, j)) / flat(i)));
      CHECK(second(i, j) == first(i, j));
      sum += first(i, j);
    }
    CHECK(sum == doctest::Approx(1));
  }
}

TEST_CASE("a span serves where a range adaptor would be ambiguous") {
  xt::xtensor<float, 1> values = {1, 2, 3};
  const std::span<const float> span(values.data(), values.size());
  CHECK(std::accumulate(span.begin(), span.end(), 0.0f) == 6);
}

}  // namespace
}  // namespace gov
