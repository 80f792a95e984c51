// ModelDescription: what a config.json says (description.hpp reads it), as config structs at run
// time, or what a compiled Cfg is; and what differs between two.
#pragma once

#include <optional>

#include "gov/io/config_json.hpp"
#include "gov/language/any_language.hpp"
#include "gov/model/any_composition.hpp"
#include "gov/model/model_data.hpp"
#include "gov/vision/any_tower.hpp"

namespace gov {

struct ModelDescription {
  struct Composition {
    AnyTower vision;
    AnyComposition config;
    bool tied() const {
      return config.visit([](const auto& c) { return c.tie_word_embeddings; });
    }
    bool is_flat() const {
      return config.visit([]<class C>(const C&) { return requires { C::flat_key; }; });
    }
    // What config.json calls the image token's id; "" where there is none.
    std::string_view image_token_key() const {
      return config.visit([]<class C>(const C&) -> std::string_view {
        if constexpr (requires { C::image_token_key; })
          return C::image_token_key;
        else
          return "";
      });
    }
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
  bool tied() const { return composition ? composition->tied() : language.tied(); }
  void set_tied(bool tied) {
    if (composition) composition->config.visit([tied](auto& c) { c.tie_word_embeddings = tied; });
    language.set_tied(tied);
  }
};

namespace description_detail {

// Between two configs of one kind, which may be of different types.
template <class Any>
std::vector<std::string> any_differences(const Any& wanted, const Any& compiled,
                                         const std::string& prefix) {
  if (wanted.model_type() != compiled.model_type())
    return {prefix + "model_type=" + std::string(wanted.model_type()) + " (compiled " +
            std::string(compiled.model_type()) + ")"};
  return wanted.visit([&]<class C>(const C& config) {
    return config_differences(config, compiled.template as<C>(), prefix);
  });
}

}  // namespace description_detail

inline std::vector<std::string> language_differences(AnyLanguage wanted,
                                                     const AnyLanguage& compiled,
                                                     const std::string& prefix) {
  if (!wanted.visit([](const auto& c) { return positions_are_geometry(c); }))
    wanted.set_max_position_embeddings(compiled.max_position_embeddings());
  wanted.take_run_time(compiled);
  return description_detail::any_differences(wanted, compiled, prefix);
}

// What differs between a file's description and a compiled one; empty when the type fits.
// max_position_embeddings is seldom geometry, nor are a family's run_time_keys: the file's values
// are taken.
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
    using description_detail::any_differences;
    add(any_differences(wanted.composition->config, compiled.composition->config, ""));
    add(any_differences(wanted.composition->vision, compiled.composition->vision,
                        "vision_config."));
  }
  add(language_differences(wanted.language, compiled.language, text));
  return found;
}

}  // namespace gov
