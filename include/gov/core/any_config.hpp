// AnyConfig<C...>: one of several config structs at run time, chosen by config.json's model_type.
#pragma once

#include <string>
#include <string_view>
#include <variant>

namespace gov {

template <class... C>
class AnyConfig {
 public:
  AnyConfig() = default;
  template <class Config>
    requires(std::is_same_v<Config, C> || ...)
  AnyConfig(const Config& config) : config_(config) {}  // NOLINT: a config is one of them

  // Calls f(config) with the struct that is held.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(f, config_);
  }
  template <class F>
  decltype(auto) visit(F&& f) {
    return std::visit(f, config_);
  }

  // The struct, when it is of this type: wrong is std::bad_variant_access.
  template <class Config>
  Config& as() {
    return std::get<Config>(config_);
  }
  template <class Config>
  const Config& as() const {
    return std::get<Config>(config_);
  }
  template <class Config>
  bool is() const {
    return std::holds_alternative<Config>(config_);
  }

  std::string_view model_type() const {
    return visit([]<class Config>(const Config&) { return Config::model_type; });
  }
  friend bool operator==(const AnyConfig&, const AnyConfig&) = default;

  // Calls f(Config{}) for the struct of this model_type; false when none has it.
  template <class F>
  static bool with_model_type(std::string_view model_type, F&& f) {
    return ((C::model_type == model_type && (f(C{}), true)) || ...);
  }
  // Calls f(Config{}) for each of the structs.
  template <class F>
  static void for_each(F&& f) {
    (f(C{}), ...);
  }
  // "gpt_oss, llama, ...", for messages.
  static std::string model_types() {
    std::string names;
    ((names += (names.empty() ? "" : ", ") + std::string(C::model_type)), ...);
    return names;
  }

 private:
  std::variant<C...> config_;
};

}  // namespace gov
