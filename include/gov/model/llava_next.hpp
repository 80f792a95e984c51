// LLaVA-NeXT, or LLaVA 1.6 (Liu et al. 2024; transformers: LlavaNextForConditionalGeneration):
// LLaVA on pictures of any resolution. A picture is the whole in one view of the tower and, in
// more views, the resolution of image_grid_pinpoints that keeps most of it; the features of all are
// packed into one run of tokens (anyres_features.hpp).
#pragma once

#include "gov/language/llama.hpp"
#include "gov/model/anyres_features.hpp"
#include "gov/model/llava.hpp"

namespace gov {

// (height, width) pairs; the range of 1x1 to 6x6 views is 36 of them.
using GridPinpoints = ConfigList<Extent, 64>;

// The keys of config.json outside vision_config and text_config, with the class's defaults.
struct LlavaNextConfig {
  static constexpr std::string_view model_type = "llava_next";
  static constexpr std::string_view type = "gov::LlavaNextConfig", modules = "gov::LlavaNext";
  static constexpr std::string_view header = "gov/model/llava_next.hpp";
  static constexpr std::string_view architecture = "LlavaNextForConditionalGeneration";
  static constexpr std::string_view image_token_key = "image_token_index";
  static constexpr int image_token_id = 32000;
  using Vision = ClipVitConfig;
  using Text = LlamaConfig;

  static constexpr std::string_view original_key = "mm_projector_type";  // as LlavaConfig's
  MmProjectorType mm_projector_type = mlp2x_gelu;
  kernel::Activation projector_hidden_act = kernel::Activation::gelu;
  FeatureSelect vision_feature_select_strategy = FeatureSelect::default_;
  FeatureLayers vision_feature_layer = -2;
  bool multimodal_projector_bias = true;
  bool tie_word_embeddings = false;
  GridPinpoints image_grid_pinpoints{Extent{336, 672}, Extent{672, 336}, Extent{672, 672},
                                     Extent{1008, 336}, Extent{336, 1008}};

  static constexpr LlavaNextConfig class_defaults() { return {}; }
  friend constexpr bool operator==(const LlavaNextConfig&, const LlavaNextConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("mm_projector_type", self.mm_projector_type);
    v("projector_hidden_act", self.projector_hidden_act);
    v("vision_feature_select_strategy", self.vision_feature_select_strategy);
    v("vision_feature_layer", self.vision_feature_layer, Range{-256, 256});
    v("multimodal_projector_bias", self.multimodal_projector_bias);
    v("tie_word_embeddings", self.tie_word_embeddings);
    v("image_grid_pinpoints", self.image_grid_pinpoints, Range{1, max_resolution_side});
  }
  constexpr std::string_view problem() const {
    if (vision_feature_select_strategy != FeatureSelect::default_)
      return "vision_feature_select_strategy must be default: the views must be grids";
    return mm_projector_type.problem();
  }
};

// Tiles are views here; Inputs::image_sizes says of which pictures.
template <class Cfg>
struct AnyresImages : TileFeatures<Cfg> {
  using Tiles = TileFeatures<Cfg>;
  static constexpr auto& vision = Cfg::Vision::config;
  static constexpr index_t hidden_size = geometry_of(Cfg::Language::config).hidden_size;
  static constexpr index_t view = vision.image_size.height;  // pixels of a side
  static constexpr index_t side = view / vision.patch_size.height;
  static_assert(vision.image_size.width == view && Tiles::image_tokens(view, view) == side * side,
                "gov: LLaVA-NeXT's views are square, and their tokens a square grid");

  struct Params : Tiles::Params {
    Vector<hidden_size> image_newline;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      Tiles::Params::visit(v, name, p...);
      gov::visit(v, name / "image_newline", p.image_newline...);
    }
  };

  // Views and tokens of a picture of this height and width.
  static AnyresLayout layout(Extent picture) {
    return anyres_layout(picture, Cfg::config.image_grid_pinpoints, view, side, {}, true);
  }

  static index_t rows(const Inputs& inputs) {
    const index_t count = inputs.pixel_values.count;
    if (count > 0 && (inputs.pixel_values.height != view || inputs.pixel_values.width != view))
      refuse("pixel_values", "views of " + std::to_string(view) + "x" + std::to_string(view),
             std::to_string(inputs.pixel_values.height) + "x" +
                 std::to_string(inputs.pixel_values.width));
    Tiles::rows(inputs);
    index_t views = 0, tokens = 0;
    for (const Extent picture : inputs.image_sizes) {
      const AnyresLayout parts = layout(picture);
      views += parts.view_count(), tokens += parts.tokens();
    }
    if (views != count)
      refuse("image_sizes", "pictures of " + std::to_string(count) + " views, as many as there are",
             std::to_string(inputs.image_sizes.size()) + " pictures of " + std::to_string(views));
    return tokens;
  }

  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const Inputs& inputs, Rows<T> out,
                      O& observer) {
    const PixelView& pixels = inputs.pixel_values;
    index_t tile = 0, row = 0;
    for (const Extent picture : inputs.image_sizes) {
      const ArenaScope scope(context.arena);
      const AnyresLayout parts = layout(picture);
      const auto features = context.rows(parts.view_count() * side * side, hidden_size);
      for (index_t i = 0; i < parts.view_count(); ++i)
        Tiles::tile(context, p, pixels.tile(tile++), view, view,
                    features.slice(i * side * side, side * side), observer);
      pack_anyres_features<T>(context, parts, features, p.image_newline.values(),
                              out.slice(row, parts.tokens()));
      row += parts.tokens();
    }
    if (out.rows > 0) observe(observer, "image_features", out);
  }

 private:
  [[noreturn]] static void refuse(std::string_view field, std::string expected, std::string found) {
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = std::string(field),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
};

struct LlavaNext : LlavaModules {
  template <class Cfg>
  using Images = AnyresImages<Cfg>;
};

}  // namespace gov
