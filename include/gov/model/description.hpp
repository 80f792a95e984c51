// ModelDescription: what a config.json says, as config structs at run time. It reads the spellings
// of transformers (internvl, and every language model of any_language.hpp), of OpenGVLab
// (internvl_chat) and of openai's original/, and is what a compiled Cfg is compared with.
#pragma once

#include <charconv>
#include <filesystem>
#include <optional>

#include "gov/io/config_json.hpp"
#include "gov/language/any_language.hpp"
#include "gov/model/model_data.hpp"
#include "gov/vision/intern_vit.hpp"

namespace gov {

struct ModelDescription {
  struct Composition {
    InternVitConfig vision;
    InternVlConfig internvl;
  };
  std::optional<Composition> composition;  // absent: a language model alone
  AnyLanguage language;
  ModelTokens tokens;

  // Of a compiled Cfg.
  template <class Cfg>
  static ModelDescription of() {
    ModelDescription description;
    description.language = Architecture<Cfg>::language_config;
    description.language.set_tied(Architecture<Cfg>::tied);
    if constexpr (Multimodal<Cfg>) description.composition = {Cfg::Vision::config, Cfg::config};
    return description;
  }
  bool tied() const {
    return composition ? composition->internvl.tie_word_embeddings : language.tied();
  }
  void set_tied(bool tied) {
    if (composition) composition->internvl.tie_word_embeddings = tied;
    language.set_tied(tied);
  }
};

// Between two configs of language models; they may be of different families.
inline std::vector<std::string> language_differences(AnyLanguage wanted,
                                                     const AnyLanguage& compiled,
                                                     const std::string& prefix) {
  if (wanted.model_type() != compiled.model_type())
    return {prefix + "model_type=" + std::string(wanted.model_type()) + " (compiled " +
            std::string(compiled.model_type()) + ")"};
  if (!wanted.visit([](const auto& c) { return positions_are_geometry(c); }))
    wanted.set_max_position_embeddings(compiled.max_position_embeddings());
  return wanted.visit([&]<class C>(const C& config) {
    return config_differences(config, compiled.as<C>(), prefix);
  });
}

// What differs between a file's description and a compiled one; empty when the type fits.
// max_position_embeddings is seldom geometry: the file's value is taken.
inline std::vector<std::string> differences(const ModelDescription& wanted,
                                            const ModelDescription& compiled) {
  if (wanted.composition.has_value() != compiled.composition.has_value())
    return {wanted.composition ? "has a vision tower (compiled without)"
                               : "has no vision tower (compiled with one)"};
  std::vector<std::string> found;
  const auto add = [&](std::vector<std::string> more) {
    found.insert(found.end(), more.begin(), more.end());
  };
  const std::string text = wanted.composition ? "text_config." : "";
  if (wanted.composition) {
    add(config_differences(wanted.composition->internvl, compiled.composition->internvl));
    add(config_differences(wanted.composition->vision, compiled.composition->vision,
                           "vision_config."));
  }
  add(language_differences(wanted.language, compiled.language, text));
  return found;
}

namespace description_detail {

// False when no language model has this model_type.
inline bool read_language(std::string_view type, const Json& json, AnyLanguage& language,
                          Problems& problems) {
  return AnyLanguage::with_model_type(type, [&]<class C>(const C&) {
    ConfigSource source{json};
    if constexpr (requires { C::aliases; })
      source.aliases.assign(C::aliases.begin(), C::aliases.end());
    language = read_config<C>(source, problems);
  });
}

// openai's original/config.json: no model_type, its own names, YaRN in flat keys.
inline GptOssConfig read_openai(const Json& json, Problems& problems) {
  const ConfigSource source{
      json, {{"num_local_experts", "num_experts"}, {"num_experts_per_tok", "experts_per_token"}}};
  GptOssConfig config = read_config<GptOssConfig>(source, problems);
  const ConfigSource flat{json,
                          {{"factor", "rope_scaling_factor"},
                           {"beta_slow", "rope_ntk_alpha"},
                           {"beta_fast", "rope_ntk_beta"},
                           {"original_max_position_embeddings", "initial_context_length"}}};
  ConfigReader reader(flat, problems);
  RopeConfig::keys(config.rope_parameters, [&](std::string_view key, auto&&... value) {
    if (key != "rope_theta") reader(key, value...);  // has been read
  });
  return config;
}

inline void read_tokens(const Json& json, ModelTokens& tokens, Problems& problems) {
  const auto id = [&](std::string_view key, int& value) {
    problems.attempt([&] {
      if (json.has_value(key)) value = json.at(key).as<int>();
    });
  };
  id("bos_token_id", tokens.bos_token_id);
  id("pad_token_id", tokens.pad_token_id);
  problems.attempt([&] {
    if (!json.has_value("eos_token_id")) return;
    const Json eos = json.at("eos_token_id");
    tokens.eos_token_id = eos.is_array() ? eos.as_vector<int>() : std::vector<int>{eos.as<int>()};
  });
}

inline Json text_config(const Json& json) {
  if (auto text = json.find("text_config")) return *text;
  if (auto text = json.find("llm_config")) return *text;
  return json.at("text_config");
}

// The language model inside a composition.
inline void read_text_config(const Json& json, AnyLanguage& language, Problems& problems) {
  problems.attempt([&] {
    if (json.is_object() && !json.contains("model_type")) {  // as transformers' InternVLConfig
      read_language(Qwen2Config::model_type, json, language, problems);
      return;
    }
    const Json type = json.at("model_type");
    if (!read_language(type.as_string(), json, language, problems))
      type.fail(Errc::unsupported, "one of " + AnyLanguage::model_types());
  });
}

}  // namespace description_detail

// Reads a config.json; every problem in it is reported at once.
inline ModelDescription describe_config(const Json& json) {
  using namespace description_detail;
  Problems problems(json.file());
  ModelDescription description;
  const std::string type = json.get_or("model_type", "");
  if (read_language(type, json, description.language, problems)) {
    read_tokens(json, description.tokens, problems);
  } else if (type.empty() && json.contains("rope_scaling_factor")) {
    description.language = read_openai(json, problems);
    description.tokens.eos_token_id = {200002, 200012};
  } else if (type == "internvl" || type == "internvl_chat") {
    const bool original = type == "internvl_chat";
    const Json text = text_config(json);
    read_text_config(text, description.language, problems);
    read_tokens(text, description.tokens, problems);
    read_tokens(json, description.tokens, problems);
    ModelDescription::Composition composition;
    const ConfigSource vision{
        json.at("vision_config"),
        {{"attention_bias", "qkv_bias"}, {"use_qk_norm", "qk_normalization"}}};
    composition.vision = read_config<InternVitConfig>(vision, problems);
    InternVlConfig defaults;
    defaults.tie_word_embeddings = !original;  // the class's default, though checkpoints are untied
    if (original) {
      defaults.ps_version = PsVersion::v1;
      problems.attempt(
          [&] { defaults.tie_word_embeddings = text.get_or("tie_word_embeddings", false); });
    }
    composition.internvl = read_config<InternVlConfig>(
        {json, {{"vision_feature_layer", "select_layer"}}}, problems, defaults);
    description.composition = composition;
    problems.attempt([&] {
      if (json.has_value("image_token_id"))
        description.tokens.image_token_id = json.at("image_token_id").as<int>();
      else if (!original)
        description.tokens.image_token_id = 151667;
      const index_t vocabulary = description.language.geometry().vocab_size;
      if (description.tokens.image_token_id >= vocabulary)
        problems.add({Errc::bad_config, json.file(), "image_token_id",
                      "an id below vocab_size = " + std::to_string(vocabulary),
                      std::to_string(description.tokens.image_token_id)});
    });
    const index_t layers = composition.vision.num_hidden_layers,
                  feature_layer = composition.internvl.vision_feature_layer;
    if (feature_layer < -layers - 1 || feature_layer > layers)
      problems.add({Errc::bad_config, json.file(), "vision_feature_layer",
                    "one of the tower's hidden states, at most " + std::to_string(layers),
                    std::to_string(feature_layer)});
  } else {
    problems.add({Errc::unsupported, json.file(), "model_type",
                  "internvl, internvl_chat, " + AnyLanguage::model_types(),
                  type.empty() ? "no such key" : "\"" + type + "\""});
  }
  problems.throw_if_any("a config.json of a model that this library knows");
  description.set_tied(description.tied());
  return description;
}

// The id of the image token, from a folder's tokenizer files, for a config.json that does not say
// it (OpenGVLab's); -1 if they do not say it either.
inline int find_image_token(const std::filesystem::path& folder,
                            std::string_view token = "<IMG_CONTEXT>") {
  const auto added = folder / "added_tokens.json", config = folder / "tokenizer_config.json";
  if (std::filesystem::exists(added)) return load_json(added.string()).get_or(token, -1);
  if (!std::filesystem::exists(config)) return -1;
  const Json tokens = load_json(config.string());
  if (const auto decoder = tokens.find("added_tokens_decoder"))
    for (const auto [id, entry] : decoder->items())
      if (entry.get_or("content", "") == token) {
        int value = -1;
        std::from_chars(id.data(), id.data() + id.size(), value);
        return value;
      }
  return -1;
}

// Of a folder or a config.json. When the weights in the folder hold an lm_head of their own, the
// model is not tied, whatever the file says (as in transformers).
inline ModelDescription describe(const std::filesystem::path& path) {
  const bool folder = std::filesystem::is_directory(path);
  ModelDescription description =
      describe_config(load_json(folder ? (path / "config.json").string() : path.string()));
  if (folder && description.composition && description.tokens.image_token_id < 0)
    description.tokens.image_token_id = find_image_token(path);
  if (folder && description.tied()) {
    const auto files = CheckpointFiles::open(path.string());
    if (files.contains("lm_head.weight") || files.contains("language_model.lm_head.weight"))
      description.set_tied(false);
  }
  return description;
}

}  // namespace gov
