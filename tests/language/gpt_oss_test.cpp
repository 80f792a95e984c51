#include "gov/language/gpt_oss.hpp"

#include <doctest/doctest.h>

using gov::GptOssConfig;

TEST_CASE("the defaults are the class's") {
  constexpr GptOssConfig c;
  CHECK(c.num_hidden_layers == 36);
  CHECK(c.num_local_experts == 128);
  CHECK(c.hidden_size == 2880);
  CHECK(c.num_attention_heads * c.head_dim == 4096);
  CHECK(c.rope_parameters.attention_scaling() == doctest::Approx(1.3465735902799727).epsilon(1e-15));
  CHECK_FALSE(c.rope_parameters.truncate);
  CHECK(c.problem() == "");
}

TEST_CASE("values that do not hold together") {
  CHECK(GptOssConfig{.num_attention_heads = 6, .num_key_value_heads = 4}.problem() != "");
  CHECK(GptOssConfig{.head_dim = 15}.problem() != "");
  CHECK(GptOssConfig{.num_local_experts = 2, .num_experts_per_tok = 3}.problem() != "");
  CHECK(GptOssConfig{.sliding_window = 0}.problem() != "");
  CHECK(GptOssConfig{.num_hidden_layers = 2, .sliding_window = 0, .layer_types = gov::LayerTypes("ff")}
            .problem() == "");
}

TEST_CASE("the window of a layer follows its type") {
  constexpr GptOssConfig c{.sliding_window = 5, .layer_types = gov::LayerTypes("fs")};
  CHECK(c.window(0) == 0);
  CHECK(c.window(1) == 5);
}
