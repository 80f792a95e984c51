// Images and pixel values as xtensor arrays: views on our memory, and images out of any expression.
// No other header of image/ includes xtensor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/core/xtensor_compat.hpp"
#include "gov/image/image.hpp"
#include "gov/image/pixel_values.hpp"

namespace gov {

// [height, width, 3] of 0..255; the image must outlive the view.
inline XtensorView<std::uint8_t, 3> as_xtensor(Image& image) {
  check_image(image);
  return as_xtensor(image.pixels.data(), image.height, image.width, image_channels);
}
inline XtensorView<const std::uint8_t, 3> as_xtensor(const Image& image) {
  check_image(image);
  return as_xtensor(image.pixels.data(), image.height, image.width, image_channels);
}

// [patches, 3, height, width]
inline XtensorView<float, 4> as_xtensor(PixelValues& values) {
  return as_xtensor(values.data, values.count, values.channels, values.height, values.width);
}
inline XtensorView<const float, 4> as_xtensor(const PixelValues& values) {
  return as_xtensor(values.data, values.count, values.channels, values.height, values.width);
}

// An image from an expression [height, width, 3], or [height, width] for grey. Integers are clamped
// to 0..255, floating-point levels (of 0..255, not of 0..1) are rounded too; NaN becomes 0.
template <class Expression>
Image image_from(const xt::xexpression<Expression>& expression) {
  using Value = typename Expression::value_type;
  const xt::xarray<Value> pixels = expression.derived_cast();  // evaluated once
  const std::size_t rank = pixels.dimension();
  if ((rank != 2 && rank != 3) || (rank == 3 && pixels.shape()[2] != 3))
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "image expression",
                 .expected = "a shape of [height, width, 3] or [height, width]",
                 .found = "rank " + std::to_string(rank)});
  Image image(static_cast<index_t>(pixels.shape()[0]), static_cast<index_t>(pixels.shape()[1]));
  const auto level = [](Value value) -> std::uint8_t {
    if constexpr (std::is_floating_point_v<Value>) {
      return value > 0 ? static_cast<std::uint8_t>(std::min<Value>(std::nearbyint(value), 255))
                       : std::uint8_t{0};
    } else if constexpr (std::is_same_v<Value, std::uint8_t>) {
      return value;
    } else {
      if (value <= Value{0}) return 0;
      return static_cast<std::uint8_t>(
          std::min<std::uint64_t>(static_cast<std::uint64_t>(value), 255));
    }
  };
  const std::size_t step = rank == 3 ? 1 : 3;
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = level(pixels.data()[i / step]);
  return image;
}

}  // namespace gov
