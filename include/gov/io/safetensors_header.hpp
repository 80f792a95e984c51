// SafeTensorsHeader: what a safetensors file declares, read under a profile stricter than the
// reference's: duplicate names, unknown entry fields, rank > 8, a dimension > 2^40, and empty, long
// or control-character names are refused too; nothing that the reference refuses is accepted.
// Checked whole (every offset, the exact file length) before any tensor is touched.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/dtype.hpp"
#include "gov/core/error.hpp"
#include "gov/io/json_events.hpp"

namespace gov {

struct TensorEntry {
  std::string name;
  DType dtype{};
  std::vector<index_t> shape;
  std::uint64_t offset = 0;  // from the start of the data, behind the header; any alignment
  std::uint64_t bytes = 0;

  index_t element_count() const {
    index_t count = 1;
    for (const index_t extent : shape) count *= extent;  // checked when the header was read
    return count;
  }
};

namespace safetensors_detail {

constexpr std::uint64_t most_header_bytes = 100'000'000;
constexpr std::size_t most_tensors = 1'000'000, most_name_bytes = 512, most_axes = 8;
constexpr std::uint64_t largest_extent = std::uint64_t{1} << 40;
constexpr std::string_view metadata_key = "__metadata__";

[[noreturn]] inline void fail(Errc code, std::string_view file, std::string field,
                              std::string expected, std::string found) {
  throw Error({.code = code,
               .file = std::string(file),
               .field = std::move(field),
               .expected = std::move(expected),
               .found = std::move(found)});
}

// "" when the name may be a tensor's, else what is wrong with it.
inline std::string_view name_problem(std::string_view name) {
  if (name.empty()) return "an empty name";
  if (name.size() > most_name_bytes) return "a longer name";
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20) return "a control character";
  return {};
}

// Size of a tensor in bytes; every way in which shape and dtype can be absurd is an error.
inline std::uint64_t tensor_bytes(std::string_view file, const std::string& name, DType dtype,
                                  std::span<const std::uint64_t> shape) {
  if (shape.size() > most_axes)
    fail(Errc::rank_too_high, file, name, "at most 8 axes", std::to_string(shape.size()));
  std::uint64_t bits = static_cast<std::uint64_t>(bits_of(dtype));
  const bool empty = std::find(shape.begin(), shape.end(), 0u) != shape.end();
  for (const std::uint64_t extent : shape)
    if (!empty && __builtin_mul_overflow(bits, extent, &bits))
      fail(Errc::overflow, file, name, "a shape whose bits can be counted in 64 bits", {});
  for (const std::uint64_t extent : shape)
    if (extent > largest_extent)
      fail(Errc::dim_too_large, file, name, "extents up to 2^40", std::to_string(extent));
  if (empty) return 0;
  if (bits % 8 != 0)
    fail(Errc::sub_byte_misaligned, file, name, "a whole number of bytes",
         std::to_string(bits) + " bits");
  return bits / 8;
}

// Takes the events of a header's JSON. Mistakes in meaning are kept (the first one) and thrown by
// finish(), so that broken or too deep text is reported as such wherever it stands.
class HeaderHandler {
 public:
  explicit HeaderHandler(std::string_view file) : file_(file) {}

  std::vector<TensorEntry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;

  void on_null() { scalar("null"); }
  void on_bool(bool value) { scalar(value ? "true" : "false"); }
  void on_negative(std::int64_t value) { scalar(value == 0 ? "-0" : std::to_string(value)); }
  void on_float(double) { scalar("a number that is no 64-bit integer"); }
  void on_unsigned(std::uint64_t value) {
    if (place_ == Place::list && !problem_) {
      (list_is_shape_ ? shape_ : offsets_).push_back(value);
      if (shape_.size() > 4096 || offsets_.size() > 2)  // enough to know
        list_is_shape_ ? wrong(Errc::rank_too_high, "at most 8 axes", "thousands")
                       : wrong(Errc::bad_offsets, "[begin, end]", "a longer list");
      return;
    }
    scalar(std::to_string(value));
  }

