// Mistral's config: the class's defaults, windows, cross-checks, counts.
#include "gov/language/mistral.hpp"

#include <doctest/doctest.h>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

static_assert([] {
  constexpr MistralConfig c;
  return c.hidden_size == 4096 && c.intermediate_size == 14336 && c.num_hidden_layers == 32 &&
         c.num_attention_heads == 32 && c.num_key_value_heads == 8 && c.head_dim == 0 &&
         c.vocab_size == 32000 && c.sliding_window == 4096 && c.max_position_embeddings == 131072 &&
         c.rms_norm_eps == 1e-6 && !c.tie_word_embeddings && c.rope_parameters == RopeConfig{} &&
         c.problem() == "";
}());
static_assert(parameter_count<Decoder<Mistral7b>> == 7'241'732'096 - 32000 * 4096);

TEST_CASE("every layer slides, or none does") {
  for (const index_t window : {0, 1, 4096})
    for (const index_t layer : {0, 1, 31})
      CHECK(MistralConfig{.sliding_window = window}.window(layer) == window);
}

TEST_CASE("the same cross-checks as Llama's") {
  CHECK(MistralConfig{.num_attention_heads = 12}.problem() != "");
  CHECK(MistralConfig{.head_dim = 5}.problem() != "");
}

struct OwnHeads : Mistral {  // as wide as Nemo's: not hidden_size / num_attention_heads
  static constexpr MistralConfig config{.hidden_size = 10,
                                        .intermediate_size = 4,
                                        .num_hidden_layers = 1,
                                        .num_attention_heads = 4,
                                        .num_key_value_heads = 2,
                                        .head_dim = 6,
                                        .vocab_size = 3};
};
static_assert(parameter_count<Decoder<OwnHeads>::Attention> == 10 * (24 + 12 + 12 + 24));

}  // namespace
