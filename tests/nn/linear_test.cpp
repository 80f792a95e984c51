#include "gov/nn/linear.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <index_t In, index_t Out, bool HasBias, class T>
void check(const kernel::Kernels<T>& kernels, Format format, index_t rows, double bar) {
  CAPTURE(kernels.name);
  CAPTURE(to_string(format));
  CAPTURE(rows);
  CAPTURE(Out);
  typename Linear<In, Out, HasBias>::Params params;
  const auto memory = random_params(params, {format, format});
  CHECK((params.bias_values() == nullptr) == !HasBias);
  const auto x32 = random_values(rows * In, 2);
  std::vector<T> x(x32.begin(), x32.end());
  const auto truth =
      naive_linear({x32.begin(), x32.end()}, params.weight.view(), params.bias_values());
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    Arena arena;
    Context<T> context{kernels, pool, arena};
    std::vector<T> y(truth.size(), T(7));
    const Rows<T> to(y.data(), rows, Out);
    Linear<In, Out, HasBias>::forward(context, params, Rows<T>(x.data(), rows, In), to);
    CHECK(relative_gap(y, truth) < bar);
    const auto once = y;
    Linear<In, Out, HasBias>::forward(context, params, Rows<T>(x.data(), rows, In), to, true);
    bool doubled = true;
    for (std::size_t i = 0; i < y.size(); ++i)
      doubled =
          doubled && std::abs(static_cast<double>(y[i]) - 2 * static_cast<double>(once[i])) < 1e-4;
    CHECK(doubled);
  }
}

TEST_CASE("y = x W^T + b, small and shared out, with and without bias, in every format") {
  for (const Format format : all_formats)
    for (const auto* kernels : available_kernels()) {
      check<64, 96, true>(*kernels, format, 1, 3e-6);
      check<64, 200, false>(*kernels, format, 5, 3e-6);
      check<32, 130, true>(*kernels, format, 300, 3e-6);  // tiles of 128 rows and 64 columns
    }
  for (const auto* kernels : available_kernels())
    check<37, 19, true>(*kernels, Format::f32, 3, 3e-6);
  check<37, 190, true>(*kernel::find_kernels<double>("scalar"), Format::bf16, 130, 1e-13);
}

TEST_CASE("the same bits for any threads and any number of rows") {
  Linear<64, 200>::Params params;
  const auto memory = random_params(params, {Format::bf16, Format::bf16});
  auto x = random_values(150 * 64, 2);
  for (const auto* kernels : invariant_kernels()) {
    CAPTURE(kernels->name);
    const auto run = [&](int threads, index_t first, index_t rows) {
      ThreadPool pool(threads);
      Arena arena;
      Context<float> context{*kernels, pool, arena};
      std::vector<float> y(static_cast<std::size_t>(rows * 200));
      Linear<64, 200>::forward(context, params, Rows<float>(x.data() + first * 64, rows, 64),
                               Rows<float>(y.data(), rows, 200));
      return y;
    };
    const auto all = run(1, 0, 150);
    CHECK(run(2, 0, 150) == all);
    CHECK(run(7, 0, 150) == all);
    for (const index_t row : {0, 1, 127, 128, 149}) {
      const auto one = run(2, row, 1);
      CHECK(std::equal(one.begin(), one.end(), all.begin() + row * 200));
    }
  }
}

TEST_CASE("parameters: names, shapes, count") {
  static_assert(parameter_count<Linear<3, 5>> == 20);
  static_assert(parameter_count<Linear<3, 5, false>> == 15);
  Linear<3, 5>::Params params;
  const auto list = parameter_list(params);
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "weight");
  CHECK(list[0].shape == std::vector<index_t>{5, 3});
  CHECK(list[1].name == "bias");
  CHECK(list[1].shape == std::vector<index_t>{5});
}

}  // namespace
