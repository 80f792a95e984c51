// Safetensors files as bytes, right or wrong, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

inline std::string little_endian(std::uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

// The length, the header and then `data`.
inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
  return little_endian(header.size()).append(header).append(data);
}

// One entry of a header.
inline std::string entry_json(std::string_view name, std::string_view dtype, std::string_view shape,
                              std::string_view begin, std::string_view end) {
  std::string text = "\"";
  return text.append(name)
      .append("\":{\"dtype\":\"")
      .append(dtype)
      .append("\",\"shape\":")
      .append(shape)
      .append(",\"data_offsets\":[")
      .append(begin)
      .append(",")
      .append(end)
      .append("]}");
}

inline std::span<const std::byte> as_byte_span(std::string_view text) {
  return std::as_bytes(std::span(text));
}
