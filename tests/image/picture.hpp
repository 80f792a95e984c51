// What the image tests share: the drawn pictures of tests/reference/image_fixtures.py, fixture
// files, CRCs, and a writer of small PNG files.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gov/image/image.hpp"
#include "gov/image/png.hpp"
#include "tests/support/errors.hpp"

namespace gov::test {

inline Image picture(index_t height, index_t width, std::uint64_t seed) {
  Image image(height, width);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ull + 1;
  std::uint8_t* out = image.pixels.data();
  for (index_t y = 0; y < height; ++y)
    for (index_t x = 0; x < width; ++x)
      for (index_t c = 0; c < 3; ++c) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        const auto noise = static_cast<index_t>(state >> 56);
        const index_t kind = (x / 7 + y / 5) % 3;
        const index_t value = kind == 0   ? noise
                              : kind == 1 ? 255 * ((x + y + c) % 2)
                                          : (3 * x + 5 * y + 40 * c + (noise >> 5)) % 256;
        *out++ = static_cast<std::uint8_t>(value);
      }
  return image;
}

inline std::string fixture(std::string_view name) {
  const std::filesystem::path inside = std::filesystem::path("tests/fixtures/image") / name;
  if (std::filesystem::exists(inside)) return inside.string();
  return (std::filesystem::path(__FILE__).parent_path().parent_path() / "fixtures/image" / name)
      .string();
}

inline std::ifstream open_fixture(std::string_view name) {
  std::ifstream stream(fixture(name), std::ios::binary);
  REQUIRE_MESSAGE(stream.good(), fixture(name));
  return stream;
}

inline std::vector<std::byte> read_fixture(std::string_view name) {
  std::ifstream stream = open_fixture(name);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline std::uint32_t crc_of(const Image& image) {
  return crc32(std::as_bytes(std::span(image.pixels)));
}

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// -- PNG files by hand
// ------------------------------------------------------------------------------

inline std::string big_endian(std::uint32_t value) {
  std::string text;
  for (const int shift : {24, 16, 8, 0}) text += static_cast<char>((value >> shift) & 0xff);
  return text;
}

inline std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  return big_endian(static_cast<std::uint32_t>(data.size())) + body +
         big_endian(crc32(std::as_bytes(std::span(body))));
}

inline std::string png_header_chunk(std::uint32_t width, std::uint32_t height, int depth,
                                    int color) {
  std::string data = big_endian(width) + big_endian(height);
  for (const int value : {depth, color, 0, 0, 0}) data += static_cast<char>(value);
  return png_chunk("IHDR", data);
}

// zlib with stored blocks only.
inline std::string stored_zlib(std::string_view raw) {
  std::string text("\x78\x01", 2);
  std::uint32_t a = 1, b = 0;
  for (const char c : raw) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  do {
    const std::string_view block = raw.substr(0, 65535);
    raw.remove_prefix(block.size());
    const auto size = static_cast<std::uint32_t>(block.size());
    text += raw.empty() ? '\1' : '\0';
    for (const std::uint32_t value : {size, ~size})
      for (const int shift : {0, 8}) text += static_cast<char>((value >> shift) & 0xff);
    text += block;
  } while (!raw.empty());
  return text + big_endian(b << 16 | a);
}

inline const std::string png_start = "\x89PNG\r\n\x1a\n";

inline std::string make_png(std::uint32_t width, std::uint32_t height, int depth, int color,
                            std::string_view raw) {
  return png_start + png_header_chunk(width, height, depth, color) +
         png_chunk("IDAT", stored_zlib(raw)) + png_chunk("IEND", "");
}

}  // namespace gov::test
