// Function tools as harmony shows them to the model: a TypeScript namespace made from JSON schemas,
// to the letter what gpt-oss's published chat template makes of them, its line breaks included.
// Also the two spellings of Python that the template lets through: json.dumps and str.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"
#include "gov/text/utf8.hpp"

namespace gov {

struct HarmonyTool {
  std::string name;
  std::string description;
  Json parameters = {};  // a JSON schema of type object, or null

  // {"type": "function", "function": {name, description, parameters}}, or the inner object alone.
  static HarmonyTool from_json(const Json& json) {
    const auto inner = json.find("function");
    const Json function = inner ? *inner : json;
    HarmonyTool tool{function.at("name").as<std::string>(), function.get_or("description", ""), {}};
    if (const auto parameters = function.find("parameters")) tool.parameters = *parameters;
    return tool;
  }
};

namespace harmony_detail {

// json.dumps(text, ensure_ascii=False)
inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          out.append("\\u00").append(1, digits[c >> 4]).append(1, digits[c & 15]);
        else
          out += c;
    }
  }
  return out + "\"";
}

// repr() of a float: the shortest digits, as a decimal from 1e-4 up to 1e16.
inline std::string python_float(double value) {
  char buffer[400];
  const double size = std::fabs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value,
                                 fixed ? std::chars_format::fixed : std::chars_format::scientific)
                       .ptr;
  std::string text(buffer, end);
  if (fixed && text.find('.') == text.npos) text += ".0";
  return text;
}

// json.dumps(json, ensure_ascii=False). The parser limits the depth.
inline std::string dumps(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::string: return quoted(json.as_string());
    case Json::Kind::floating: return python_float(json.as_double());
    case Json::Kind::array: {
      std::string text = "[";
      for (const Json& element : json.elements()) {
        if (text.size() > 1) text += ", ";
        text += dumps(element);
      }
      return text + "]";
    }
    case Json::Kind::object: {
      std::string text = "{";
      for (const auto& [key, value] : json.items()) {
        if (text.size() > 1) text += ", ";
        text += quoted(key) + ": " + dumps(value);
      }
      return text + "}";
    }
    default: return json.describe();  // null, true, false and integers
  }
}

// str(json)
inline std::string python_str(const Json& json) {
  if (json.is_string()) return std::string(json.as_string());
  if (json.is_null()) return "None";
  if (json.is_bool()) return json.as_bool() ? "True" : "False";
  return dumps(json);
}

inline bool is_true(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::null: return false;
    case Json::Kind::boolean: return json.as_bool();
    case Json::Kind::string: return !json.as_string().empty();
    case Json::Kind::array:
    case Json::Kind::object: return json.size() > 0;
    default: return json.as_double() != 0;
  }
}
// The member if it is there and true in Python's sense.
inline std::optional<Json> true_member(const Json& json, std::string_view key) {
  auto value = json.find(key);
  return value && is_true(*value) ? value : std::nullopt;
}
inline std::string_view type_name(const Json& schema) {
  const auto type = schema.find("type");
  return type && type->is_string() ? type->as_string() : std::string_view();
}
inline bool is_required(const Json& schema, std::string_view name) {
  const auto required = true_member(schema, "required");
  if (!required) return false;
  for (const Json& element : required->elements())
    if (element.is_string() && element.as_string() == name) return true;
  return false;
}

inline std::string join(const Json& list, std::string_view separator) {
  std::string text;
  std::size_t i = 0;
  for (const Json& element : list.elements()) {
    if (i++ > 0) text += separator;
    text += python_str(element);
  }
  return text;
}

inline std::string typescript_type(const Json& schema);

inline std::string typescript_array(const Json& schema) {
  std::string type = "any[]";
  if (const auto items = true_member(schema, "items")) {
    const std::string_view of = type_name(*items);
    if (of == "string" || of == "number" || of == "boolean") {
      type = std::string(of) + "[]";
    } else if (of == "integer") {
      type = "number[]";
    } else {
      const std::string inner = typescript_type(*items);
      std::size_t characters = 0;
      for (const char c : inner) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      if (inner != "object | object" && characters <= 50) type = inner + "[]";
    }
  }
  return true_member(schema, "nullable") ? type + " | null" : type;
}

inline std::string typescript_type(const Json& schema) {
  const std::string_view type = type_name(schema);
  if (type == "array") return typescript_array(schema);
  if (const auto types = schema.find("type"); types && types->is_array() && types->size() > 0)
    return join(*types, " | ");
  std::string text;
  if (const auto variants = true_member(schema, "oneOf")) {
    std::size_t left = variants->size();
    for (const Json& variant : variants->elements()) {
      text += typescript_type(variant);
      if (const auto about = true_member(variant, "description"))
        text += "// " + python_str(*about);
      if (const auto value = variant.find("default"))
        text += std::string(20, ' ') + "// default: " + dumps(*value);
      if (--left > 0) text += " | \n";
    }
    return text;
  }
  if (type == "string") {
    if (const auto values = true_member(schema, "enum"))
      return "\"" + join(*values, "\" | \"") + "\"";
    return true_member(schema, "nullable") ? "string | null" : "string";
  }
  if (type == "number" || type == "integer") return "number";
  if (type == "boolean") return "boolean";
  if (type != "object") return "any";
  const auto properties = true_member(schema, "properties");
  if (!properties) return "object";
  text = "{\n";
  std::size_t left = properties->size();
  for (const auto& [name, property] : properties->items()) {
    text.append(name).append(is_required(schema, name) ? "" : "?").append(": \n");
    text += std::string(16, ' ') + typescript_type(property);
    if (--left > 0) text += ", ";
  }
  return text + "}";
}

}  // namespace harmony_detail

// "## functions\n\nnamespace functions { ... } // namespace functions"
inline std::string render_harmony_tools(std::span<const HarmonyTool> tools,
                                        std::string_view space = "functions") {
  using namespace harmony_detail;
  std::string text = "## ";
  text.append(space).append("\n\nnamespace ").append(space).append(" {\n\n");
  for (const HarmonyTool& tool : tools) {
    text += "// " + tool.description + "\ntype " + tool.name + " = ";
    const auto properties = true_member(tool.parameters, "properties");
    if (!properties) {
      text += "() => any;\n\n";
      continue;
    }
    text += "(_: {\n";
    for (const auto& [name, schema] : properties->items()) {
      if (const auto about = true_member(schema, "description"))
        text += "// " + python_str(*about) + "\n";
      text.append(name).append(is_required(tool.parameters, name) ? ": " : "?: ");
      text += typescript_type(schema);
      if (const auto value = schema.find("default")) {
        if (true_member(schema, "enum"))
          text += ", // default: " + python_str(*value);
        else if (true_member(schema, "oneOf"))
          text += "// default: " + python_str(*value);
        else
          text += ", // default: " + dumps(*value);
      }
      text += ",\n";
    }
    text += "}) => any;\n\n";
  }
  return text.append("} // namespace ").append(space);
}

}  // namespace gov