  void on_string(std::string& value) {
    if (problem_) return;
    if (place_ == Place::metadata) {
      if (metadata.size() == most_tensors)
        fail(Errc::limit_exceeded, file_, std::string(metadata_key), "at most 1,000,000 keys",
             "more");
      metadata.emplace_back(std::move(key_), std::move(value));
    } else if (place_ == Place::entry && field_ == Field::dtype) {
      if (const auto dtype = parse_dtype(value))
        entry_.dtype = *dtype;
      else
        wrong(Errc::unknown_dtype, "a dtype such as F32 or BF16", quoted(value));
    } else {
      scalar("a string");
    }
  }

  void on_key(std::string& key) {
    if (problem_) return;
    if (place_ == Place::root) {
      is_metadata_ = key == metadata_key;
      if (is_metadata_) {
        if (seen_metadata_) return wrong(Errc::duplicate_key, "one __metadata__", "two");
        seen_metadata_ = true;
      } else if (const auto bad = name_problem(key); !bad.empty()) {
        return wrong(Errc::bad_name, "a tensor name of 1 to 512 bytes without control characters",
                     std::string(bad) + (bad.starts_with("a control") ? " in " + quoted(key) : ""));
      }
      entry_ = {};
      entry_.name = std::move(key);
    } else if (place_ == Place::metadata) {
      key_ = std::move(key);
    } else if (place_ == Place::entry) {
      field_ = key == "dtype"          ? Field::dtype
               : key == "shape"        ? Field::shape
               : key == "data_offsets" ? Field::offsets
                                       : Field::unknown;
      if (field_ == Field::unknown)
        return wrong(Errc::unknown_field, "dtype, shape and data_offsets only", quoted(key));
      bool& seen = seen_[static_cast<std::size_t>(field_)];
      if (seen) return wrong(Errc::duplicate_key, "each field once", "\"" + key + "\" twice");
      seen = true;
    }
  }

  void on_start_object() {
    if (problem_) return;
    if (place_ == Place::outside) {
      place_ = Place::root;
    } else if (place_ == Place::root) {
      place_ = is_metadata_ ? Place::metadata : Place::entry;
      seen_ = {};
      shape_.clear();
      offsets_.clear();
    } else {
      bracket("an object");
    }
  }

  void on_end_object() {
    if (problem_) return;
    if (place_ == Place::entry) finish_entry();
    place_ = place_ == Place::root ? Place::outside : Place::root;
  }

  void on_start_array() {
    if (problem_) return;
    if (place_ == Place::entry && (field_ == Field::shape || field_ == Field::offsets)) {
      place_ = Place::list;
      list_is_shape_ = field_ == Field::shape;
    } else {
      bracket("an array");
    }
  }

  void on_end_array() {
    if (problem_) return;
    place_ = Place::entry;
    if (!list_is_shape_ && offsets_.size() != 2)
      wrong(Errc::bad_offsets, "[begin, end]", std::to_string(offsets_.size()) + " numbers");
  }

  void finish() {
    if (problem_) throw Error(*problem_);
    std::vector<std::string_view> keys;
    for (const auto& [key, value] : metadata) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    if (const auto twice = std::adjacent_find(keys.begin(), keys.end()); twice != keys.end())
      fail(Errc::duplicate_key, file_, "__metadata__." + std::string(*twice), "each key once",
           "two");
  }

 private:
  enum class Place { outside, root, metadata, entry, list };
  enum class Field { dtype, shape, offsets, unknown };

  static std::string quoted(std::string_view text) {
    return "\"" + json_detail::shorten(text) + "\"";
  }
  void wrong(Errc code, std::string expected, std::string found) {
    problem_ = ErrorInfo{code, std::string(file_), json_detail::shorten(entry_.name, 120),
                         std::move(expected), std::move(found)};
  }

