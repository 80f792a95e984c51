// Qwen2 and 2.5 (Yang et al. 2024; transformers: Qwen2ForCausalLM): Llama's modules with biases on
// q, k and v alone. A window, where one is used, is for the layers from max_window_layers on.
#pragma once

#include "gov/language/llama.hpp"

namespace gov {

// The window of a layer in a config that has use_sliding_window; 0: it sees everything.
template <class C>
constexpr index_t qwen_window(const C& c, index_t layer) {
  const bool slides =
      c.layer_types.given ? c.layer_types.is_sliding(layer) : layer >= c.max_window_layers;
  return c.use_sliding_window && slides ? c.sliding_window : 0;
}

template <class C>
constexpr std::string_view qwen_problem(const C& c) {
  if (c.layer_types.given && (!c.use_sliding_window || c.sliding_window == 0))
    for (index_t layer = 0; layer < c.num_hidden_layers; ++layer)
      if (c.layer_types.is_sliding(layer))
        return "use_sliding_window and sliding_window must be set where layer_types slides";
  return llama_like_problem(c);
}

// config.json of model_type qwen2. The defaults are the class's.
struct Qwen2Config {
  static constexpr std::string_view model_type = "qwen2";
  static constexpr std::string_view type = "gov::Qwen2Config", modules = "gov::Qwen2";
  static constexpr std::string_view header = "gov/language/qwen2.hpp";
  static constexpr std::string_view architecture = "Qwen2ForCausalLM";

  index_t hidden_size = 4096, intermediate_size = 22016;
  index_t num_hidden_layers = 32;
  index_t num_attention_heads = 32, num_key_value_heads = 32;
  index_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  index_t vocab_size = 151936;
  bool use_sliding_window = false;
  index_t sliding_window = 4096;
  index_t max_window_layers = 28;
  LayerTypes layer_types = LayerTypes::by_rule();
  index_t max_position_embeddings = 32768;
  double rms_norm_eps = 1e-6;
  kernel::Activation hidden_act = kernel::Activation::silu;
  bool tie_word_embeddings = false;
  RopeConfig rope_parameters{};

  constexpr index_t window(index_t layer) const { return qwen_window(*this, layer); }
  friend constexpr bool operator==(const Qwen2Config&, const Qwen2Config&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, OrNull{1, 1 << 12});
    v("head_dim", self.head_dim, OrNull{2, 1 << 12});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("use_sliding_window", self.use_sliding_window);
    v("sliding_window", self.sliding_window, OrNull{1, 1 << 30});
    v("max_window_layers", self.max_window_layers, Range{0, 1 << 12});
    v("layer_types", self.layer_types, self.num_hidden_layers);
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
  }
  constexpr std::string_view problem() const { return qwen_problem(*this); }
};

// The modules of Qwen2; configs derive from it.
struct Qwen2 : LlamaLike {
  static constexpr AttentionParts attention(const Qwen2Config&) { return {.qkv_bias = true}; }
};

struct Qwen2_0_5b : Qwen2 {
  static constexpr std::string_view name = "Qwen2_0_5b";
  static constexpr Qwen2Config config{.hidden_size = 896,
                                      .intermediate_size = 4864,
                                      .num_hidden_layers = 24,
                                      .num_attention_heads = 14,
                                      .num_key_value_heads = 2,
                                      .max_position_embeddings = 131072,
                                      .tie_word_embeddings = true,
                                      .rope_parameters = {.rope_theta = 1000000}};
};

struct Qwen2_7b : Qwen2 {
  static constexpr std::string_view name = "Qwen2_7b";
  static constexpr Qwen2Config config{.hidden_size = 3584,
                                      .intermediate_size = 18944,
                                      .num_hidden_layers = 28,
                                      .num_attention_heads = 28,
                                      .num_key_value_heads = 4,
                                      .vocab_size = 152064,
                                      .max_position_embeddings = 131072,
                                      .rope_parameters = {.rope_theta = 1000000}};
};

}  // namespace gov
