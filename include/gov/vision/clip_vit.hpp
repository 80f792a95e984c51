// CLIP's image tower (Radford et al. 2021; transformers: CLIPVisionModel), which the published
// LLaVA checkpoints use: patch embedding without bias, class embedding, learned positions (resized
// bicubically for other image sizes), a norm before the pre-norm layers. The hidden states have no
// norm behind them: post_layernorm belongs to the pooled class token alone. No projection to CLIP's
// common space.
#pragma once

#include "gov/vision/encoder_layer.hpp"
#include "gov/vision/patch_embedding.hpp"
#include "gov/vision/position_resize.hpp"

namespace gov {

// "" if a config holds together.
constexpr std::string_view clip_vit_problem(const auto& config) {
  if (config.hidden_size % config.num_attention_heads != 0)
    return "hidden_size must be a multiple of num_attention_heads";
  if (config.image_size.height != config.image_size.width ||
      config.patch_size.height != config.patch_size.width)
    return "image_size and patch_size must be square";
  if (config.image_size.height < config.patch_size.height) return "image_size must hold a patch";
  return "";
}

// config.json's vision_config of model_type clip_vision_model, with the class's defaults.
struct ClipVitConfig {
  static constexpr std::string_view model_type = "clip_vision_model";
  static constexpr std::string_view type = "gov::ClipVitConfig", modules = "gov::ClipVitModules",
                                    header = "gov/vision/clip_vit.hpp";

  index_t hidden_size = 768, intermediate_size = 3072;
  index_t num_hidden_layers = 12, num_attention_heads = 12;
  index_t num_channels = 3;
  Extent image_size{224, 224}, patch_size{32, 32};
  kernel::Activation hidden_act = kernel::Activation::quick_gelu;
  double layer_norm_eps = 1e-5;

  friend constexpr bool operator==(const ClipVitConfig&, const ClipVitConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, 256});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_channels", self.num_channels, Range{1, 16});
    v("image_size", self.image_size, Range{1, 1 << 14});
    v("patch_size", self.patch_size, Range{1, 1 << 12});
    v("hidden_act", self.hidden_act);
    v("layer_norm_eps", self.layer_norm_eps, Range{0, 1});
  }

  constexpr std::string_view problem() const { return clip_vit_problem(*this); }
};

// The layers of CLIP's tower, and of SigLIP's.
template <class C>
struct ClipVitLayers {
  static constexpr auto& config = C::config;
  static constexpr EncoderParts parts{.hidden_size = config.hidden_size,
                                      .intermediate_size = config.intermediate_size,
                                      .num_attention_heads = config.num_attention_heads,
                                      .layer_norm_eps = config.layer_norm_eps,
                                      .hidden_act = config.hidden_act};
  static constexpr EncoderNames names{.norm1 = "layer_norm1",
                                      .norm2 = "layer_norm2",
                                      .q_proj = "self_attn.q_proj",
                                      .k_proj = "self_attn.k_proj",
                                      .v_proj = "self_attn.v_proj",
                                      .o_proj = "self_attn.out_proj",
                                      .up_proj = "mlp.fc1",
                                      .down_proj = "mlp.fc2"};
};

template <class C>
struct ClipVit {
  static constexpr auto& config = C::config;
  static_assert(config.problem() == "",
                "gov: Vision::config does not hold together: hidden_size must be a multiple of "
                "num_attention_heads, image_size and patch_size square, image_size at least "
                "patch_size");
  static constexpr index_t hidden_size = config.hidden_size;
  static constexpr index_t num_hidden_layers = config.num_hidden_layers;
  static constexpr index_t num_channels = config.num_channels;
  static constexpr Extent image_size = config.image_size;  // of the positions that it has learned
  static constexpr index_t prefix_tokens = 1;              // before the patches
  static constexpr Extent own_grid = patch_grid(config.image_size, config.patch_size);
  static constexpr index_t positions = 1 + own_grid.height * own_grid.width;
  // Published checkpoints have this word before every name; transformers 5 writes without it.
  static constexpr std::string_view checkpoint_prefix = "vision_model";

