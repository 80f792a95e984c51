// Views of rank 2 on a model's own memory.
#include "gov/model/xtensor.hpp"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace xtensor_test {

using namespace gov;
using namespace gov::test;

TEST_CASE("rows become a tensor of their shape, on the same memory") {
  std::vector<float> data(12);
  std::iota(data.begin(), data.end(), 0.0f);
  auto view = as_xtensor(Rows<float>(data.data(), 3, 4));
  CHECK(view.shape(0) == 3);
  CHECK(view.shape(1) == 4);
  CHECK(view(2, 1) == 9);
  const xt::xtensor<float, 1> sums = xt::sum(view, {1});
  CHECK(sums(1) == 22);
  view(0, 3) = 50;
  CHECK(data[3] == 50);
  xt::view(view, 2, xt::all()) = 0.0f;
  CHECK(data[11] == 0);
  const auto constant = as_xtensor(Rows<const float>(data.data(), 3, 4));
  CHECK(constant(0, 3) == 50);
  CHECK(as_xtensor(Rows<float>(data.data(), 0, 4)).size() == 0);
}

TEST_CASE("rows apart from each other are refused") {
  std::vector<float> data(12);
  const auto error = error_of([&] { as_xtensor(Rows<float>(data.data(), 3, 3, 4)); });
  REQUIRE(error);
  CHECK(error->code() == Errc::bad_argument);
  CHECK(error->found() == "a stride of 4 for 3");
}

}  // namespace xtensor_test
