// PNG and JPEG files to RGB pixels, told apart by their first bytes and never by their name. Limits
// are checked on the declared size before anything is decoded. The pixels are those of Pillow's
// convert("RGB"): alpha is dropped and not blended, grey and palettes are expanded. PNG equals
// Pillow to the bit for 8-bit and smaller samples and for 16-bit RGB (high byte kept); 16-bit grey
// keeps its high byte too, where Pillow clips at 255 and so turns most of the picture white. JPEG
// differs by a few levels, as decoders do. Cut files are errors; a damaged JPEG that still ends
// with EOI may decode.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/image.hpp"
#include "gov/image/jpeg.hpp"
#include "gov/image/png.hpp"
#include "gov/image/stb.hpp"
#include "gov/io/file.hpp"

namespace gov {

struct ImageLimits {
  index_t encoded_bytes = index_t{64} << 20;
  index_t pixels = index_t{64} << 20;
  index_t side = 16384;
  index_t aspect_ratio = 200;  // longer side over shorter side
  index_t scans = 100;         // of a progressive JPEG; each one costs a pass over all pixels
};

// What to do with alpha, and with the orientation that a camera wrote into a JPEG file.
struct ImageDecodeOptions {
  enum class Alpha {
    drop,        // Pillow's convert("RGB"), and what transformers does with a file name
    over_white,  // what transformers 5.23 does with an RGBA image object
  };
  Alpha alpha = Alpha::drop;
  bool apply_orientation =
      false;  // load_image sets it: transformers' load_image turns files upright
};

namespace detail {

inline void check_encoded_size(std::uint64_t size, const ImageLimits& limits,
                               std::string_view file) {
  if (limits.encoded_bytes < 0 || size > static_cast<std::uint64_t>(limits.encoded_bytes))
    throw Error({.code = Errc::image_too_large,
                 .file = std::string(file),
                 .field = "image file",
                 .expected = "at most " + std::to_string(limits.encoded_bytes) + " bytes",
                 .found = std::to_string(size)});
}

inline void check_image_limits(index_t height, index_t width, const ImageLimits& limits,
                               std::string_view file) {
  const auto fail = [&](std::string_view field, std::string expected, std::string found) {
    throw Error({.code = Errc::image_too_large,
                 .file = std::string(file),
                 .field = std::string(field),
                 .expected = "at most " + std::move(expected),
                 .found = std::move(found)});
  };
  const std::string size = std::to_string(width) + "x" + std::to_string(height);
  const index_t side = std::min<index_t>(limits.side, 16384);  // the decoder's own bound
  if (height > side || width > side) fail("image side", std::to_string(side) + " pixels", size);
  if (height > limits.pixels / width)
    fail("image size", std::to_string(limits.pixels) + " pixels", size);
  const index_t longer = std::max(height, width), shorter = std::min(height, width);
  if (longer > checked_mul(shorter, limits.aspect_ratio, "aspect_ratio"))
    fail("image aspect ratio", std::to_string(limits.aspect_ratio) + ":1", size);
}

// Pillow's alpha_composite over opaque white: 7 extra bits, then a rounded division by 255.
inline std::uint8_t over_white(std::uint32_t value, std::uint32_t alpha) {
  const std::uint32_t sum = (value * alpha + 255u * (255u - alpha) + 0x80u) << 7;
  return static_cast<std::uint8_t>((((sum >> 8) + sum) >> 8) >> 7);
}

// Turns pixels by the EXIF orientation; 5 to 8 swap the sides.
inline Image oriented(const Image& image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool swapped = orientation >= 5;
  const index_t height = swapped ? image.width : image.height,
                width = swapped ? image.height : image.width;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  Image turned(height, width);
  for (index_t y = 0; y < height; ++y) {
    const index_t v = flip_y ? height - 1 - y : y;
    for (index_t x = 0; x < width; ++x) {
      const index_t u = flip_x ? width - 1 - x : x;
      const std::uint8_t* source = image.row(swapped ? u : v) + (swapped ? v : u) * image_channels;
      std::copy_n(source, image_channels, turned.row(y) + x * image_channels);
    }
  }
  return turned;
}

inline std::string first_bytes(std::span<const std::byte> bytes) {
  if (bytes.empty()) return "no bytes";
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "bytes";
  for (const std::byte byte : bytes.first(std::min<std::size_t>(bytes.size(), 4))) {
    text += ' ';
    text += digits[std::to_integer<std::size_t>(byte) >> 4];
    text += digits[std::to_integer<std::size_t>(byte) & 15];
  }
  return text;
}

}  // namespace detail

// `file` only names the input in errors.
inline Image decode_image(std::span<const std::byte> bytes, std::string_view file,
                          const ImageLimits& limits = {}, const ImageDecodeOptions& options = {}) {
  detail::check_encoded_size(bytes.size(), limits, file);
  const bool white = options.alpha == ImageDecodeOptions::Alpha::over_white;
  const std::size_t slack = std::size_t{1} << 20;
  Image image;
  if (is_png(bytes)) {
    const PngHeader header = png_header(bytes, file);
    detail::check_image_limits(header.height, header.width, limits, file);
    const std::vector<std::byte> stream = minimal_png(bytes, header, file, white);
    const auto pixels = static_cast<std::size_t>(header.height * header.width);
    const auto sample_bytes =
        static_cast<std::size_t>(header.samples() * (header.bit_depth == 16 ? 2 : 1));
    image.height = header.height;
    image.width = header.width;
    image.pixels = detail::stb_decode(
        stream, static_cast<int>(header.height), static_cast<int>(header.width), white ? 4 : 3,
        2 * stream.size() + pixels * (4 * sample_bytes + 16) + slack, file);
  } else if (is_jpeg(bytes)) {
    const JpegHeader header = jpeg_header(bytes, file);
    detail::check_image_limits(header.height, header.width, limits, file);
    if (header.scans > limits.scans)
      throw Error({.code = Errc::image_too_large,
                   .file = std::string(file),
                   .field = "JPEG scans",
                   .expected = "at most " + std::to_string(limits.scans),
                   .found = std::to_string(header.scans)});
    if (header.components == 4 && !header.adobe)
      detail::throw_bad_image(file, "JPEG", "an Adobe marker that tells CMYK from YCCK",
                              "four components without it");
    const index_t padded =
        checked_mul((header.height + 31) / 32 * 32, (header.width + 31) / 32 * 32, "image size");
    image.height = header.height;
    image.width = header.width;
    image.pixels = detail::stb_decode(
        bytes, static_cast<int>(header.height), static_cast<int>(header.width), 3,
        static_cast<std::size_t>(padded) * (header.progressive ? 16u : 8u) + slack, file);
    if (options.apply_orientation && header.orientation != 1)
      image = detail::oriented(image, header.orientation);
    return image;
  } else {
    throw Error({.code = Errc::bad_image,
                 .file = std::string(file),
                 .field = "image",
                 .expected = "PNG or JPEG",
                 .found = detail::first_bytes(bytes)});
  }
  if (white) {
    const std::size_t pixels = image.pixels.size() / 4;
    for (std::size_t i = 0; i < pixels; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        image.pixels[3 * i + c] =
            detail::over_white(image.pixels[4 * i + c], image.pixels[4 * i + 3]);
    image.pixels.resize(3 * pixels);
  }
  return image;
}

// Reads a whole file, whose size is checked before.
inline std::vector<std::byte> read_image_file(const std::string& path,
                                              const ImageLimits& limits = {}) {
  const File file(path);
  detail::check_encoded_size(file.size(), limits, path);
  std::vector<std::byte> bytes(static_cast<std::size_t>(file.size()));
  file.read_at(0, bytes);
  return bytes;
}

inline Image load_image(const std::string& path, const ImageLimits& limits = {},
                        const ImageDecodeOptions& options = {
                            .alpha = ImageDecodeOptions::Alpha::drop, .apply_orientation = true}) {
  return decode_image(read_image_file(path, limits), path, limits, options);
}

}  // namespace gov
