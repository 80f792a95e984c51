// Features of images, tile by tile: hidden states of a vision tower (config.json's
// vision_feature_layer, several side by side if it lists several), without the class token under
// vision_feature_select_strategy "default", through a projector. What InternVL and LLaVA share.
#pragma once

#include <algorithm>
#include <string>

#include "gov/core/config.hpp"
#include "gov/core/observer.hpp"
#include "gov/core/params.hpp"
#include "gov/model/inputs.hpp"
#include "gov/nn/context.hpp"

namespace gov {

enum class FeatureSelect { default_, full };

template <>
struct EnumNames<FeatureSelect> {
  static constexpr std::string_view type = "gov::FeatureSelect";
  static constexpr std::array<std::pair<std::string_view, FeatureSelect>, 2> values{
      {{"default", FeatureSelect::default_}, {"full", FeatureSelect::full}}};
  static constexpr std::array<std::string_view, 2> enumerators{"default_", "full"};
};

// Hidden states of a tower, counted from its embedding (0), or from the last one (-1).
using FeatureLayers = ConfigList<index_t, 8>;

// The hidden states that a composition's projector reads, side by side: vision_feature_layer, or
// what a family with more of them says.
template <class C>
constexpr FeatureLayers projector_layers(const C& config) {
  if constexpr (requires { config.projector_layers(); })
    return config.projector_layers();
  else
    return config.vision_feature_layer;
}

// Of a tower of so many layers, the number of a hidden state; no_layer where there is none. If
// `normed`, -1 is the tower's last_hidden_state, after the final norm, and stays.
inline constexpr index_t no_layer = -2;
constexpr index_t layer_number(index_t layer, index_t layers, bool normed) {
  if (layer < -layers - 1 || layer > layers) return no_layer;
  return layer >= 0 || (layer == -1 && normed) ? layer : layers + 1 + layer;
}

template <class Cfg>
struct TileFeatures {
  using VisionConfig = typename Cfg::Vision;
  using Vision = typename VisionConfig::template Tower<VisionConfig>;
  using Projector = typename Cfg::template Projector<Cfg>;

  struct Params {
    typename Vision::Params vision_tower;
    typename Projector::Params multi_modal_projector;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "vision_tower", p.vision_tower...);
      gov::visit(v, name / "multi_modal_projector", p.multi_modal_projector...);
    }
  };

  // What the projector reads, by number of the hidden state.
  static constexpr FeatureLayers feature_layers = [](const FeatureLayers& given) {
    FeatureLayers numbers;
    for (const index_t layer : given)
      numbers.push_back(
          layer_number(layer, Vision::num_hidden_layers, Cfg::reads_last_hidden_state));
    return numbers;
  }(projector_layers(Cfg::config));
  static_assert(feature_layers.size() > 0 && std::find(feature_layers.begin(), feature_layers.end(),
                                                       no_layer) == feature_layers.end(),
                "gov: vision_feature_layer must name one of the tower's hidden states");
  // Layers of the tower that are run.
  static constexpr index_t deepest = [] {
    index_t most = 0;
    for (const index_t layer : feature_layers)
      most = std::max(most, layer < 0 ? Vision::num_hidden_layers : layer);
    return most;
  }();

  // Tokens of the tower that reach the projector.
  static constexpr index_t selected_tokens(index_t height, index_t width) {
    const bool drops_class = Cfg::config.vision_feature_select_strategy == FeatureSelect::default_;
    return Vision::tokens(height, width) - (drops_class ? 1 : 0);
  }
  // Language-model tokens of one tile; 0 where a tile of this size cannot be taken.
  static constexpr index_t image_tokens(index_t height, index_t width) {
    return Projector::tokens(selected_tokens(height, width));
  }

  // Rows of features that the images of a call come to. Throws bad_argument for images that this
  // model cannot take.
  static index_t rows(const Inputs& inputs) {
    const PixelView& pixels = inputs.pixel_values;
    const auto refuse = [](std::string expected, std::string found) {
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "pixel_values",
                   .expected = std::move(expected),
                   .found = std::move(found)});
    };
    if (pixels.count == 0) return 0;
    if (constexpr index_t channels = Vision::num_channels; pixels.channels != channels)
      refuse(std::to_string(channels) + " channels", std::to_string(pixels.channels));
    const index_t tokens = image_tokens(pixels.height, pixels.width);
    if (tokens == 0)
      refuse("a tile size that gives " + std::string(Projector::takes),
             std::to_string(pixels.height) + "x" + std::to_string(pixels.width));
    return pixels.count * tokens;
  }

  // out [rows(inputs), hidden_size of the language model].
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const Inputs& inputs, Rows<T> out,
                      O& observer) {
    const PixelView& pixels = inputs.pixel_values;
    const index_t tokens = image_tokens(pixels.height, pixels.width);
    for (index_t i = 0; i < pixels.count; ++i)
      tile(context, p, pixels.tile(i), pixels.height, pixels.width, out.slice(i * tokens, tokens),
           observer);
    if (pixels.count > 0) observe(observer, "image_features", out);
  }

  // One tile [channels, height, width] -> out [image_tokens, hidden_size].
  template <class T, class O>
  static void tile(Context<T>& context, const Params& p, const float* pixels, index_t height,
                   index_t width, Rows<T> out, O& observer) {
    const ArenaScope scope(context.arena);
    const index_t tokens = Vision::tokens(height, width), selected = selected_tokens(height, width),
                  skip = tokens - selected;
    const auto hidden = context.rows(tokens, Vision::hidden_size);
    if constexpr (feature_layers.size() == 1) {
      Vision::forward(context, p.vision_tower, pixels, height, width, feature_layers[0], hidden,
                      observer);
      Projector::forward(context, p.multi_modal_projector, hidden.slice(skip, selected), out);
    } else {
      constexpr auto layers = static_cast<index_t>(feature_layers.size());
      const auto wide = context.rows(selected, layers * Vision::hidden_size);
      Tap<T, O> tap{observer, wide, skip};
      constexpr bool ends = std::count(feature_layers.begin(), feature_layers.end(), -1) > 0;
      Vision::forward(context, p.vision_tower, pixels, height, width, ends ? -1 : deepest, hidden,
                      tap);
      if constexpr (ends) tap.take(-1, hidden);
      Projector::forward(context, p.multi_modal_projector, wide, out);
    }
  }

 private:
  // Keeps the layers that the projector reads, side by side, while the tower runs.
  template <class T, class O>
  struct Tap {
    O& observer;
    Rows<T> wide;
    index_t skip;

    void take(index_t layer, Rows<T> hidden) {
      for (std::size_t at = 0; at < feature_layers.size(); ++at)
        if (feature_layers[at] == layer)
          for (index_t i = 0; i < wide.rows; ++i)
            std::copy_n(hidden.row(skip + i), hidden.cols,
                        wide.row(i) + static_cast<index_t>(at) * hidden.cols);
    }
    void on(std::string_view base, index_t layer, Rows<T> hidden) {
      observe(observer, base, layer, hidden);
      if (base == "vision_hidden_states") take(layer, hidden);
    }
    template <class V>
    void on(const std::string& name, Rows<V> rows) {
      observe(observer, name, rows);
    }
  };
};

}  // namespace gov
