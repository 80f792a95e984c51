// Json: an immutable JSON document with strict rules (json_events.hpp) and no duplicate keys. A
// Json is a small handle that keeps its document alive; nodes lie flat (16 bytes each, strings in
// one block), so nothing recurses. A handle finds its own path by walking down from the root, so
// getters throw with file and field ("text_config.rope_parameters.factor") though no node stores
// them. To write: json_writer.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/file.hpp"
#include "gov/io/json_events.hpp"

namespace gov {

class Json;
class JsonDocumentBuilder;

class Json {
 public:
  enum class Kind : std::uint8_t {
    null,
    boolean,
    unsigned_integer,
    negative_integer,
    floating,
    string,
    array,
    object
  };

  Json() = default;  // null, belonging to no file

  Kind kind() const { return node().kind; }
  bool is_null() const { return kind() == Kind::null; }
  bool is_bool() const { return kind() == Kind::boolean; }
  bool is_integer() const {
    return kind() == Kind::unsigned_integer || kind() == Kind::negative_integer;
  }
  bool is_negative_zero() const { return kind() == Kind::negative_integer && node().payload == 0; }
  bool is_number() const { return is_integer() || kind() == Kind::floating; }
  bool is_string() const { return kind() == Kind::string; }
  bool is_array() const { return kind() == Kind::array; }
  bool is_object() const { return kind() == Kind::object; }

  // Members of an object or elements of an array; 0 for everything else.
  std::size_t size() const { return is_array() || is_object() ? node().count() : 0; }
  bool empty() const { return size() == 0; }

  // nullopt when absent, or when this is not an object. An explicit null is found, and is_null().
  std::optional<Json> find(std::string_view key) const;
  bool contains(std::string_view key) const { return find(key).has_value(); }
  Json at(std::string_view key) const;  // throws missing_field, or bad_type on a non-object
  Json at(const char* key) const { return at(std::string_view(key)); }
  Json at(std::size_t index) const;  // throws bad_type on a non-array, missing_field past the end
  Json at(int index) const { return at(static_cast<std::size_t>(index)); }

  bool as_bool() const;
  std::int64_t as_int() const;
  std::uint64_t as_uint() const;       // refuses negative numbers, -0 too
  double as_double() const;            // integers are accepted
  std::string_view as_string() const;  // lives as long as any Json of this document

  // T is bool, an integer type (range-checked), float, double or std::string.
  template <class T>
  T as() const;
  // The fallback serves an absent key only: an explicit null is a bad_type, ask is_null_at() first.
  template <class T>
  T get_or(std::string_view key, T fallback) const;
  std::string get_or(std::string_view key, const char* fallback) const {
    return get_or(key, std::string(fallback));
  }
  bool is_null_at(std::string_view key) const {
    const auto value = find(key);
    return value && value->is_null();
  }
  bool has_value(std::string_view key) const {  // present and not null
    const auto value = find(key);
    return value && !value->is_null();
  }
  // An array of T.
  template <class T>
  std::vector<T> as_vector() const;

  // for (auto [key, value] : json.items()), in document order; throws bad_type on a non-object.
  class Items;
  Items items() const;
  // for (const Json& element : json.elements()); throws bad_type on a non-array.
  class Elements;
  Elements elements() const;

  std::string path() const;  // "text_config.layer_types[3]"; "" for the root
  const std::string& file() const;
  // Throws with this value's file and path; `found` defaults to a description of the value.
  [[noreturn]] void fail(Errc code, std::string expected, std::string found = {}) const;
  std::string describe() const;

 private:
  friend class JsonDocumentBuilder;

  struct Node {
    Kind kind = Kind::null;
    std::uint32_t order = 0;  // object of many members: where its sorted member list starts
    std::uint64_t payload =
        0;  // number bits, or two 32-bit halves: first child / offset, count / length

    std::uint32_t first() const { return static_cast<std::uint32_t>(payload); }
    std::uint32_t count() const { return static_cast<std::uint32_t>(payload >> 32); }
    static std::uint64_t pack(std::size_t first, std::size_t count) {
      return (std::uint64_t{count} << 32) | first;
    }
  };
  static_assert(sizeof(Node) == 16);

  // Children of a container lie side by side (an object's as key, value, key, value), behind all
  // their own descendants; the root is the last node.
  struct Document {
    std::string file;
    std::vector<Node> nodes;
    std::string characters;
    std::vector<std::uint32_t> sorted_members;

