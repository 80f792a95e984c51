// InternViT (OpenGVLab; transformers: InternVLVisionModel), the 300M and the 6B variants: patch
// embedding, class token, learned positions (resized bicubically for other image sizes), pre-norm
// layers with layer scale; LayerNorm or RMSNorm, optional norm of q and k over the full width,
// optional q, k, v biases. No final norm unless use_mean_pooling is off.
#pragma once

#include "gov/vision/encoder_layer.hpp"
#include "gov/vision/patch_embedding.hpp"
#include "gov/vision/position_resize.hpp"

namespace gov {

// config.json's vision_config of model_type internvl_vision, with the class's defaults.
struct InternVitConfig {
  static constexpr std::string_view model_type = "internvl_vision";
  static constexpr std::string_view type = "gov::InternVitConfig",
                                    modules = "gov::InternVitModules",
                                    header = "gov/vision/intern_vit.hpp";
  // OpenGVLab's names, of which transformers' files may have kept some.
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 2> aliases{
      {{"attention_bias", "qkv_bias"}, {"use_qk_norm", "qk_normalization"}}};

  index_t hidden_size = 1024, intermediate_size = 4096;
  index_t num_hidden_layers = 24, num_attention_heads = 16;
  index_t num_channels = 3;
  Extent image_size{448, 448}, patch_size{14, 14};
  NormType norm_type = NormType::layer_norm;
  double layer_norm_eps = 1e-6;
  kernel::Activation hidden_act = kernel::Activation::gelu;
  bool attention_bias = false, use_qk_norm = false, use_mask_token = false;
  bool use_absolute_position_embeddings = true, use_mean_pooling = true;

  constexpr index_t grid_height() const { return image_size.height / patch_size.height; }
  constexpr index_t grid_width() const { return image_size.width / patch_size.width; }
  friend constexpr bool operator==(const InternVitConfig&, const InternVitConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("intermediate_size", self.intermediate_size, Range{1, 1 << 18});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, 256});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("num_channels", self.num_channels, Range{1, 16});
    v("image_size", self.image_size, Range{1, 1 << 14});
    v("patch_size", self.patch_size, Range{1, 1 << 12});
    v("norm_type", self.norm_type);
    v("layer_norm_eps", self.layer_norm_eps, Range{0, 1});
    v("hidden_act", self.hidden_act);
    v("attention_bias", self.attention_bias);
    v("use_qk_norm", self.use_qk_norm);
    v("use_mask_token", self.use_mask_token);
    v("use_absolute_position_embeddings", self.use_absolute_position_embeddings);
    v("use_mean_pooling", self.use_mean_pooling);
  }

  constexpr std::string_view problem() const {
    if (hidden_size % num_attention_heads != 0)
      return "hidden_size must be a multiple of num_attention_heads";
    if (image_size.height % patch_size.height != 0 || image_size.width % patch_size.width != 0)
      return "image_size must be a multiple of patch_size";
    return "";
  }
};

template <class C>
struct InternVit {
  static constexpr auto& config = C::config;
  static_assert(config.problem() == "",
                "gov: Vision::config does not hold together: hidden_size must be a multiple of "
                "num_attention_heads, image_size of patch_size");
  static constexpr index_t hidden_size = config.hidden_size;
  static constexpr index_t num_hidden_layers = config.num_hidden_layers;
  static constexpr index_t num_channels = config.num_channels;
  static constexpr Extent image_size = config.image_size;  // of the positions that it has learned
  static constexpr index_t prefix_tokens = 1;              // before the patches
  static constexpr index_t positions = 1 + config.grid_height() * config.grid_width();

  using Patches = PatchEmbedding<config.num_channels, config.patch_size.height,
                                 config.patch_size.width, hidden_size>;
  static constexpr index_t patch = Patches::inputs;
  using FinalNorm = LayerNorm<hidden_size>;

