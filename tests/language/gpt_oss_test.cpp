// GPT-OSS's config: the class's defaults, windows, cross-checks, and the counts of the published
// sizes.
#include "gov/language/gpt_oss.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

TEST_CASE("the defaults are those of the class in transformers") {
  constexpr GptOssConfig c;
  static_assert(c.num_hidden_layers == 36 && c.num_local_experts == 128 &&
                c.num_experts_per_tok == 4);
  static_assert(c.hidden_size == 2880 && c.intermediate_size == 2880 && c.head_dim == 64);
  static_assert(c.num_attention_heads == 64 && c.num_key_value_heads == 8 &&
                c.sliding_window == 128);
  static_assert(c.vocab_size == 201088 && c.max_position_embeddings == 131072 &&
                c.rms_norm_eps == 1e-5);
  static_assert(c.attention_bias && !c.tie_word_embeddings && c.swiglu_limit == 7 &&
                c.swiglu_alpha == 1.702);
  static_assert(c.rope_parameters.rope_type == RopeType::yarn &&
                c.rope_parameters.rope_theta == 150000);
  static_assert(c.rope_parameters.factor == 32 && c.rope_parameters.beta_fast == 32 &&
                c.rope_parameters.beta_slow == 1);
  static_assert(!c.rope_parameters.truncate &&
                c.rope_parameters.original_max_position_embeddings == 4096);
  static_assert(c.problem() == "");
  for (index_t layer = 0; layer < 36; ++layer) CHECK(c.window(layer) == (layer % 2 == 0 ? 128 : 0));
}

TEST_CASE("what does not hold together is said in a sentence") {
  const auto says = [](const GptOssConfig& config, std::string_view part) {
    return config.problem().find(part) != std::string_view::npos;
  };
  CHECK(says({.num_attention_heads = 6, .num_key_value_heads = 4},
             "multiple of num_key_value_heads"));
  CHECK(says({.head_dim = 63}, "head_dim must be even"));
  CHECK(says({.num_local_experts = 3, .num_experts_per_tok = 4}, "at most num_local_experts"));
  CHECK(says({.sliding_window = 0}, "sliding_window must be at least 1"));
  CHECK(GptOssConfig{.num_hidden_layers = 2, .sliding_window = 0, .layer_types = LayerTypes("ff")}
            .problem() == "");
}

TEST_CASE("each key is listed once") {
  std::set<std::string> keys;
  GptOssConfig config;
  GptOssConfig::keys(config, [&](std::string_view key, auto&&...) {
    CHECK(keys.insert(std::string(key)).second);
  });
  CHECK(keys.size() == 18);
}

TEST_CASE("counts of the published models, layer by layer") {
  using Small = Decoder<GptOss20b>;
  using Large = Decoder<GptOss120b>;
  static_assert(parameter_count<Small::Block> == 823'186'976);
  static_assert(parameter_count<Large::Block> == 3'213'080'192);
  static_assert(parameter_count<Small> ==
                24 * index_t{823'186'976} + 201088 * index_t{2880} + 2880);
  // A token's share: what it multiplies with, all but the input embedding and the experts not
  // chosen.
  constexpr index_t expert = 2880 * 5760 + 5760 + 2880 * 2880 + 2880,
                    table = 201088 * index_t{2880};
  static_assert(24 * (823'186'976 - 28 * expert) + 2880 + table == 3'608'307'264);
  static_assert(36 * (3'213'080'192 - 124 * expert) + 2880 + table == 5'132'849'472);
  CHECK(true);
}

TEST_CASE("shapes of one layer as the checkpoint holds them") {
  Decoder<GptOss20b>::Block::Params params;
  std::map<std::string, std::vector<index_t>> shapes;
  for (const auto& p : parameter_list(params)) shapes[p.name] = p.shape;
  const std::map<std::string, std::vector<index_t>> expected{
      {"input_layernorm.weight", {2880}},
      {"post_attention_layernorm.weight", {2880}},
      {"self_attn.q_proj.weight", {4096, 2880}},
      {"self_attn.q_proj.bias", {4096}},
      {"self_attn.k_proj.weight", {512, 2880}},
      {"self_attn.k_proj.bias", {512}},
      {"self_attn.v_proj.weight", {512, 2880}},
      {"self_attn.v_proj.bias", {512}},
      {"self_attn.o_proj.weight", {2880, 4096}},
      {"self_attn.o_proj.bias", {2880}},
      {"self_attn.sinks", {64}},
      {"mlp.router.weight", {32, 2880}},
      {"mlp.router.bias", {32}},
      {"mlp.experts.gate_up_proj", {32, 2880, 5760}},
      {"mlp.experts.gate_up_proj_bias", {32, 5760}},
      {"mlp.experts.down_proj", {32, 2880, 2880}},
      {"mlp.experts.down_proj_bias", {32, 2880}}};
  CHECK(shapes == expected);
}

TEST_CASE("the feed-forward takes its limits from the config") {
  constexpr auto glu = GptOss::feed_forward(GptOssConfig{.swiglu_limit = 5, .swiglu_alpha = 2});
  static_assert(glu.limit == 5 && glu.alpha == 2);
  CHECK(true);
}

}  // namespace
