// Reads the chunk structure of a PNG file without decoding it: size and kind from IHDR, checks
// every length and the CRC of every chunk that matters, and writes a minimal copy (IHDR, PLTE,
// tRNS, one IDAT, IEND) for the decoder, so that no other chunk ever reaches it. A palette is
// padded with black to 256 colours: an index past its end is black, as in Pillow. Stricter than
// Pillow: a file without IEND or with a wrong CRC in IDAT is an error.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"

namespace gov {

// The CRC-32 of PNG, zlib and gzip (reflected polynomial 0xEDB88320).
inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t crc = 0) {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0xedb88320u : 0u);
      entries[i] = value;
    }
    return entries;
  }();
  crc = ~crc;
  for (const std::byte byte : bytes)
    crc = (crc >> 8) ^ table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xffu];
  return ~crc;
}

struct PngHeader {
  index_t height = 0;
  index_t width = 0;
  int bit_depth = 0;   // 1, 2, 4, 8, 16
  int color_type = 0;  // 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA

  int samples() const {
    return color_type == 2 ? 3 : color_type == 4 ? 2 : color_type == 6 ? 4 : 1;
  }
};

namespace detail {

inline constexpr std::array<std::uint8_t, 8> png_signature{0x89, 'P',  'N',  'G',
                                                           '\r', '\n', 0x1a, '\n'};

[[noreturn]] inline void throw_bad_image(std::string_view file, std::string_view field,
                                         std::string expected, std::string found) {
  throw Error({.code = Errc::bad_image,
               .file = std::string(file),
               .field = std::string(field),
               .expected = std::move(expected),
               .found = std::move(found)});
}

inline std::uint32_t big_endian_32(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = (value << 8) | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

struct PngChunk {
  std::string_view type;
  std::span<const std::byte> data;
  std::span<const std::byte> whole;  // length, type, data, CRC
};

// The chunk at `at`, which must lie in the file whole.
inline PngChunk png_chunk(std::span<const std::byte> png, std::size_t at, std::string_view file) {
  const std::size_t left = png.size() - at;
  if (left < 12)
    throw_bad_image(file, "PNG", "chunks up to IEND",
                    "the end of the file at byte " + std::to_string(png.size()));
  const std::size_t length = big_endian_32(png, at);
  const std::string_view type(reinterpret_cast<const char*>(png.data()) + at + 4, 4);
  for (const char c : type)
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
      throw_bad_image(file, "PNG", "a chunk name of four letters",
                      "other bytes at " + std::to_string(at + 4));
  if (length > left - 12)
    throw_bad_image(file, "PNG " + std::string(type), std::to_string(length) + " bytes",
                    std::to_string(left - 12) + " left in the file");
  return {type, png.subspan(at + 8, length), png.subspan(at, length + 12)};
}

inline void check_png_crc(const PngChunk& chunk, std::string_view file) {
  const std::size_t length = chunk.data.size();
  if (crc32(chunk.whole.subspan(4, length + 4)) != big_endian_32(chunk.whole, length + 8))
    throw_bad_image(file, "PNG " + std::string(chunk.type), "the CRC that the chunk carries",
                    "another");
}

}  // namespace detail

inline bool is_png(std::span<const std::byte> bytes) {
  if (bytes.size() < detail::png_signature.size()) return false;
  for (std::size_t i = 0; i < detail::png_signature.size(); ++i)
    if (std::to_integer<std::uint8_t>(bytes[i]) != detail::png_signature[i]) return false;
  return true;
}

// Size and kind; the file may be cut after its first chunk.
inline PngHeader png_header(std::span<const std::byte> png, std::string_view file) {
  const detail::PngChunk chunk = detail::png_chunk(png, detail::png_signature.size(), file);
  if (chunk.type != "IHDR" || chunk.data.size() != 13)
    detail::throw_bad_image(file, "PNG", "IHDR of 13 bytes first",
                            std::string(chunk.type) + " of " + std::to_string(chunk.data.size()));
  detail::check_png_crc(chunk, file);
  const auto byte = [&chunk](std::size_t i) { return std::to_integer<int>(chunk.data[i]); };
  PngHeader header{.height = static_cast<index_t>(detail::big_endian_32(chunk.data, 4)),
                   .width = static_cast<index_t>(detail::big_endian_32(chunk.data, 0)),
                   .bit_depth = byte(8),
                   .color_type = byte(9)};
  const int depth = header.bit_depth, color = header.color_type;
  const bool low = depth == 1 || depth == 2 || depth == 4;
  const bool known = color == 0 ? low || depth == 8 || depth == 16
                     : color == 3
                         ? low || depth == 8
                         : (color == 2 || color == 4 || color == 6) && (depth == 8 || depth == 16);
  if (!known)
    detail::throw_bad_image(file, "PNG IHDR", "a colour type and bit depth of the PNG standard",
                            "type " + std::to_string(color) + ", depth " + std::to_string(depth));
  if (header.height == 0 || header.width == 0 || header.height > 0x7fffffff ||
      header.width > 0x7fffffff)
    detail::throw_bad_image(file, "PNG IHDR", "sides from 1 to 2147483647",
                            std::to_string(header.width) + "x" + std::to_string(header.height));
  if (byte(10) != 0 || byte(11) != 0 || byte(12) > 1)
    detail::throw_bad_image(file, "PNG IHDR", "compression 0, filter 0, interlace 0 or 1",
                            std::to_string(byte(10)) + ", " + std::to_string(byte(11)) + ", " +
                                std::to_string(byte(12)));
  return header;
}

// The minimal copy. tRNS (transparent colours) is kept only when `keep_transparency`.
inline std::vector<std::byte> minimal_png(std::span<const std::byte> png, const PngHeader& header,
                                          std::string_view file, bool keep_transparency = false) {
  const auto fail = [file](std::string expected, std::string found) {
    detail::throw_bad_image(file, "PNG", std::move(expected), std::move(found));
  };
  std::span<const std::byte> palette, transparency;
  std::vector<std::span<const std::byte>> data;
  std::size_t data_size = 0, at = detail::png_signature.size();
  bool data_ended = false, has_palette = false;
  const detail::PngChunk first = detail::png_chunk(png, at, file);
  for (at += first.whole.size();;) {
    const detail::PngChunk chunk = detail::png_chunk(png, at, file);
    at += chunk.whole.size();
    const bool critical = (chunk.type[0] & 0x20) == 0;
    if (critical || chunk.type == "tRNS") detail::check_png_crc(chunk, file);
    if (chunk.type == "IEND") break;
    if (chunk.type == "IDAT") {
      if (data_ended)
        fail("IDAT chunks in a row", "one after " + std::to_string(data.size()) + " and others");
      data.push_back(chunk.data);
      data_size += chunk.data.size();
      continue;
    }
    data_ended = !data.empty();
    if (chunk.type == "PLTE") {
      if (has_palette || data_ended || chunk.data.empty() || chunk.data.size() % 3 != 0 ||
          chunk.data.size() > 768)
        fail("one PLTE of 1 to 256 colours before IDAT",
             std::to_string(chunk.data.size()) + " bytes");
      palette = chunk.data;
      has_palette = true;
    } else if (chunk.type == "tRNS") {
      if (!data_ended) transparency = chunk.data;
    } else if (chunk.type == "CgBI") {
      fail("a standard PNG", "Apple's CgBI variant");
    } else if (critical) {
      fail("chunks of the PNG standard", std::string(chunk.type));
    }
  }
  if (data.empty()) fail("image data (IDAT)", "none");
  if (header.color_type == 3 && !has_palette) fail("a palette (PLTE)", "none");
  // Deflate never shrinks below 1:1032, so a file that is far too small cannot hold its pixels.
  const std::size_t row_bits =
      static_cast<std::size_t>(header.width * header.samples() * header.bit_depth);
  const std::size_t unpacked = (row_bits + 7) / 8 * static_cast<std::size_t>(header.height);
  if (data_size < unpacked / 1032)
    fail("at least " + std::to_string(unpacked / 1032) + " bytes of image data",
         std::to_string(data_size));

  std::vector<std::byte> copy(png.begin(), png.begin() + 8);
  copy.reserve(8 + 25 + 780 + 268 + 12 + data_size + 12);
  const auto begin_chunk = [&copy](std::string_view type, std::size_t size) {
    for (const int shift : {24, 16, 8, 0})
      copy.push_back(static_cast<std::byte>((size >> shift) & 0xff));
    for (const char c : type) copy.push_back(static_cast<std::byte>(c));
  };
  const auto append = [&copy](std::span<const std::byte> bytes) {
    copy.insert(copy.end(), bytes.begin(), bytes.end());
  };
  const auto end_chunk = [&copy] { copy.resize(copy.size() + 4); };  // the decoder reads no CRC
  begin_chunk("IHDR", first.data.size());
  append(first.data);
  end_chunk();
  if (header.color_type == 3) {
    begin_chunk("PLTE", 768);
    append(palette);
    copy.resize(copy.size() + 768 - palette.size());
    end_chunk();
  }
  const std::size_t full = header.color_type == 3   ? palette.size() / 3
                           : header.color_type == 2 ? 6
                                                    : 2;
  const bool usable = header.color_type == 3 ? transparency.size() <= full
                                             : header.color_type < 3 && transparency.size() == full;
  if (keep_transparency && !transparency.empty() && usable) {
    begin_chunk("tRNS", transparency.size());
    append(transparency);
    end_chunk();
  }
  begin_chunk("IDAT", data_size);
  for (const auto& part : data) append(part);
  end_chunk();
  begin_chunk("IEND", 0);
  end_chunk();
  return copy;
}

}  // namespace gov
