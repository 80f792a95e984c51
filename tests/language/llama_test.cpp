// Llama's config: the class's defaults, cross-checks, shapes and names.
#include "gov/language/llama.hpp"

#include <doctest/doctest.h>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

static_assert([] {
  constexpr LlamaConfig c;
  return c.hidden_size == 4096 && c.intermediate_size == 11008 && c.num_hidden_layers == 32 &&
         c.num_attention_heads == 32 && c.num_key_value_heads == 0 && c.head_dim == 0 &&
         c.vocab_size == 32000 && c.max_position_embeddings == 2048 && c.rms_norm_eps == 1e-6 &&
         !c.attention_bias && !c.mlp_bias && !c.tie_word_embeddings &&
         c.rope_parameters == RopeConfig{} && c.window(3) == 0 && c.problem() == "";
}());

TEST_CASE("what does not hold together is said in a sentence") {
  const auto says = [](const LlamaConfig& config, std::string_view part) {
    return config.problem().find(part) != std::string_view::npos;
  };
  CHECK(says({.num_attention_heads = 6, .num_key_value_heads = 4, .head_dim = 8},
             "multiple of num_key_value_heads"));
  CHECK(says({.num_attention_heads = 6}, "hidden_size must be a multiple"));
  CHECK(says({.head_dim = 63}, "head_dim must be even"));
  CHECK(says({.hidden_size = 32}, "head_dim must be even"));  // 1
  CHECK(LlamaConfig{.num_attention_heads = 6, .head_dim = 8}.problem() == "");
}

struct Biased : Llama {
  static constexpr LlamaConfig config{.hidden_size = 12,
                                      .intermediate_size = 20,
                                      .num_hidden_layers = 1,
                                      .num_attention_heads = 3,
                                      .num_key_value_heads = 1,
                                      .vocab_size = 7,
                                      .attention_bias = true,
                                      .mlp_bias = true};
};

TEST_CASE("names and shapes, with every bias there can be") {
  Decoder<Biased>::Params params;
  std::string text;
  for (const auto& p : parameter_list(params)) {
    text += p.name;
    for (const index_t extent : p.shape) text += " " + std::to_string(extent);
    text += "; ";
  }
  const std::string layer = "layers.0.";
  CHECK(text ==
        "embed_tokens.weight 7 12; layers.0.input_layernorm.weight 12; "
        "layers.0.self_attn.q_proj.weight 12 12; layers.0.self_attn.q_proj.bias 12; "
        "layers.0.self_attn.k_proj.weight 4 12; layers.0.self_attn.k_proj.bias 4; "
        "layers.0.self_attn.v_proj.weight 4 12; layers.0.self_attn.v_proj.bias 4; "
        "layers.0.self_attn.o_proj.weight 12 12; layers.0.self_attn.o_proj.bias 12; "
        "layers.0.post_attention_layernorm.weight 12; "
        "layers.0.mlp.gate_proj.weight 20 12; layers.0.mlp.gate_proj.bias 20; "
        "layers.0.mlp.up_proj.weight 20 12; layers.0.mlp.up_proj.bias 20; "
        "layers.0.mlp.down_proj.weight 12 20; layers.0.mlp.down_proj.bias 12; "
        "norm.weight 12; ");
}

static_assert(parameter_count<Decoder<Llama2_7b>> == 6'738'415'616 - 32000 * 4096);
static_assert(parameter_count<Decoder<Llama3_1_8b>> == parameter_count<Decoder<Llama3_8b>>);

}  // namespace
