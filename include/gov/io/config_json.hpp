// config.json <-> config structs. A struct lists its keys once (core/config.hpp); here are the four
// walks over that list: reading with range checks, writing, comparing two, and spelling one in C++.
#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/config.hpp"
#include "gov/io/json.hpp"
#include "gov/io/json_writer.hpp"
#include "gov/io/sharded.hpp"

namespace gov {

template <class C>
concept ConfigStruct = requires(C& c) { C::keys(c, [](auto&&...) {}); };

// A value with a grammar of its own in one string: T::parse(text), spelling(), and code() in C++.
template <class T>
concept ConfigWord = requires(const T& value) {
  { T::parse(std::string_view()) } -> std::same_as<T>;
  { value.spelling() } -> std::same_as<std::string>;
  { value.code() } -> std::same_as<std::string>;
};

// A JSON object whose keys may be spelled in other ways: pairs of our name and the file's.
struct ConfigSource {
  Json object;
  std::vector<std::pair<std::string_view, std::string_view>> aliases{};
  std::string_view unread{};  // a key that this spelling does not have

  std::optional<Json> find(std::string_view key) const {
    if (key == unread) return std::nullopt;
    if (auto value = object.find(key)) return value;
    for (const auto& [ours, theirs] : aliases)
      if (ours == key)
        if (auto value = object.find(theirs)) return value;
    return std::nullopt;
  }
};

// Reads each key that is there; keys that are absent keep the struct's default, as in transformers.
class ConfigReader {
 public:
  ConfigReader(const ConfigSource& source, Problems& problems)
      : source_(source), problems_(problems) {}