  struct Embeddings {
    struct Params {
      Vector<1, 1, hidden_size> cls_token;
      present_if<config.use_mask_token, Vector<1, 1, hidden_size>> mask_token;  // training only
      present_if<config.use_absolute_position_embeddings, Vector<1, positions, hidden_size>>
          position_embeddings;
      typename Patches::Params projection;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "cls_token", p.cls_token...);
        gov::visit(v, name / "mask_token", p.mask_token...);
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
                                        .qkv_bias = config.attention_bias,
                                        .layer_scale = true,
                                        .qk_norm = config.use_qk_norm,
                                        .norm_type = config.norm_type};
    static constexpr EncoderNames names{.norm1 = "layernorm_before",
                                        .norm2 = "layernorm_after",
                                        .q_proj = "attention.q_proj",
                                        .k_proj = "attention.k_proj",
                                        .v_proj = "attention.v_proj",
                                        .o_proj = "attention.projection_layer",
                                        .up_proj = "mlp.fc1",
                                        .down_proj = "mlp.fc2",
                                        .scale1 = "lambda_1",
                                        .scale2 = "lambda_2",
                                        .q_norm = "attention.q_norm",
                                        .k_norm = "attention.k_norm"};
  };
  using Layer = EncoderLayer<Layers>;

  struct Params {
    typename Embeddings::Params embeddings;
    std::array<typename Layer::Params, static_cast<std::size_t>(config.num_hidden_layers)> layer;
    present_if<!config.use_mean_pooling, typename FinalNorm::Params> layernorm;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "embeddings", p.embeddings...);
      gov::visit(v, name / "encoder" / "layer", p.layer...);
      gov::visit(v, name / "layernorm", p.layernorm...);
    }
  };

  // Tokens of one image, the class token included.
  static constexpr index_t tokens(index_t height, index_t width) {
    return 1 + (height / config.patch_size.height) * (width / config.patch_size.width);
  }

  // Numbers of scratch memory for one image of so many tokens.
  static constexpr index_t scratch(index_t tokens) {
    return tokens * std::max(Layer::scratch_width, patch);
  }

  // pixels [num_channels, height, width] of one image -> out [tokens, hidden]: hidden state
  // `feature_layer` (0 is the embedding), or with -1 the last one after the optional final norm.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const float* pixels, index_t height,
                      index_t width, index_t feature_layer, Rows<T> out, O& observer) {
    embed(context, p.embeddings, pixels, height, width, out);
    run_encoder<Layer>(context, p.layer,
                       feature_layer < 0 ? config.num_hidden_layers : feature_layer, out, observer);
    if constexpr (!config.use_mean_pooling)
      if (feature_layer < 0)
        FinalNorm::forward(context, p.layernorm, config.layer_norm_eps, out, out);
  }

 private:
  template <class T>
  static void embed(Context<T>& context, const typename Embeddings::Params& p, const float* pixels,
                    index_t height, index_t width, Rows<T> out) {
    const Extent grid = patch_grid({height, width}, config.patch_size);
    std::copy_n(p.cls_token.values(), hidden_size, out.row(0));
    Patches::forward(context, p.projection, pixels, {height, width},
                     out.slice(1, grid.height * grid.width));
    if constexpr (config.use_absolute_position_embeddings)
      add_positions(context, p.position_embeddings.values(), positions - 1, grid, height == width,
                    out);
  }
};

// What a vision Config derives from to use this tower.
struct InternVitModules {
  template <class C>
  using Tower = InternVit<C>;
};

// The tower of InternVL3 1B to 14B and of InternVL3.5-GPT-OSS-20B.
struct InternVit300m : InternVitModules {
  static constexpr std::string_view name = "InternVit300m";
  static constexpr InternVitConfig config{.attention_bias = true};
};

// The tower of InternVL3 38B and 78B.
struct InternVit6b : InternVitModules {
  static constexpr std::string_view name = "InternVit6b";
  static constexpr InternVitConfig config{.hidden_size = 3200,
                                          .intermediate_size = 12800,
                                          .num_hidden_layers = 45,
                                          .num_attention_heads = 25,
                                          .norm_type = NormType::rms_norm,
                                          .use_qk_norm = true};
};

struct TinyInternVit : InternVitModules {
  static constexpr std::string_view name = "TinyInternVit";
  static constexpr InternVitConfig config{.hidden_size = 64,
                                          .intermediate_size = 128,
                                          .num_hidden_layers = 2,
                                          .num_attention_heads = 2,
                                          .image_size = {32, 32},
                                          .patch_size = {8, 8},
                                          .attention_bias = true};
};

}  // namespace gov
