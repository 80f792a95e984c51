// Choices in order of expert; the groups' products and their sums against loops over tokens.
#include "gov/nn/expert_groups.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

struct Weights {
  ExpertMatrix<4, 70, 24> w;
  Vector<4, 70> bias;
  template <class V, class N, class... P>
  static constexpr void visit(V&& v, const N& name, P&... p) {
    gov::visit(v, name / "w", p.w...);
    gov::visit(v, name / "bias", p.bias...);
  }
};

TEST_CASE("slots are in order of expert, then token, and know their choice") {
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  std::vector<index_t> chosen{2, 0, 0, 3, 2, 3};  // 3 tokens, 2 each; nobody takes expert 1
  const auto groups = ExpertGroups::of(context, Rows<index_t>(chosen.data(), 3, 2), 4);
  CHECK(groups.choices == 6);
  CHECK(std::vector<index_t>(groups.begin, groups.begin + 5) ==
        std::vector<index_t>{0, 2, 2, 4, 6});
  CHECK(std::vector<index_t>(groups.token, groups.token + 6) ==
        std::vector<index_t>{0, 1, 0, 2, 1, 2});
  CHECK(std::vector<index_t>(groups.place, groups.place + 6) ==
        std::vector<index_t>{2, 0, 1, 4, 3, 5});
}

// y of `tokens` tokens that choose 2 of 4 experts, by the groups.
std::vector<float> mixed(const kernel::Kernels<float>& kernels, const Weights& weights,
                         const std::vector<float>& x, std::vector<index_t> chosen,
                         std::vector<float> shares, bool with_bias, bool picked) {
  const auto tokens = static_cast<index_t>(chosen.size()) / 2;
  ThreadPool pool(2);
  Arena arena;
  Context<float> context{kernels, pool, arena};
  const auto groups = ExpertGroups::of(context, Rows<index_t>(chosen.data(), tokens, 2), 4);
  std::vector<float> gathered;  // as a second product finds its rows
  for (index_t i = 0; i < groups.choices; ++i)
    gathered.insert(gathered.end(), x.begin() + groups.token[i] * 24,
                    x.begin() + groups.token[i] * 24 + 24);
  const auto rows = context.rows(groups.choices, 70);
  groups.multiply(
      context, [&](index_t e) { return weights.w.view(e); },
      with_bias ? weights.bias.values() : nullptr,
      picked ? Rows<const float>(x.data(), tokens, 24)
             : Rows<const float>(gathered.data(), groups.choices, 24),
      picked ? groups.token : nullptr, rows);
  std::vector<float> y(static_cast<std::size_t>(tokens * 70), 0.25f);
  groups.combine(context, Rows<float>(shares.data(), tokens, 2), rows,
                 Rows<float>(y.data(), tokens, 70));
  return y;
}

TEST_CASE("products of all groups, with and without bias, and their weighted sums") {
  for (const Format format : {Format::f32, Format::bf16}) {
    Weights weights;
    const auto memory = random_params(weights, {format, format});
    for (const index_t tokens : {1, 3, 200}) {
      CAPTURE(tokens);
      const auto x = random_values(tokens * 24, 1), shares = random_values(tokens * 2, 2);
      std::vector<index_t> chosen;
      Rng rng(3);
      for (index_t t = 0; t < tokens; ++t) {
        const auto first = static_cast<index_t>(rng.next() % 4);
        chosen.push_back(first);
        chosen.push_back((first + 1 + static_cast<index_t>(rng.next() % 3)) % 4);
      }
      for (const bool with_bias : {true, false}) {
        std::vector<double> truth(static_cast<std::size_t>(tokens * 70), 0.25);
        for (index_t choice = 0; choice < tokens * 2; ++choice) {
          const index_t t = choice / 2, e = chosen[static_cast<std::size_t>(choice)];
          const auto row =
              naive_linear({x.begin() + t * 24, x.begin() + (t + 1) * 24}, weights.w.view(e),
                           with_bias ? weights.bias.values() + e * 70 : nullptr);
          for (std::size_t i = 0; i < 70; ++i)
            truth[static_cast<std::size_t>(t * 70) + i] +=
                row[i] * static_cast<double>(shares[static_cast<std::size_t>(choice)]);
        }
        for (const auto* kernels : available_kernels()) {
          const auto y = mixed(*kernels, weights, x, chosen, shares, with_bias, true);
          CHECK(relative_gap(y, truth) < 5e-6);
          CHECK(y == mixed(*kernels, weights, x, chosen, shares, with_bias, false));
        }
      }
    }
  }
}

}  // namespace
