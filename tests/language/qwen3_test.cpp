// Qwen3's config: the class's defaults, windows, head norms, counts.
#include "gov/language/qwen3.hpp"

#include <doctest/doctest.h>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

static_assert([] {
  constexpr Qwen3Config c;
  return c.hidden_size == 4096 && c.intermediate_size == 22016 && c.num_hidden_layers == 32 &&
         c.num_attention_heads == 32 && c.num_key_value_heads == 32 && c.head_dim == 128 &&
         c.vocab_size == 151936 && c.max_position_embeddings == 32768 && c.rms_norm_eps == 1e-6 &&
         !c.attention_bias && !c.use_sliding_window && c.sliding_window == 4096 &&
         c.max_window_layers == 28 && !c.tie_word_embeddings && c.problem() == "";
}());
static_assert(parameter_count<Decoder<Qwen3_0_6b>> == 596'049'920);  // tied

TEST_CASE("one norm for the heads of queries, one for keys") {
  Decoder<Qwen3_0_6b>::Attention::Params params;
  std::string names;
  for (const auto& p : parameter_list(params))
    if (p.name.find("norm") != p.name.npos) names += p.name + " " + std::to_string(p.size()) + "; ";
  CHECK(names == "q_norm.weight 128; k_norm.weight 128; ");
}

TEST_CASE("windows follow the same rule as Qwen2's") {
  constexpr Qwen3Config slides{
      .num_hidden_layers = 4, .use_sliding_window = true, .max_window_layers = 2};
  for (index_t layer = 0; layer < 4; ++layer) {
    CHECK(slides.window(layer) == (layer < 2 ? 0 : 4096));
    CHECK(Qwen3Config{}.window(layer) == 0);
  }
}

}  // namespace
