// MPT (MosaicML 2023; transformers: MptForCausalLM): ALiBi, LayerNorm without biases, fused
// attention whose q, k and v may be clipped, a plain feed-forward of 4 d_model with exact gelu, no
// biases, tied embeddings.
#pragma once

#include "gov/kernel/activation_names.hpp"
#include "gov/language/decoder.hpp"
#include "gov/nn/alibi.hpp"
#include "gov/nn/fused_attention.hpp"
#include "gov/nn/mlp.hpp"

namespace gov {

// config.json's attn_config. What transformers' class ignores and this one cannot do is refused.
struct MptAttentionConfig {
  double clip_qkv = 0;       // 0 (null in config.json): no limit
  double softmax_scale = 0;  // 0 (null): 1 / sqrt(head_dim)
  bool alibi = true;
  index_t alibi_bias_max = 8;
  bool qk_ln = false, prefix_lm = false;

  friend constexpr bool operator==(const MptAttentionConfig&, const MptAttentionConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("clip_qkv", self.clip_qkv, OrNull{0, 1e6});
    v("softmax_scale", self.softmax_scale, OrNull{0, 1e6});
    v("alibi", self.alibi);
    v("alibi_bias_max", self.alibi_bias_max, Range{1, 64});
    v("qk_ln", self.qk_ln);
    v("prefix_lm", self.prefix_lm);
  }
};

// config.json of model_type mpt. The defaults are the class's.
struct MptConfig {
  static constexpr std::string_view model_type = "mpt";
  static constexpr std::string_view type = "gov::MptConfig", modules = "gov::Mpt";
  static constexpr std::string_view header = "gov/language/mpt.hpp";
  static constexpr std::string_view architecture = "MptForCausalLM";
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 3> aliases{
      {{"d_model", "hidden_size"},
       {"n_heads", "num_attention_heads"},
       {"n_layers", "num_hidden_layers"}}};

  index_t d_model = 2048, n_heads = 16, n_layers = 24;
  index_t max_seq_len = 2048;
  index_t vocab_size = 50368;
  double layer_norm_epsilon = 1e-5;
  MptAttentionConfig attn_config{};
  bool no_bias = true;
  bool tie_word_embeddings = true;

  constexpr index_t window(index_t) const { return 0; }
  friend constexpr bool operator==(const MptConfig&, const MptConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("d_model", self.d_model, Range{1, 1 << 16});
    v("n_heads", self.n_heads, Range{1, 1 << 12});
    v("n_layers", self.n_layers, Range{1, LayerTypes::capacity});
    v("max_seq_len", self.max_seq_len, Range{1, 1 << 30});
    v("vocab_size", self.vocab_size, Range{1, 1 << 24});
    v("layer_norm_epsilon", self.layer_norm_epsilon, Range{0, 1});
    v("attn_config", self.attn_config);
    v("no_bias", self.no_bias);
    v("tie_word_embeddings", self.tie_word_embeddings);
  }

  constexpr std::string_view problem() const {
    if (d_model % n_heads != 0) return "d_model must be a multiple of n_heads";
    if (!attn_config.alibi || attn_config.alibi_bias_max != 8)
      return "attn_config must have alibi with alibi_bias_max 8, as transformers computes it";
    if (attn_config.qk_ln || attn_config.prefix_lm)
      return "attn_config must have qk_ln and prefix_lm false";
    if (!no_bias) return "no_bias must be true";
    return "";
  }
};

// The modules of MPT; configs derive from it.
struct Mpt {
  static constexpr NameTable::Prefix model_names[]{{"embed_tokens.", "wte."}, {"norm.", "norm_f."}};
  static constexpr NameTable::Prefix layer_names[]{{"input_layernorm.", "norm_1."},
                                                   {"post_attention_layernorm.", "norm_2."},
                                                   {"self_attn.qkv_proj.", "attn.Wqkv."},
                                                   {"self_attn.o_proj.", "attn.out_proj."},
                                                   {"mlp.", "ffn."}};
  static constexpr NameTable names{"transformer", "blocks", model_names, layer_names};
  static constexpr FusedAttentionParts fused_attention(const MptConfig& config) {
    return {.clip_qkv = config.attn_config.clip_qkv,
            .softmax_scale = config.attn_config.softmax_scale};
  }
  static constexpr double alibi_bias_max(const MptConfig& config) {
    return static_cast<double>(config.attn_config.alibi_bias_max);
  }
  static constexpr Absent feed_forward(const MptConfig&) { return {}; }
  template <class C>
  using Position = Alibi<C>;
  template <class C>
  using Norm = LayerNorm<C::config.d_model, false>;
  template <class C>
  using Attention = FusedAttention<C>;
  template <class C>
  using FeedForward =
      Mlp<C::config.d_model, 4 * C::config.d_model, kernel::Activation::gelu, false>;
};

struct Mpt7b : Mpt {
  static constexpr std::string_view name = "Mpt7b";
  static constexpr MptConfig config{
      .d_model = 4096, .n_heads = 32, .n_layers = 32, .vocab_size = 50432};
};

}  // namespace gov
