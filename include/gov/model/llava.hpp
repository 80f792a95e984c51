// LLaVA (Liu et al. 2023; transformers: LlavaForConditionalGeneration): a vision tower, a
// projector that keeps its tokens, and any language model. A Config derives from Llava, names its
// Vision and its Language, and says in `config` what lies between them.
#pragma once

#include "gov/language/llama.hpp"
#include "gov/model/tile_features.hpp"
#include "gov/projector/llava_projector.hpp"
#include "gov/vision/clip_vit.hpp"

namespace gov {

// The keys of config.json outside vision_config and text_config, with the class's defaults.
struct LlavaConfig {
  static constexpr std::string_view model_type = "llava";
  static constexpr std::string_view type = "gov::LlavaConfig", modules = "gov::Llava";
  static constexpr std::string_view header = "gov/model/llava.hpp";
  static constexpr std::string_view architecture = "LlavaForConditionalGeneration";
  static constexpr std::string_view image_token_key = "image_token_index";
  static constexpr int image_token_id = 32000;  // where config.json does not say it
  static constexpr bool tied_by_text = true;    // text_config may tie as well
  using Vision = ClipVitConfig;                 // where vision_config does not say its model_type
  using Text = LlamaConfig;                     // nor text_config

  // A key of LLaVA's own spelling; transformers' class has no other than this.
  static constexpr std::string_view original_key = "mm_projector_type";
  MmProjectorType mm_projector_type = mlp2x_gelu;
  kernel::Activation projector_hidden_act = kernel::Activation::gelu;
  FeatureSelect vision_feature_select_strategy = FeatureSelect::default_;
  FeatureLayers vision_feature_layer = -2;
  bool multimodal_projector_bias = true;
  bool tie_word_embeddings = false;

  static constexpr LlavaConfig class_defaults() { return {}; }
  constexpr std::string_view problem() const { return mm_projector_type.problem(); }
  friend constexpr bool operator==(const LlavaConfig&, const LlavaConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("mm_projector_type", self.mm_projector_type);
    v("projector_hidden_act", self.projector_hidden_act);
    v("vision_feature_select_strategy", self.vision_feature_select_strategy);
    v("vision_feature_layer", self.vision_feature_layer, Range{-256, 256});
    v("multimodal_projector_bias", self.multimodal_projector_bias);
    v("tie_word_embeddings", self.tie_word_embeddings);
  }
};

// What LLaVA and its relatives choose.
struct LlavaModules {
  static constexpr bool reads_last_hidden_state = false;  // -1 is before the tower's final norm
  template <class Cfg>
  using Projector =
      MmProjector<Cfg::config.mm_projector_type.depth, Cfg::config.mm_projector_type.residuals,
                  Cfg::Vision::config.hidden_size* static_cast<index_t>(
                      FeatureLayers(Cfg::config.vision_feature_layer).size()),
                  geometry_of(Cfg::Language::config).hidden_size, Cfg::config.projector_hidden_act,
                  Cfg::config.multimodal_projector_bias>;
  // In LLaVA's own files.
  template <class Cfg>
  static std::string original_projector_name(std::string_view ours) {
    return Cfg::template Projector<Cfg>::original_name(ours,
                                                       Cfg::config.mm_projector_type.sequential);
  }
};

struct Llava : LlavaModules {
  template <class Cfg>
  using Images = TileFeatures<Cfg>;
};

// llava-hf/llava-1.5-7b-hf: Vicuna 7B, whose vocabulary has grown to a multiple of 64.
struct Llava15_7b : Llava {
  static constexpr std::string_view name = "Llava15_7b";
  using Vision = ClipVitLarge336;
  struct Language : Llama {
    static constexpr LlamaConfig config{
        .vocab_size = 32064, .max_position_embeddings = 4096, .rms_norm_eps = 1e-5};
  };
  static constexpr LlavaConfig config{};
};

}  // namespace gov
