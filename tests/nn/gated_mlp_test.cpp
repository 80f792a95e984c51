// The gated feed-forward layer against plain loops.
#include "gov/nn/gated_mlp.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using kernel::Activation;

double activated(Activation activation, double x) {
  if (activation == Activation::silu) return x / (1 + std::exp(-x));
  const double inner = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

template <class Mlp, class T>
void check(const kernel::Kernels<T>& kernels, Activation activation, double bar) {
  CAPTURE(kernels.name);
  constexpr index_t rows = 5, hidden = 20;
  typename Mlp::Params params;
  const auto memory = random_params(params, {Format::bf16, Format::bf16});
  const auto x32 = random_values(rows * hidden, 1);
  const std::vector<double> wide(x32.begin(), x32.end());
  const auto gate =
      naive_linear(wide, params.gate_proj.weight.view(), params.gate_proj.bias_values());
  auto up = naive_linear(wide, params.up_proj.weight.view(), params.up_proj.bias_values());
  for (std::size_t i = 0; i < up.size(); ++i) up[i] *= activated(activation, gate[i]);
  auto truth = naive_linear(up, params.down_proj.weight.view(), params.down_proj.bias_values());
  for (double& value : truth) value += 0.5;
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  std::vector<T> x(x32.begin(), x32.end()), y(x.size(), T(0.5));
  NoObserver none;
  Mlp::forward(context, params, Absent{}, Rows<const T>(x.data(), rows, hidden),
               Rows<T>(y.data(), rows, hidden), none, 0);
  CHECK(relative_gap(y, truth) < bar);
}

template <class Mlp>
void check_all(Activation activation) {
  for (const auto* kernels : available_kernels()) check<Mlp, float>(*kernels, activation, 5e-6);
  check<Mlp, double>(*kernel::find_kernels<double>("scalar"), activation, 1e-12);
}

TEST_CASE("silu without biases, gelu by tanh with them") {
  check_all<GatedMlp<20, 33, Activation::silu>>(Activation::silu);
  check_all<GatedMlp<20, 48, Activation::gelu_tanh, true>>(Activation::gelu_tanh);
}

TEST_CASE("names and counts") {
  GatedMlp<20, 33, Activation::silu>::Params params;
  std::string names;
  for (const auto& p : parameter_list(params)) names += p.name + " ";
  CHECK(names == "gate_proj.weight up_proj.weight down_proj.weight ");
  static_assert(parameter_count<GatedMlp<20, 33, Activation::silu>> == 3 * 20 * 33);
  static_assert(parameter_count<GatedMlp<20, 33, Activation::silu, true>> ==
                3 * 20 * 33 + 2 * 33 + 20);
}

}  // namespace
