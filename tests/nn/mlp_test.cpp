// The plain feed-forward layer against plain loops.
#include "gov/nn/mlp.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <class Layer, class T>
void check(const kernel::Kernels<T>& kernels, double bar) {
  CAPTURE(kernels.name);
  constexpr index_t rows = 5, hidden = 20;
  typename Layer::Params params;
  const auto memory = random_params(params, {Format::bf16, Format::bf16});
  const auto x32 = random_values(rows * hidden, 1);
  auto inner = naive_linear({x32.begin(), x32.end()}, params.up_proj.weight.view(),
                            params.up_proj.bias_values());
  for (double& v : inner) v *= 0.5 * std::erfc(-v * std::sqrt(0.5));  // exact gelu
  auto truth = naive_linear(inner, params.down_proj.weight.view(), params.down_proj.bias_values());
  for (double& value : truth) value += 0.5;
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  std::vector<T> x(x32.begin(), x32.end()), y(x.size(), T(0.5));
  NoObserver none;
  Layer::forward(context, params, Absent{}, Rows<const T>(x.data(), rows, hidden),
                 Rows<T>(y.data(), rows, hidden), none, 0);
  CHECK(relative_gap(y, truth) < bar);
}

TEST_CASE("exact gelu, with biases and without, turned in the checkpoint or not") {
  constexpr auto gelu = kernel::Activation::gelu;
  for (const auto* kernels : available_kernels()) {
    check<Mlp<20, 33, gelu, false>, float>(*kernels, 5e-6);
    check<Mlp<20, 48, gelu, true, true>, float>(*kernels, 5e-6);
  }
  check<Mlp<20, 33, gelu, true>, double>(*kernel::find_kernels<double>("scalar"), 1e-12);
}

TEST_CASE("turned weights have their shape in the checkpoint, and are [out, in] here") {
  Mlp<20, 48, kernel::Activation::gelu, true, true>::Params params;
  const auto list = parameter_list(params);
  REQUIRE(list.size() == 4);
  CHECK(list[0].name == "up_proj.weight");
  CHECK(list[0].is_turned);
  CHECK(list[0].shape == std::vector<index_t>{20, 48});
  CHECK(list[0].out == 48);
  CHECK_FALSE(list[1].is_turned);
}

}  // namespace
