// A token's row of the table is added for its place in its own sequence.
#include "gov/nn/learned_positions.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/random_params.hpp"

namespace learned_positions_test {

using namespace gov;

struct Numbers {
  index_t n_embd = 3, n_head = 1, n_layer = 1, n_positions = 6, vocab_size = 1;
};
struct Config {
  static constexpr Numbers config{};
};
struct Sequence {
  index_t so_far;
  index_t length() const { return so_far; }
};
struct Step {
  const Sequence* state;
  index_t rows;
};

TEST_CASE("two sequences, one further on than the other") {
  using Positions = LearnedPositions<Config>;
  Positions::Params params;
  static_assert(parameter_count<Positions> == 18);
  const auto memory = test::random_params(params);
  const Sequence first{4}, second{0};
  const std::vector<Step> steps{{&first, 2}, {&second, 1}};
  std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9}, expected = x;
  const index_t places[] = {4, 5, 0};
  for (std::size_t t = 0; t < 3; ++t)
    for (std::size_t c = 0; c < 3; ++c)
      expected[t * 3 + c] += params.weight.values()[static_cast<std::size_t>(places[t]) * 3 + c];
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  Positions::place(context, params, Positions::table(), steps, Rows<float>(x.data(), 3, 3));
  CHECK(x == expected);
}

}  // namespace learned_positions_test
