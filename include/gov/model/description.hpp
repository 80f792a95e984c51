// A ModelDescription from a config.json, in the spellings of transformers (every family of
// any_composition.hpp, every tower of any_tower.hpp, every language model of any_language.hpp), of
// OpenGVLab (internvl_chat), of LLaVA's own repositories (llava_registry.hpp) and of openai's
// original/.
#pragma once

#include <filesystem>

#include "gov/model/architecture_names.hpp"
#include "gov/model/llava_registry.hpp"
#include "gov/model/model_description.hpp"
#include "gov/text/added_token_files.hpp"
#include "gov/text/visual_placeholders.hpp"

namespace gov {

namespace description_detail {

// A struct's keys with its own aliases.
template <class C>
ConfigSource source_of(const Json& json) {
  ConfigSource source{json};
  if constexpr (requires { C::aliases; })
    source.aliases.assign(C::aliases.begin(), C::aliases.end());
  return source;
}

// False when no language model has this model_type.
inline bool read_language(std::string_view type, const Json& json, AnyLanguage& language,
                          Problems& problems) {
  return AnyLanguage::with_model_type(
      type, [&]<class C>(const C&) { language = read_config<C>(source_of<C>(json), problems); });
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

inline void read_markers(const Json& json, VisualMarkerIds& markers, Problems& problems) {
  VisualMarkerIds::keys(markers, [&](std::string_view name, int& id) {
    const std::string key = std::string(name) + "_token_id";
    problems.attempt([&] {
      if (json.has_value(key)) id = json.at(key).as<int>();
    });
  });
}

inline Json text_config(const Json& json) {
  if (auto text = json.find("text_config")) return *text;
  if (auto text = json.find("llm_config")) return *text;
  return json.at("text_config");
}

// The language model inside a composition; without a model_type it is of the family's usual one.
template <class Usual>
void read_text_config(const Json& json, AnyLanguage& language, Problems& problems) {
  problems.attempt([&] {
    if (json.is_object() && !json.contains("model_type")) {
      read_language(Usual::model_type, json, language, problems);
      return;
    }
    const Json type = json.at("model_type");
    if (!read_language(type.as_string(), json, language, problems))
      type.fail(Errc::unsupported, "one of " + AnyLanguage::model_types());
  });
}

template <class Usual>
void read_vision_config(const Json& json, AnyTower& tower, Problems& problems) {
  problems.attempt([&] {
    const std::string type = json.get_or("model_type", std::string(Usual::model_type));
    const bool known = AnyTower::with_model_type(
        type, [&]<class C>(const C&) { tower = read_config<C>(source_of<C>(json), problems); });
    if (!known) json.at("model_type").fail(Errc::unsupported, "one of " + AnyTower::model_types());
  });
}

// Checks that the layers which the projector reads are there.
inline void check_feature_layers(const ModelDescription::Composition& composition, const Json& json,
                                 Problems& problems) {
  const index_t layers =
      composition.vision.visit([](const auto& c) -> index_t { return c.num_hidden_layers; });
  composition.config.visit([&](const auto& c) {
    for (const index_t layer : projector_layers(c))
      if (layer < -layers - 1 || layer > layers)
        problems.add({Errc::bad_config, json.file(), "vision_feature_layer",
                      "one of the tower's hidden states, at most " + std::to_string(layers),
                      std::to_string(layer)});
  });
}

// Checks what a projector asks of its neighbours: identity changes no width, TokenPacker cuts the
// grid into equal windows.
inline void check_projector(const ModelDescription& description, const Json& json,
                            Problems& problems) {
  const ModelDescription::Composition& composition = *description.composition;
  const index_t text = description.language.geometry().hidden_size;
  composition.config.visit([&](const auto& c) {
    if constexpr (requires { c.mm_projector_type; }) {
      const index_t vision = composition.vision.visit([](const auto& tower) -> index_t {
        return tower.hidden_size;
      }) * static_cast<index_t>(projector_layers(c).size());
      if (c.mm_projector_type.depth == 0 && vision != text)
        problems.add(
            {Errc::bad_config, json.file(), "mm_projector_type",
             "for identity, a tower as wide as the language model, " + std::to_string(text),
             std::to_string(vision)});
    }
    if constexpr (requires { c.scale_factor; })
      composition.vision.visit([&](const auto& tower) {
        const Extent grid = patch_grid(tower.image_size, tower.patch_size);
        if (grid.height != grid.width || grid.height % c.scale_factor != 0)
          problems.add({Errc::bad_config, json.file(), "scale_factor",
                        "to divide a square grid of patches, " + std::to_string(grid.height) + "x" +
                            std::to_string(grid.width),
                        std::to_string(c.scale_factor)});
      });
  });
}

inline void check_image_token(const ModelDescription& description, const Json& json,
                              std::string_view key, Problems& problems) {
  const index_t vocabulary = description.language.geometry().vocab_size;
  if (description.tokens.image_token_id >= vocabulary)
    problems.add({Errc::bad_config, json.file(), std::string(key),
                  "an id below vocab_size = " + std::to_string(vocabulary),
                  std::to_string(description.tokens.image_token_id)});
}

// transformers' spelling of a family: vision_config, text_config, and C's own keys between them.
template <class C>
void read_composition(const Json& json, ModelDescription& description, Problems& problems) {
  const Json text = text_config(json);
  read_text_config<typename C::Text>(text, description.language, problems);
  read_tokens(text, description.tokens, problems);
  read_tokens(json, description.tokens, problems);
  ModelDescription::Composition composition;
  read_vision_config<typename C::Vision>(json.at("vision_config"), composition.vision, problems);
  ConfigSource source{json};
  if constexpr (requires { C::original_key; }) source.unread = C::original_key;
  C config = read_config<C>(source, problems, C::class_defaults());
  if constexpr (requires { C::tied_by_text; })
    config.tie_word_embeddings = config.tie_word_embeddings || description.language.tied();
  composition.config = config;
  description.composition = composition;
  problems.attempt([&] {
    int id = C::image_token_id;
    for (const std::string_view key : {std::string_view("image_token_id"), C::image_token_key})
      if (!C::image_token_key.empty() && json.has_value(key))  // else it has markers of its own
        id = json.at(key).template as<int>();
    description.tokens.image_token_id = id;
  });
  read_markers(json, description.tokens.markers, problems);
  check_image_token(description, json, C::image_token_key, problems);
  check_feature_layers(composition, json, problems);
  check_projector(description, json, problems);
}

// LLaVA's own spelling: one flat config.json, the language model's keys beside mm_.... The tower is
// the one that mm_vision_tower names, or vision_config's where there is one; true if it is_cut.
inline bool read_llava_tower(const Json& json, AnyTower& tower, Problems& problems) {
  if (const auto own = json.find("vision_config")) {
    read_vision_config<ClipVitConfig>(*own, tower, problems);
    return false;
  }
  bool is_cut = false;
  problems.attempt([&] {
    const Json name =
        json.at(json.contains("mm_vision_tower") ? "mm_vision_tower" : "vision_tower");
    const LlavaTower* known = find_llava_tower(name.as_string());
    if (known == nullptr)
      name.fail(Errc::unsupported, "vision_config, or one of " + llava_tower_names());
    tower = known->config;
    is_cut = known->is_cut;
  });
  return is_cut;
}

// One of the features that `expected` lists, if the key is there.
inline std::string read_choice(const Json& json, std::string_view key, std::string_view usual,
                               std::initializer_list<std::string_view> expected,
                               Problems& problems) {
  std::string value(usual);
  problems.attempt([&] {
    if (!json.has_value(key)) return;
    const Json found = json.at(key);
    std::string names;
    for (const std::string_view name : expected) {
      names += (names.empty() ? "" : " or ") + std::string(name);
      if (found.as_string() == name) value = name;
    }
    if (value != found.as_string()) found.fail(Errc::unsupported, names);
  });
  return value;
}

// The original's pairs are (width, height), ours (height, width). A list that is the same set both
// ways keeps its order, and with it the choice among equals that transformers makes.
inline GridPinpoints transposed(const GridPinpoints& pairs) {
  GridPinpoints turned;
  for (const Extent& pair : pairs) turned.push_back({pair.width, pair.height});
  return std::is_permutation(pairs.begin(), pairs.end(), turned.begin(), turned.end()) ? pairs
                                                                                       : turned;
}

inline void read_llava_original(const LlavaWrapper& wrapper, const Json& json,
                                ModelDescription& description, Problems& problems) {
  read_language(wrapper.language, json, description.language, problems);
  read_tokens(json, description.tokens, problems);
  ModelDescription::Composition composition;
  const bool is_cut = read_llava_tower(json, composition.vision, problems);
  const bool tied = description.language.tied();
  if (wrapper.model_type == LlavaGpt2Config::model_type) {
    read_choice(json, "mm_vision_select_feature", "patch", {"patch"}, problems);
    LlavaGpt2Config defaults;
    if (is_cut)
      defaults.vision_feature_layer =
          composition.vision.visit([](const auto& c) -> index_t { return c.num_hidden_layers; });
    LlavaGpt2Config config = read_config<LlavaGpt2Config>({json}, problems, defaults);
    config.tie_word_embeddings = tied;
    composition.config = config;
    read_markers(json, description.tokens.markers, problems);
  } else {
    const auto read = [&]<class C>(C config) {
      if constexpr (requires { config.mm_projector_type; })
        config.mm_projector_type = {};  // linear, unless the file says another
      const ConfigSource source{json, {{"vision_feature_layer", "mm_vision_select_layer"}}};
      config = read_config<C>(source, problems, config);
      config.tie_word_embeddings = tied;
      if (read_choice(json, "mm_vision_select_feature", "patch", {"patch", "cls_patch"},
                      problems) == "cls_patch")
        config.vision_feature_select_strategy = FeatureSelect::full;
      if (is_cut) {
        config.vision_feature_layer = -1;
        config.vision_feature_select_strategy = FeatureSelect::full;
      }
      if constexpr (requires { config.image_grid_pinpoints; })
        config.image_grid_pinpoints = transposed(config.image_grid_pinpoints);
      composition.config = config;
    };
    const auto projector = json.find("mm_projector_type");
    if (projector && projector->is_string() &&
        projector->as_string() == LlavaTokenPackerConfig::original_projector) {
      read_choice(json, "image_aspect_ratio", "square", {"square", "pad"}, problems);
      read_choice(json, "mm_patch_merge_type", "flat", {"flat"}, problems);
      if (!is_cut) read_choice(json, "mm_vision_select_feature", "patch", {"patch"}, problems);
      read(LlavaTokenPackerConfig{});
    } else if (read_choice(json, "mm_patch_merge_type", "flat", {"flat", "spatial_unpad"},
                           problems) == "flat") {
      read_choice(json, "image_aspect_ratio", "square", {"square", "pad"}, problems);
      read(LlavaConfig{});
    } else {
      read_choice(json, "image_aspect_ratio", "anyres", {"anyres"}, problems);
      read(LlavaNextConfig{});
    }
    description.tokens.image_token_id = image_token_index;
  }
  description.composition = composition;
  check_feature_layers(composition, json, problems);
  check_projector(description, json, problems);
}

// A family whose keys, the tower's among them, lie flat among the language model's, which has been
// read: there is a tower if C::flat_key is true.
template <class C>
void read_flat_composition(const Json& json, ModelDescription& description, Problems& problems) {
  bool used = false;
  problems.attempt([&] { used = json.has_value(C::flat_key) && json.at(C::flat_key).as_bool(); });
  if (!used) return;
  ModelDescription::Composition composition;
  const ConfigSource source{json};
  composition.config = read_config<C>(source, problems, C::class_defaults());
  problems.attempt([&] {
    const std::string key = C::tower_key("model_type");
    const std::string type = json.get_or(key, std::string(C::Vision::model_type));
    const bool known = AnyTower::with_model_type(type, [&]<class Tower>(const Tower&) {
      Tower tower = C::template tower_defaults<Tower>();
      ConfigReader reader(source, problems);
      Tower::keys(tower, Respelled{reader, C::tower_key});
      if constexpr (requires { tower.intermediate_size; })
        if (!json.contains(C::tower_key("intermediate_size")))
          tower.intermediate_size = 4 * tower.hidden_size;
      if (problems.empty() && tower.problem() != "")
        problems.add({Errc::bad_config, json.file(), C::tower_key("..."),
                      std::string(tower.problem()), "values that do not"});
      composition.vision = tower;
    });
    if (!known) json.at(key).fail(Errc::unsupported, "one of " + AnyTower::model_types());
  });
  description.composition = composition;
}

// OpenGVLab's spelling of InternVL (model_type internvl_chat); its files leave the image token to
// the tokenizer.
inline void read_internvl_chat(const Json& json, ModelDescription& description,
                               Problems& problems) {
  const Json text = text_config(json);
  read_text_config<Qwen2Config>(text, description.language, problems);
  read_tokens(text, description.tokens, problems);
  read_tokens(json, description.tokens, problems);
  ModelDescription::Composition composition;
  composition.vision =
      read_config<InternVitConfig>(source_of<InternVitConfig>(json.at("vision_config")), problems);
  InternVlConfig defaults{.ps_version = PsVersion::v1};
  problems.attempt(
      [&] { defaults.tie_word_embeddings = text.get_or("tie_word_embeddings", false); });
  composition.config = read_config<InternVlConfig>(
      {json, {{"vision_feature_layer", "select_layer"}}}, problems, defaults);
  description.composition = composition;
  problems.attempt([&] {
    if (json.has_value("image_token_id"))
      description.tokens.image_token_id = json.at("image_token_id").as<int>();
  });
  check_image_token(description, json, "image_token_id", problems);
  check_feature_layers(composition, json, problems);
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
    AnyComposition::with_model_type(type, [&]<class C>(const C&) {
      if constexpr (requires { C::flat_key; })
        read_flat_composition<C>(json, description, problems);
    });
  } else if (type.empty() && json.contains("rope_scaling_factor")) {
    description.language = read_openai(json, problems);
    description.tokens.eos_token_id = {200002, 200012};
  } else if (type == InternVlConfig::chat_model_type) {
    read_internvl_chat(json, description, problems);
  } else if (const LlavaWrapper* wrapper = llava_wrapper_of(json, type);
             wrapper != nullptr && !json.contains("text_config")) {
    read_llava_original(*wrapper, json, description, problems);
  } else if (!AnyComposition::with_model_type(type, [&]<class C>(const C&) {
               if constexpr (requires { C::image_token_key; })
                 read_composition<C>(json, description, problems);
             })) {
    problems.add({Errc::unsupported, json.file(), "model_type",
                  std::string(InternVlConfig::chat_model_type) + ", " +
                      AnyComposition::model_types() + ", " + available_model_types() + ", " +
                      AnyLanguage::model_types(),
                  type.empty() ? "no such key" : "\"" + type + "\""});
  }
  check_architectures(json, description.language.model_type(), problems);
  problems.throw_if_any("a config.json of a model that this library knows");
  description.set_tied(description.tied());
  return description;
}

// A family with a fallback tower of which its config.json says nothing: the weights tell.
inline void look_for_fallback(const std::filesystem::path& folder, ModelDescription& description) {
  auto& composition = *description.composition;
  composition.config.visit([&]<class C>(const C&) {
    if constexpr (requires { C::fallback_tensor; }) {
      if (!composition.vision.is<typename C::Vision>()) return;
      try {
        const auto files = CheckpointFiles::open(folder.string());
        constexpr std::string_view name = C::fallback_tensor;
        if (files.contains(name) || files.contains(name.substr(name.find('.') + 1)))
          composition.vision = C::fallback(composition.vision.as<typename C::Vision>());
      } catch (const Error& error) {
        if (error.code() != Errc::io_error) throw;  // a config.json alone
      }
    }
  });
}

// Of a folder or a config.json. When the weights in the folder hold an lm_head of their own, the
// model is not tied, whatever the file says (as in transformers).
inline ModelDescription describe(const std::filesystem::path& path) {
  const bool folder = std::filesystem::is_directory(path);
  ModelDescription description =
      describe_config(load_json(folder ? (path / "config.json").string() : path.string()));
  if (folder && description.composition) {
    std::optional<AddedTokenFiles> files;
    if (description.composition->config.is<LlavaGpt2Config>())
      VisualMarkerIds::keys(description.tokens.markers, [&](std::string_view name, int& id) {
        if (id >= 0) return;
        if (!files) files.emplace(path);
        id = files->find("<" + std::string(name) + ">");
      });
    else if (description.composition->image_token_key() != "" &&
             description.tokens.image_token_id == -1)
      description.tokens.image_token_id = find_image_token(path);
    look_for_fallback(path, description);
  }
  if (folder && description.tied()) {
    const auto files = CheckpointFiles::open(path.string());
    if (files.contains("lm_head.weight") || files.contains("language_model.lm_head.weight"))
      description.set_tied(false);
  }
  return description;
}

}  // namespace gov
