// Mistral (Jiang et al. 2023; transformers: MistralForCausalLM): Llama's modules without biases, a
// sliding window on every layer or on none, and heads whose width may be its own.
#pragma once

#include "gov/language/llama.hpp"

namespace gov {

// config.json of model_type mistral. The defaults are the class's.
struct MistralConfig {
  static constexpr std::string_view model_type = "mistral";
  static constexpr std::string_view type = "gov::MistralConfig", modules = "gov::Mistral";
  static constexpr std::string_view header = "gov/language/mistral.hpp";
  static constexpr std::string_view architecture = "MistralForCausalLM";

  index_t hidden_size = 4096, intermediate_size = 14336;
  index_t num_hidden_layers = 32;
  index_t num_attention_heads = 32, num_key_value_heads = 8;
  index_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  index_t vocab_size = 32000;
  index_t sliding_window = 4096;  // 0 (null in config.json): every layer sees everything
  index_t max_position_embeddings = 131072;
  double rms_norm_eps = 1e-6;
  kernel::Activation hidden_act = kernel::Activation::silu;
  bool tie_word_embeddings = false;
  RopeConfig rope_parameters{};

  constexpr index_t window(index_t) const { return sliding_window; }
  friend constexpr bool operator==(const MistralConfig&, const MistralConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, OrNull{1, 1 << 12});
    v("head_dim", self.head_dim, OrNull{2, 1 << 12});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("sliding_window", self.sliding_window, OrNull{1, 1 << 30});
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
  }
  constexpr std::string_view problem() const { return llama_like_problem(*this); }
};

// The modules of Mistral; configs derive from it.
struct Mistral : LlamaLike {
  static constexpr AttentionParts attention(const MistralConfig&) { return {}; }
};

// mistralai/Mistral-7B-v0.1; later versions have sliding_window null and rope_theta 1e6.
struct Mistral7b : Mistral {
  static constexpr std::string_view name = "Mistral7b";
  static constexpr MistralConfig config{.max_position_embeddings = 32768, .rms_norm_eps = 1e-5};
};

}  // namespace gov
