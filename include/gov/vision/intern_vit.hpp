// InternViT (OpenGVLab; transformers: InternVLVisionModel), the 300M and the 6B variants: patch
// embedding, class token, learned positions (resized bicubically for other image sizes), pre-norm
// layers with layer scale; LayerNorm or RMSNorm, optional norm of q and k over the full width,
// optional q, k, v biases. No final norm unless use_mean_pooling is off.
#pragma once

#include <array>

#include "gov/core/config.hpp"
#include "gov/kernel/activation_names.hpp"
#include "gov/nn/attention.hpp"
#include "gov/nn/linear.hpp"
#include "gov/nn/norm.hpp"
#include "gov/vision/position_resize.hpp"

namespace gov {

enum class NormType { layer_norm, rms_norm };

template <>
struct EnumNames<NormType> {
  static constexpr std::string_view type = "gov::NormType";
  static constexpr std::array<std::pair<std::string_view, NormType>, 2> values{
      {{"layer_norm", NormType::layer_norm}, {"rms_norm", NormType::rms_norm}}};
  static constexpr std::array<std::string_view, 2> enumerators{"layer_norm", "rms_norm"};
};

// config.json's vision_config of model_type internvl_vision, with the class's defaults.
struct InternVitConfig {
  static constexpr std::string_view model_type = "internvl_vision";
  static constexpr std::string_view type = "gov::InternVitConfig";

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
  static constexpr index_t patch =
      config.num_channels * config.patch_size.height * config.patch_size.width;
  static constexpr index_t positions = 1 + config.grid_height() * config.grid_width();
  static constexpr AttentionShape shape{config.num_attention_heads, config.num_attention_heads,
                                        hidden_size / config.num_attention_heads};
  static constexpr double qk_norm_eps = 1e-6;  // the class's, whatever layer_norm_eps says
  static constexpr bool rms = config.norm_type == NormType::rms_norm;

  using Norm = std::conditional_t<rms, RmsNorm<hidden_size>, LayerNorm<hidden_size>>;
  using Projection = Linear<hidden_size, hidden_size, config.attention_bias>;
  using Output = Linear<hidden_size, hidden_size>;
  using Up = Linear<hidden_size, config.intermediate_size>;
  using Down = Linear<config.intermediate_size, hidden_size>;
  using FinalNorm = LayerNorm<hidden_size>;

