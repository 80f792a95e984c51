// SigLIP's image tower (Zhai et al. 2023; transformers: SiglipVisionModel): patch embedding,
// learned positions (resized bicubically for other image sizes), pre-norm layers, a final norm; no
// class token. The head that pools by attention is not here: LLaVA reads hidden states alone, and
// loading passes over its tensors (is_leftover).
#pragma once

#include "gov/vision/clip_vit.hpp"

namespace gov {

// config.json's vision_config of model_type siglip_vision_model, with the class's defaults.
struct SiglipVitConfig {
  static constexpr std::string_view model_type = "siglip_vision_model";
  static constexpr std::string_view type = "gov::SiglipVitConfig",
                                    modules = "gov::SiglipVitModules",
                                    header = "gov/vision/siglip_vit.hpp";
  static constexpr bool vision_use_head = false;  // whatever a file says; so it is written

  index_t hidden_size = 768, intermediate_size = 3072;
  index_t num_hidden_layers = 12, num_attention_heads = 12;
  index_t num_channels = 3;
  Extent image_size{224, 224}, patch_size{16, 16};
  kernel::Activation hidden_act = kernel::Activation::gelu_tanh;
  double layer_norm_eps = 1e-6;

  friend constexpr bool operator==(const SiglipVitConfig&, const SiglipVitConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    ClipVitConfig::keys(self, v);
  }

  constexpr std::string_view problem() const { return clip_vit_problem(*this); }
};

template <class C>
struct SiglipVit {
  static constexpr auto& config = C::config;
  static_assert(config.problem() == "",
                "gov: Vision::config does not hold together: hidden_size must be a multiple of "
                "num_attention_heads, image_size and patch_size square, image_size at least "
                "patch_size");
  static constexpr index_t hidden_size = config.hidden_size;
  static constexpr index_t num_hidden_layers = config.num_hidden_layers;
  static constexpr index_t num_channels = config.num_channels;
  static constexpr Extent image_size = config.image_size;  // of the positions that it has learned
  static constexpr index_t prefix_tokens = 0;              // before the patches
  static constexpr Extent own_grid = patch_grid(config.image_size, config.patch_size);
  static constexpr index_t positions = own_grid.height * own_grid.width;
  // Published checkpoints have this word before every name; transformers 5 writes without it.
  static constexpr std::string_view checkpoint_prefix = "vision_model";

  using Patches = PatchEmbedding<config.num_channels, config.patch_size.height,
                                 config.patch_size.width, hidden_size>;
  static constexpr index_t patch = Patches::inputs;
  using Norm = LayerNorm<hidden_size>;

  struct Embeddings {
    struct Params {
      typename Patches::Params patch_embedding;
      Vector<positions, hidden_size> position_embedding;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "patch_embedding", p.patch_embedding...);
        gov::visit(v, name / "position_embedding" / "weight", p.position_embedding...);
      }
    };
  };

  using Layer = EncoderLayer<ClipVitLayers<C>>;

  struct Params {
    typename Embeddings::Params embeddings;
    std::array<typename Layer::Params, static_cast<std::size_t>(config.num_hidden_layers)> layers;
    typename Norm::Params post_layernorm;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "embeddings", p.embeddings...);
      gov::visit(v, name / "encoder" / "layers", p.layers...);
      gov::visit(v, name / "post_layernorm", p.post_layernorm...);
    }
  };

  // Tokens of one image: its patches.
  static constexpr index_t tokens(index_t height, index_t width) {
    const Extent grid = patch_grid({height, width}, config.patch_size);
    return grid.height * grid.width;
  }

  // Numbers of scratch memory for one image of so many tokens.
  static constexpr index_t scratch(index_t tokens) {
    return tokens * std::max(Layer::scratch_width, patch);
  }

  // pixels [num_channels, height, width] of one image -> out [tokens, hidden]: hidden state
  // `feature_layer` (0 is the embedding), or with -1 the last one after the final norm.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const float* pixels, index_t height,
                      index_t width, index_t feature_layer, Rows<T> out, O& observer) {
    Patches::forward(context, p.embeddings.patch_embedding, pixels, {height, width}, out);
    add_positions(context, p.embeddings.position_embedding.values(), positions,
                  patch_grid({height, width}, config.patch_size), height == width, out);
    run_encoder<Layer>(context, p.layers,
                       feature_layer < 0 ? config.num_hidden_layers : feature_layer, out, observer);
    if (feature_layer < 0)
      Norm::forward(context, p.post_layernorm, config.layer_norm_eps, out, out);
  }
};

// What a vision Config derives from to use this tower.
struct SiglipVitModules {
  template <class C>
  using Tower = SiglipVit<C>;
};

// google/siglip-so400m-patch14-384: 27 x 27 patches, 6 pixels of each side left over.
struct SiglipSo400m384 : SiglipVitModules {
  static constexpr std::string_view name = "SiglipSo400m384";
  static constexpr SiglipVitConfig config{.hidden_size = 1152,
                                          .intermediate_size = 4304,
                                          .num_hidden_layers = 27,
                                          .num_attention_heads = 16,
                                          .image_size = {384, 384},
                                          .patch_size = {14, 14}};
};

// The same as LLaVA's repositories hold it: they delete the last layer and read what entered it.
struct SiglipSo400m384OfLlava : SiglipVitModules {
  static constexpr std::string_view name = "SiglipSo400m384OfLlava";
  static constexpr SiglipVitConfig config = [] {
    SiglipVitConfig shorter = SiglipSo400m384::config;
    --shorter.num_hidden_layers;
    return shorter;
  }();
};

struct TinySiglipVit : SiglipVitModules {
  static constexpr std::string_view name = "TinySiglipVit";
  static constexpr SiglipVitConfig config{.hidden_size = 32,
                                          .intermediate_size = 64,
                                          .num_hidden_layers = 3,
                                          .num_attention_heads = 2,
                                          .image_size = {32, 32},
                                          .patch_size = {8, 8}};
};

}  // namespace gov
