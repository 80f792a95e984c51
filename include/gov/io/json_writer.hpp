// JsonWriter: JSON text, written member by member, or a parsed Json written out again. Strings are
// escaped and must be UTF-8; doubles are the shortest text that reads back to the same bits, and
// stay floats
// ("2.0"); NaN and infinities are refused, since JSON has no word for them.
//   JsonWriter out;
//   out.begin_object().field("dtype", "F32").key("shape").value(shape).end_object();
//   std::string text = out.str();
#pragma once

#include <bit>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"

namespace gov {

class JsonWriter {
 public:
  // Spaces per level; a negative indent writes one line.
  explicit JsonWriter(int indent = 2) : indent_(indent) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('{', '}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close('[', ']'); }

  JsonWriter& key(std::string_view name) {
    if (levels_.empty() || levels_.back().bracket != '{' || after_key_) misuse("a key");
    next_line();
    write_string(name);
    text_ += indent_ < 0 ? ":" : ": ";
    after_key_ = true;
    return *this;
  }

  // nullptr, bool, an integer, a floating-point number, text, a Json, or a range of these (an
  // array).
  template <class T>
  JsonWriter& value(const T& value) {
    if constexpr (std::is_same_v<T, Json>) {
      return copy(value);
    } else if constexpr (std::is_null_pointer_v<T>) {
      return scalar([&] { text_ += "null"; });
    } else if constexpr (std::is_same_v<T, bool>) {
      return scalar([&] { text_ += value ? "true" : "false"; });
    } else if constexpr (std::is_arithmetic_v<T>) {
      return scalar([&] { write_number(value); });
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      return scalar([&] { write_string(value); });
    } else {
      begin_array();
      for (const auto& element : value) this->value(element);
      return end_array();
    }
  }

  template <class T>
  JsonWriter& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  // The finished text; every bracket must be closed.
  std::string str() const {
    if (!levels_.empty() || text_.empty()) misuse("the end");
    return text_;
  }

 private:
  struct Level {
    char bracket;
    bool empty = true;
  };

  [[noreturn]] static void misuse(std::string what) {
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "JsonWriter",
                 .expected = "keys and values in turn, brackets in pairs",
                 .found = std::move(what)});
  }

  void next_line() {
    Level& level = levels_.back();
    if (!level.empty) text_ += indent_ < 0 ? ", " : ",";
    level.empty = false;
    new_line();
  }
  void new_line() {
    if (indent_ < 0) return;
    text_ += '\n';
    text_.append(levels_.size() * static_cast<std::size_t>(indent_), ' ');
  }
  void before_value() {
    if (levels_.empty()) {
      if (!text_.empty()) misuse("a second root");
    } else if (levels_.back().bracket == '{') {
      if (!after_key_) misuse("a value without a key");
    } else {
      next_line();
    }
    after_key_ = false;
  }
  template <class Write>
  JsonWriter& scalar(Write write) {
    before_value();
    write();
    return *this;
  }
  JsonWriter& open(char bracket) {
    before_value();
    text_ += bracket;
    levels_.push_back({bracket});
    return *this;
  }
  JsonWriter& close(char bracket, char closing) {
    if (levels_.empty() || levels_.back().bracket != bracket || after_key_) misuse("a bracket");
    const bool empty = levels_.back().empty;
    levels_.pop_back();
    if (!empty) new_line();
    text_ += closing;
    return *this;
  }

  // Recursion is as deep as the document, which its reader limited.
  JsonWriter& copy(const Json& json) {
    switch (json.kind()) {
      case Json::Kind::null: return value(nullptr);
      case Json::Kind::boolean: return value(json.as_bool());
      case Json::Kind::unsigned_integer: return value(json.as_uint());
      case Json::Kind::negative_integer:
        return json.is_negative_zero() ? scalar([&] { text_ += "-0"; }) : value(json.as_int());
      case Json::Kind::floating: return value(json.as_double());
      case Json::Kind::string: return value(json.as_string());
      case Json::Kind::array:
        begin_array();
        for (const Json& element : json.elements()) copy(element);
        return end_array();
      case Json::Kind::object:
        begin_object();
        for (const auto& [name, member] : json.items()) key(name).copy(member);
        return end_object();
    }
    return *this;
  }

  template <class T>
  void write_number(T number) {
    if constexpr (std::is_floating_point_v<T>) {
      const double wide = number;
      if ((std::bit_cast<std::uint64_t>(wide) >> 52 & 0x7ff) == 0x7ff)
        throw Error({.code = Errc::bad_number,
                     .file = {},
                     .field = "JsonWriter",
                     .expected = "a finite number",
                     .found = "NaN or infinity"});
    }
    char digits[32];
    const char* const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    const std::string_view written(digits, static_cast<std::size_t>(end - digits));
    text_ += written;
    if (std::is_floating_point_v<T> && written.find_first_of(".e") == written.npos) text_ += ".0";
  }

  void write_string(std::string_view string) {
    if (find_bad_utf8(string))
      throw Error({.code = Errc::bad_utf8,
                   .file = {},
                   .field = "JsonWriter",
                   .expected = "UTF-8 text",
                   .found = {}});
    constexpr char digits[] = "0123456789abcdef";
    text_ += '"';
    for (const char c : string) {
      const auto byte = static_cast<unsigned char>(c);
      switch (c) {
        case '"': text_ += "\\\""; break;
        case '\\': text_ += "\\\\"; break;
        case '\n': text_ += "\\n"; break;
        case '\r': text_ += "\\r"; break;
        case '\t': text_ += "\\t"; break;
        default:
          if (byte < 0x20) {
            text_ += "\\u00";
            text_ += digits[byte >> 4];
            text_ += digits[byte & 15];
          } else {
            text_ += c;
          }
      }
    }
    text_ += '"';
  }

  int indent_;
  bool after_key_ = false;
  std::string text_;
  std::vector<Level> levels_;
};

inline std::string dump(const Json& json, int indent = 2) {
  return JsonWriter(indent).value(json).str();
}

}  // namespace gov
