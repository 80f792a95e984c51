// GPT-2's config: the class's defaults, cross-checks, counts, names.
#include "gov/language/gpt2.hpp"

#include <doctest/doctest.h>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

static_assert([] {
  constexpr Gpt2Config c;
  return c.vocab_size == 50257 && c.n_positions == 1024 && c.n_embd == 768 && c.n_layer == 12 &&
         c.n_head == 12 && c.n_inner == 0 && c.layer_norm_epsilon == 1e-5 &&
         c.activation_function == kernel::Activation::gelu_tanh && c.scale_attn_weights &&
         !c.scale_attn_by_inverse_layer_idx && c.tie_word_embeddings && c.window(0) == 0 &&
         c.problem() == "";
}());
static_assert(parameter_count<Decoder<Gpt2Small>> == 124'439'808);  // tied
static_assert(geometry_of(Gpt2Config{}).intermediate_size == 3072);
static_assert(positions_are_geometry(Gpt2Config{}));

TEST_CASE("what does not hold together, or is not computed here, is said in a sentence") {
  CHECK(Gpt2Config{.n_head = 7}.problem().find("multiple of n_head") != std::string_view::npos);
  CHECK(Gpt2Config{.scale_attn_weights = false}.problem() != "");
  CHECK(Gpt2Config{.scale_attn_by_inverse_layer_idx = true}.problem() != "");
  CHECK(Gpt2Config{.add_cross_attention = true}.problem() != "");
}

TEST_CASE("parameters of one layer, with their shapes in a checkpoint") {
  Decoder<Gpt2Small>::Block::Params params;
  std::string text;
  for (const auto& p : parameter_list(params)) {
    text += p.name;
    for (const index_t extent : p.shape) text += " " + std::to_string(extent);
    text += "; ";
  }
  CHECK(text ==
        "input_layernorm.weight 768; input_layernorm.bias 768; "
        "self_attn.qkv_proj.weight 768 2304; self_attn.qkv_proj.bias 2304; "
        "self_attn.o_proj.weight 768 768; self_attn.o_proj.bias 768; "
        "post_attention_layernorm.weight 768; post_attention_layernorm.bias 768; "
        "mlp.up_proj.weight 768 3072; mlp.up_proj.bias 3072; "
        "mlp.down_proj.weight 3072 768; mlp.down_proj.bias 768; ");
}

}  // namespace
