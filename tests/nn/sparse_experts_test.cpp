// Mixtral's mixture against a loop over tokens and their experts in double.
#include "gov/nn/sparse_experts.hpp"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace sparse_experts_test {

using namespace gov;
using namespace gov::test;

constexpr index_t H = 32, I = 64, E = 5, K = 3;
using Mixture = SparseExperts<H, I, E, K, kernel::Activation::silu>;

struct Seen {
  std::map<std::string, std::vector<double>> rows;
  std::vector<index_t> chosen;
  template <class T>
  void on(const std::string& name, Rows<T> x) {
    rows[name].assign(x.data, x.data + x.rows * x.cols);
  }
  void on(const std::string& name, Rows<index_t> x) {
    CHECK(name == "router_indices.7");
    chosen.assign(x.data, x.data + x.rows * x.cols);
  }
};

template <class T>
void check(const kernel::Kernels<T>& kernels, Formats formats, index_t tokens, double bar) {
  CAPTURE(kernels.name);
  CAPTURE(std::string(to_string(formats.experts)));
  CAPTURE(tokens);
  Mixture::Params p;
  const auto memory = random_params(p, formats);
  const auto x32 = random_values(tokens * H, 1);
  const std::vector<double> wide(x32.begin(), x32.end());
  const auto logits = naive_linear(wide, p.router.weight.view(), nullptr);
  std::vector<double> truth(wide.size(), 0.5), weights;
  std::vector<index_t> chosen;
  for (index_t t = 0; t < tokens; ++t) {
    double all = 0, sum = 0;
    std::vector<std::pair<double, index_t>> shares;
    for (index_t e = 0; e < E; ++e) {
      shares.push_back({-std::exp(logits[static_cast<std::size_t>(t * E + e)]), e});
      all -= shares.back().first;
    }
    std::sort(shares.begin(), shares.end());
    for (std::size_t k = 0; k < K; ++k) sum += -shares[k].first / all;
    const std::vector<double> row(wide.begin() + t * H, wide.begin() + (t + 1) * H);
    for (std::size_t k = 0; k < K; ++k) {
      const double weight = -shares[k].first / all / sum;
      chosen.push_back(shares[k].second), weights.push_back(weight);
      const auto& expert = p.experts[static_cast<std::size_t>(shares[k].second)];
      const auto gate = naive_linear(row, expert.w1.weight.view(), nullptr);
      auto inner = naive_linear(row, expert.w3.weight.view(), nullptr);
      for (std::size_t i = 0; i < inner.size(); ++i) inner[i] *= gate[i] / (1 + std::exp(-gate[i]));
      const auto down = naive_linear(inner, expert.w2.weight.view(), nullptr);
      for (std::size_t i = 0; i < H; ++i)
        truth[static_cast<std::size_t>(t * H) + i] += weight * down[i];
    }
  }
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  std::vector<T> x(x32.begin(), x32.end()), y(x.size(), T(0.5));
  Seen seen;
  Mixture::forward(context, p, Absent{}, Rows<const T>(x.data(), tokens, H),
                   Rows<T>(y.data(), tokens, H), seen, 7);
  CHECK(relative_gap(y, truth) < bar);
  CHECK(relative_gap(seen.rows.at("router.7"), logits) < bar);
  CHECK(relative_gap(seen.rows.at("router_weights.7"), weights) < bar);
  CHECK(seen.chosen == chosen);
}

TEST_CASE("softmax over all, the top of it renormalised; few tokens and many, any format") {
  for (const index_t tokens : {1, 4, 150}) {
    for (const auto* kernels : available_kernels())
      for (const Format format : {Format::f32, Format::bf16, Format::mxfp4})
        check<float>(*kernels, {Format::bf16, format}, tokens, 1e-5);
    check<double>(*kernel::find_kernels<double>("scalar"), {}, tokens, 1e-12);
  }
}

TEST_CASE("each expert's weights are parameters of their own, and experts all the same") {
  Mixture::Params p;
  const auto list = parameter_list(p);
  REQUIRE(list.size() == 1 + 3 * E);
  CHECK(list[0].name == "router.weight");
  CHECK_FALSE(list[0].is_expert);
  CHECK(list[4].name == "experts.1.w1.weight");
  CHECK(list[5].name == "experts.1.w2.weight");
  CHECK(list[5].shape == std::vector<index_t>{H, I});
  for (std::size_t i = 1; i < list.size(); ++i) {
    CHECK(list[i].is_expert);
    CHECK_FALSE(list[i].is_stack());
    CHECK(list[i].experts == 1);
  }
  static_assert(parameter_count<Mixture> == E * H + E * 3 * H * I);
}

}  // namespace sparse_experts_test
