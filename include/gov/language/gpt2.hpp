// GPT-2 (Radford et al. 2019; transformers: GPT2LMHeadModel): learned positions, LayerNorm with
// biases before each part and at the end, fused attention, a plain feed-forward with gelu, tied
// embeddings. Checkpoints hold its weights [in, out] (Conv1D).
#pragma once

#include "gov/kernel/activation_names.hpp"
#include "gov/language/decoder.hpp"
#include "gov/nn/fused_attention.hpp"
#include "gov/nn/learned_positions.hpp"
#include "gov/nn/mlp.hpp"

namespace gov {

// config.json of model_type gpt2. The defaults are the class's, which are the smallest model's.
struct Gpt2Config {
  static constexpr std::string_view model_type = "gpt2";
  static constexpr std::string_view type = "gov::Gpt2Config", modules = "gov::Gpt2";
  static constexpr std::string_view header = "gov/language/gpt2.hpp";
  static constexpr std::string_view architecture = "GPT2LMHeadModel";
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> aliases{
      {{"n_embd", "hidden_size"},
       {"n_positions", "max_position_embeddings"},
       {"n_head", "num_attention_heads"},
       {"n_layer", "num_hidden_layers"}}};

  index_t vocab_size = 50257;
  index_t n_positions = 1024;
  index_t n_embd = 768, n_layer = 12, n_head = 12;
  index_t n_inner = 0;  // 0 (null in config.json): 4 n_embd
  kernel::Activation activation_function = kernel::Activation::gelu_tanh;
  double layer_norm_epsilon = 1e-5;
  bool scale_attn_weights = true, scale_attn_by_inverse_layer_idx = false;
  bool add_cross_attention = false;
  bool tie_word_embeddings = true;

  constexpr index_t window(index_t) const { return 0; }
  friend constexpr bool operator==(const Gpt2Config&, const Gpt2Config&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("n_positions", self.n_positions, Range{1, 1 << 24});
    v("n_embd", self.n_embd, Range{1, 1 << 16});
    v("n_layer", self.n_layer, Range{1, LayerTypes::capacity});
    v("n_head", self.n_head, Range{1, 1 << 12});
    v("n_inner", self.n_inner, OrNull{1, 1 << 18});
    v("activation_function", self.activation_function);
    v("layer_norm_epsilon", self.layer_norm_epsilon, Range{0, 1});
    v("scale_attn_weights", self.scale_attn_weights);
    v("scale_attn_by_inverse_layer_idx", self.scale_attn_by_inverse_layer_idx);
    v("add_cross_attention", self.add_cross_attention);
    v("tie_word_embeddings", self.tie_word_embeddings);
  }

  constexpr std::string_view problem() const {
    if (n_embd % n_head != 0) return "n_embd must be a multiple of n_head";
    if (!scale_attn_weights || scale_attn_by_inverse_layer_idx)
      return "scale_attn_weights must be true and scale_attn_by_inverse_layer_idx false";
    if (add_cross_attention) return "add_cross_attention must be false";
    return "";
  }
};

// The modules of GPT-2; configs derive from it.
struct Gpt2 {
  static constexpr NameTable::Prefix model_names[]{
      {"embed_tokens.", "wte."}, {"embed_positions.", "wpe."}, {"norm.", "ln_f."}};
  static constexpr NameTable::Prefix layer_names[]{
      {"input_layernorm.", "ln_1."},           {"post_attention_layernorm.", "ln_2."},
      {"self_attn.qkv_proj.", "attn.c_attn."}, {"self_attn.o_proj.", "attn.c_proj."},
      {"mlp.up_proj.", "mlp.c_fc."},           {"mlp.down_proj.", "mlp.c_proj."}};
  static constexpr NameTable names{"transformer", "h", model_names, layer_names};
  static constexpr FusedAttentionParts fused_attention(const Gpt2Config&) {
    return {.bias = true, .turned = true};
  }
  static constexpr Absent feed_forward(const Gpt2Config&) { return {}; }
  template <class C>
  using Position = LearnedPositions<C>;
  template <class C>
  using Norm = LayerNorm<C::config.n_embd>;
  template <class C>
  using Attention = FusedAttention<C>;
  template <class C>
  using FeedForward = Mlp<C::config.n_embd, geometry_of(C::config).intermediate_size,
                          C::config.activation_function, true, true>;
};

struct Gpt2Small : Gpt2 {
  static constexpr std::string_view name = "Gpt2Small";
  static constexpr Gpt2Config config{};
};

// 12 layers of 768 with a vocabulary of 30,000 (BabyLM).
struct Bambi : Gpt2 {
  static constexpr std::string_view name = "Bambi";
  static constexpr Gpt2Config config{.vocab_size = 30000};
};

}  // namespace gov
