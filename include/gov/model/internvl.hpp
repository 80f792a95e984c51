// InternVL (transformers: InternVLForConditionalGeneration): a vision tower, a projector and any
// language model. A Config derives from InternVl, names its Vision and its Language, and says in
// `config` what lies between them.
#pragma once

#include <cmath>

#include "gov/language/qwen2.hpp"
#include "gov/model/tile_features.hpp"
#include "gov/nn/geometry.hpp"
#include "gov/projector/pixel_shuffle_mlp.hpp"
#include "gov/vision/intern_vit.hpp"

namespace gov {

// The keys of config.json outside vision_config and text_config.
struct InternVlConfig {
  static constexpr std::string_view model_type = "internvl";
  static constexpr std::string_view type = "gov::InternVlConfig", modules = "gov::InternVl";
  static constexpr std::string_view header = "gov/model/internvl.hpp";
  static constexpr std::string_view architecture = "InternVLForConditionalGeneration";
  // in OpenGVLab's spelling
  static constexpr std::string_view chat_model_type = "internvl_chat",
                                    chat_architecture = "InternVLChatModel";
  static constexpr std::string_view image_token_key = "image_token_id";
  static constexpr int image_token_id = 151667;  // where config.json does not say it
  using Vision = InternVitConfig;                // where vision_config does not say its model_type
  using Text = Qwen2Config;                      // nor text_config

  double downsample_ratio = 0.5;
  kernel::Activation projector_hidden_act = kernel::Activation::gelu;
  index_t vision_feature_layer = -1;
  FeatureSelect vision_feature_select_strategy = FeatureSelect::default_;
  PsVersion ps_version = PsVersion::v2;
  bool tie_word_embeddings = false;

  // transformers' class ties by default, though its checkpoints are untied.
  static constexpr InternVlConfig class_defaults() { return {.tie_word_embeddings = true}; }
  constexpr index_t fold() const { return static_cast<index_t>(1 / downsample_ratio + 0.5); }
  friend constexpr bool operator==(const InternVlConfig&, const InternVlConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("downsample_ratio", self.downsample_ratio, Range{1.0 / 64, 1});
    v("projector_hidden_act", self.projector_hidden_act);
    v("vision_feature_layer", self.vision_feature_layer, Range{-256, 256});
    v("vision_feature_select_strategy", self.vision_feature_select_strategy);
    v("ps_version", self.ps_version);
    v("tie_word_embeddings", self.tie_word_embeddings);
  }

  constexpr std::string_view problem() const {
    const double gap = downsample_ratio * static_cast<double>(fold()) - 1;
    return gap < 1e-9 && gap > -1e-9 ? "" : "downsample_ratio must be 1 over a whole number";
  }
};

struct InternVl {
  static constexpr bool reads_last_hidden_state = true;
  template <class Cfg>
  using Projector =
      PixelShuffleMlp<Cfg::Vision::config.hidden_size,
                      geometry_of(Cfg::Language::config).hidden_size, Cfg::config.fold(),
                      Cfg::config.projector_hidden_act, Cfg::config.ps_version>;
  template <class Cfg>
  using Images = TileFeatures<Cfg>;
};

}  // namespace gov