  void scalar(std::string found) {
    if (problem_) return;
    if (place_ == Place::outside) {
      wrong(Errc::bad_json, "a JSON object", std::move(found));
    } else if (place_ == Place::list) {
      list_is_shape_ ? wrong(Errc::bad_number, "extents that are whole numbers", std::move(found))
                     : wrong(Errc::bad_offsets, "offsets that are whole numbers", std::move(found));
    } else if (place_ == Place::metadata || is_metadata_) {
      wrong(Errc::bad_metadata, "__metadata__ with strings only", std::move(found));
    } else if (place_ == Place::entry && field_ == Field::dtype) {
      wrong(Errc::unknown_dtype, "a dtype such as F32 or BF16", std::move(found));
    } else {
      wrong(Errc::bad_type, place_ == Place::root ? "an object" : "a list", std::move(found));
    }
  }

  void bracket(std::string found) {
    if (place_ == Place::outside)
      wrong(Errc::bad_json, "a JSON object", std::move(found));
    else if (place_ == Place::metadata || is_metadata_)
      wrong(Errc::bad_metadata, "__metadata__ with strings only", std::move(found));
    else
      wrong(Errc::bad_type, "dtype, shape and data_offsets", std::move(found));
  }

  void finish_entry() {
    constexpr std::array<std::string_view, 3> names{"dtype", "shape", "data_offsets"};
    for (std::size_t i = 0; i < names.size(); ++i)
      if (!seen_[i]) return wrong(Errc::missing_field, std::string(names[i]), "nothing");
    if (entries.size() == most_tensors)
      fail(Errc::limit_exceeded, file_, {}, "at most 1,000,000 tensors", "more");
    if (offsets_[1] < offsets_[0])
      return wrong(Errc::bad_offsets, "begin <= end",
                   std::to_string(offsets_[0]) + " > " + std::to_string(offsets_[1]));
    try {
      entry_.bytes = tensor_bytes(file_, entry_.name, entry_.dtype, shape_);
    } catch (const Error& error) {
      problem_ = error.info();
      return;
    }
    // a difference, never a sum: offsets are any 64-bit numbers
    if (offsets_[1] - offsets_[0] != entry_.bytes)
      return wrong(Errc::size_mismatch,
                   std::to_string(entry_.bytes) + " bytes, as shape and dtype say",
                   std::to_string(offsets_[1] - offsets_[0]));
    entry_.offset = offsets_[0];
    entry_.shape.assign(shape_.begin(), shape_.end());
    entries.push_back(std::move(entry_));
  }

  std::string_view file_;
  std::optional<ErrorInfo> problem_;
  Place place_ = Place::outside;
  Field field_ = Field::unknown;
  bool is_metadata_ = false, seen_metadata_ = false, list_is_shape_ = false;
  std::array<bool, 3> seen_{};
  std::string key_;
  TensorEntry entry_;
  std::vector<std::uint64_t> shape_, offsets_;
};

}  // namespace safetensors_detail