  struct Embeddings {
    struct Params {
      Vector<1, 1, hidden_size> cls_token;
      present_if<config.use_mask_token, Vector<1, 1, hidden_size>> mask_token;  // training only
      present_if<config.use_absolute_position_embeddings, Vector<1, positions, hidden_size>>
          position_embeddings;
      Matrix<hidden_size, patch, hidden_size, config.num_channels, config.patch_size.height,
             config.patch_size.width>
          projection_weight;
      Vector<hidden_size> projection_bias;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "cls_token", p.cls_token...);
        gov::visit(v, name / "mask_token", p.mask_token...);
        gov::visit(v, name / "position_embeddings", p.position_embeddings...);
        const auto projection = name / "patch_embeddings" / "projection";
        gov::visit(v, projection / "weight", p.projection_weight...);
        gov::visit(v, projection / "bias", p.projection_bias...);
      }
    };
  };

  struct Layer {
    struct Params {
      typename Norm::Params layernorm_before, layernorm_after;
      typename Projection::Params q_proj, k_proj, v_proj;
      present_if<config.use_qk_norm, typename RmsNorm<hidden_size>::Params> q_norm, k_norm;
      typename Output::Params projection_layer;
      typename Up::Params fc1;
      typename Down::Params fc2;
      Vector<hidden_size> lambda_1, lambda_2;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "layernorm_before", p.layernorm_before...);
        gov::visit(v, name / "layernorm_after", p.layernorm_after...);
        const auto attention = name / "attention";
        gov::visit(v, attention / "q_proj", p.q_proj...);
        gov::visit(v, attention / "k_proj", p.k_proj...);
        gov::visit(v, attention / "v_proj", p.v_proj...);
        gov::visit(v, attention / "q_norm", p.q_norm...);
        gov::visit(v, attention / "k_norm", p.k_norm...);
        gov::visit(v, attention / "projection_layer", p.projection_layer...);
        gov::visit(v, name / "mlp" / "fc1", p.fc1...);
        gov::visit(v, name / "mlp" / "fc2", p.fc2...);
        gov::visit(v, name / "lambda_1", p.lambda_1...);
        gov::visit(v, name / "lambda_2", p.lambda_2...);
      }
    };

    // x [tokens, hidden], in place.
    template <class T>
    static void forward(Context<T>& context, const Params& p, Rows<T> x) {
      const ArenaScope scope(context.arena);
      const auto rows = [&](index_t width) { return context.rows(x.rows, width); };
      const auto normed = rows(hidden_size), q = rows(hidden_size), k = rows(hidden_size),
                 v = rows(hidden_size), mixed = rows(hidden_size);
      Norm::forward(context, p.layernorm_before, config.layer_norm_eps, x, normed);
      Projection::forward(context, p.q_proj, normed, q);
      Projection::forward(context, p.k_proj, normed, k);
      Projection::forward(context, p.v_proj, normed, v);
      if constexpr (config.use_qk_norm) {
        RmsNorm<hidden_size>::forward(context, p.q_norm, qk_norm_eps, q, q);
        RmsNorm<hidden_size>::forward(context, p.k_norm, qk_norm_eps, k, k);
      }
      full_attention(context, shape, q, k, v, mixed, p.q_proj.weight.format != Format::f32);
      Output::forward(context, p.projection_layer, mixed, normed);
      add_scaled(context, p.lambda_1, normed, x);

      const auto wide = rows(config.intermediate_size);
      Norm::forward(context, p.layernorm_after, config.layer_norm_eps, x, normed);
      Up::forward(context, p.fc1, normed, wide);
      for_each_row(context, wide.rows, wide.cols, [&](index_t i) {
        context.kernels.activate(config.hidden_act, wide.row(i), wide.cols);
      });
      Down::forward(context, p.fc2, wide, normed);
      add_scaled(context, p.lambda_2, normed, x);
    }

   private:
    template <class T>
    static void add_scaled(Context<T>& context, const Vector<hidden_size>& lambda, Input<T> part,
                           Rows<T> x) {
      for_each_row(context, x.rows, hidden_size, [&](index_t i) {
        context.kernels.scale_add(lambda.values(), part.row(i), x.row(i), hidden_size);
      });
    }
  };

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

  // pixels [num_channels, height, width] of one image -> out [tokens, hidden]: hidden state
  // `feature_layer` (0 is the embedding), or with -1 the last one after the optional final norm.
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const float* pixels, index_t height,
                      index_t width, index_t feature_layer, Rows<T> out, O& observer) {
    embed(context, p.embeddings, pixels, height, width, out);
    const index_t last = feature_layer < 0 ? config.num_hidden_layers : feature_layer;
    for (index_t i = 0; i < last; ++i) {
      context.throw_if_cancelled();
      observe(observer, "vision_hidden_states", i, out);
      Layer::forward(context, p.layer[static_cast<std::size_t>(i)], out);
    }
    observe(observer, "vision_hidden_states", last, out);
    if constexpr (!config.use_mean_pooling)
      if (feature_layer < 0)
        FinalNorm::forward(context, p.layernorm, config.layer_norm_eps, out, out);
  }

 private:
  template <class T>
  static void embed(Context<T>& context, const typename Embeddings::Params& p, const float* pixels,
                    index_t height, index_t width, Rows<T> out) {
    const ArenaScope scope(context.arena);
    constexpr index_t ph = config.patch_size.height, pw = config.patch_size.width;
    const index_t grid_height = height / ph, grid_width = width / pw;
    const auto patches = context.rows(grid_height * grid_width, patch);  // [y x, (c, dy, dx)]
    for_each_row(context, patches.rows, patch, [&](index_t i) {
      T* to = patches.row(i);
      for (index_t c = 0; c < config.num_channels; ++c)
        for (index_t dy = 0; dy < ph; ++dy) {
          const float* from =
              pixels + (c * height + i / grid_width * ph + dy) * width + i % grid_width * pw;
          to = std::copy_n(from, pw, to);
        }
    });
    std::copy_n(p.cls_token.values(), hidden_size, out.row(0));
    matmul(context, patches, p.projection_weight.view(), p.projection_bias.values(),
           out.slice(1, patches.rows));
    if constexpr (config.use_absolute_position_embeddings)
      add_positions(context, p.position_embeddings.values(), positions - 1,
                    Extent{grid_height, grid_width}, height == width, out);
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
