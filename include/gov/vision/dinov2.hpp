// DINOv2 (Oquab et al. 2023; transformers: Dinov2Model) and DINOv2 with registers (Darcet et al.
// 2023; Dinov2WithRegistersModel): class token, learned positions, register tokens without a
// position behind the class token, pre-norm layers with layer scale, a plain or a SwiGLU
// feed-forward, a final norm. Positions are resized bicubically by size, with antialiasing where
// there are registers, as the two classes do.
#pragma once

#include "gov/vision/encoder_layer.hpp"
#include "gov/vision/patch_embedding.hpp"
#include "gov/vision/position_resize.hpp"

namespace gov {

// config.json of model_type dinov2 or dinov2_with_registers, with the class's defaults.
template <bool Registers>
struct BasicDinov2Config {
  static constexpr std::string_view model_type = Registers ? "dinov2_with_registers" : "dinov2";
  static constexpr std::string_view type =
      Registers ? "gov::Dinov2WithRegistersConfig" : "gov::Dinov2Config";
  static constexpr std::string_view modules = "gov::Dinov2Modules",
                                    header = "gov/vision/dinov2.hpp";
  static constexpr bool registers = Registers;

  index_t hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12;
  index_t mlp_ratio = 4;
  index_t num_channels = 3;
  Extent image_size{224, 224}, patch_size{Registers ? 16 : 14, Registers ? 16 : 14};
  kernel::Activation hidden_act = kernel::Activation::gelu;
  double layer_norm_eps = 1e-6;
  bool qkv_bias = true, use_swiglu_ffn = false;
  bool use_mask_token = true;  // with registers always
  index_t num_register_tokens = Registers ? 4 : 0;

  // Width of the feed-forward layer: a SwiGLU keeps two thirds, in whole eights.
  constexpr index_t intermediate_size() const {
    const index_t wide = hidden_size * mlp_ratio;
    return use_swiglu_ffn ? (wide * 2 / 3 + 7) / 8 * 8 : wide;
  }
  friend constexpr bool operator==(const BasicDinov2Config&, const BasicDinov2Config&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("hidden_size", self.hidden_size, Range{1, 1 << 16});
    v("num_hidden_layers", self.num_hidden_layers, Range{1, 256});
    v("num_attention_heads", self.num_attention_heads, Range{1, 1 << 12});
    v("mlp_ratio", self.mlp_ratio, Range{1, 64});
    v("num_channels", self.num_channels, Range{1, 16});
    v("image_size", self.image_size, Range{1, 1 << 14});
    v("patch_size", self.patch_size, Range{1, 1 << 12});
    v("hidden_act", self.hidden_act);
    v("layer_norm_eps", self.layer_norm_eps, Range{0, 1});
    v("qkv_bias", self.qkv_bias);
    v("use_swiglu_ffn", self.use_swiglu_ffn);
    if constexpr (Registers)
      v("num_register_tokens", self.num_register_tokens, Range{1, 256});
    else
      v("use_mask_token", self.use_mask_token);
  }

  constexpr std::string_view problem() const {
    if (hidden_size % num_attention_heads != 0)
      return "hidden_size must be a multiple of num_attention_heads";
    if (image_size.height < patch_size.height || image_size.width < patch_size.width)
      return "image_size must hold a patch";
    if (Registers != (num_register_tokens > 0))
      return "num_register_tokens belongs to dinov2_with_registers, which has one at least";
    return "";
  }
};

using Dinov2Config = BasicDinov2Config<false>;
using Dinov2WithRegistersConfig = BasicDinov2Config<true>;

template <class C>
struct Dinov2 {
  static constexpr auto& config = C::config;
  static_assert(config.problem() == "",
                "gov: Vision::config does not hold together: hidden_size must be a multiple of "
                "num_attention_heads, image_size at least patch_size, num_register_tokens positive "
                "with registers and 0 without");
  static constexpr index_t hidden_size = config.hidden_size;
  static constexpr index_t num_hidden_layers = config.num_hidden_layers;
  static constexpr index_t num_channels = config.num_channels;
  static constexpr Extent image_size = config.image_size;  // of the positions that it has learned
  // What its image processor cuts out of a picture, though published positions are of 518.
  static constexpr Extent crop_size{std::min<index_t>(image_size.height, 224),
                                    std::min<index_t>(image_size.width, 224)};
  static constexpr index_t registers = config.num_register_tokens;
  static constexpr index_t prefix_tokens = 1 + registers;  // before the patches
  static constexpr Extent own_grid = patch_grid(config.image_size, config.patch_size);
  static constexpr index_t positions = 1 + own_grid.height * own_grid.width;

  using Patches = PatchEmbedding<config.num_channels, config.patch_size.height,
                                 config.patch_size.width, hidden_size>;
  static constexpr index_t patch = Patches::inputs;
  using Norm = LayerNorm<hidden_size>;

