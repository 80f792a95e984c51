// The adapter's projection against plain loops, with its token and without.
#include "gov/projector/pool_token_projector.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <bool HasPoolToken, class T>
void check(const kernel::Kernels<T>& kernels, double bar) {
  CAPTURE(kernels.name);
  using Projector = PoolTokenProjector<12, 20, HasPoolToken>;
  typename Projector::Params p;
  const auto memory = random_params(p);
  const auto x32 = random_values(5 * 12, 2, 0.01);  // small: the eps of 1e-5 shows
  constexpr index_t tokens = Projector::tokens(5);
  std::vector<T> x(x32.begin(), x32.end()), y(tokens * 20);
  std::vector<double> all(x32.begin(), x32.end());
  if constexpr (HasPoolToken)
    all.insert(all.begin(), p.pool_token.values(), p.pool_token.values() + 12);
  const auto normed = naive_norm(all, 12, p.norm.weight.values(), p.norm.bias.values(), 1e-5, true);
  const auto truth = naive_linear(normed, p.proj.weight.view(), p.proj.bias.values());
  const auto given = x;
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  Projector::forward(context, p, Rows<T>(x.data(), 5, 12), Rows<T>(y.data(), tokens, 20));
  CHECK(relative_gap(y, truth) < bar);
  CHECK(x == given);
}

TEST_CASE("the projection, with the pool token and without") {
  for (const auto* kernels : available_kernels()) {
    check<true>(*kernels, 5e-6);
    check<false>(*kernels, 5e-6);
  }
  const auto& exact = *kernel::find_kernels<double>("scalar");
  check<true>(exact, 1e-12);
  check<false>(exact, 1e-12);
}

TEST_CASE("tokens, counts and names") {
  using Real = PoolTokenProjector<1024, 2880>;
  static_assert(parameter_count<Real> == 2'955'072);
  static_assert(parameter_count<Real::Proj> == 2'952'000);  // without norm and token
  static_assert(parameter_count<PoolTokenProjector<1024, 2880, false>> == 2'954'048);
  static_assert(Real::tokens(257) == 258);
  static_assert(Real::tokens(0) == 0);  // no tower token, no image
  static_assert(PoolTokenProjector<1024, 2880, false>::tokens(256) == 256);
  PoolTokenProjector<4, 8>::Params params;
  std::string names;
  for (const auto& p : parameter_list(params)) names += p.name + " ";
  CHECK(names == "pool_token norm.weight norm.bias proj.weight proj.bias ");
  CHECK(parameter_list(params)[0].shape == std::vector<index_t>{1, 1, 4});
}

}  // namespace
