#include "gov/nn/norm.hpp"

#include <doctest/doctest.h>

#include <atomic>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <class Norm, class T>
void check(const kernel::Kernels<T>& kernels, index_t width, index_t rows, double spread,
           double offset, double eps, double bar) {
  CAPTURE(kernels.name);
  CAPTURE(width);
  CAPTURE(rows);
  typename Norm::Params params;
  const auto memory = random_params(params);
  auto x32 = random_values(rows * width, 2, spread);
  for (auto& v : x32) v += static_cast<float>(offset);
  std::vector<T> x(x32.begin(), x32.end()), y(x.size());
  const float* bias = nullptr;
  constexpr bool centred = requires { params.bias; };
  if constexpr (requires { params.bias.values(); }) bias = params.bias.values();
  std::vector<float> gain(params.weight.values(), params.weight.values() + width);
  if constexpr (std::is_same_v<Norm, GemmaNorm<37>>)
    for (float& weight : gain) weight += 1;
  const auto truth = naive_norm({x32.begin(), x32.end()}, width, gain.data(), bias, eps, centred);
  ThreadPool pool(3);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  Norm::forward(context, params, eps, Rows<T>(x.data(), rows, width),
                Rows<T>(y.data(), rows, width));
  CHECK(relative_gap(y, truth) < bar);
  Norm::forward(context, params, eps, Rows<T>(x.data(), rows, width),
                Rows<T>(x.data(), rows, width));  // in place
  CHECK(std::equal(x.begin(), x.end(), y.begin()));
}

TEST_CASE("the norms, many rows and few, large and tiny values") {
  for (const auto* kernels : available_kernels()) {
    check<RmsNorm<64>>(*kernels, 64, 1, 1, 0, 1e-5, 2e-6);
    check<RmsNorm<37>>(*kernels, 37, 700, 3, 1, 1e-5, 2e-6);
    check<RmsNorm<2880>>(*kernels, 2880, 9, 100, 0, 1e-5, 2e-6);
    check<RmsNorm<64>>(*kernels, 64, 3, 1e-4, 0, 1e-5, 2e-6);  // eps decides
    check<GemmaNorm<37>>(*kernels, 37, 700, 3, 1, 1e-5, 2e-6);
    check<LayerNorm<64>>(*kernels, 64, 5, 1, 0, 1e-6, 2e-6);
    check<LayerNorm<37>>(*kernels, 37, 700, 1, 5, 1e-6, 1e-5);
    check<LayerNorm<48, false>>(*kernels, 48, 2, 1, 0, 1e-6, 2e-6);
    check<LayerNorm<64>>(*kernels, 64, 3, 1e-4, 0, 1e-6, 2e-5);
  }
  check<RmsNorm<37>>(*kernel::find_kernels<double>("scalar"), 37, 4, 1, 0, 1e-5, 1e-14);
  check<LayerNorm<37>>(*kernel::find_kernels<double>("scalar"), 37, 4, 1, 0, 1e-6, 1e-14);
}

TEST_CASE("each row is visited once, whatever the width") {
  ThreadPool pool(3);
  Arena arena;
  const Context<float> context{kernel::best_kernels<float>(), pool, arena};
  for (const index_t width : {0, 1, 8191, 8192, 100000})
    for (const index_t rows : {0, 1, 5, 100}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(rows));
      auto copy = context;
      for_each_row(copy, rows, width, [&](index_t i) { ++visits[static_cast<std::size_t>(i)]; });
      CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& v) { return v == 1; }));
    }
}

TEST_CASE("parameters") {
  static_assert(parameter_count<RmsNorm<5>> == 5);
  static_assert(parameter_count<LayerNorm<5>> == 10);
  static_assert(parameter_count<LayerNorm<5, false>> == 5);
  CHECK(true);
}

}  // namespace