  struct Embeddings {
    struct Params {
      Vector<1, 1, hidden_size> cls_token;
      present_if<config.use_mask_token, Vector<1, hidden_size>> mask_token;  // training only
      present_if<(registers > 0), Vector<1, registers, hidden_size>> register_tokens;
      Vector<1, positions, hidden_size> position_embeddings;
      typename Patches::Params projection;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "cls_token", p.cls_token...);
        gov::visit(v, name / "mask_token", p.mask_token...);
        gov::visit(v, name / "register_tokens", p.register_tokens...);
        gov::visit(v, name / "position_embeddings", p.position_embeddings...);
        gov::visit(v, name / "patch_embeddings" / "projection", p.projection...);
      }
    };
  };

  struct Layers {
    static constexpr bool gated = config.use_swiglu_ffn;
    static constexpr EncoderParts parts{.hidden_size = config.hidden_size,
                                        .intermediate_size = config.intermediate_size(),
                                        .num_attention_heads = config.num_attention_heads,
                                        .layer_norm_eps = config.layer_norm_eps,
                                        .hidden_act = config.hidden_act,
                                        .qkv_bias = config.qkv_bias,
                                        .layer_scale = true,
                                        .gated = gated};
    static constexpr EncoderNames names{.norm1 = "norm1",
                                        .norm2 = "norm2",
                                        .q_proj = "attention.attention.query",
                                        .k_proj = "attention.attention.key",
                                        .v_proj = "attention.attention.value",
                                        .o_proj = "attention.output.dense",
                                        .up_proj = gated ? "mlp.weights_in" : "mlp.fc1",
                                        .down_proj = gated ? "mlp.weights_out" : "mlp.fc2",
                                        .scale1 = "layer_scale1.lambda1",
                                        .scale2 = "layer_scale2.lambda1"};
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

  // Tokens of one image: the class token, the registers, the patches.
  static constexpr index_t tokens(index_t height, index_t width) {
    const Extent grid = patch_grid({height, width}, config.patch_size);
    return prefix_tokens + grid.height * grid.width;
  }

  // The patches alone, of all tokens.
  template <class T>
  static Rows<T> drop_prefix(Rows<T> all) {
    return all.slice(prefix_tokens, all.rows - prefix_tokens);
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
    embed(context, p.embeddings, pixels, {height, width}, out);
    run_encoder<Layer>(context, p.layer,
                       feature_layer < 0 ? config.num_hidden_layers : feature_layer, out, observer);
    if (feature_layer < 0) Norm::forward(context, p.layernorm, config.layer_norm_eps, out, out);
  }

 private:
  // The class token takes its position beside the patches and then moves before the registers.
  template <class T>
  static void embed(Context<T>& context, const typename Embeddings::Params& p, const float* pixels,
                    Extent image, Rows<T> out) {
    const Rows<T> placed = out.slice(registers, out.rows - registers);
    std::copy_n(p.cls_token.values(), hidden_size, placed.row(0));
    Patches::forward(context, p.projection, pixels, image, drop_prefix(out));
    add_positions(context, p.position_embeddings.values(), positions - 1,
                  patch_grid(image, config.patch_size), image.height == image.width, placed,
                  config.registers ? PositionFilter::antialiased : PositionFilter::bicubic);
    if constexpr (registers > 0) {
      std::copy_n(placed.row(0), hidden_size, out.row(0));
      for (index_t i = 0; i < registers; ++i)
        std::copy_n(p.register_tokens.values() + i * hidden_size, hidden_size, out.row(1 + i));
    }
  }
};

// What a vision Config derives from to use this tower.
struct Dinov2Modules {
  template <class C>
  using Tower = Dinov2<C>;
};

// The published sizes; all were trained at 518 pixels with patches of 14.
struct Dinov2Small : Dinov2Modules {
  static constexpr std::string_view name = "Dinov2Small";
  static constexpr Dinov2Config config{
      .hidden_size = 384, .num_attention_heads = 6, .image_size = {518, 518}};
};
struct Dinov2Base : Dinov2Modules {
  static constexpr std::string_view name = "Dinov2Base";
  static constexpr Dinov2Config config{.image_size = {518, 518}};
};
struct Dinov2Large : Dinov2Modules {
  static constexpr std::string_view name = "Dinov2Large";
  static constexpr Dinov2Config config{.hidden_size = 1024,
                                       .num_hidden_layers = 24,
                                       .num_attention_heads = 16,
                                       .image_size = {518, 518}};
};
struct Dinov2Giant : Dinov2Modules {
  static constexpr std::string_view name = "Dinov2Giant";
  static constexpr Dinov2Config config{.hidden_size = 1536,
                                       .num_hidden_layers = 40,
                                       .num_attention_heads = 24,
                                       .image_size = {518, 518},
                                       .use_swiglu_ffn = true};
};

// The same with four registers.
template <class Plain>
struct Dinov2WithRegisters : Dinov2Modules {
  static constexpr Dinov2WithRegistersConfig config{
      .hidden_size = Plain::config.hidden_size,
      .num_hidden_layers = Plain::config.num_hidden_layers,
      .num_attention_heads = Plain::config.num_attention_heads,
      .image_size = Plain::config.image_size,
      .patch_size = Plain::config.patch_size,
      .use_swiglu_ffn = Plain::config.use_swiglu_ffn};
};

struct TinyDinov2 : Dinov2Modules {
  static constexpr std::string_view name = "TinyDinov2";
  static constexpr Dinov2Config config{.hidden_size = 32,
                                       .num_hidden_layers = 2,
                                       .num_attention_heads = 2,
                                       .image_size = {48, 48},
                                       .patch_size = {8, 8}};
};

}  // namespace gov