    std::string_view string_of(const Node& node) const {
      return std::string_view(characters).substr(node.first(), node.count());
    }
  };
  static constexpr std::size_t small_object = 8;  // up to here keys are compared one by one

  Json(std::shared_ptr<const Document> document, std::size_t index)
      : document_(std::move(document)), index_(static_cast<std::uint32_t>(index)) {}

  const Node& node() const {
    static constexpr Node null_node{};
    return document_ ? document_->nodes[index_] : null_node;
  }
  Json sibling(std::size_t index) const { return Json(document_, index); }
  std::string_view key_at(std::size_t member) const {
    return document_->string_of(document_->nodes[node().first() + 2 * member]);
  }
  Json value_at(std::size_t member) const { return sibling(node().first() + 2 * member + 1); }

  std::shared_ptr<const Document> document_;
  std::uint32_t index_ = 0;
};

class Json::Items {
 public:
  class iterator {
   public:
    using value_type = std::pair<std::string_view, Json>;
    using difference_type = std::ptrdiff_t;
    iterator(const Json* json, std::size_t member) : json_(json), member_(member) {}
    value_type operator*() const { return {json_->key_at(member_), json_->value_at(member_)}; }
    iterator& operator++() { return ++member_, *this; }
    bool operator==(const iterator& other) const { return member_ == other.member_; }

   private:
    const Json* json_;
    std::size_t member_;
  };
  explicit Items(Json json) : json_(std::move(json)) {}
  iterator begin() const { return {&json_, 0}; }
  iterator end() const { return {&json_, size()}; }
  std::size_t size() const { return json_.size(); }

 private:
  Json json_;
};

class Json::Elements {
 public:
  class iterator {
   public:
    using value_type = Json;
    using difference_type = std::ptrdiff_t;
    iterator(const Json* json, std::size_t element) : json_(json), element_(element) {}
    Json operator*() const { return json_->sibling(json_->node().first() + element_); }
    iterator& operator++() { return ++element_, *this; }
    bool operator==(const iterator& other) const { return element_ == other.element_; }

   private:
    const Json* json_;
    std::size_t element_;
  };
  explicit Elements(Json json) : json_(std::move(json)) {}
  iterator begin() const { return {&json_, 0}; }
  iterator end() const { return {&json_, size()}; }
  std::size_t size() const { return json_.size(); }

 private:
  Json json_;
};

// Handler of parse_json_events that makes a document. Its memory stays under 6 bytes per byte of
// text
// + 8 MB (denser text, say megabytes of "[0,0,0": limit_exceeded).
class JsonDocumentBuilder {
 public:
  JsonDocumentBuilder(std::string_view text, std::string_view file)
      : document_(std::make_shared<Json::Document>()), budget_(6 * text.size() + (8u << 20)) {
    document_->file = file;
    document_->characters.reserve(text.size());  // unescaping only shortens
  }

  void on_null() { push({}); }
  void on_bool(bool value) { push({Json::Kind::boolean, 0, value}); }
  void on_unsigned(std::uint64_t value) { push({Json::Kind::unsigned_integer, 0, value}); }
  void on_negative(std::int64_t value) {
    push({Json::Kind::negative_integer, 0, static_cast<std::uint64_t>(value)});
  }
  void on_float(double value) {
    push({Json::Kind::floating, 0, std::bit_cast<std::uint64_t>(value)});
  }
  void on_string(const std::string& value) {
    std::string& all = document_->characters;
    push({Json::Kind::string, 0, Json::Node::pack(all.size(), value.size())});
    all += value;
  }
  void on_key(const std::string& value) { on_string(value); }
  void on_start_object() { open_.push_back(pending_.size()); }
  void on_start_array() { open_.push_back(pending_.size()); }
  void on_end_array() { close(Json::Kind::array, 1); }
  void on_end_object() { close(Json::Kind::object, 2); }

  Json finish() {
    append(document_->nodes, pending_.front());
    const std::size_t root = document_->nodes.size() - 1;
    return Json(std::move(document_), root);
  }

