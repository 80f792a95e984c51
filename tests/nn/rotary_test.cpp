// The angles of a call's tokens: from their places in their sequences, and for dynamic rotation
// from the length after the call.
#include "gov/nn/rotary.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"

namespace rotary_test {

using namespace gov;

struct Numbers {
  index_t hidden_size = 16, num_attention_heads = 2, max_position_embeddings = 10;
  index_t vocab_size = 1;
  RopeConfig rope_parameters{};
};
struct Yarn {
  static constexpr Numbers config{.rope_parameters = {.rope_type = RopeType::yarn,
                                                      .factor = 4,
                                                      .original_max_position_embeddings = 8}};
};
struct Dynamic {
  static constexpr Numbers config{
      .rope_parameters = {.rope_type = RopeType::dynamic, .rope_theta = 100, .factor = 2}};
};

struct Sequence {
  index_t so_far;
  index_t length() const { return so_far; }
};
struct Step {
  const Sequence* state;
  index_t rows, after;
  index_t length_after() const { return after; }
};

// cos of all tokens, then sin, [tokens, 4] each.
template <class C>
std::vector<float> angles(const std::vector<Step>& steps) {
  ThreadPool pool(1);
  Arena arena;
  const ArenaScope scope(arena);
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  index_t rows = 0;
  for (const auto& step : steps) rows += step.rows;
  const auto table = Rotary<C>::table();
  const auto found = Rotary<C>::place(context, Absent{}, table, steps, context.rows(rows, 16));
  REQUIRE(found.cos.rows == rows);
  REQUIRE(found.cos.cols == 4);
  std::vector<float> all(found.cos.data, found.cos.data + rows * 4);
  all.insert(all.end(), found.sin.data, found.sin.data + rows * 4);
  return all;
}

std::vector<float> expected(const std::vector<float>& frequencies, double scaling,
                            const std::vector<index_t>& positions) {
  std::vector<float> all(positions.size() * 8);
  for (std::size_t i = 0; i < positions.size(); ++i)
    rope_angles(frequencies, scaling, positions[i], &all[i * 4],
                all.data() + (positions.size() + i) * 4);
  return all;
}

TEST_CASE("each token's angles are those of its place in its own sequence") {
  const Sequence first{5}, second{0};
  const auto& rope = Yarn::config.rope_parameters;
  CHECK(angles<Yarn>({{&first, 3, 8}, {&second, 2, 2}}) ==
        expected(rope.inverse_frequencies(8), rope.attention_scaling(), {5, 6, 7, 0, 1}));
}

TEST_CASE("dynamic: plain up to the limit, beyond it for the length after the call") {
  const Sequence start{0}, later{6};
  const auto plain = RopeConfig{.rope_theta = 100}.inverse_frequencies(8);
  CHECK(angles<Dynamic>({{&start, 3, 3}}) == expected(plain, 1, {0, 1, 2}));
  CHECK(angles<Dynamic>({{&later, 4, 10}}) == expected(plain, 1, {6, 7, 8, 9}));
  // theta (2 * 15 / 10 - 1)^(8 / 6)
  const auto wide = RopeConfig{.rope_theta = 100 * std::pow(2.0, 8.0 / 6)}.inverse_frequencies(8);
  CHECK(wide != plain);
  CHECK(angles<Dynamic>({{&later, 2, 15}}) == expected(wide, 1, {6, 7}));
  // Each sequence has its own.
  auto both = expected(plain, 1, {0});
  const auto mixed = angles<Dynamic>({{&start, 1, 10}, {&later, 1, 15}});
  CHECK(std::equal(mixed.begin(), mixed.begin() + 4, both.begin()));
  both = expected(wide, 1, {6});
  CHECK(std::equal(mixed.begin() + 4, mixed.begin() + 8, both.begin()));
}

TEST_CASE("a head is turned by its token's angles") {
  const std::vector<float> cos{1, 1, 0, 0.5f}, sin{0, 0, 1, 0.25f};
  const RotaryAngles<float> found{Rows<const float>(cos.data(), 2, 2),
                                  Rows<const float>(sin.data(), 2, 2)};
  ThreadPool pool(1);
  Arena arena;
  const Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8};
  found.turn(context, 1, x.data(), 2);
  CHECK(x == std::vector<float>{-3, 0, 1, 2.5f, -7, 1, 5, 5.5f});
}

}  // namespace rotary_test