  void operator()(std::string_view key, index_t& value, Range range) {
    read(key, [&](const Json& json) { value = whole(json, range); });
    if (key == "max_position_embeddings") longest_ = value;
  }
  void operator()(std::string_view key, index_t& value, OrNull range) {
    read(key, [&](const Json& json) {
      value = json.is_null() ? 0 : whole(json, {range.min, range.max});
    });
  }
  void operator()(std::string_view key, double& value, OrNull range) {
    read(key, [&](const Json& json) {
      value = json.is_null() ? 0 : number(json, {range.min, range.max});
    });
  }
  void operator()(std::string_view key, double& value, Range range) {
    read(key, [&](const Json& json) { value = number(json, range); });
  }
  void operator()(std::string_view key, bool& value) {
    read(key, [&](const Json& json) { value = json.as_bool(); });
  }
  void operator()(std::string_view key, bool& value, OrNull) {
    read(key, [&](const Json& json) { value = !json.is_null() && json.as_bool(); });
  }
  template <class E>
    requires std::is_enum_v<E>
  void operator()(std::string_view key, E& value) {
    read(key, [&](const Json& json) {
      const std::string_view name = json.as_string();
      std::string known;
      for (const auto& [spelled, enumerator] : EnumNames<E>::values) {
        if (spelled == name) {
          value = enumerator;
          return;
        }
        known += (known.empty() ? "" : ", ") + std::string(spelled);
      }
      json.fail(Errc::unsupported, "one of " + known);
    });
  }
  template <ConfigWord T>
  void operator()(std::string_view key, T& value) {
    read(key, [&](const Json& json) {
      const std::string_view text = json.as_string();
      try {
        value = T::parse(text);
      } catch (const Error& error) {
        json.fail(error.code(), error.expected());
      }
    });
  }
  void operator()(std::string_view key, Extent& value, Range range) {
    read(key, [&](const Json& json) { value = extent(json, range); });
  }
  template <class T, std::size_t Capacity>
  void operator()(std::string_view key, ConfigList<T, Capacity>& value, Range range) {
    read(key, [&](const Json& json) {
      const auto one = [&](const Json& element) {
        if constexpr (std::is_same_v<T, Extent>)
          return extent(element, range);
        else
          return whole(element, range);
      };
      ConfigList<T, Capacity> list;
      if (!json.is_array()) {
        list.push_back(one(json));
      } else {
        if (json.size() < 1 || json.size() > Capacity)
          json.fail(Errc::bad_config, "a list of 1 to " + std::to_string(Capacity),
                    std::to_string(json.size()));
        for (const Json& element : json.elements()) list.push_back(one(element));
      }
      value = list;
    });
  }
  void operator()(std::string_view key, LayerTypes& value, const index_t& layers) {
    read(key, [&](const Json& json) {
      if (!value.given && json.is_null()) return;
      if (!value.given) value = LayerTypes();
      if (json.size() != static_cast<std::size_t>(layers))
        json.fail(Errc::bad_config,
                  "a list of num_hidden_layers = " + std::to_string(layers) + " types",
                  std::to_string(json.size()));
      index_t layer = 0;
      for (const Json& element : json.elements()) {
        const auto type = element.as_string();
        if (type != "sliding_attention" && type != "full_attention")
          element.fail(Errc::unsupported, "sliding_attention or full_attention");
        value.set(layer++, type == "sliding_attention");
      }
    });
  }
  void operator()(std::string_view key, RopeLayers& value, const index_t& layers) {
    read(key, [&](const Json& json) {
      value = RopeLayers();
      if (json.is_null()) return;
      if (json.size() != static_cast<std::size_t>(layers))
        json.fail(Errc::bad_config,
                  "a list of num_hidden_layers = " + std::to_string(layers) + " numbers, or null",
                  std::to_string(json.size()));
      value.given = true;
      index_t layer = 0;
      for (const Json& element : json.elements()) value.set(layer++, whole(element, {0, 1}) == 1);
    });
  }
  // rope_parameters, or in older files rope_scaling beside a top-level rope_theta.
  template <ConfigStruct Rope>
    requires requires { Rope::theta_range; }
  void operator()(std::string_view, Rope& value) {
    ConfigSource rope{Json(), {{"rope_type", "type"}}};
    for (const std::string_view key : {"rope_scaling", "rope_parameters"})
      if (const auto found = source_.find(key); found && !found->is_null()) {
        if (!found->is_object())
          problems_.attempt([&] { found->fail(Errc::bad_type, "an object"); });
        if (!found->is_object() || found->empty()) continue;
        rope.object = *found;
        const double theta = value.rope_theta;
        value = Rope{};
        value.rope_theta = theta;
        break;
      }
    const auto top = [&](std::string_view key, auto&& read_value) {
      if (const auto found = source_.object.find(key); found && !found->is_null())
        problems_.attempt([&] { read_value(*found); });
    };
    const bool own_theta = rope.object.has_value("rope_theta");
    if (!own_theta)
      top("rope_theta",
          [&](const Json& json) { value.rope_theta = number(json, Rope::theta_range); });
    if (rope.object.size() > 0) value.original_max_position_embeddings = longest_;
    ConfigReader reader(rope, problems_);
    Rope::keys(value, SkipNulls{reader, rope.object});
    top("original_max_position_embeddings", [&](const Json& json) {
      value.original_max_position_embeddings = whole(json, {1, 1 << 30});
    });
    if (rope.object.is_null_at("factor") && value.original_max_position_embeddings > 0)
      value.factor = static_cast<double>(longest_) /
                     static_cast<double>(value.original_max_position_embeddings);
    bool has_original = false;  // not every rope_type has one
    Rope::keys(value, [&](std::string_view key, auto&&...) {
      has_original = has_original || key == "original_max_position_embeddings";
    });
    if (!has_original) value.original_max_position_embeddings = 0;
  }

  // Any other object; null is its defaults.
  template <ConfigStruct C>
  void operator()(std::string_view key, C& value) {
    read(key, [&](const Json& json) {
      if (json.is_null()) return;
      if (!json.is_object()) json.fail(Errc::bad_type, "an object");
      const ConfigSource nested{json};
      C::keys(value, ConfigReader(nested, problems_));
    });
  }

 private:
  // In rope dictionaries an explicit null means "the default".
  struct SkipNulls {
    ConfigReader& reader;
    const Json& object;
    template <class... A>
    void operator()(std::string_view key, A&&... value) const {
      if (!object.is_null_at(key)) reader(key, value...);
    }
  };

  template <class F>
  void read(std::string_view key, F&& take) {
    problems_.attempt([&] {
      if (const auto json = source_.find(key)) take(*json);
    });
  }
  static Extent extent(const Json& json, Range range) {
    if (!json.is_array()) {
      const index_t side = whole(json, range);
      return {side, side};
    }
    if (json.size() != 2) json.fail(Errc::bad_config, "a number or a list of height and width");
    return {whole(json.at(0), range), whole(json.at(1), range)};
  }
  static double number(const Json& json, Range range) {
    const double value = json.as_double();
    if (!(range.min <= value && value <= range.max))
      json.fail(Errc::bad_config, "a number in " + to_text(range));
    return value;
  }
  static std::string to_text(Range range) {
    const auto text = [](double value) {
      JsonWriter out(-1);
      out.value(value);
      return out.str();
    };
    return "[" + text(range.min) + ", " + text(range.max) + "]";
  }
  static index_t whole(const Json& json, Range range) {
    const std::int64_t value = json.as_int();
    if (static_cast<double>(value) < range.min || static_cast<double>(value) > range.max)
      json.fail(Errc::bad_config, "a whole number in [" +
                                      std::to_string(static_cast<index_t>(range.min)) + ", " +
                                      std::to_string(static_cast<index_t>(range.max)) + "]");
    return value;
  }

