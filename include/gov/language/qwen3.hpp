// Qwen3 (Yang et al. 2025; transformers: Qwen3ForCausalLM): Llama's modules with an RMS norm of
// each head's query and key. A window, where one is used, is for the layers from max_window_layers
// on.
#pragma once

#include "gov/language/qwen2.hpp"

namespace gov {

// config.json of model_type qwen3. The defaults are the class's.
struct Qwen3Config {
  static constexpr std::string_view model_type = "qwen3";
  static constexpr std::string_view type = "gov::Qwen3Config", modules = "gov::Qwen3";
  static constexpr std::string_view header = "gov/language/qwen3.hpp";
  static constexpr std::string_view architecture = "Qwen3ForCausalLM";

  index_t hidden_size = 4096, intermediate_size = 22016;
  index_t num_hidden_layers = 32;
  index_t num_attention_heads = 32, num_key_value_heads = 32;
  index_t head_dim = 128;
  index_t vocab_size = 151936;
  bool use_sliding_window = false;
  index_t sliding_window = 4096;
  index_t max_window_layers = 28;
  LayerTypes layer_types = LayerTypes::by_rule();
  index_t max_position_embeddings = 32768;
  double rms_norm_eps = 1e-6;
  kernel::Activation hidden_act = kernel::Activation::silu;
  bool attention_bias = false;
  bool tie_word_embeddings = false;
  RopeConfig rope_parameters{};

  constexpr index_t window(index_t layer) const { return qwen_window(*this, layer); }
  friend constexpr bool operator==(const Qwen3Config&, const Qwen3Config&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, OrNull{1, 1 << 12});
    v("head_dim", self.head_dim, Range{2, 1 << 12});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("use_sliding_window", self.use_sliding_window);
    v("sliding_window", self.sliding_window, OrNull{1, 1 << 30});
    v("max_window_layers", self.max_window_layers, Range{0, 1 << 12});
    v("layer_types", self.layer_types, self.num_hidden_layers);
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("attention_bias", self.attention_bias);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
  }
  constexpr std::string_view problem() const { return qwen_problem(*this); }
};

// The modules of Qwen3; configs derive from it.
struct Qwen3 : LlamaLike {
  static constexpr AttentionParts attention(const Qwen3Config& config) {
    return {config.attention_bias, config.attention_bias, false, true};
  }
};

struct Qwen3_0_6b : Qwen3 {
  static constexpr std::string_view name = "Qwen3_0_6b";
  static constexpr Qwen3Config config{.hidden_size = 1024,
                                      .intermediate_size = 3072,
                                      .num_hidden_layers = 28,
                                      .num_attention_heads = 16,
                                      .num_key_value_heads = 8,
                                      .max_position_embeddings = 40960,
                                      .tie_word_embeddings = true,
                                      .rope_parameters = {.rope_theta = 1000000}};
};

}  // namespace gov
