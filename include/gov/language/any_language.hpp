// AnyLanguage: the config of one of the language models that the library knows, at run time. A new
// one is added to the list of alternatives.
#pragma once

#include <string>
#include <variant>

#include "gov/language/gemma.hpp"
#include "gov/language/gpt_oss.hpp"
#include "gov/language/llama.hpp"
#include "gov/language/mistral.hpp"
#include "gov/language/qwen2.hpp"
#include "gov/language/qwen3.hpp"

namespace gov {

class AnyLanguage {
 public:
  using Config =
      std::variant<GptOssConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config, GemmaConfig>;

  AnyLanguage() = default;
  template <class C>
    requires requires { C::architecture; }
  AnyLanguage(const C& config) : config_(resolved(config)) {}

  // Calls f(config) with the struct that is held.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(f, config_);
  }
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(f, config_);
  }

  // The struct, when it is a C: wrong is std::bad_variant_access.
  template <class C>
  C& as() {
    return std::get<C>(config_);
  }
  template <class C>
  const C& as() const {
    return std::get<C>(config_);
  }
  template <class C>
  bool is() const {
    return std::holds_alternative<C>(config_);
  }

  std::string_view model_type() const {
    return visit([]<class C>(const C&) { return C::model_type; });
  }
  LanguageGeometry geometry() const {
    return visit([](const auto& c) { return geometry_of(c); });
  }
  bool tied() const {
    return visit([](const auto& c) { return c.tie_word_embeddings; });
  }
  void set_tied(bool tied) {
    visit([tied](auto& c) { c.tie_word_embeddings = tied; });
  }
  index_t max_position_embeddings() const { return geometry().max_position_embeddings; }
  void set_max_position_embeddings(index_t positions) {
    visit([positions](auto& c) { position_limit(c) = positions; });
  }
  friend bool operator==(const AnyLanguage&, const AnyLanguage&) = default;

  // Calls f(C{}) for the config struct C of this model_type; false when none has it.
  template <class F>
  static bool with_model_type(std::string_view model_type, F&& f) {
    return with(model_type, f, static_cast<Config*>(nullptr));
  }
  // "gpt_oss, llama, ...", for messages.
  static std::string model_types() { return list(static_cast<Config*>(nullptr)); }

 private:
  template <class F, class... C>
  static bool with(std::string_view model_type, F&& f, std::variant<C...>*) {
    return ((C::model_type == model_type && (f(C{}), true)) || ...);
  }
  template <class... C>
  static std::string list(std::variant<C...>*) {
    std::string names;
    ((names += (names.empty() ? "" : ", ") + std::string(C::model_type)), ...);
    return names;
  }

  Config config_;
};

}  // namespace gov
