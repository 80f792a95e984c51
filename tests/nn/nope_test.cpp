// Which layers have no positions, and that they alone are not turned.
#include "gov/nn/nope.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"

namespace nope_test {

using namespace gov;
using namespace gov::test;

std::vector<index_t> layers_of(const NopeLayers& nope, index_t layers) {
  std::vector<index_t> found;
  for (index_t layer = 0; layer < layers; ++layer)
    if (nope.contains(layer)) found.push_back(layer);
  return found;
}

TEST_CASE("by stride: the last layer of each run") {
  using List = std::vector<index_t>;
  CHECK(layers_of({.use_nope = true, .nope_stride = 4}, 24) == List{3, 7, 11, 15, 19, 23});
  CHECK(layers_of({.use_nope = true, .nope_stride = 4}, 36).size() == 9);
  CHECK(layers_of({.use_nope = true, .nope_stride = 2}, 5) == List{1, 3});
  CHECK(layers_of({.use_nope = true, .nope_stride = 1}, 3) == List{0, 1, 2});
  CHECK(layers_of({.use_nope = true, .nope_stride = 5}, 4).empty());
  CHECK(layers_of({.use_nope = true, .nope_stride = 0}, 9).empty());
  CHECK(layers_of({.nope_stride = 1}, 9).empty());  // use_nope is off
}

TEST_CASE("a list takes the stride's place, and use_nope is the switch of both") {
  NopeLayers nope{.use_nope = true, .nope_stride = 1, .no_rope_layers = RopeLayers("1011")};
  CHECK(layers_of(nope, 4) == std::vector<index_t>{1});
  nope.use_nope = false;
  CHECK(layers_of(nope, 4).empty());
  const index_t some[] = {0, 3, 200};
  CHECK(layers_of(NopeLayers::of(some), 256) == std::vector<index_t>{0, 3, 200});
  CHECK(layers_of(NopeLayers::of({}), 256).empty());
  for (const index_t beyond : {index_t{-1}, index_t{256}}) {
    const auto error = error_of([&] { NopeLayers::of({&beyond, 1}); });
    REQUIRE(error);
    CHECK(error->field() == "no_rope_layers");
    CHECK(error->found() == std::to_string(beyond));
  }
}

struct Numbers {
  index_t hidden_size = 16, num_attention_heads = 2, max_position_embeddings = 10, vocab_size = 1;
  RopeConfig rope_parameters{
      .rope_type = RopeType::yarn, .factor = 4, .original_max_position_embeddings = 8};
  constexpr NopeLayers nope() const { return {.use_nope = true, .nope_stride = 2}; }
};
struct Model {
  static constexpr Numbers config{};
};
struct Sequence {
  index_t length() const { return 3; }
};
struct Step {
  const Sequence* state;
  index_t rows;
};

TEST_CASE("angles are Rotary's; the table says for which layers, and may be changed") {
  ThreadPool pool(1);
  Arena arena;
  const ArenaScope scope(arena);
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  const Sequence sequence;
  const std::vector<Step> steps{{&sequence, 2}};
  auto table = RotaryOrNope<Model>::table();
  CHECK(table.nope == Model::config.nope());
  const auto x = context.rows(2, 16);
  const auto place = RotaryOrNope<Model>::place(context, Absent{}, table, steps, x);
  const auto plain = Rotary<Model>::place(context, Absent{}, Rotary<Model>::table(), steps, x);
  CHECK(std::equal(plain.cos.data, plain.cos.data + 8, place.cos.data));
  CHECK(std::equal(plain.sin.data, plain.sin.data + 8, place.sin.data));
  CHECK(place.turns(0));
  CHECK_FALSE(place.turns(1));
  table.nope.use_nope = false;
  CHECK(RotaryOrNope<Model>::place(context, Absent{}, table, steps, x).turns(1));
}

}  // namespace nope_test
