// Mixtral (Jiang et al. 2024; transformers: MixtralForCausalLM): Mistral's attention, and in each
// layer a mixture of gated experts. Checkpoints name an expert's weights w1 (gate), w2 (down) and
// w3 (up) under block_sparse_moe; the state dict of transformers 5 has all experts' in one tensor,
// gate before up, which is read as well.
#pragma once

#include "gov/language/mistral.hpp"
#include "gov/nn/sparse_experts.hpp"

namespace gov {

// config.json of model_type mixtral. The defaults are the class's, which are Mixtral-8x7B's.
struct MixtralConfig {
  static constexpr std::string_view model_type = "mixtral";
  static constexpr std::string_view type = "gov::MixtralConfig", modules = "gov::Mixtral";
  static constexpr std::string_view header = "gov/language/mixtral.hpp";
  static constexpr std::string_view architecture = "MixtralForCausalLM";
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 1> aliases{
      {{"num_local_experts", "num_experts"}}};

  index_t hidden_size = 4096, intermediate_size = 14336;
  index_t num_hidden_layers = 32;
  index_t num_attention_heads = 32, num_key_value_heads = 8;
  index_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  index_t num_local_experts = 8, num_experts_per_tok = 2;
  index_t vocab_size = 32000;
  index_t sliding_window = 0;  // 0 (null in config.json): every layer sees everything
  index_t max_position_embeddings = 131072;
  double rms_norm_eps = 1e-5;
  kernel::Activation hidden_act = kernel::Activation::silu;
  bool tie_word_embeddings = false;
  RopeConfig rope_parameters{.rope_theta = 1000000};

  constexpr index_t window(index_t) const { return sliding_window; }
  friend constexpr bool operator==(const MixtralConfig&, const MixtralConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, LayerTypes::capacity});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_key_value_heads", self.num_key_value_heads, OrNull{1, 1 << 12});
    v("head_dim", self.head_dim, OrNull{2, 1 << 12});
    v("num_local_experts", self.num_local_experts, Range{1, 1 << 12});
    v("num_experts_per_tok", self.num_experts_per_tok, Range{1, 64});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("sliding_window", self.sliding_window, OrNull{1, 1 << 30});
    v("max_position_embeddings", self.max_position_embeddings, Range{1, 1 << 30});
    v("rms_norm_eps", self.rms_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("rope_parameters", self.rope_parameters);
  }
  constexpr std::string_view problem() const {
    if (num_experts_per_tok > num_local_experts)
      return "num_experts_per_tok must be at most num_local_experts";
    return llama_like_problem(*this);
  }
};

// The modules of Mixtral; configs derive from it.
struct Mixtral : LlamaLike {
  static constexpr NameTable::Prefix layer_names[]{{"mlp.router.", "block_sparse_moe.gate."},
                                                   {"mlp.experts.", "block_sparse_moe.experts."}};
  static constexpr NameTable::Prefix stacked_layer_names[]{{"mlp.router.", "mlp.gate."}};
  static constexpr NameTable::Stacked stacked_names[]{{"w1.weight", "gate_up_proj", 0, 2},
                                                      {"w3.weight", "gate_up_proj", 1, 2},
                                                      {"w2.weight", "down_proj"}};
  static constexpr NameTable names{
      .layer = layer_names, .stacked_layer = stacked_layer_names, .stacked = stacked_names};
  static constexpr AttentionParts attention(const MixtralConfig&) { return {}; }
  template <class C>
  using FeedForward =
      SparseExperts<C::config.hidden_size, C::config.intermediate_size, C::config.num_local_experts,
                    C::config.num_experts_per_tok, C::config.hidden_act>;
};

struct Mixtral8x7b : Mixtral {
  static constexpr std::string_view name = "Mixtral8x7b";
  static constexpr MixtralConfig config{.max_position_embeddings = 32768};
};

}  // namespace gov
