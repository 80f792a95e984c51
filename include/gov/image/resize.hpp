// Antialiased resizing of 8-bit images, equal to Pillow's Image.resize to the bit: the filter is
// stretched by the scale when shrinking, weights are normalised in double and rounded to 22-bit
// fixed point, each pass rounds to 8 bits, an axis whose size stays is skipped. Bicubic has a =
// -0.5. Pillow 13 does the vertical pass first when that saves more than twice as many rows as
// columns; before 13, and in torch and torchvision, the horizontal pass is always first, and the
// two orders differ by tens of levels at hard edges. In its own order torch's uint8 kernel is
// within one level.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/image.hpp"

// Keeps a*b+c two roundings where the compiler's flags would fuse them: Pillow's binaries do not
// fuse.
#if defined(__clang__)
#define GOV_NO_FMA_FUNCTION
#define GOV_NO_FMA_BLOCK _Pragma("clang fp contract(off)")
#elif defined(__GNUC__)
#define GOV_NO_FMA_FUNCTION __attribute__((optimize("fp-contract=off")))
#define GOV_NO_FMA_BLOCK
#else
#define GOV_NO_FMA_FUNCTION
#define GOV_NO_FMA_BLOCK
#endif

namespace gov {

enum class Resample {
  bilinear = 2,
  bicubic = 3
};  // the numbers of Pillow and preprocessor_config.json

enum class PassOrder {
  pillow,            // Pillow 13
  horizontal_first,  // Pillow up to 12, torch, torchvision
};

namespace detail {

inline constexpr int resize_bits = 32 - 8 - 2;  // fraction bits of a weight

// For every target position the first source position, how many follow, and their weights.
struct ResizeWeights {
  index_t taps = 0;                   // stride of `weights`
  std::vector<index_t> first, count;  // [target]
  std::vector<std::int32_t> weights;  // [target, taps]
};

GOV_NO_FMA_FUNCTION inline double filter_weight(Resample resample, double x) {
  GOV_NO_FMA_BLOCK
  if (x < 0.0) x = -x;
  if (resample == Resample::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

GOV_NO_FMA_FUNCTION inline ResizeWeights resize_weights(index_t source, index_t target,
                                                        Resample resample) {
  GOV_NO_FMA_BLOCK
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  const double stretch = std::max(scale, 1.0);
  const double support = (resample == Resample::bicubic ? 2.0 : 1.0) * stretch;
  ResizeWeights result;
  result.taps = static_cast<index_t>(std::ceil(support)) * 2 + 1;
  result.first.resize(static_cast<std::size_t>(target));
  result.count.resize(static_cast<std::size_t>(target));
  result.weights.resize(
      static_cast<std::size_t>(checked_mul(target, result.taps, "resize weights")));
  std::vector<double> exact(static_cast<std::size_t>(result.taps));
  for (index_t i = 0; i < target; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const double inverse = 1.0 / stretch;
    const index_t first = std::max<index_t>(static_cast<index_t>(center - support + 0.5), 0);
    const index_t last = std::min(static_cast<index_t>(center + support + 0.5), source);
    double sum = 0.0;
    for (index_t k = first; k < last; ++k) {
      const double weight =
          filter_weight(resample, (static_cast<double>(k) - center + 0.5) * inverse);
      exact[static_cast<std::size_t>(k - first)] = weight;
      sum += weight;
    }
    std::int32_t* weights = result.weights.data() + i * result.taps;
    for (index_t k = 0; k < last - first; ++k) {
      double weight = exact[static_cast<std::size_t>(k)];
      if (sum != 0.0) weight /= sum;
      const double fixed = weight * (1 << resize_bits);
      weights[k] = static_cast<std::int32_t>(weight < 0 ? -0.5 + fixed : 0.5 + fixed);
    }
    result.first[static_cast<std::size_t>(i)] = first;
    result.count[static_cast<std::size_t>(i)] = last - first;
  }
  return result;
}

inline std::uint8_t resize_round(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> resize_bits, 0, 255));
}

// One row [source, 3] to [target, 3].
inline void resize_row(const std::uint8_t* source, const ResizeWeights& axis,
                       std::uint8_t* target) {
  const std::size_t width = axis.first.size();
  const std::int32_t* weights = axis.weights.data();
  for (std::size_t x = 0; x < width; ++x, weights += axis.taps, target += 3) {
    const std::uint8_t* pixel = source + 3 * axis.first[x];
    const index_t count = axis.count[x];
    std::int32_t red = 1 << (resize_bits - 1), green = red, blue = red;
    for (index_t k = 0; k < count; ++k, pixel += 3) {
      const std::int32_t weight = weights[k];
      red += pixel[0] * weight;
      green += pixel[1] * weight;
      blue += pixel[2] * weight;
    }
    target[0] = resize_round(red);
    target[1] = resize_round(green);
    target[2] = resize_round(blue);
  }
}

// One output row: sum over k of weights[k] * rows[k][.], in blocks that stay in registers.
inline void resize_column(const std::uint8_t* const* rows, const std::int32_t* weights,
                          index_t count, index_t bytes, std::uint8_t* target) {
  constexpr index_t block = 16;
  index_t x = 0;
  for (; x + block <= bytes; x += block) {
    std::int32_t sums[block];
    for (index_t j = 0; j < block; ++j) sums[j] = 1 << (resize_bits - 1);
    for (index_t k = 0; k < count; ++k) {
      const std::uint8_t* row = rows[k] + x;
      const std::int32_t weight = weights[k];
      for (index_t j = 0; j < block; ++j) sums[j] += row[j] * weight;
    }
    for (index_t j = 0; j < block; ++j) target[x + j] = resize_round(sums[j]);
  }
  for (; x < bytes; ++x) {
    std::int32_t sum = 1 << (resize_bits - 1);
    for (index_t k = 0; k < count; ++k) sum += rows[k][x] * weights[k];
    target[x] = resize_round(sum);
  }
}

}  // namespace detail

inline Image resize(const Image& image, index_t height, index_t width, Resample resample,
                    PassOrder order = PassOrder::pillow) {
  check_image(image);
  constexpr index_t side = 1 << 20, pixels = index_t{1} << 28;
  if (height <= 0 || width <= 0 || height > side || width > side || height * width > pixels)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "resize",
                 .expected = "positive sides and at most 268435456 pixels",
                 .found = std::to_string(width) + "x" + std::to_string(height)});
  if (height == image.height && width == image.width) return image;
  const bool across = width != image.width, down = height != image.height;
  Image result(height, width);
  const detail::ResizeWeights horizontal =
      across ? detail::resize_weights(image.width, width, resample) : detail::ResizeWeights{};
  if (!down) {
    for (index_t y = 0; y < height; ++y)
      detail::resize_row(image.row(y), horizontal, result.row(y));
    return result;
  }
  const detail::ResizeWeights vertical = detail::resize_weights(image.height, height, resample);
  const bool vertical_first = order == PassOrder::pillow && height < image.height &&
                              image.height - height > 2 * (image.width - width);
  // Only the rows in hand of the first pass exist: one, or those that the vertical window covers.
  const bool ringed = across && !vertical_first;
  const index_t bytes = (vertical_first ? image.width : width) * image_channels;
  const index_t kept = ringed ? vertical.taps : across ? 1 : 0;
  std::vector<std::uint8_t> between(static_cast<std::size_t>(checked_mul(kept, bytes, "resize")));
  std::vector<const std::uint8_t*> rows(static_cast<std::size_t>(vertical.taps));
  index_t ready = 0;  // source rows below this one have been through the horizontal pass
  for (index_t y = 0; y < height; ++y) {
    const index_t first = vertical.first[static_cast<std::size_t>(y)];
    const index_t count = vertical.count[static_cast<std::size_t>(y)];
    for (index_t k = 0; k < count; ++k) {
      const index_t source = first + k;
      const std::uint8_t* row = image.row(source);
      if (ringed) {
        std::uint8_t* slot = between.data() + source % vertical.taps * bytes;
        if (source >= ready) {
          detail::resize_row(row, horizontal, slot);
          ready = source + 1;
        }
        row = slot;
      }
      rows[static_cast<std::size_t>(k)] = row;
    }
    const bool last = ringed || !across;
    detail::resize_column(rows.data(), vertical.weights.data() + y * vertical.taps, count, bytes,
                          last ? result.row(y) : between.data());
    if (!last) detail::resize_row(between.data(), horizontal, result.row(y));
  }
  return result;
}

inline Image resize_bicubic(const Image& image, index_t height, index_t width) {
  return resize(image, height, width, Resample::bicubic);
}

}  // namespace gov

#undef GOV_NO_FMA_FUNCTION
#undef GOV_NO_FMA_BLOCK