  using Patches = PatchEmbedding<config.num_channels, config.patch_size.height,
                                 config.patch_size.width, hidden_size, false>;
  static constexpr index_t patch = Patches::inputs;
  using Norm = LayerNorm<hidden_size>;

  struct Embeddings {
    struct Params {
      Vector<hidden_size> class_embedding;
      typename Patches::Params patch_embedding;
      Vector<positions, hidden_size> position_embedding;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "class_embedding", p.class_embedding...);
        gov::visit(v, name / "patch_embedding", p.patch_embedding...);
        gov::visit(v, name / "position_embedding" / "weight", p.position_embedding...);
      }
    };
  };

  using Layer = EncoderLayer<ClipVitLayers<C>>;

  struct Params {
    typename Embeddings::Params embeddings;
    typename Norm::Params pre_layrnorm;  // as the checkpoints spell it
    std::array<typename Layer::Params, static_cast<std::size_t>(config.num_hidden_layers)> layers;
    typename Norm::Params post_layernorm;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "embeddings", p.embeddings...);
      gov::visit(v, name / "pre_layrnorm", p.pre_layrnorm...);
      gov::visit(v, name / "encoder" / "layers", p.layers...);
      gov::visit(v, name / "post_layernorm", p.post_layernorm...);
    }
  };

  // Tokens of one image, the class token included.
  static constexpr index_t tokens(index_t height, index_t width) {
    const Extent grid = patch_grid({height, width}, config.patch_size);
    return 1 + grid.height * grid.width;
  }

  // Numbers of scratch memory for one image of so many tokens.
  static constexpr index_t scratch(index_t tokens) {
    return tokens * std::max(Layer::scratch_width, patch);
  }

  // pixels [num_channels, height, width] of one image -> out [tokens, hidden]: hidden state
  // `feature_layer` (0 is what enters the first layer), or with -1 the last one.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const float* pixels, index_t height,
                      index_t width, index_t feature_layer, Rows<T> out, O& observer) {
    std::copy_n(p.embeddings.class_embedding.values(), hidden_size, out.row(0));
    Patches::forward(context, p.embeddings.patch_embedding, pixels, {height, width},
                     out.slice(1, out.rows - 1));
    add_positions(context, p.embeddings.position_embedding.values(), positions - 1,
                  patch_grid({height, width}, config.patch_size), height == width, out);
    Norm::forward(context, p.pre_layrnorm, config.layer_norm_eps, out, out);
    run_encoder<Layer>(context, p.layers,
                       feature_layer < 0 ? config.num_hidden_layers : feature_layer, out, observer);
  }

  // The pooled image: the class token of the last hidden state, normed; pooled [1, hidden].
  template <class T>
  static void pool(Context<T>& context, const Params& p, Input<T> last, Rows<T> pooled) {
    Norm::forward(context, p.post_layernorm, config.layer_norm_eps, last.slice(0, 1), pooled);
  }
};

// What a vision Config derives from to use this tower.
struct ClipVitModules {
  template <class C>
  using Tower = ClipVit<C>;
};

// openai/clip-vit-large-patch14-336: the tower of LLaVA 1.5 and of LLaVA-NeXT.
struct ClipVitLarge336 : ClipVitModules {
  static constexpr std::string_view name = "ClipVitLarge336";
  static constexpr ClipVitConfig config{.hidden_size = 1024,
                                        .intermediate_size = 4096,
                                        .num_hidden_layers = 24,
                                        .num_attention_heads = 16,
                                        .image_size = {336, 336},
                                        .patch_size = {14, 14}};
};

struct TinyClipVit : ClipVitModules {
  static constexpr std::string_view name = "TinyClipVit";
  static constexpr ClipVitConfig config{.hidden_size = 32,
                                        .intermediate_size = 64,
                                        .num_hidden_layers = 3,
                                        .num_attention_heads = 2,
                                        .image_size = {32, 32},
                                        .patch_size = {8, 8}};
};

}  // namespace gov
