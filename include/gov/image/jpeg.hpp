// Reads the marker structure of a JPEG file without decoding it: size, components, Adobe marker,
// EXIF orientation, number of scans, and whether the file reaches its EOI marker (the decoder
// itself would show grey or black for a missing tail). A file whose entropy data stops early but
// that still ends with EOI is accepted, as Pillow accepts it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/png.hpp"

namespace gov {

struct JpegHeader {
  index_t height = 0;
  index_t width = 0;
  int components = 0;  // 1 grey, 3 YCbCr or RGB, 4 CMYK or YCCK
  bool progressive = false;
  bool adobe = false;   // an Adobe APP14 marker says how four components are meant
  int orientation = 1;  // EXIF, 1 to 8; 1 is upright
  index_t scans = 0;
};

inline bool is_jpeg(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && std::to_integer<int>(bytes[0]) == 0xff &&
         std::to_integer<int>(bytes[1]) == 0xd8 && std::to_integer<int>(bytes[2]) == 0xff;
}

// The orientation tag (0x0112) of a TIFF block as EXIF holds it; 1 when it is absent or damaged.
inline int exif_orientation(std::span<const std::byte> tiff) {
  if (tiff.size() < 8) return 1;
  const auto byte = [&tiff](std::size_t i) { return std::to_integer<std::uint32_t>(tiff[i]); };
  const bool little = byte(0) == 'I' && byte(1) == 'I';
  if (!little && !(byte(0) == 'M' && byte(1) == 'M')) return 1;
  const auto number = [&](std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i)
      value = (value << 8) | byte(little ? at + size - 1 - i : at + i);
    return value;
  };
  if (number(2, 2) != 42) return 1;
  const std::size_t directory = number(4, 4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t count = number(directory, 2);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) return 1;
    if (number(entry, 2) != 0x0112) continue;
    const std::uint32_t value = number(entry + 8, number(entry + 2, 2) == 3 ? 2 : 4);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

namespace detail {

// Releases of stb_image before 2.28 write past their tables when the code lengths of a Huffman
// table count more than 256 codes, so these counts are checked here.
inline void check_huffman_tables(std::span<const std::byte> segment, std::string_view file) {
  while (!segment.empty()) {
    std::size_t codes = 0;
    if (segment.size() < 17)
      throw_bad_image(file, "JPEG Huffman table", "17 bytes of header",
                      std::to_string(segment.size()));
    for (std::size_t i = 1; i <= 16; ++i) codes += std::to_integer<std::size_t>(segment[i]);
    if (codes > 256)
      throw_bad_image(file, "JPEG Huffman table", "at most 256 codes", std::to_string(codes));
    if (codes > segment.size() - 17)
      throw_bad_image(file, "JPEG Huffman table", std::to_string(codes) + " values",
                      std::to_string(segment.size() - 17));
    segment = segment.subspan(17 + codes);
  }
}

}  // namespace detail

// Walks the whole file; throws where it is cut or of a kind that is not decoded.
inline JpegHeader jpeg_header(std::span<const std::byte> jpeg, std::string_view file) {
  const auto fail = [file](std::string expected, std::string found) {
    detail::throw_bad_image(file, "JPEG", std::move(expected), std::move(found));
  };
  const auto byte = [&jpeg](std::size_t i) { return std::to_integer<std::size_t>(jpeg[i]); };
  const std::size_t size = jpeg.size();
  JpegHeader header;
  std::size_t at = 2;
  const auto cut = [&] {
    fail("markers up to EOI", "the end of the file at byte " + std::to_string(size));
  };
  for (;;) {
    while (at < size && byte(at) != 0xff) ++at;  // stray bytes between segments are skipped
    while (at < size && byte(at) == 0xff) ++at;
    if (at >= size) cut();
    const std::size_t marker = byte(at++);
    if (marker == 0xd9) break;
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    if (at + 2 > size) cut();
    const std::size_t length = byte(at) << 8 | byte(at + 1);
    if (length < 2) fail("a segment length of at least 2", std::to_string(length));
    if (length > size - at) cut();
    const std::span<const std::byte> segment = jpeg.subspan(at + 2, length - 2);
    const std::string_view text(reinterpret_cast<const char*>(segment.data()), segment.size());
    at += length;
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) {
      if (marker > 0xc2)
        fail("baseline or progressive Huffman coding",
             "frame type " + std::to_string(marker - 0xc0));
      if (header.components != 0) fail("one frame", "two");
      if (segment.size() < 6) fail("a frame header", std::to_string(segment.size()) + " bytes");
      const auto value = [&segment](std::size_t i) { return std::to_integer<int>(segment[i]); };
      if (value(0) != 8) fail("8-bit samples", std::to_string(value(0)) + "-bit");
      header.height = value(1) << 8 | value(2);
      header.width = value(3) << 8 | value(4);
      header.components = value(5);
      header.progressive = marker == 0xc2;
      if (header.height == 0 || header.width == 0)
        fail("positive sides", std::to_string(header.width) + "x" + std::to_string(header.height));
      if (header.components != 1 && header.components != 3 && header.components != 4)
        fail("1, 3 or 4 components", std::to_string(header.components));
    } else if (marker == 0xc4) {
      detail::check_huffman_tables(segment, file);
    } else if (marker == 0xcc) {
      fail("baseline or progressive Huffman coding", "arithmetic coding");
    } else if (marker == 0xee && text.starts_with("Adobe") && segment.size() >= 12) {
      header.adobe = true;
    } else if (marker == 0xe1 && text.starts_with(std::string_view("Exif\0\0", 6))) {
      header.orientation = exif_orientation(segment.subspan(6));
    } else if (marker == 0xda) {
      if (header.components == 0) fail("a frame header before the first scan", "none");
      ++header.scans;
      // Entropy data ends at a marker that is neither a stuffed zero, a restart, nor a fill byte.
      while (at + 1 < size && !(byte(at) == 0xff && byte(at + 1) != 0x00 && byte(at + 1) != 0xff &&
                                !(byte(at + 1) >= 0xd0 && byte(at + 1) <= 0xd7)))
        ++at;
      if (at + 1 >= size) cut();
    }
  }
  if (header.scans == 0) fail("at least one scan", "none");
  return header;
}

}  // namespace gov
