// UTF-8: decoding with one rule for every entry point: an invalid sequence becomes one U+FFFD per
// maximal subpart (Unicode 15, section 3.9, table 3-7), or an error where the caller is strict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "gov/core/error.hpp"

namespace gov {

inline constexpr char32_t replacement_character = 0xFFFD;

struct Utf8Char {
  char32_t code_point = 0;   // U+FFFD if invalid
  std::uint32_t length = 1;  // bytes it takes; of an invalid one, those of the maximal subpart
  bool valid = true;
  bool cut = false;  // invalid only because the text ends: more bytes could make it valid
};

// The character at `at`, which must be less than text.size().
inline Utf8Char decode_utf8(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const std::size_t left = text.size() - at;
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1, true, false};
  std::uint32_t length = 0;
  unsigned low = 0x80, high = 0xBF;  // what the second byte may be
  char32_t value = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2, value = first & 0x1F;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3, value = first & 0x0F;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;  // no surrogates
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4, value = first & 0x07;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {replacement_character, 1, false, false};
  }
  for (std::uint32_t i = 1; i < length; ++i) {
    if (i == left) return {replacement_character, i, false, true};
    if (byte(i) < low || byte(i) > high) return {replacement_character, i, false, false};
    value = value << 6 | (byte(i) & 0x3F);
    low = 0x80, high = 0xBF;
  }
  return {value, length, true, false};
}

inline void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) {
    text += static_cast<char>(static_cast<unsigned char>(byte));
  };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

// Where the run of ASCII that starts at `at` ends.
inline std::size_t skip_ascii(std::string_view text, std::size_t at) {
  while (at + 8 <= text.size()) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if (word & 0x8080808080808080u) break;
    at += 8;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

// The offset of the first invalid sequence, or npos.
inline std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t at = skip_ascii(text, 0); at < text.size(); at = skip_ascii(text, at)) {
    const Utf8Char c = decode_utf8(text, at);
    if (!c.valid) return at;
    at += c.length;
  }
  return std::string_view::npos;
}

inline bool is_valid_utf8(std::string_view text) {
  return find_invalid_utf8(text) == std::string_view::npos;
}

// The text with every maximal invalid subpart replaced by U+FFFD.
inline std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = skip_ascii(text, at);
    valid += text.substr(at, next - at);
    if ((at = next) == text.size()) break;
    const Utf8Char c = decode_utf8(text, at);
    if (c.valid)
      valid += text.substr(at, c.length);
    else
      append_utf8(valid, replacement_character);
    at += c.length;
  }
  return valid;
}

// Throws bad_utf8 with the offset of the first invalid sequence. `field` says whose text it is.
inline void check_utf8(std::string_view text, std::string_view field) {
  const std::size_t at = find_invalid_utf8(text);
  if (at == std::string_view::npos) return;
  throw Error({.code = Errc::bad_utf8,
               .file = {},
               .field = std::string(field),
               .expected = "valid UTF-8",
               .found = "an invalid sequence at byte " + std::to_string(at)});
}

// How many bytes at the end are the beginning of a character that further bytes could complete.
inline std::size_t incomplete_utf8_tail(std::string_view text) {
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if (byte < 0x80) return 0;
    if (byte >= 0xC0) {
      const Utf8Char c = decode_utf8(text, text.size() - back);
      return c.cut && c.length == back ? back : 0;
    }
  }
  return 0;
}

}  // namespace gov