  const ConfigSource& source_;
  Problems& problems_;
  index_t longest_ = 0;  // max_position_embeddings; a struct lists it before its rope
};

template <ConfigStruct C>
C read_config(const ConfigSource& source, Problems& problems, C defaults = {}) {
  C config = defaults;
  C::keys(config, ConfigReader(source, problems));
  if (problems.empty() && config.problem() != "")
    problems.add({Errc::bad_config, source.object.file(), source.object.path(),
                  std::string(config.problem()), "values that do not"});
  return config;
}

// A walk over keys that the file spells otherwise: spelling(key) says how.
template <class Walk, class Spelling>
struct Respelled {
  Walk& walk;
  Spelling spelling;
  template <class... A>
  void operator()(std::string_view key, A&&... value) const {
    walk(std::string_view(std::string(spelling(key))), value...);
  }
};
template <class Walk, class Spelling>
Respelled(Walk&, Spelling) -> Respelled<Walk, Spelling>;

// Name of an enumeration's value: its first spelling.
template <class E>
std::string_view spelled(E value) {
  for (const auto& [name, enumerator] : EnumNames<E>::values)
    if (enumerator == value) return name;
  return "?";
}

// Writes a struct's keys into an open JSON object.
struct ConfigWriter {
  JsonWriter& out;

  template <class T>
    requires std::is_arithmetic_v<T>
  void operator()(std::string_view key, const T& value, Range = {}) const {
    out.field(key, value);
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void operator()(std::string_view key, const T& value, OrNull) const {
    if (value == T(0))
      out.field(key, nullptr);
    else
      out.field(key, value);
  }
  template <class E>
    requires std::is_enum_v<E>
  void operator()(std::string_view key, const E& value) const {
    out.field(key, spelled(value));
  }
  template <ConfigWord T>
  void operator()(std::string_view key, const T& value) const {
    out.field(key, value.spelling());
  }
  void operator()(std::string_view key, const Extent& value, Range) const {
    out.field(key, std::vector<index_t>{value.height, value.width});
  }
  template <class T, std::size_t Capacity>
  void operator()(std::string_view key, const ConfigList<T, Capacity>& list, Range) const {
    if constexpr (std::is_same_v<T, Extent>) {
      out.key(key).begin_array();
      for (const Extent& value : list)
        out.begin_array().value(value.height).value(value.width).end_array();
      out.end_array();
    } else {
      if (list.size() == 1)
        out.field(key, list[0]);
      else
        out.field(key, std::vector<T>(list.begin(), list.end()));
    }
  }
  void operator()(std::string_view key, const LayerTypes& value, const index_t& layers) const {
    if (!value.given) {
      out.field(key, nullptr);
      return;
    }
    out.key(key).begin_array();
    for (index_t i = 0; i < layers; ++i)
      out.value(value.is_sliding(i) ? "sliding_attention" : "full_attention");
    out.end_array();
  }
  void operator()(std::string_view key, const RopeLayers& value, const index_t& layers) const {
    if (!value.given) {
      out.field(key, nullptr);
      return;
    }
    out.key(key).begin_array();
    for (index_t i = 0; i < layers; ++i) out.value(index_t{value.turns(i) ? 1 : 0});
    out.end_array();
  }
  template <ConfigStruct C>
  void operator()(std::string_view key, const C& value) const {
    out.key(key).begin_object();
    C::keys(value, OmitUnset{*this});
    out.end_object();
  }

 private:
  // attention_factor, mscale and the like are 0 when they were not given.
  struct OmitUnset {
    const ConfigWriter& writer;
    template <class T, class... A>
    void operator()(std::string_view key, const T& value, A&&... more) const {
      if constexpr (std::is_floating_point_v<T>)
        if (value == 0) return;
      writer(key, value, more...);
    }
  };
};

// One key's value as text, and all of a struct's keys as such.
struct ConfigEntry {
  std::string key, value;
  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};

namespace config_detail {

// Not of the struct's type, so that all structs share what it compiles to.
struct EntryCollector {
  std::string prefix;
  std::vector<ConfigEntry>& entries;

