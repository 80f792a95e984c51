// InternVL (transformers: InternVLForConditionalGeneration): a vision tower, a projector and any
// language model. A Config derives from InternVl, names its Vision and its Language, and says in
// `config` what lies between them.
#pragma once

#include <cmath>

#include "gov/nn/geometry.hpp"
#include "gov/projector/pixel_shuffle_mlp.hpp"

namespace gov {

enum class FeatureSelect { default_, full };

template <>
struct EnumNames<FeatureSelect> {
  static constexpr std::string_view type = "gov::FeatureSelect";
  static constexpr std::array<std::pair<std::string_view, FeatureSelect>, 2> values{
      {{"default", FeatureSelect::default_}, {"full", FeatureSelect::full}}};
  static constexpr std::array<std::string_view, 2> enumerators{"default_", "full"};
};

// The keys of config.json outside vision_config and text_config.
struct InternVlConfig {
  static constexpr std::string_view model_type = "internvl";
  static constexpr std::string_view type = "gov::InternVlConfig";

  double downsample_ratio = 0.5;
  kernel::Activation projector_hidden_act = kernel::Activation::gelu;
  index_t vision_feature_layer = -1;
  FeatureSelect vision_feature_select_strategy = FeatureSelect::default_;
  PsVersion ps_version = PsVersion::v2;
  bool tie_word_embeddings = false;

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
  template <class Cfg>
  using Projector = PixelShuffleMlp<Cfg::Vision::config.hidden_size,
                                    geometry_of(Cfg::Language::config).hidden_size,
                                    Cfg::config.fold(), Cfg::config.projector_hidden_act>;
};

}  // namespace gov
