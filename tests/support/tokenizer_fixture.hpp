// Reads tests/fixtures/tokenizer (made by tests/reference/tokenizer_fixtures.py, which says what
// the files hold). Tests run in the root of the repository.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/io/file.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov::test {

inline const std::string tokenizer_fixtures = "tests/fixtures/tokenizer/";

inline const Tokenizer& fixture_tokenizer(const std::string& name) {
  static std::vector<std::pair<std::string, Tokenizer>> loaded;
  for (const auto& [known, tokenizer] : loaded)
    if (known == name) return tokenizer;
  loaded.reserve(16);
  return loaded.emplace_back(name, Tokenizer::load(tokenizer_fixtures + name)).second;
}

class FixtureReader {
 public:
  explicit FixtureReader(const std::string& file)
      : bytes_(read_text(tokenizer_fixtures + file, 1u << 24)) {}

  std::uint32_t varint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.at(at_++));
      value |= static_cast<std::uint32_t>(byte & 0x7Fu) << shift;
      if (byte < 0x80) return value;
    }
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 32; shift += 8)
      value |= std::uint32_t{static_cast<unsigned char>(bytes_.at(at_++))} << shift;
    return value;
  }
  std::string text(std::size_t size) {
    std::string part = bytes_.substr(at_, size);
    at_ += size;
    return part;
  }
  std::vector<int> ids() {
    std::vector<int> ids(varint());
    for (int& id : ids) id = static_cast<int>(varint());
    return ids;
  }
  bool done() const { return at_ == bytes_.size(); }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

inline std::vector<std::string> fixture_strings() {
  FixtureReader reader("strings.bin");
  std::vector<std::string> strings(reader.varint());
  for (std::string& s : strings) s = reader.text(reader.varint());
  return strings;
}

// 32-bit FNV-1a of the ids, 4 bytes each.
inline std::uint32_t hash_ids(std::span<const int> ids) {
  std::uint32_t value = 0x811C9DC5u;
  for (const int id : ids)
    for (unsigned shift = 0; shift < 32; shift += 8)
      value = (value ^ (static_cast<std::uint32_t>(id) >> shift & 0xFFu)) * 0x01000193u;
  return value;
}

inline std::uint32_t hash_bytes(std::string_view bytes) {
  std::uint32_t value = 0x811C9DC5u;
  for (const char byte : bytes) value = (value ^ static_cast<unsigned char>(byte)) * 0x01000193u;
  return value;
}

// The fixtures whose BPE is over characters (tests/reference/tokenizer_characters.py).
inline const std::string character_tokenizers[] = {"llama2", "mistral", "gemma", "metaspace",
                                                   "unfused"};

// For messages: printable ASCII stays, the rest is written as bytes.
inline std::string shown(std::string_view text) {
  std::string out;
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '\\')
      out += c;
    else
      out.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
  }
  return out;
}

inline std::string shown(std::span<const int> ids) {
  std::string out;
  for (const int id : ids) out += std::to_string(id) + " ";
  return out;
}

}  // namespace gov::test
