// 8-bit RGB to float planes [3, H, W]: x * rescale_factor, then (x - mean) / std, through a table
// of 256 floats per channel. Two orders of rounding exist in transformers and both are here, exact
// to the bit: `sequential` (PIL processors: the product in double, rounded to float, then float)
// and `fused` (torchvision processors: (x - mean / factor) / (std / factor) in float).
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "gov/core/checked.hpp"
#include "gov/core/dtype.hpp"
#include "gov/core/error.hpp"
#include "gov/image/image.hpp"

namespace gov {

enum class NormalizeOrder { sequential, fused };

struct Normalization {
  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool do_normalize = true;
  std::array<double, 3> mean{0.485, 0.456, 0.406};
  std::array<double, 3> std{0.229, 0.224, 0.225};
  NormalizeOrder order = NormalizeOrder::sequential;
};

using NormalizationTable = std::array<std::array<float, 256>, 3>;

inline NormalizationTable normalization_table(const Normalization& how) {
  NormalizationTable table;
  const bool fused = how.order == NormalizeOrder::fused && how.do_rescale && how.do_normalize;
  const float inverse = fused ? static_cast<float>(1.0 / how.rescale_factor) : 1.0f;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    // Products of floats are exact in double, so these round once and no flag can fuse them.
    const auto scaled = [inverse](double value) {
      return static_cast<float>(static_cast<double>(static_cast<float>(value)) *
                                static_cast<double>(inverse));
    };
    const float mean = scaled(how.mean[channel]), std = scaled(how.std[channel]);
    for (std::size_t level = 0; level < 256; ++level) {
      float value = static_cast<float>(level);
      if (how.do_rescale && !fused)
        value = how.order == NormalizeOrder::fused
                    ? value * static_cast<float>(how.rescale_factor)
                    : static_cast<float>(static_cast<double>(level) * how.rescale_factor);
      if (how.do_normalize) value = (value - mean) / std;
      if (!is_finite(value))
        throw Error({.code = Errc::bad_config,
                     .file = {},
                     .field = "image_mean, image_std, rescale_factor",
                     .expected = "values that give finite pixels",
                     .found = "an infinite or undefined one"});
      table[channel][level] = value;
    }
  }
  return table;
}

// `planes` holds 3 * height * width floats.
inline void normalize_image(const Image& image, const NormalizationTable& table, float* planes) {
  const index_t size = image.height * image.width;
  const std::uint8_t* pixel = image.pixels.data();
  for (index_t i = 0; i < size; ++i, pixel += 3) {
    planes[i] = table[0][pixel[0]];
    planes[size + i] = table[1][pixel[1]];
    planes[2 * size + i] = table[2][pixel[2]];
  }
}

}  // namespace gov
