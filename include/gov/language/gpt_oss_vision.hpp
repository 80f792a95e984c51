// The language model of GPT-OSS-Vision (gpt-oss-models/gpt-oss-vision): GPT-OSS, some of whose
// layers may have no positions (nn/nope.hpp), and whose routers add a learned offset on the rows of
// images. With both off it is GPT-OSS, bit for bit; its checkpoints load, the offsets being 0.
#pragma once

#include "gov/language/gpt_oss.hpp"
#include "gov/nn/nope.hpp"

namespace gov {

// config.json of model_type gpt_oss_vision. The defaults are the class's.
struct GptOssVisionConfig {
  static constexpr std::string_view model_type = "gpt_oss_vision";
  static constexpr std::string_view type = "gov::GptOssVisionConfig", modules = "gov::GptOssVision";
  static constexpr std::string_view header = "gov/language/gpt_oss_vision.hpp";
  static constexpr std::string_view architecture = "GptOssForCausalLM";
  static constexpr auto aliases = GptOssConfig::aliases;
  // What may differ from the compiled config, and be changed after loading.
  static constexpr std::array<std::string_view, 4> run_time_keys{
      "use_nope", "nope_stride", "no_rope_layers", "router_aux_loss_coef"};

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
  RopeConfig rope_parameters = GptOssConfig{}.rope_parameters;
  LayerTypes layer_types{};
  bool use_nope = false;
  index_t nope_stride = 4;
  RopeLayers no_rope_layers{};  // instead of the stride
  double router_aux_loss_coef = 0.9;

  constexpr index_t window(index_t layer) const {
    return layer_types.is_sliding(layer) ? sliding_window : 0;
  }
  constexpr NopeLayers nope() const { return {use_nope, nope_stride, no_rope_layers}; }
  constexpr void set_nope(const NopeLayers& nope) {
    use_nope = nope.use_nope, nope_stride = nope.nope_stride, no_rope_layers = nope.no_rope_layers;
  }
  constexpr void take_run_time(const GptOssVisionConfig& other) {
    set_nope(other.nope());
    router_aux_loss_coef = other.router_aux_loss_coef;
  }
  friend constexpr bool operator==(const GptOssVisionConfig&, const GptOssVisionConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    GptOssConfig::keys(self, v);
    v("use_nope", self.use_nope);
    v("nope_stride", self.nope_stride, Range{0, 1 << 12});
    v("no_rope_layers", self.no_rope_layers, self.num_hidden_layers);
    v("router_aux_loss_coef", self.router_aux_loss_coef, Range{0, 1e6});
  }
  constexpr std::string_view problem() const { return gpt_oss_problem(*this); }
};

// The modules of GPT-OSS-Vision; configs derive from it.
struct GptOssVision : GptOss {
  template <class C>
  using Position = RotaryOrNope<C>;
  template <class C>
  using FeedForward =
      MixtureOfExperts<C::config.hidden_size, C::config.intermediate_size,
                       C::config.num_local_experts, C::config.num_experts_per_tok, true>;
};

struct GptOssVision20b : GptOssVision {
  static constexpr std::string_view name = "GptOssVision20b";
  static constexpr GptOssVisionConfig config{.num_hidden_layers = 24, .num_local_experts = 32};
};

// The class's defaults, which are this size though it is called 20B everywhere.
struct GptOssVision120b : GptOssVision {
  static constexpr std::string_view name = "GptOssVision120b";
  static constexpr GptOssVisionConfig config{};
};

// The same modules at the size of TinyGptOss.
struct TinyGptOssVision : GptOssVision {
  static constexpr std::string_view name = "TinyGptOssVision";
  static constexpr GptOssVisionConfig config{.hidden_size = 64,
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
                                             .rope_parameters = TinyGptOss::config.rope_parameters};
};

}  // namespace gov
