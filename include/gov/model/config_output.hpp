// config.json from a ModelDescription, in the spelling that goes with a layout: transformers' (hf,
// hf-old), OpenGVLab's (internvl), LLaVA's (llava) or openai's.
#pragma once

#include <algorithm>
#include <functional>

#include "gov/io/name_map.hpp"
#include "gov/model/description.hpp"

namespace gov {

namespace config_output_detail {

inline void write_id(JsonWriter& out, std::string_view key, int value) {
  if (value < 0)
    out.field(key, nullptr);
  else
    out.field(key, value);
}

// model_type: of what it is written into, where that is not the language model alone.
inline void write_language(JsonWriter& out, const ModelDescription& description,
                           std::string_view model_type = {}) {
  description.language.visit([&]<class C>(const C& config) {
    out.field("model_type", model_type.empty() ? C::model_type : model_type);
    C::keys(config, ConfigWriter{out});
    if constexpr (std::is_same_v<C, GptOssConfig> || std::is_same_v<C, GptOssVisionConfig>)
      out.field("hidden_act", "silu");
  });
  write_id(out, "bos_token_id", description.tokens.bos_token_id);
  write_id(out, "pad_token_id", description.tokens.pad_token_id);
  if (!description.tokens.eos_token_id.empty())
    out.field("eos_token_id", description.tokens.eos_token_id);
}

// Renames keys of a config struct while they are written.
struct Renamed {
  const ConfigWriter& writer;
  std::vector<std::pair<std::string_view, std::string_view>> names;
  template <class... A>
  void operator()(std::string_view key, const A&... value) const {
    for (const auto& [ours, theirs] : names)
      if (ours == key) return writer(theirs, value...);
    writer(key, value...);
  }
};

inline void write_openai(JsonWriter& out, const GptOssConfig& c) {
  const RopeConfig& rope = c.rope_parameters;
  if (rope.rope_type != RopeType::yarn || rope.truncate || rope.attention_factor != 0 ||
      rope.mscale != 0 || !c.attention_bias || c.tie_word_embeddings || c.swiglu_alpha != 1.702 ||
      c.layer_types != LayerTypes() || c.rms_norm_eps != 1e-5)
    throw Error(
        {.code = Errc::unsupported,
         .file = {},
         .field = "layout openai",
         .expected =
             "what openai's config.json can say: YaRN without truncate, alternating layers, "
             "biases, untied, rms_norm_eps 1e-5",
         .found = "another model"});
  out.field("num_hidden_layers", c.num_hidden_layers).field("num_experts", c.num_local_experts);
  out.field("experts_per_token", c.num_experts_per_tok).field("vocab_size", c.vocab_size);
  out.field("hidden_size", c.hidden_size).field("intermediate_size", c.intermediate_size);
  out.field("swiglu_limit", c.swiglu_limit).field("head_dim", c.head_dim);
  out.field("num_attention_heads", c.num_attention_heads);
  out.field("num_key_value_heads", c.num_key_value_heads).field("sliding_window", c.sliding_window);
  out.field("initial_context_length", rope.original_max_position_embeddings);
  out.field("rope_theta", rope.rope_theta).field("rope_scaling_factor", rope.factor);
  out.field("rope_ntk_alpha", rope.beta_slow).field("rope_ntk_beta", rope.beta_fast);
}

// A family whose keys lie flat among the language model's.
inline void write_flat(JsonWriter& out, const ModelDescription& description,
                       std::string_view dtype) {
  const auto& composition = *description.composition;
  const ConfigWriter writer{out};
  composition.config.visit([&]<class C>(const C& config) {
    if constexpr (requires { C::flat_key; }) {
      out.key("architectures").begin_array().value(C::architecture).end_array();
      out.field("dtype", dtype);
      write_language(out, description);
      out.field(C::flat_key, true);
      C::keys(config, [&](std::string_view key, const auto&... value) {
        if (key != "tie_word_embeddings") writer(key, value...);  // the language model's as well
      });
      composition.vision.visit([&]<class Tower>(const Tower& tower) {
        out.field(C::tower_key("model_type"), Tower::model_type);
        Tower::keys(tower, Respelled{writer, C::tower_key});
      });
    }
  });
}

// Families that LLaVA's own repositories spell: with all keys in one object.
inline bool has_llava_spelling(const ModelDescription::Composition& composition) {
  return composition.config.visit([]<class C>(const C&) { return requires { C::original_key; }; });
}

// The first of LLaVA's towers with this config; null for none.
inline const LlavaTower* tower_of(const AnyTower& tower) {
  for (const LlavaTower& known : llava_towers())
    if (known.config == tower) return &known;
  return nullptr;
}

inline void write_vision(JsonWriter& out, const AnyTower& tower) {
  out.key("vision_config").begin_object();
  tower.visit([&]<class C>(const C& config) {
    out.field("model_type", C::model_type);
    C::keys(config, ConfigWriter{out});
    if constexpr (requires { C::vision_use_head; })
      out.field("vision_use_head", C::vision_use_head);
  });
  out.end_object();
}

// LLaVA's own spelling (the wrappers of llava_registry.hpp but llava_gpt2, whose keys are its own):
// the language model's keys, and beside them what stands between. A tower without a published name,
// or of which LLaVA would not read this, is a vision_config too, which only this library knows.
template <class C>
void write_llava(JsonWriter& out, const ModelDescription& description, const C& config,
                 std::string_view dtype) {
  const auto unsupported = [](std::string expected, std::string found) {
    throw Error({.code = Errc::unsupported,
                 .file = {},
                 .field = "layout llava",
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  const std::string_view language = description.language.model_type();
  const auto wrapper =
      std::find_if(available_models.begin(), available_models.end(), [&](const LlavaWrapper& w) {
        return w.language == language && w.model_type != LlavaGpt2Config::model_type;
      });
  if (wrapper == available_models.end())
    unsupported("a language model of LLaVA's: llama, mistral, mixtral, qwen2, gemma or mpt",
                std::string(language));
  if (const FeatureLayers layers = config.vision_feature_layer; layers.size() != 1)
    unsupported("one vision_feature_layer", std::to_string(layers.size()));
  if constexpr (requires { config.projector_hidden_act; })
    if (config.projector_hidden_act != kernel::Activation::gelu ||
        !config.multimodal_projector_bias)
      unsupported("a projector of gelu with biases", "another");
  constexpr bool views = requires { config.image_grid_pinpoints; };
  const bool full = config.vision_feature_select_strategy == FeatureSelect::full;
  const AnyTower& tower = description.composition->vision;
  const LlavaTower* const known = tower_of(tower);

  out.key("architectures").begin_array().value(wrapper->architecture).end_array();
  out.field("torch_dtype", dtype);
  write_language(out, description, wrapper->model_type);
  out.field("use_mm_proj", true);
  if (known) out.field("mm_vision_tower", known->name);
  tower.visit([&](const auto& c) { out.field("mm_hidden_size", c.hidden_size); });
  if constexpr (requires { C::original_projector; })
    out.field("mm_projector_type", C::original_projector);
  out.field("mm_vision_select_feature", full ? "cls_patch" : "patch");
  out.field("mm_patch_merge_type", views ? "spatial_unpad" : "flat");
  if (views) out.field("image_aspect_ratio", "anyres");
  const ConfigWriter writer{out};
  const Renamed renamed{writer, {{"vision_feature_layer", "mm_vision_select_layer"}}};
  C spelled = config;
  if constexpr (views)  // the original's are widths and heights
    spelled.image_grid_pinpoints = description_detail::transposed(config.image_grid_pinpoints);
  C::keys(spelled, [&](std::string_view key, const auto&... value) {
    for (const std::string_view other : {"vision_feature_select_strategy", "projector_hidden_act",
                                         "multimodal_projector_bias", "tie_word_embeddings"})
      if (key == other) return;  // said by other keys, or of one value only
    renamed(key, value...);
  });
  if (!known || known->is_cut) write_vision(out, tower);
}

}  // namespace config_output_detail

// dtype: of most weights, "bfloat16" or "float32".
inline std::string config_json(const ModelDescription& description, Layout layout,
                               std::string_view dtype) {
  using namespace config_output_detail;
  JsonWriter out;
  out.begin_object();
  const auto& composition = description.composition;
  const auto nested = [&](std::string_view key, auto&& write) {
    out.key(key).begin_object();
    write();
    out.end_object();
  };
  const auto architecture = [&](std::string_view name) {
    out.key("architectures").begin_array().value(name).end_array();
  };
  if (layout == Layout::openai) {
    if (composition || !description.language.is<GptOssConfig>())
      throw Error({.code = Errc::unsupported,
                   .file = {},
                   .field = "layout openai",
                   .expected = "gpt_oss alone",
                   .found = composition ? "a model with a vision tower"
                                        : std::string(description.language.model_type())});
    write_openai(out, description.language.as<GptOssConfig>());
  } else if (!composition) {
    architecture(description.language.visit([]<class C>(const C&) { return C::architecture; }));
    out.field("dtype", dtype);
    write_language(out, description);
  } else if (layout == Layout::internvl) {
    if (!composition->config.is<InternVlConfig>())
      throw Error({.code = Errc::unsupported,
                   .file = {},
                   .field = "layout internvl",
                   .expected = "InternVL",
                   .found = std::string(composition->config.model_type())});
    architecture(InternVlConfig::chat_architecture);
    out.field("model_type", InternVlConfig::chat_model_type).field("torch_dtype", dtype);
    const ConfigWriter writer{out};
    InternVlConfig::keys(composition->config.as<InternVlConfig>(),
                         Renamed{writer, {{"vision_feature_layer", "select_layer"}}});
    nested("vision_config", [&] {
      InternVitConfig::keys(
          composition->vision.as<InternVitConfig>(),
          Renamed{writer, {{"attention_bias", "qkv_bias"}, {"use_qk_norm", "qk_normalization"}}});
    });
    if (description.tokens.image_token_id >= 0)
      out.field("image_token_id", description.tokens.image_token_id);
    nested("llm_config", [&] { write_language(out, description); });
  } else if (composition->is_flat()) {
    write_flat(out, description, dtype);
  } else if (layout == Layout::llava && !composition->config.is<LlavaGpt2Config>()) {
    if (!has_llava_spelling(*composition))
      throw Error({.code = Errc::unsupported,
                   .file = {},
                   .field = "layout llava",
                   .expected = "a model of LLaVA's family",
                   .found = std::string(composition->config.model_type())});
    composition->config.visit([&]<class C>(const C& config) {
      if constexpr (requires { C::original_key; }) write_llava(out, description, config, dtype);
    });
  } else {
    composition->config.visit([&]<class C>(const C& config) {
      architecture(C::architecture);
      out.field("model_type", C::model_type).field("dtype", dtype);
      if constexpr (requires {
                      C::original_key;
                      config.mm_projector_type;
                    }) {
        if (config.mm_projector_type != mlp2x_gelu)
          throw Error({.code = Errc::unsupported,
                       .file = {},
                       .field = "layout " + std::string(to_string(layout)),
                       .expected = "mm_projector_type mlp2x_gelu, which transformers' class has",
                       .found = config.mm_projector_type.spelling()});
        const ConfigWriter writer{out};
        C::keys(config, [&](std::string_view key, const auto&... value) {
          if (key != C::original_key) writer(key, value...);
        });
      } else {
        C::keys(config, ConfigWriter{out});
      }
      VisualMarkerIds::keys(description.tokens.markers, [&out](std::string_view name, int id) {
        if (id >= 0) out.field(std::string(name) + "_token_id", id);
      });
    });
    const std::string_view image_token_key = composition->image_token_key();
    if (image_token_key != "" && description.tokens.image_token_id < 0)
      throw Error({.code = Errc::missing_field,
                   .file = {},
                   .field = std::string(image_token_key),
                   .expected = "the id of the image token, which this layout's config.json says",
                   .found = "none in the config or the tokenizer files"});
    if (image_token_key != "") out.field(image_token_key, description.tokens.image_token_id);
    write_vision(out, composition->vision);
    nested("text_config", [&] { write_language(out, description); });
  }
  return out.end_object().str() + "\n";
}

// A config.json with one key more, or another value for it; `value` writes it. An empty function
// leaves the key out.
inline std::string with_key(const Json& config, std::string_view key,
                            const std::function<void(JsonWriter&)>& value) {
  JsonWriter out;
  out.begin_object();
  for (const auto [name, content] : config.items())
    if (name != key) out.field(name, content);
  if (value) {
    out.key(key);
    value(out);
  }
  return out.end_object().str() + "\n";
}

// A config.json for what is written of its tower: SigLIP's without the head.
inline std::string without_vision_head(const std::string& text,
                                       const ModelDescription& description) {
  const Json config = parse_json(text, "config.json");
  const auto vision = config.find("vision_config");
  if (!vision || !description.composition || !description.composition->vision.is<SiglipVitConfig>())
    return text;
  return with_key(config, "vision_config", [&vision](JsonWriter& out) {
    out.begin_object();
    for (const auto [key, value] : vision->items())
      if (key != "vision_use_head") out.field(key, value);
    out.field("vision_use_head", SiglipVitConfig::vision_use_head).end_object();
  });
}

}  // namespace gov
