// Mixtral's config: the class's defaults, cross-checks, names in a checkpoint, counts.
#include "gov/language/mixtral.hpp"

#include <doctest/doctest.h>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

static_assert([] {
  constexpr MixtralConfig c;
  return c.hidden_size == 4096 && c.intermediate_size == 14336 && c.num_hidden_layers == 32 &&
         c.num_attention_heads == 32 && c.num_key_value_heads == 8 && c.head_dim == 0 &&
         c.num_local_experts == 8 && c.num_experts_per_tok == 2 && c.vocab_size == 32000 &&
         c.sliding_window == 0 && c.max_position_embeddings == 131072 && c.rms_norm_eps == 1e-5 &&
         !c.tie_word_embeddings && c.rope_parameters.rope_theta == 1e6 && c.problem() == "";
}());
static_assert(parameter_count<Decoder<Mixtral8x7b>> == 46'702'792'704 - 32000 * 4096);
static_assert(geometry_of(MixtralConfig{}).num_experts == 8);

TEST_CASE("what does not hold together is said in a sentence") {
  CHECK(MixtralConfig{.num_local_experts = 2, .num_experts_per_tok = 3}.problem().find(
            "at most num_local_experts") != std::string_view::npos);
  CHECK(MixtralConfig{.num_attention_heads = 12}.problem() != "");
}

TEST_CASE("every layer slides, or none does") {
  CHECK(MixtralConfig{}.window(1) == 0);
  CHECK(MixtralConfig{.sliding_window = 9}.window(1) == 9);
}

}  // namespace
