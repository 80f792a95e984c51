// One set of numbers whatever the family calls them.
#include "gov/nn/geometry.hpp"

#include <doctest/doctest.h>

namespace {

using namespace gov;

struct LikeLlama {
  index_t hidden_size = 48, intermediate_size = 100, num_hidden_layers = 3;
  index_t num_attention_heads = 6, num_key_value_heads = 0, head_dim = 0;
  index_t vocab_size = 50, max_position_embeddings = 77;
  double rms_norm_eps = 1e-3;
  RopeConfig rope_parameters{};
};
struct LikeGpt2 {
  index_t n_embd = 48, n_layer = 3, n_head = 6, n_inner = 0, n_positions = 77, vocab_size = 50;
  double layer_norm_epsilon = 1e-3;
};
struct LikeMpt {
  index_t d_model = 48, n_layers = 3, n_heads = 6, max_seq_len = 77, vocab_size = 50;
  double layer_norm_epsilon = 1e-3;
};
struct WithExperts : LikeLlama {
  index_t num_local_experts = 8, num_experts_per_tok = 2;
};
struct WithLayers {
  index_t hidden_size = 4, num_hidden_layers = 4, num_attention_heads = 1, sliding_window = 5;
  bool use_sliding_window = true;
  index_t max_window_layers = 3;
  LayerTypes layer_types = LayerTypes::by_rule();
  constexpr index_t window(index_t layer) const {
    return layer >= max_window_layers ? sliding_window : 0;
  }
};

constexpr bool same(const LanguageGeometry& g, index_t intermediate) {
  return g.hidden_size == 48 && g.num_hidden_layers == 3 && g.num_attention_heads == 6 &&
         g.num_key_value_heads == 6 && g.head_dim == 8 && g.vocab_size == 50 &&
         g.max_position_embeddings == 77 && g.norm_eps == 1e-3 &&
         g.intermediate_size == intermediate && g.num_experts == 1 && g.num_experts_per_tok == 1;
}
static_assert(same(geometry_of(LikeLlama{}), 100));
static_assert(same(geometry_of(LikeGpt2{}), 192));
static_assert(same(geometry_of(LikeGpt2{.n_inner = 100}), 100));
static_assert(same(geometry_of(LikeMpt{}), 192));
static_assert(geometry_of(WithExperts{}).num_experts == 8);
static_assert(geometry_of(WithExperts{}).num_experts_per_tok == 2);

TEST_CASE("what a file may leave out is settled") {
  LikeLlama config;
  CHECK(resolved(config).head_dim == 8);
  CHECK(resolved(config).num_key_value_heads == 6);
  config.head_dim = 20, config.num_key_value_heads = 2;
  CHECK(resolved(config).head_dim == 20);
  CHECK(resolved(config).num_key_value_heads == 2);
  CHECK(geometry_of(config).head_dim == 20);
  CHECK(geometry_of(config).num_key_value_heads == 2);
}

TEST_CASE("layer types by rule become a list") {
  const auto types = resolved(WithLayers{}).layer_types;
  CHECK(types.given);
  for (index_t layer = 0; layer < 4; ++layer) CHECK(types.is_sliding(layer) == (layer == 3));
  WithLayers told;
  told.layer_types = LayerTypes("sfff");
  CHECK(resolved(told).layer_types == told.layer_types);
  CHECK(resolved(told).max_window_layers == 3);
  told.use_sliding_window = false;
  CHECK(resolved(told).sliding_window == 0);
}

TEST_CASE("the number of positions: read, set, and whether it is geometry") {
  LikeGpt2 gpt2;
  position_limit(gpt2) = 5;
  CHECK(gpt2.n_positions == 5);
  CHECK(positions_are_geometry(gpt2));
  LikeMpt mpt;
  position_limit(mpt) = 6;
  CHECK(mpt.max_seq_len == 6);
  CHECK_FALSE(positions_are_geometry(mpt));
  LikeLlama llama;
  CHECK_FALSE(positions_are_geometry(llama));
  CHECK(longest_sequence(llama, 100) == 100);
  llama.rope_parameters = {.rope_type = RopeType::dynamic, .factor = 2.5};
  CHECK(positions_are_geometry(llama));
  CHECK(longest_sequence(llama, 100) == 250);
  llama.rope_parameters.factor = 0.5;
  CHECK(longest_sequence(llama, 100) == 100);
}

}  // namespace
