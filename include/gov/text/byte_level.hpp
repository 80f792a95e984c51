// The byte-level spelling of tokens in tokenizer.json: bytes 33..126, 161..172 and 174..255 stand
// for themselves as code points, the other 68 in increasing order for U+0100, U+0101, ... (so a
// space is U+0120 "Ġ"). Every byte string has one spelling; not every text is one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "gov/text/utf8.hpp"

namespace gov {

namespace byte_level_detail {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

inline constexpr auto byte_to_char = [] {
  std::array<std::uint16_t, 256> chars{};
  std::uint16_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte)
    chars[byte] = stands_for_itself(byte) ? static_cast<std::uint16_t>(byte) : next++;
  return chars;
}();

inline constexpr auto char_to_byte = [] {
  std::array<std::int16_t, 256 + 68> bytes{};
  bytes.fill(-1);
  for (unsigned byte = 0; byte < 256; ++byte)
    bytes[byte_to_char[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}();

}  // namespace byte_level_detail

inline std::string to_byte_level(std::string_view bytes) {
  std::string spelling;
  spelling.reserve(bytes.size());
  for (const char byte : bytes)
    append_utf8(spelling, byte_level_detail::byte_to_char[static_cast<unsigned char>(byte)]);
  return spelling;
}

// The bytes that a spelling stands for, written to `bytes`; false if it is none.
inline bool from_byte_level(std::string_view spelling, std::string& bytes) {
  bytes.clear();
  for (std::size_t at = 0; at < spelling.size();) {
    const Utf8Char c = decode_utf8(spelling, at);
    const auto& table = byte_level_detail::char_to_byte;
    if (!c.valid || c.code_point >= table.size() || table[c.code_point] < 0) return false;
    bytes += static_cast<char>(static_cast<unsigned char>(table[c.code_point]));
    at += c.length;
  }
  return true;
}

}  // namespace gov
