// config.json from a ModelDescription, in the spelling that goes with a layout: transformers' (hf,
// hf-old), OpenGVLab's (internvl) or openai's.
#pragma once

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

inline void write_language(JsonWriter& out, const ModelDescription& description) {
  description.language.visit([&]<class C>(const C& config) {
    out.field("model_type", C::model_type);
    C::keys(config, ConfigWriter{out});
    if constexpr (std::is_same_v<C, GptOssConfig>) out.field("hidden_act", "silu");
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
    architecture("InternVLChatModel");
    out.field("model_type", "internvl_chat").field("torch_dtype", dtype);
    const ConfigWriter writer{out};
    InternVlConfig::keys(composition->internvl,
                         Renamed{writer, {{"vision_feature_layer", "select_layer"}}});
    nested("vision_config", [&] {
      InternVitConfig::keys(
          composition->vision,
          Renamed{writer, {{"attention_bias", "qkv_bias"}, {"use_qk_norm", "qk_normalization"}}});
    });
    if (description.tokens.image_token_id >= 0)
      if (description.tokens.image_token_id < 0)
        throw Error({.code = Errc::missing_field,
                     .file = {},
                     .field = "image_token_id",
                     .expected = "the id of the image token, which this layout's config.json says",
                     .found = "none in the config or the tokenizer files"});
    out.field("image_token_id", description.tokens.image_token_id);
    nested("llm_config", [&] { write_language(out, description); });
  } else {
    architecture("InternVLForConditionalGeneration");
    out.field("model_type", InternVlConfig::model_type).field("dtype", dtype);
    InternVlConfig::keys(composition->internvl, ConfigWriter{out});
    if (description.tokens.image_token_id < 0)
      throw Error({.code = Errc::missing_field,
                   .file = {},
                   .field = "image_token_id",
                   .expected = "the id of the image token, which this layout's config.json says",
                   .found = "none in the config or the tokenizer files"});
    out.field("image_token_id", description.tokens.image_token_id);
    nested("vision_config", [&] {
      out.field("model_type", InternVitConfig::model_type);
      InternVitConfig::keys(composition->vision, ConfigWriter{out});
    });
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

}  // namespace gov
