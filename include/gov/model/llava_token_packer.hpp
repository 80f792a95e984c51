// LLaVA with TokenPacker between (arXiv 2407.02392; CircleRadon/TokenPacker): of a tower's hidden
// states, one makes the coarse tokens and several, side by side, what these attend to. In LLaVA's
// own spelling it is mm_projector_type `tokenpacker` with scale_factor; transformers has no class,
// so that the nested spelling under its own model_type is ours. TokenPacker-HD, which slices
// pictures and puts text between the slices, is not here.
#pragma once

#include "gov/model/llava.hpp"
#include "gov/projector/token_packer.hpp"

namespace gov {

// The keys of config.json outside vision_config and text_config. What the original has in its code,
// not in its config, is named mm_packer_..., with its value as the default.
struct LlavaTokenPackerConfig {
  static constexpr std::string_view model_type = "llava_token_packer";
  static constexpr std::string_view type = "gov::LlavaTokenPackerConfig";
  static constexpr std::string_view modules = "gov::LlavaTokenPacker";
  static constexpr std::string_view header = "gov/model/llava_token_packer.hpp";
  static constexpr std::string_view architecture = "LlavaTokenPackerForConditionalGeneration";
  static constexpr std::string_view original_key{};  // none is of LLaVA's spelling only
  static constexpr std::string_view original_projector = "tokenpacker";
  static constexpr std::string_view image_token_key = "image_token_index";
  static constexpr int image_token_id = 32000;
  static constexpr bool tied_by_text = true;
  using Vision = ClipVitConfig;
  using Text = LlamaConfig;

  index_t scale_factor = 2;           // 2, 3, 4: 144, 64, 36 tokens of 576
  index_t vision_feature_layer = -2;  // of the coarse tokens
  FeatureLayers mm_packer_layers{12, 16, 22, 23};
  FeatureSelect vision_feature_select_strategy = FeatureSelect::default_;
  index_t mm_packer_hidden_size = 1024, mm_packer_num_heads = 8;
  bool tie_word_embeddings = false;

  static constexpr LlavaTokenPackerConfig class_defaults() { return {}; }
  friend constexpr bool operator==(const LlavaTokenPackerConfig&,
                                   const LlavaTokenPackerConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("scale_factor", self.scale_factor, Range{1, 64});
    v("vision_feature_layer", self.vision_feature_layer, Range{-256, 256});
    v("mm_packer_layers", self.mm_packer_layers, Range{-256, 256});
    v("vision_feature_select_strategy", self.vision_feature_select_strategy);
    v("mm_packer_hidden_size", self.mm_packer_hidden_size, Range{1, 1 << 16});
    v("mm_packer_num_heads", self.mm_packer_num_heads, Range{1, 1 << 12});
    v("tie_word_embeddings", self.tie_word_embeddings);
  }

  // The coarse tokens' layer, then the levels.
  constexpr FeatureLayers projector_layers() const {
    FeatureLayers layers = vision_feature_layer;
    for (const index_t layer : mm_packer_layers)
      if (layers.size() < FeatureLayers::capacity) layers.push_back(layer);
    return layers;
  }
  constexpr std::string_view problem() const {
    if (mm_packer_layers.size() < 1 || mm_packer_layers.size() >= FeatureLayers::capacity)
      return "mm_packer_layers must be 1 to 7 of the tower's hidden states";
    if (mm_packer_hidden_size % mm_packer_num_heads != 0)
      return "mm_packer_hidden_size must be a multiple of mm_packer_num_heads";
    return "";
  }
};

struct LlavaTokenPacker {
  static constexpr bool reads_last_hidden_state = false;
  template <class Cfg>
  using Projector =
      TokenPacker<Cfg::Vision::config.hidden_size,
                  static_cast<index_t>(Cfg::config.mm_packer_layers.size()),
                  geometry_of(Cfg::Language::config).hidden_size, Cfg::config.scale_factor,
                  Cfg::config.mm_packer_hidden_size, Cfg::config.mm_packer_num_heads>;
  template <class Cfg>
  struct Images : TileFeatures<Cfg> {
    using Tower = typename TileFeatures<Cfg>::Vision;
    static_assert(
        TileFeatures<Cfg>::image_tokens(Tower::image_size.height, Tower::image_size.width) > 0,
        "gov: scale_factor must divide the grid of the tower's patches, which must be square");
    static_assert(static_cast<index_t>(TileFeatures<Cfg>::feature_layers.size()) *
                      Tower::hidden_size ==
                  TileFeatures<Cfg>::Projector::row_width);
  };
};

// sunshine-lwt/TokenPacker-7b-144token: LLaVA-1.5-7B with a quarter of its tokens.
struct LlavaTokenPacker7b : LlavaTokenPacker {
  static constexpr std::string_view name = "LlavaTokenPacker7b";
  using Vision = ClipVitLarge336;
  struct Language : Llama {
    static constexpr LlamaConfig config{
        .vocab_size = 32000, .max_position_embeddings = 4096, .rms_norm_eps = 1e-5};
  };
  static constexpr LlavaTokenPackerConfig config{};
};

}  // namespace gov
