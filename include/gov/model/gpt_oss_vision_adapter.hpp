// GPT-OSS-Vision (gpt-oss-models/gpt-oss-vision: GptOssModel with its VisionAdapter): the last
// hidden state of a plain ViT, class token included, through PoolTokenProjector, in front of the
// text's embeddings (prefix fusion: no image token, no placeholder). Routers treat those rows as an
// image's. Of several images each has its rows, one image after the other; the class takes one.
//
// The published code hands its ViT a config that ViTModel cannot be made from, and so runs on its
// fallback, a patch embedding alone (vision/conv_patch.hpp). Both towers are here; "vision_" and a
// key of the tower is how config.json says more of it than the class reads.
#pragma once

#include <string>
#include <string_view>

#include "gov/language/gpt_oss_vision.hpp"
#include "gov/model/tile_features.hpp"
#include "gov/projector/pool_token_projector.hpp"
#include "gov/vision/conv_patch.hpp"
#include "gov/vision/vit.hpp"

namespace gov {

// What config.json says beside the language model and the tower. All lies flat in one object, with
// the language model's model_type: `use_vision` says that there is an adapter.
struct GptOssVisionAdapterConfig {
  static constexpr std::string_view model_type = GptOssVisionConfig::model_type;
  static constexpr std::string_view type = "gov::GptOssVisionAdapterConfig",
                                    modules = "gov::GptOssVisionAdapter";
  static constexpr std::string_view header = "gov/model/gpt_oss_vision_adapter.hpp";
  static constexpr std::string_view architecture = GptOssVisionConfig::architecture;
  static constexpr std::string_view flat_key = "use_vision";
  using Vision = VitConfig;  // where vision_model_type does not say another
  using Text = GptOssVisionConfig;
  static constexpr index_t vision_feature_layer = -1;
  static constexpr FeatureSelect vision_feature_select_strategy = FeatureSelect::full;
  // Of the fallback's patch embedding, which published files do not mention otherwise.
  static constexpr std::string_view fallback_tensor = "model.vision_adapter.patch_embed.weight";

  bool vision_pool_token = true;
  bool tie_word_embeddings = false;

  static constexpr GptOssVisionAdapterConfig class_defaults() { return {}; }
  constexpr std::string_view problem() const { return ""; }
  friend constexpr bool operator==(const GptOssVisionAdapterConfig&,
                                   const GptOssVisionAdapterConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("vision_pool_token", self.vision_pool_token);
    v("tie_word_embeddings", self.tie_word_embeddings);
  }

  // What config.json calls a key of the tower.
  static std::string tower_key(std::string_view key) {
    if (key == "hidden_size") return "vision_embed_dim";
    if (key == "num_hidden_layers") return "vision_num_layers";
    if (key == "num_attention_heads") return "vision_num_heads";
    return "vision_" + std::string(key);
  }
  template <class C>
  static constexpr C tower_defaults() {
    if constexpr (std::is_same_v<C, VitConfig>)
      return VitLarge14::config;
    else
      return {};
  }
  // The fallback at the size of a ViT.
  static constexpr ConvPatchConfig fallback(const VitConfig& c) {
    return {.hidden_size = c.hidden_size,
            .num_channels = c.num_channels,
            .image_size = c.image_size,
            .patch_size = c.patch_size};
  }
};

struct GptOssVisionAdapter {
  static constexpr bool prefix_fusion = true;
  static constexpr bool reads_last_hidden_state = true;
  // Our names and the checkpoint's: the language model's are those that it has alone.
  static constexpr NameTable::Prefix names[]{
      {"model.vision_tower.projection.", "model.vision_adapter.patch_embed."},
      {"model.vision_tower.", "model.vision_adapter.vit."},
      {"model.multi_modal_projector.", "model.vision_adapter."},
      {"model.language_model.", "model."}};
  template <class Cfg>
  using Projector = PoolTokenProjector<Cfg::Vision::config.hidden_size,
                                       geometry_of(Cfg::Language::config).hidden_size,
                                       Cfg::config.vision_pool_token>;
  template <class Cfg>
  using Images = TileFeatures<Cfg>;
};

// The sizes of the class's vision defaults: 258 embeddings an image of 224x224.
struct GptOssVisionVit20b : GptOssVisionAdapter {
  static constexpr std::string_view name = "GptOssVisionVit20b";
  using Vision = VitLarge14;
  using Language = GptOssVision20b;
  static constexpr GptOssVisionAdapterConfig config{};
};

struct GptOssVisionVit120b : GptOssVisionVit20b {
  static constexpr std::string_view name = "GptOssVisionVit120b";
  using Language = GptOssVision120b;
};

// On the fallback: 257 embeddings.
struct GptOssVisionConv20b : GptOssVisionVit20b {
  static constexpr std::string_view name = "GptOssVisionConv20b";
  using Vision = ConvPatch14;
};

}  // namespace gov
