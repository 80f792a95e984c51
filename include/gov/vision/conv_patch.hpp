// The convolutional fallback of GPT-OSS-Vision: a patch embedding alone, without class token,
// positions, layers or norm. Its one hidden state is the embedding.
#pragma once

#include "gov/core/observer.hpp"
#include "gov/vision/patch_embedding.hpp"

namespace gov {

struct ConvPatchConfig {
  static constexpr std::string_view model_type = "conv_patch";
  static constexpr std::string_view type = "gov::ConvPatchConfig",
                                    modules = "gov::ConvPatchModules",
                                    header = "gov/vision/conv_patch.hpp";
  static constexpr index_t num_hidden_layers = 0;  // hidden state 0 is all there is

  index_t hidden_size = 1024;
  index_t num_channels = 3;
  Extent image_size{224, 224}, patch_size{14, 14};

  friend constexpr bool operator==(const ConvPatchConfig&, const ConvPatchConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("num_channels", self.num_channels, Range{1, 16});
    v("image_size", self.image_size, Range{1, 1 << 14});
    v("patch_size", self.patch_size, Range{1, 1 << 12});
  }

  constexpr std::string_view problem() const {
    if (image_size.height < patch_size.height || image_size.width < patch_size.width)
      return "image_size must hold a patch";
    return "";
  }
};

template <class C>
struct ConvPatch {
  static constexpr auto& config = C::config;
  static_assert(config.problem() == "",
                "gov: Vision::config does not hold together: image_size must be at least "
                "patch_size");
  static constexpr index_t hidden_size = config.hidden_size;
  static constexpr index_t num_hidden_layers = config.num_hidden_layers;
  static constexpr index_t num_channels = config.num_channels;
  static constexpr Extent image_size = config.image_size;  // of the positions that it has learned
  static constexpr index_t prefix_tokens = 0;              // before the patches

  using Patches = PatchEmbedding<config.num_channels, config.patch_size.height,
                                 config.patch_size.width, hidden_size>;
  static constexpr index_t patch = Patches::inputs;

  struct Params {
    typename Patches::Params projection;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "projection", p.projection...);
    }
  };

  static constexpr index_t tokens(index_t height, index_t width) {
    const Extent grid = patch_grid({height, width}, config.patch_size);
    return grid.height * grid.width;
  }

  // Numbers of scratch memory for one image of so many tokens.
  static constexpr index_t scratch(index_t tokens) { return tokens * patch; }

  // pixels [num_channels, height, width] of one image -> out [tokens, hidden], whatever the layer.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const float* pixels, index_t height,
                      index_t width, index_t, Rows<T> out, O& observer) {
    context.throw_if_cancelled();
    Patches::forward(context, p.projection, pixels, {height, width}, out);
    observe(observer, "vision_hidden_states", 0, out);
  }
};

// What a vision Config derives from to use this tower.
struct ConvPatchModules {
  template <class C>
  using Tower = ConvPatch<C>;
};

// What the published GPT-OSS-Vision code runs: 256 tokens of 224x224 pixels.
struct ConvPatch14 : ConvPatchModules {
  static constexpr std::string_view name = "ConvPatch14";
  static constexpr ConvPatchConfig config{};
};

}  // namespace gov
