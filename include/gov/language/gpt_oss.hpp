// GPT-OSS (openai/gpt-oss; transformers: GptOssForCausalLM): pre-norm decoder, grouped-query
// attention with biases and sinks, sliding and full layers in turn, YaRN, and in each layer a
// mixture of experts. A new geometry is a struct that derives from GptOss and states what differs.
#pragma once

#include "gov/language/decoder.hpp"
#include "gov/nn/experts.hpp"

namespace gov {

// What no single key shows; the sentence says what must hold, "" if all does.
template <class C>
constexpr std::string_view gpt_oss_problem(const C& c) {
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    return "num_attention_heads must be a multiple of num_key_value_heads";
  if (c.head_dim % 2 != 0) return "head_dim must be even";
  if (c.num_experts_per_tok > c.num_local_experts)
    return "num_experts_per_tok must be at most num_local_experts";
  for (index_t layer = 0; layer < c.num_hidden_layers; ++layer)
    if (c.layer_types.is_sliding(layer) && c.sliding_window < 1)
      return "sliding_window must be at least 1 where layer_types has sliding layers";
  return "";
}

// config.json of model_type gpt_oss. The defaults are the class's, which are gpt-oss-120b's.
struct GptOssConfig {
  static constexpr std::string_view model_type = "gpt_oss";
  static constexpr std::string_view type = "gov::GptOssConfig", modules = "gov::GptOss";
  static constexpr std::string_view header = "gov/language/gpt_oss.hpp";
  static constexpr std::string_view architecture = "GptOssForCausalLM";
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 1> aliases{
      {{"num_local_experts", "num_experts"}}};

  index_t hidden_size = 2880, intermediate_size = 2880;
  index_t num_hidden_layers = 36;
  index_t num_attention_heads = 64, num_key_value_heads = 8, head_dim = 64;
  index_t num_local_experts = 128, num_experts_per_tok = 4;
  index_t vocab_size = 201088;
  index_t sliding_window = 128;
  index_t max_position_embeddings = 131072;
  double rms_norm_eps = 1e-5;
  double swiglu_limit = 7, swiglu_alpha = 1.702;
  bool attention_bias = true;
  bool tie_word_embeddings = false;
  RopeConfig rope_parameters{.rope_type = RopeType::yarn,
                             .rope_theta = 150000,
                             .factor = 32,
                             .truncate = false,
                             .original_max_position_embeddings = 4096};
  LayerTypes layer_types{};

  // Keys that a query at `layer` may look back on, itself included; 0 is all of them.
  constexpr index_t window(index_t layer) const {
    return layer_types.is_sliding(layer) ? sliding_window : 0;
  }
  friend constexpr bool operator==(const GptOssConfig&, const GptOssConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, Range{1, 1 << 12});
    v("head_dim", self.head_dim, Range{2, 1 << 12});
    v("num_local_experts", self.num_local_experts, Range{1, 1 << 12});
    v("num_experts_per_tok", self.num_experts_per_tok, Range{1, 64});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("sliding_window", self.sliding_window, OrNull{0, 1 << 30});
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("swiglu_limit", self.swiglu_limit, positive);
    v("swiglu_alpha", self.swiglu_alpha, any_number);
    v("attention_bias", self.attention_bias);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
    v("layer_types", self.layer_types, self.num_hidden_layers);
  }

  constexpr std::string_view problem() const { return gpt_oss_problem(*this); }
};

// The modules of GPT-OSS and its relatives; configs derive from it.
struct GptOss {
  static constexpr AttentionParts attention(const auto& config) {
    return {config.attention_bias, config.attention_bias, true, false};
  }
  static constexpr SwiGlu feed_forward(const auto& config) {
    return {config.swiglu_limit, config.swiglu_alpha};
  }
  template <class C>
  using Position = Rotary<C>;
  template <class C>
  using Norm = RmsNorm<C::config.hidden_size>;
  template <class C>
  using Attention = SelfAttention<C>;
  template <class C>
  using FeedForward = MixtureOfExperts<C::config.hidden_size, C::config.intermediate_size,
                                       C::config.num_local_experts, C::config.num_experts_per_tok>;
};

struct GptOss20b : GptOss {
  static constexpr std::string_view name = "GptOss20b";
  static constexpr GptOssConfig config{.num_hidden_layers = 24, .num_local_experts = 32};
};

struct GptOss120b : GptOss {
  static constexpr std::string_view name = "GptOss120b";
  static constexpr GptOssConfig config{};
};

// The same modules at a size for tests and examples.
struct TinyGptOss : GptOss {
  static constexpr std::string_view name = "TinyGptOss";
  static constexpr GptOssConfig config{.hidden_size = 64,
                                       .intermediate_size = 64,
                                       .num_hidden_layers = 2,
                                       .num_attention_heads = 4,
                                       .num_key_value_heads = 2,
                                       .head_dim = 32,
                                       .num_local_experts = 4,
                                       .num_experts_per_tok = 2,
                                       .vocab_size = 256,
                                       .sliding_window = 8,
                                       .max_position_embeddings = 2048,
                                       .rope_parameters = {.rope_type = RopeType::yarn,
                                                           .rope_theta = 150000,
                                                           .factor = 32,
                                                           .truncate = false,
                                                           .original_max_position_embeddings = 64}};
};

}  // namespace gov