 private:
  template <class T>
  void append(std::vector<T>& to, const T& value) {
    if (to.size() == to.capacity()) {
      const std::size_t grown = std::max<std::size_t>(16, to.capacity() * 2);
      allocated_ += grown * sizeof(T);  // old and new block exist together
      if (allocated_ > budget_)
        throw Error({.code = Errc::limit_exceeded,
                     .file = document_->file,
                     .field = {},
                     .expected = "JSON with fewer values per byte of text",
                     .found = {}});
      const std::size_t old = to.capacity() * sizeof(T);
      to.reserve(grown);
      allocated_ -= old;
    }
    to.push_back(value);
  }
  void push(const Json::Node& node) { append(pending_, node); }

  void close(Json::Kind kind, std::size_t nodes_each) {
    auto& nodes = document_->nodes;
    const std::size_t begin = open_.back(), first = nodes.size();
    open_.pop_back();
    for (std::size_t i = begin; i < pending_.size(); ++i) append(nodes, pending_[i]);
    const std::size_t count = (pending_.size() - begin) / nodes_each;
    pending_.resize(begin);
    Json::Node container{kind, 0, Json::Node::pack(first, count)};
    if (kind == Json::Kind::object) container.order = order_members(first, count);
    push(container);
  }

  // Refuses duplicate keys; returns where the sorted list of a large object starts.
  std::uint32_t order_members(std::size_t first, std::size_t count) {
    const auto key = [&](std::size_t member) {
      return document_->string_of(document_->nodes[first + 2 * member]);
    };
    const auto refuse = [&](std::string_view name) {
      throw Error({.code = Errc::duplicate_key,
                   .file = document_->file,
                   .field = json_detail::shorten(name, 120),
                   .expected = "each key once per object",
                   .found = "this key twice"});
    };
    if (count <= Json::small_object) {
      for (std::size_t i = 1; i < count; ++i)
        for (std::size_t j = 0; j < i; ++j)
          if (key(i) == key(j)) refuse(key(i));
      return 0;
    }
    auto& sorted = document_->sorted_members;
    const auto start = static_cast<std::uint32_t>(sorted.size());
    for (std::size_t i = 0; i < count; ++i) append(sorted, static_cast<std::uint32_t>(i));
    std::sort(sorted.begin() + start, sorted.end(),
              [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    for (std::size_t i = start + 1; i < sorted.size(); ++i)
      if (key(sorted[i]) == key(sorted[i - 1])) refuse(key(sorted[i]));
    return start;
  }

  std::shared_ptr<Json::Document> document_;
  std::vector<Json::Node> pending_;  // children of the containers that are still open
  std::vector<std::size_t> open_;    // where each open container's children start
  std::size_t allocated_ = 0, budget_;
};

// `file` is what errors call this text.
inline Json parse_json(std::string_view text, std::string_view file, JsonLimits limits = {}) {
  JsonDocumentBuilder builder(text, file);
  parse_json_events(text, file, limits, builder);
  return builder.finish();
}

inline Json load_json(const std::string& path, JsonLimits limits = {}) {
  return parse_json(read_text(path, limits.text_bytes), path, limits);
}

inline std::optional<Json> Json::find(std::string_view key) const {
  if (!is_object()) return std::nullopt;
  const std::size_t count = size();
  if (count <= small_object) {
    for (std::size_t i = 0; i < count; ++i)
      if (key_at(i) == key) return value_at(i);
    return std::nullopt;
  }
  const auto begin = document_->sorted_members.begin() + node().order;
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  const auto place = std::lower_bound(
      begin, end, key,
      [&](std::uint32_t member, std::string_view k) { return key_at(member) < k; });
  if (place == end || key_at(*place) != key) return std::nullopt;
  return value_at(*place);
}

inline Json Json::at(std::string_view key) const {
  if (!is_object()) fail(Errc::bad_type, "an object with \"" + json_detail::shorten(key) + "\"");
  if (auto value = find(key)) return *std::move(value);
  const std::string here = path();
  throw Error({.code = Errc::missing_field,
               .file = file(),
               .field = (here.empty() ? "" : here + ".") + json_detail::shorten(key),
               .expected = "a value",
               .found = "nothing"});
}

inline Json Json::at(std::size_t index) const {
  if (!is_array()) fail(Errc::bad_type, "an array");
  if (index >= size())
    fail(Errc::missing_field, "more than " + std::to_string(index) + " elements");
  return sibling(node().first() + index);
}

inline bool Json::as_bool() const {
  if (!is_bool()) fail(Errc::bad_type, "true or false");
  return node().payload != 0;
}

inline std::int64_t Json::as_int() const {
  if (!is_integer()) fail(is_number() ? Errc::bad_number : Errc::bad_type, "an integer");
  if (kind() == Kind::unsigned_integer && node().payload >> 63)
    fail(Errc::bad_number, "an integer below 2^63");
  return static_cast<std::int64_t>(node().payload);
}

inline std::uint64_t Json::as_uint() const {
  if (!is_number()) fail(Errc::bad_type, "a non-negative integer");
  if (kind() != Kind::unsigned_integer) fail(Errc::bad_number, "a non-negative integer");
  return node().payload;
}

inline double Json::as_double() const {
  switch (kind()) {
    case Kind::floating: return std::bit_cast<double>(node().payload);
    case Kind::unsigned_integer: return static_cast<double>(node().payload);
    case Kind::negative_integer:
      return is_negative_zero() ? -0.0
                                : static_cast<double>(static_cast<std::int64_t>(node().payload));
    default: fail(Errc::bad_type, "a number");
  }
}

inline std::string_view Json::as_string() const {
  if (!is_string()) fail(Errc::bad_type, "a string");
  return document_->string_of(node());
}

template <class T>
T Json::as() const {
  if constexpr (std::is_same_v<T, bool>) {
    return as_bool();
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_unsigned_v<T>) {
      const std::uint64_t value = as_uint();
      if (value > std::numeric_limits<T>::max())
        fail(Errc::bad_number, "an integer up to " + std::to_string(std::numeric_limits<T>::max()));
      return static_cast<T>(value);
    } else {
      const std::int64_t value = as_int();
      if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max())
        fail(Errc::bad_number, "an integer between " +
                                   std::to_string(std::numeric_limits<T>::min()) + " and " +
                                   std::to_string(std::numeric_limits<T>::max()));
      return static_cast<T>(value);
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(as_double());
  } else {
    return T(as_string());
  }
}

template <class T>
T Json::get_or(std::string_view key, T fallback) const {
  const auto value = find(key);
  return value ? value->as<T>() : std::move(fallback);
}

inline Json::Items Json::items() const {
  if (!is_object()) fail(Errc::bad_type, "an object");
  return Items(*this);
}

inline Json::Elements Json::elements() const {
  if (!is_array()) fail(Errc::bad_type, "an array");
  return Elements(*this);
}

template <class T>
std::vector<T> Json::as_vector() const {
  std::vector<T> values;
  for (const Json& element : elements()) values.push_back(element.as<T>());
  return values;
}

inline const std::string& Json::file() const {
  static const std::string none;
  return document_ ? document_->file : none;
}

inline std::string Json::path() const {
  std::string text;
  if (!document_) return text;
  const auto& nodes = document_->nodes;
  for (std::size_t at = nodes.size() - 1; at != index_;) {
    const Node& container = nodes[at];
    const std::size_t step = container.kind == Kind::object ? 2 : 1;
    std::size_t child = 0, place = index_;
    if (index_ >= container.first()) {  // a child itself
      child = (index_ - container.first()) / step;
    } else {  // inside the first child container that ends behind it
      for (; child < container.count(); ++child) {
        place = container.first() + child * step + step - 1;
        const Node& node = nodes[place];
        if (node.kind == Kind::array && index_ < node.first() + node.count()) break;
        if (node.kind == Kind::object && index_ < node.first() + 2 * node.count()) break;
      }
    }
    at = place;
    if (container.kind == Kind::array) {
      text += "[" + std::to_string(child) + "]";
    } else {
      if (!text.empty()) text += ".";
      text += json_detail::shorten(document_->string_of(nodes[container.first() + 2 * child]), 120);
    }
  }
  return text;
}

inline std::string Json::describe() const {
  const auto number = [](auto value) {
    char digits[32];
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  };
  switch (kind()) {
    case Kind::null: return "null";
    case Kind::boolean: return node().payload ? "true" : "false";
    case Kind::unsigned_integer: return number(node().payload);
    case Kind::negative_integer: return is_negative_zero() ? "-0" : number(as_int());
    case Kind::floating: return number(as_double());
    case Kind::string: return "\"" + json_detail::shorten(as_string()) + "\"";
    case Kind::array: return "an array of " + std::to_string(size());
    case Kind::object: return "an object";
  }
  return {};
}

inline void Json::fail(Errc code, std::string expected, std::string found) const {
  throw Error({.code = code,
               .file = file(),
               .field = path(),
               .expected = std::move(expected),
               .found = found.empty() ? describe() : std::move(found)});
}

}  // namespace gov
