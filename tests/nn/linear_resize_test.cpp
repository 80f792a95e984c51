// Interpolation against torch's numbers and against its own one-dimensional steps.
#include "gov/nn/linear_resize.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"

namespace {

using namespace gov;
using namespace gov::test;

std::vector<double> resized(const std::vector<double>& x, const TokenGrid& from,
                            const TokenGrid& to, index_t width) {
  std::vector<double> y(static_cast<std::size_t>(to.tokens() * width), -1);
  ThreadPool pool(2);
  Arena arena;
  Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
  resize_linear<double>(context, Rows<const double>(x.data(), from.tokens(), width), from, to,
                        Rows<double>(y.data(), to.tokens(), width));
  return y;
}

// torch.nn.functional.interpolate(torch.arange(n) ** 2, size, mode="linear").
TEST_CASE("along one axis, as torch") {
  const std::vector<double> squares{0, 1, 4, 9};
  const std::vector<std::vector<double>> expected{{2.5},
                                                  {0.5, 6.5},
                                                  {1.0 / 6, 2.5, 8 + 1.0 / 6},
                                                  {0, 1, 4, 9},
                                                  {0, 0.7, 2.5, 5.5, 9},
                                                  {0, 0.25, 0.75, 1.75, 3.25, 5.25, 7.75, 9}};
  const std::vector<index_t> sizes{1, 2, 3, 4, 5, 8};
  for (std::size_t i = 0; i < sizes.size(); ++i)
    for (int axis = 0; axis < 3; ++axis) {
      TokenGrid from, to;
      index_t TokenGrid::*const along[] = {&TokenGrid::frames, &TokenGrid::height,
                                           &TokenGrid::width};
      from.*along[axis] = 4, to.*along[axis] = sizes[i];
      CAPTURE(sizes[i]);
      CHECK(relative_gap(resized(squares, from, to, 1), expected[i]) < 1e-15);
    }
}

TEST_CASE("three axes are three steps of one") {
  const TokenGrid from{3, 5, 4}, to{2, 3, 7};
  const auto values = normal_values(from.tokens() * 2, 5);
  const std::vector<double> x(values.begin(), values.end());
  auto step = resized(x, from, {2, 5, 4}, 2);
  step = resized(step, {2, 5, 4}, {2, 3, 4}, 2);
  step = resized(step, {2, 3, 4}, to, 2);
  CHECK(relative_gap(resized(x, from, to, 2), step) < 1e-14);
}

TEST_CASE("equal grids are copied") {
  const auto values = normal_values(24, 5);
  const std::vector<double> x(values.begin(), values.end());
  CHECK(resized(x, {2, 3, 4}, {2, 3, 4}, 1) == x);
}

TEST_CASE("halves of an even grid are means of two") {
  for (index_t n : {2, 4, 16, 32})
    for (index_t i = 0; i < n / 2; ++i) {
      const LinearTaps taps = linear_taps(i, n, n / 2);
      CHECK(taps.first == 2 * i);
      CHECK(taps.second == 2 * i + 1);
      CHECK(taps.weight == 0.5);
    }
}

}  // namespace