  template <class T, class... More>
  void operator()(std::string_view key, const T& value, const More&... more) const {
    if constexpr (ConfigStruct<T>) {
      T::keys(value, EntryCollector{prefix + std::string(key) + ".", entries});
    } else {
      JsonWriter out(-1);
      out.begin_object();
      ConfigWriter{out}(key, value, more...);
      const std::string text = out.end_object().str();  // {"key":value}
      const std::size_t begin = key.size() + 4;
      entries.push_back({prefix + std::string(key), text.substr(begin, text.size() - begin - 1)});
    }
  }
};

}  // namespace config_detail

template <ConfigStruct C>
std::vector<ConfigEntry> config_entries(const C& config, const std::string& prefix = "") {
  std::vector<ConfigEntry> entries;
  C::keys(config, config_detail::EntryCollector{prefix, entries});
  return entries;
}

// What differs, as "num_hidden_layers=36 (compiled 24)".
inline std::vector<std::string> entry_differences(const std::vector<ConfigEntry>& wanted,
                                                  const std::vector<ConfigEntry>& compiled) {
  std::vector<std::string> differences;
  for (const auto& entry : wanted) {
    const auto at = std::ranges::find(compiled, entry.key, &ConfigEntry::key);
    const std::string own = at == compiled.end() ? "absent" : at->value;
    if (own != entry.value)
      differences.push_back(entry.key + "=" + entry.value + " (compiled " + own + ")");
  }
  return differences;
}

template <ConfigStruct C>
std::vector<std::string> config_differences(const C& wanted, const C& compiled,
                                            const std::string& prefix = "") {
  return entry_differences(config_entries(wanted, prefix), config_entries(compiled, prefix));
}

// A struct as C++: "{.hidden_size = 64, ...}", only what differs from its defaults.
template <ConfigStruct C>
std::string config_code(const C& config, const C& defaults = {}) {
  std::string code;
  std::vector<std::string> parts;
  const auto number = [](auto value) {
    JsonWriter out(-1);
    out.value(value);
    return out.str();
  };
  const auto extent = [&](const Extent& value) {
    return "{" + number(value.height) + ", " + number(value.width) + "}";
  };
  const auto add = [&]<class T>(std::string_view key, const T& value, const auto&... more) {
    std::string text;
    if constexpr (std::is_enum_v<T>) {
      text = std::string(EnumNames<T>::type) +
             "::" + std::string(EnumNames<T>::enumerators[static_cast<std::size_t>(value)]);
    } else if constexpr (std::is_same_v<T, Extent>) {
      text = extent(value);
    } else if constexpr (requires {
                           T::capacity;
                           value.values;
                         }) {
      for (const auto& one : value) {
        text += text.empty() ? "{" : ", ";
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(one)>, Extent>)
          text += "gov::Extent" + extent(one);
        else
          text += number(one);
      }
      text += "}";
    } else if constexpr (std::is_same_v<T, LayerTypes>) {
      const index_t layers = std::get<0>(std::tie(more...));
      for (index_t i = 0; i < layers; ++i) text += value.is_sliding(i) ? 's' : 'f';
      text = value.given ? "gov::LayerTypes(\"" + text + "\")" : "gov::LayerTypes::by_rule()";
    } else if constexpr (std::is_same_v<T, RopeLayers>) {
      const index_t layers = std::get<0>(std::tie(more...));
      for (index_t i = 0; i < layers; ++i) text += value.turns(i) ? '1' : '0';
      text = value.given ? "gov::RopeLayers(\"" + text + "\")" : "gov::RopeLayers()";
    } else if constexpr (ConfigWord<T>) {
      text = value.code();
    } else if constexpr (ConfigStruct<T>) {
      text = config_code(value, T{});
    } else {
      text = number(value);
    }
    parts.push_back("." + std::string(key) + " = " + text);
  };
  std::vector<std::string> standard;
  C::keys(defaults, add);
  standard.swap(parts);
  C::keys(config, add);
  const auto is_key_of = [](const std::string& part, const std::string& other) {
    return part.compare(0, part.find(" ="), other, 0, other.find(" =")) == 0;
  };
  for (const auto& part : parts) {
    if (std::find(standard.begin(), standard.end(), part) != standard.end()) continue;
    const bool known = std::any_of(standard.begin(), standard.end(), [&](const std::string& other) {
      return is_key_of(part, other);
    });
    if (!known && part.ends_with(" = 0.0")) continue;  // an optional number that was not given
    code += (code.empty() ? "" : ", ") + part;
  }
  return "{" + code + "}";
}

}  // namespace gov
