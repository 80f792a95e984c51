// The plain vision transformer (Dosovitskiy et al. 2020; transformers: ViTModel without its
// pooler): patch embedding, class token, learned positions, pre-norm layers, a final norm.
// GPT-OSS-Vision's tower. Positions are the table itself at the tower's own size and resized
// bicubically at others (interpolate_pos_encoding).
#pragma once

#include "gov/vision/encoder_layer.hpp"
#include "gov/vision/patch_embedding.hpp"
#include "gov/vision/position_resize.hpp"

namespace gov {

// config.json of model_type vit, with the class's defaults.
struct VitConfig {
  static constexpr std::string_view model_type = "vit";
  static constexpr std::string_view type = "gov::VitConfig", modules = "gov::VitModules",
                                    header = "gov/vision/vit.hpp";

  index_t hidden_size = 768, intermediate_size = 3072;
  index_t num_hidden_layers = 12, num_attention_heads = 12;
  index_t num_channels = 3;
  Extent image_size{224, 224}, patch_size{16, 16};
  kernel::Activation hidden_act = kernel::Activation::gelu;
  double layer_norm_eps = 1e-12;
  bool qkv_bias = true;

  friend constexpr bool operator==(const VitConfig&, const VitConfig&) = default;

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
    v("qkv_bias", self.qkv_bias);
  }

  constexpr std::string_view problem() const {
    if (hidden_size % num_attention_heads != 0)
      return "hidden_size must be a multiple of num_attention_heads";
    if (image_size.height < patch_size.height || image_size.width < patch_size.width)
      return "image_size must hold a patch";
    return "";
  }
};

template <class C>
struct Vit {
  static constexpr auto& config = C::config;
  static_assert(config.problem() == "",
                "gov: Vision::config does not hold together: hidden_size must be a multiple of "
                "num_attention_heads, image_size at least patch_size");
  static constexpr index_t hidden_size = config.hidden_size;
  static constexpr index_t num_hidden_layers = config.num_hidden_layers;
  static constexpr index_t num_channels = config.num_channels;
  static constexpr Extent image_size = config.image_size;  // of the positions that it has learned
  static constexpr index_t prefix_tokens = 1;              // before the patches
  static constexpr Extent own_grid = patch_grid(config.image_size, config.patch_size);
  static constexpr index_t positions = 1 + own_grid.height * own_grid.width;

  using Patches = PatchEmbedding<config.num_channels, config.patch_size.height,
                                 config.patch_size.width, hidden_size>;
  static constexpr index_t patch = Patches::inputs;
  using Norm = LayerNorm<hidden_size>;

  struct Embeddings {
    struct Params {
      Vector<1, 1, hidden_size> cls_token;
      Vector<1, positions, hidden_size> position_embeddings;
      typename Patches::Params projection;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "cls_token", p.cls_token...);
        gov::visit(v, name / "position_embeddings", p.position_embeddings...);
        gov::visit(v, name / "patch_embeddings" / "projection", p.projection...);
      }
    };
  };

  struct Layers {
    static constexpr EncoderParts parts{.hidden_size = config.hidden_size,
                                        .intermediate_size = config.intermediate_size,
                                        .num_attention_heads = config.num_attention_heads,
                                        .layer_norm_eps = config.layer_norm_eps,
                                        .hidden_act = config.hidden_act,
                                        .qkv_bias = config.qkv_bias};
    static constexpr EncoderNames names{.norm1 = "layernorm_before",
                                        .norm2 = "layernorm_after",
                                        .q_proj = "attention.attention.query",
                                        .k_proj = "attention.attention.key",
                                        .v_proj = "attention.attention.value",
                                        .o_proj = "attention.output.dense",
                                        .up_proj = "intermediate.dense",
                                        .down_proj = "output.dense"};
  };
  using Layer = EncoderLayer<Layers>;

  struct Params {
    typename Embeddings::Params embeddings;
    std::array<typename Layer::Params, static_cast<std::size_t>(config.num_hidden_layers)> layer;
    typename Norm::Params layernorm;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "embeddings", p.embeddings...);
      gov::visit(v, name / "encoder" / "layer", p.layer...);
      gov::visit(v, name / "layernorm", p.layernorm...);
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
  // `feature_layer` (0 is the embedding), or with -1 the last one after the final norm.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const float* pixels, index_t height,
                      index_t width, index_t feature_layer, Rows<T> out, O& observer) {
    const Extent image{height, width};
    std::copy_n(p.embeddings.cls_token.values(), hidden_size, out.row(0));
    Patches::forward(context, p.embeddings.projection, pixels, image, out.slice(1, out.rows - 1));
    add_positions(context, p.embeddings.position_embeddings.values(), positions - 1,
                  patch_grid(image, config.patch_size),
                  height == width || image == config.image_size, out);
    run_encoder<Layer>(context, p.layer,
                       feature_layer < 0 ? config.num_hidden_layers : feature_layer, out, observer);
    if (feature_layer < 0) Norm::forward(context, p.layernorm, config.layer_norm_eps, out, out);
  }
};

// What a vision Config derives from to use this tower.
struct VitModules {
  template <class C>
  using Tower = Vit<C>;
};

// The tower of GPT-OSS-Vision: 24 layers of 1024, patches of 14 in images of 224.
struct VitLarge14 : VitModules {
  static constexpr std::string_view name = "VitLarge14";
  static constexpr VitConfig config{.hidden_size = 1024,
                                    .intermediate_size = 4096,
                                    .num_hidden_layers = 24,
                                    .num_attention_heads = 16,
                                    .patch_size = {14, 14},
                                    .layer_norm_eps = 1e-6};
};

struct TinyVit : VitModules {
  static constexpr std::string_view name = "TinyVit";
  static constexpr VitConfig config{.hidden_size = 32,
                                    .intermediate_size = 64,
                                    .num_hidden_layers = 2,
                                    .num_attention_heads = 2,
                                    .image_size = {32, 32},
                                    .patch_size = {8, 8},
                                    .layer_norm_eps = 1e-6};
};

}  // namespace gov
