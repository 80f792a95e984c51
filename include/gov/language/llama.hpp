// Llama 2 and 3 (Touvron et al. 2023; transformers: LlamaForCausalLM): pre-norm decoder with RMS
// norms, rotary positions (llama3 stretching from 3.1 on), grouped-query attention and a gated
// feed-forward layer. Mistral and Qwen take their modules from here.
#pragma once

#include "gov/kernel/activation_names.hpp"
#include "gov/language/decoder.hpp"
#include "gov/nn/gated_mlp.hpp"

namespace gov {

// What every Llama-like config must hold to; "" if it does.
template <class C>
constexpr std::string_view llama_like_problem(const C& config) {
  const LanguageGeometry g = geometry_of(config);
  if (g.num_attention_heads % g.num_key_value_heads != 0)
    return "num_attention_heads must be a multiple of num_key_value_heads";
  if (config.head_dim == 0 && g.hidden_size % g.num_attention_heads != 0)
    return "hidden_size must be a multiple of num_attention_heads where head_dim is not given";
  if (g.head_dim < 2 || g.head_dim % 2 != 0) return "head_dim must be even";
  return "";
}

// config.json of model_type llama. The defaults are the class's, which are Llama-2-7B's.
struct LlamaConfig {
  static constexpr std::string_view model_type = "llama";
  static constexpr std::string_view type = "gov::LlamaConfig", modules = "gov::Llama";
  static constexpr std::string_view header = "gov/language/llama.hpp";
  static constexpr std::string_view architecture = "LlamaForCausalLM";

  index_t hidden_size = 4096, intermediate_size = 11008;
  index_t num_hidden_layers = 32;
  index_t num_attention_heads = 32;
  index_t num_key_value_heads = 0;  // 0: as many as num_attention_heads
  index_t head_dim = 0;             // 0: hidden_size / num_attention_heads
  index_t vocab_size = 32000;
  index_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-6;
  kernel::Activation hidden_act = kernel::Activation::silu;
  bool attention_bias = false, mlp_bias = false;
  bool tie_word_embeddings = false;
  RopeConfig rope_parameters{};

  constexpr index_t window(index_t) const { return 0; }
  friend constexpr bool operator==(const LlamaConfig&, const LlamaConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, OrNull{1, 1 << 12});
    v("head_dim", self.head_dim, OrNull{2, 1 << 12});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("attention_bias", self.attention_bias);
    v("mlp_bias", self.mlp_bias);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
  }
  constexpr std::string_view problem() const { return llama_like_problem(*this); }
};

// The modules of Llama's relatives, whatever their config struct.
struct LlamaLike {
  static constexpr Absent feed_forward(const auto&) { return {}; }
  template <class C>
  using Position = Rotary<C>;
  template <class C>
  using Norm = RmsNorm<geometry_of(C::config).hidden_size>;
  template <class C>
  using Attention = SelfAttention<C>;
  template <class C>
  using FeedForward = GatedMlp<geometry_of(C::config).hidden_size,
                               geometry_of(C::config).intermediate_size, C::config.hidden_act>;
};

// The modules of Llama; configs derive from it.
struct Llama : LlamaLike {
  static constexpr AttentionParts attention(const LlamaConfig& config) {
    return {config.attention_bias, config.attention_bias, false, false};
  }
  template <class C>
  using FeedForward = GatedMlp<C::config.hidden_size, C::config.intermediate_size,
                               C::config.hidden_act, C::config.mlp_bias>;
};

struct Llama2_7b : Llama {
  static constexpr std::string_view name = "Llama2_7b";
  static constexpr LlamaConfig config{.max_position_embeddings = 4096, .rms_norm_eps = 1e-5};
};

struct Llama3_8b : Llama {
  static constexpr std::string_view name = "Llama3_8b";
  static constexpr LlamaConfig config{.intermediate_size = 14336,
                                      .num_key_value_heads = 8,
                                      .vocab_size = 128256,
                                      .max_position_embeddings = 8192,
                                      .rms_norm_eps = 1e-5,
                                      .rope_parameters = {.rope_theta = 500000}};
};

struct Llama3_1_8b : Llama {
  static constexpr std::string_view name = "Llama3_1_8b";
  static constexpr LlamaConfig config{
      .intermediate_size = 14336,
      .num_key_value_heads = 8,
      .vocab_size = 128256,
      .max_position_embeddings = 131072,
      .rms_norm_eps = 1e-5,
      .rope_parameters = {.rope_type = RopeType::llama3,
                          .rope_theta = 500000,
                          .factor = 8,
                          .original_max_position_embeddings = 8192}};
};

struct Llama3_2_1b : Llama {
  static constexpr std::string_view name = "Llama3_2_1b";
  static constexpr LlamaConfig config{
      .hidden_size = 2048,
      .intermediate_size = 8192,
      .num_hidden_layers = 16,
      .num_key_value_heads = 8,
      .head_dim = 64,
      .vocab_size = 128256,
      .max_position_embeddings = 131072,
      .rms_norm_eps = 1e-5,
      .tie_word_embeddings = true,
      .rope_parameters = {.rope_type = RopeType::llama3,
                          .rope_theta = 500000,
                          .factor = 32,
                          .original_max_position_embeddings = 8192}};
};

}  // namespace gov
