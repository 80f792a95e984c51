// Changing keys of a language model's config after loading: those that its family lists as
// run_time_keys, for no weight depends on them. What is geometry is refused, and says why, and so
// are values that config.json could not have, by whichever way they come.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gov/io/config_json.hpp"

namespace gov {

// A key of config.json and its value in JSON: {"nope_stride", "2"}.
using Setting = std::pair<std::string, std::string>;

// "nope_stride=2", as a command line has it.
inline Setting parse_setting(std::string_view text) {
  const std::size_t at = text.find('=');
  if (at == 0 || at == text.npos)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "setting",
                 .expected = "KEY=VALUE",
                 .found = std::string(text)});
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

namespace run_time_detail {

// A walk over keys that refuses what the reader of config.json would.
struct ValueCheck {
  template <class T>
  void operator()(std::string_view key, const T& value, Range range) const
    requires std::is_arithmetic_v<T>
  {
    if (range.min <= static_cast<double>(value) && static_cast<double>(value) <= range.max) return;
    refuse(key, "a number in [" + text(range.min) + ", " + text(range.max) + "]", text(value));
  }
  void operator()(std::string_view key, const RopeLayers& value, const index_t& layers) const {
    for (index_t layer = layers; layer < LayerTypes::capacity; ++layer)
      if (value.given && !value.turns(layer))
        refuse(key, "layers in [0, " + text(layers) + ")", text(layer));
  }
  template <class... A>
  void operator()(std::string_view, const A&...) const {
  }  // bool, and kinds that no run-time key has

 private:
  template <class T>
  static std::string text(T number) {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
  }
  static void refuse(std::string_view key, std::string expected, std::string found) {
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = std::string(key),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
};

}  // namespace run_time_detail

// `config` with the run-time keys of `from`, whatever else is in it; throws where one of them has a
// value that config.json could not have.
template <class C>
C with_run_time(C config, const C& from) {
  if constexpr (requires { C::run_time_keys; }) {
    config.take_run_time(from);
    C::keys(std::as_const(config), [](std::string_view key, const auto&... value) {
      const auto& keys = C::run_time_keys;
      if (std::find(keys.begin(), keys.end(), key) != keys.end())
        run_time_detail::ValueCheck{}(key, value...);
    });
  }
  return config;
}

// `config` with the setting; throws without a change when it cannot be.
template <ConfigStruct C>
C with_setting(const C& config, const Setting& setting) {
  const std::string &key = setting.first, &value = setting.second;
  std::vector<std::string_view> changeable;
  if constexpr (requires { C::run_time_keys; })
    changeable.assign(C::run_time_keys.begin(), C::run_time_keys.end());
  if (std::find(changeable.begin(), changeable.end(), key) == changeable.end()) {
    std::string names;
    for (const auto name : changeable) names += (names.empty() ? "" : ", ") + std::string(name);
    bool known = false;
    C::keys(config, [&](std::string_view name, auto&&...) { known = known || name == key; });
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = key,
                 .expected = names.empty() ? "no setting: " + std::string(C::model_type) +
                                                 " has no key that can be changed after loading"
                                           : "one of " + names,
                 .found = known
                              ? "geometry, which is compiled in (gov_add_model makes another type)"
                              : "no such key in " + std::string(C::model_type)});
  }
  const Json object = parse_json("{\"" + key + "\":" + value + "}", "setting " + key);
  if (object.size() != 1)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = key,
                 .expected = "one value",
                 .found = value});
  Problems problems(object.file());
  C changed = read_config<C>({object}, problems, config);
  problems.throw_if_any("a value that " + key + " can have");
  return changed;
}

}  // namespace gov