// What a file declares, checked against the file's real size.
class SafeTensorsHeader {
 public:
  // The JSON's length, from the file's first 8 bytes (little-endian).
  static std::uint64_t json_bytes(std::span<const std::byte> first, std::uint64_t file_size,
                                  std::string_view file) {
    using safetensors_detail::fail;
    if (file_size < 8 || first.size() < 8)
      fail(Errc::header_too_small, file, {}, "at least 8 bytes", std::to_string(file_size));
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < 8; ++i)
      length |= std::to_integer<std::uint64_t>(first[i]) << (8 * i);
    if (length > safetensors_detail::most_header_bytes)
      fail(Errc::header_too_large, file, {}, "a header of at most 100,000,000 bytes",
           std::to_string(length));
    if (length > file_size - 8)
      fail(Errc::header_truncated, file, {}, "a header of " + std::to_string(length) + " bytes",
           std::to_string(file_size - 8) + " in the file");
    return length;
  }

  // `start` holds the file's first bytes, header included; `file_size` is the length of the whole
  // file.
  static SafeTensorsHeader parse(std::span<const std::byte> start, std::uint64_t file_size,
                                 std::string_view file) {
    const std::uint64_t length = json_bytes(start, file_size, file);
    if (length > start.size() - 8)
      safetensors_detail::fail(Errc::header_truncated, file, {}, std::to_string(length) + " bytes",
                               std::to_string(start.size() - 8));
    const auto json = start.subspan(8, static_cast<std::size_t>(length));
    return SafeTensorsHeader({reinterpret_cast<const char*>(json.data()), json.size()},
                             file_size - 8 - length, 8 + length, file);
  }

  const std::vector<TensorEntry>& entries() const { return entries_; }  // by offset
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  std::uint64_t data_start() const { return data_start_; }
  std::uint64_t data_bytes() const { return data_bytes_; }

  const TensorEntry* find(std::string_view name) const {
    const auto place = std::lower_bound(
        by_name_.begin(), by_name_.end(), name,
        [&](std::uint32_t index, std::string_view key) { return entries_[index].name < key; });
    if (place == by_name_.end() || entries_[*place].name != name) return nullptr;
    return &entries_[*place];
  }

 private:
  SafeTensorsHeader(std::string_view json, std::uint64_t data_bytes, std::uint64_t data_start,
                    std::string_view file)
      : data_start_(data_start), data_bytes_(data_bytes) {
    safetensors_detail::HeaderHandler handler(file);
    parse_json_events(json, file, {.depth = 128}, handler);
    handler.finish();
    entries_ = std::move(handler.entries);
    metadata_ = std::move(handler.metadata);
    std::sort(entries_.begin(), entries_.end(), [](const TensorEntry& a, const TensorEntry& b) {
      if (a.offset != b.offset) return a.offset < b.offset;
      if (a.bytes != b.bytes) return a.bytes < b.bytes;
      return a.name < b.name;
    });
    index_names(file);
    check_layout(file);
  }

  void index_names(std::string_view file) {
    by_name_.resize(entries_.size());
    for (std::size_t i = 0; i < by_name_.size(); ++i) by_name_[i] = static_cast<std::uint32_t>(i);
    const auto name = [&](std::uint32_t index) -> const std::string& {
      return entries_[index].name;
    };
    std::sort(by_name_.begin(), by_name_.end(),
              [&](std::uint32_t a, std::uint32_t b) { return name(a) < name(b); });
    for (std::size_t i = 1; i < by_name_.size(); ++i)
      if (name(by_name_[i]) == name(by_name_[i - 1]))
        safetensors_detail::fail(Errc::duplicate_key, file, name(by_name_[i]), "each tensor once",
                                 "two");
  }

  // The tensors must tile the data exactly: no hole, no overlap, nothing behind the last.
  void check_layout(std::string_view file) const {
    using safetensors_detail::fail;
    std::uint64_t end = 0;
    for (const TensorEntry& entry : entries_) {
      if (entry.offset != end)
        fail(entry.offset > end ? Errc::hole : Errc::overlap, file, entry.name,
             "data that begins at " + std::to_string(end) + ", where the tensor before it ends",
             std::to_string(entry.offset));
      end += entry.bytes;  // no wrap: offset + bytes was read as a 64-bit end
    }
    if (end > data_bytes_)
      fail(Errc::file_truncated, file, {}, std::to_string(end) + " bytes of tensors",
           std::to_string(data_bytes_));
    if (end < data_bytes_)
      fail(Errc::trailing_data, file, {}, "the file to end behind its last tensor",
           std::to_string(data_bytes_ - end) + " more bytes");
  }

  std::vector<TensorEntry> entries_;
  std::vector<std::uint32_t> by_name_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::uint64_t data_start_, data_bytes_;
};

}  // namespace gov
