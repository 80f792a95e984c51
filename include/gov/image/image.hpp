// Image: decoded 8-bit RGB pixels, rows top to bottom, the three channels of a pixel side by side.
// It is what the decoders give and what resizing, tiling and video sampling work on.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"

namespace gov {

inline constexpr index_t image_channels = 3;

struct Image {
  index_t height = 0;
  index_t width = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3]

  Image() = default;
  // All pixels black. Sides must be positive; the product is checked before the allocation.
  Image(index_t height_, index_t width_)
      : height(height_), width(width_), pixels(size_of(height_, width_)) {}

  std::uint8_t* row(index_t y) { return pixels.data() + y * width * image_channels; }
  const std::uint8_t* row(index_t y) const { return pixels.data() + y * width * image_channels; }
  bool empty() const { return height == 0 || width == 0; }
  friend bool operator==(const Image&, const Image&) = default;

  static std::size_t size_of(index_t height, index_t width) {
    if (height <= 0 || width <= 0)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "image size",
                   .expected = "positive sides",
                   .found = std::to_string(width) + "x" + std::to_string(height)});
    return static_cast<std::size_t>(
        checked_mul(checked_mul(height, width, "image size"), image_channels, "image size"));
  }
};

// Throws unless the sides are positive and the pixel buffer has just their size; for images that
// a caller has put together by hand.
inline void check_image(const Image& image, std::string_view name = "image") {
  const std::size_t size = Image::size_of(image.height, image.width);
  if (image.pixels.size() != size)
    throw Error({.code = Errc::bad_image,
                 .file = {},
                 .field = std::string(name),
                 .expected = std::to_string(size) + " bytes of RGB pixels",
                 .found = std::to_string(image.pixels.size())});
}

// Copies the rectangle whose corner is (top, left); it must lie inside the image.
inline Image crop(const Image& image, index_t top, index_t left, index_t height, index_t width) {
  if (top < 0 || left < 0 || height <= 0 || width <= 0 || top > image.height - height ||
      left > image.width - width)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "crop",
                 .expected = "a rectangle inside " + std::to_string(image.width) + "x" +
                             std::to_string(image.height),
                 .found = std::to_string(width) + "x" + std::to_string(height) + " at (" +
                          std::to_string(left) + ", " + std::to_string(top) + ")"});
  Image part(height, width);
  for (index_t y = 0; y < height; ++y) {
    const std::uint8_t* source = image.row(top + y) + left * image_channels;
    std::copy_n(source, width * image_channels, part.row(y));
  }
  return part;
}

// The middle of the image, height x width, black where the image is smaller. Of an odd difference
// the larger part is cut off behind or added before, as transformers' center_crop does.
inline Image center_crop(const Image& image, index_t height, index_t width) {
  Image part(height, width);
  const auto begin = [](index_t from, index_t to) {  // (from - to) / 2, rounded down
    return from >= to ? (from - to) / 2 : -((to - from + 1) / 2);
  };
  const index_t top = begin(image.height, height), left = begin(image.width, width);
  const index_t first = std::max<index_t>(0, -left),
                count = std::min(width, image.width - left) - first;
  for (index_t y = std::max<index_t>(0, -top); y < std::min(height, image.height - top); ++y)
    std::copy_n(image.row(top + y) + (left + first) * image_channels, count * image_channels,
                part.row(y) + first * image_channels);
  return part;
}

}  // namespace gov
