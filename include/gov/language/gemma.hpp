// Gemma, first version (Gemma Team 2024; transformers: GemmaForCausalLM): Llama's skeleton with
// norms that multiply by 1 + weight, looked-up embeddings times sqrt(hidden_size), a feed-forward
// gated by gelu, and tied embeddings. Image features and inputs_embeds are not scaled.
#pragma once

#include "gov/language/llama.hpp"

namespace gov {

// config.json of model_type gemma. The defaults are the class's, which are Gemma-7B's.
struct GemmaConfig {
  static constexpr std::string_view model_type = "gemma";
  static constexpr std::string_view type = "gov::GemmaConfig", modules = "gov::Gemma";
  static constexpr std::string_view header = "gov/language/gemma.hpp";
  static constexpr std::string_view architecture = "GemmaForCausalLM";

  index_t hidden_size = 3072, intermediate_size = 24576;
  index_t num_hidden_layers = 28;
  index_t num_attention_heads = 16, num_key_value_heads = 16, head_dim = 256;
  index_t vocab_size = 256000;
  index_t max_position_embeddings = 8192;
  double rms_norm_eps = 1e-6;
  kernel::Activation hidden_act = kernel::Activation::gelu_tanh;
  bool attention_bias = false;
  bool use_bidirectional_attention = false;
  bool tie_word_embeddings = true;
  RopeConfig rope_parameters{};

  constexpr index_t window(index_t) const { return 0; }
  friend constexpr bool operator==(const GemmaConfig&, const GemmaConfig&) = default;

  // The first releases said "gelu" and meant its tanh form.
  constexpr void settle() { hidden_act = activation(); }
  constexpr kernel::Activation activation() const {
    return hidden_act == kernel::Activation::gelu ? kernel::Activation::gelu_tanh : hidden_act;
  }

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, Range{1, 1 << 12});
    v("head_dim", self.head_dim, Range{2, 1 << 12});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("attention_bias", self.attention_bias);
    v("use_bidirectional_attention", self.use_bidirectional_attention, OrNull{});
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
  }
  constexpr std::string_view problem() const {
    if (use_bidirectional_attention)
      return "use_bidirectional_attention must be false: this decoder is causal";
    return llama_like_problem(*this);
  }
};

// The modules of Gemma; configs derive from it.
struct Gemma : LlamaLike {
  static constexpr bool scales_embeddings = true;
  static constexpr AttentionParts attention(const GemmaConfig& config) {
    return {config.attention_bias, config.attention_bias, false, false};
  }
  template <class C>
  using Norm = GemmaNorm<C::config.hidden_size>;
  template <class C>
  using FeedForward =
      GatedMlp<C::config.hidden_size, C::config.intermediate_size, C::config.activation()>;
};

struct Gemma2b : Gemma {
  static constexpr std::string_view name = "Gemma2b";
  static constexpr GemmaConfig config{.hidden_size = 2048,
                                      .intermediate_size = 16384,
                                      .num_hidden_layers = 18,
                                      .num_attention_heads = 8,
                                      .num_key_value_heads = 1};
};

struct Gemma7b : Gemma {
  static constexpr std::string_view name = "Gemma7b";
  static constexpr GemmaConfig config{};
};

}  // namespace gov
