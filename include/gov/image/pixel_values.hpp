// Pictures to the tensor that a vision tower takes: tile or resize, rescale, normalise. Equal to
// transformers' GotOcr2ImageProcessorPil to the bit on the same RGB pixels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/core/parallel.hpp"
#include "gov/image/image.hpp"
#include "gov/image/normalize.hpp"
#include "gov/image/processor_config.hpp"
#include "gov/image/resize.hpp"
#include "gov/image/tile.hpp"

namespace gov {

struct PixelValues {
  std::vector<float> data;  // [count, channels, height, width]
  index_t count = 0;        // patches (tiles and thumbnails) of all pictures
  index_t channels = image_channels;
  index_t height = 0;
  index_t width = 0;
  std::vector<index_t> num_patches;  // of each picture, in order

  const float* patch(index_t i) const { return data.data() + i * channels * height * width; }
};

inline constexpr index_t max_pixel_values = index_t{1} << 30;  // floats in one call

// How many patches a picture of this size becomes.
inline index_t patches_of(index_t height, index_t width, const ImageProcessorConfig& config) {
  if (!config.crop_to_patches || config.max_patches <= 1) return 1;
  return choose_grid(height, width, config.min_patches, config.max_patches, config.height,
                     config.width)
      .patches();
}

// With do_resize false and no tiles, all pictures must have one size.
inline PixelValues preprocess(std::span<const Image> images, const ImageProcessorConfig& config,
                              ThreadPool* pool = nullptr) {
  PixelValues result;
  const bool tiles = config.crop_to_patches && config.max_patches > 1,
             as_is = !tiles && !config.do_resize;
  result.height = config.height;
  result.width = config.width;
  std::vector<index_t> first;  // patch of each picture
  for (const Image& image : images) {
    check_image(image);
    if (as_is && first.empty()) {
      result.height = image.height;
      result.width = image.width;
    }
    if (as_is && (image.height != result.height || image.width != result.width))
      throw Error({.code = Errc::bad_image,
                   .file = {},
                   .field = "image size",
                   .expected = std::to_string(result.width) + "x" + std::to_string(result.height) +
                               ", as the first (do_resize is false)",
                   .found = std::to_string(image.width) + "x" + std::to_string(image.height)});
    first.push_back(result.count);
    result.num_patches.push_back(patches_of(image.height, image.width, config));
    result.count = checked_add(result.count, result.num_patches.back(), "pixel_values");
  }
  if (images.empty()) return result;
  const index_t patch = checked_mul(checked_mul(result.height, result.width, "pixel_values"),
                                    image_channels, "pixel_values");
  const index_t size = checked_mul(patch, result.count, "pixel_values");
  if (size > max_pixel_values)
    throw Error({.code = Errc::limit_exceeded,
                 .file = {},
                 .field = "pixel_values",
                 .expected = "at most " + std::to_string(max_pixel_values) + " numbers",
                 .found = std::to_string(size)});
  const NormalizationTable table = normalization_table(config.normalization());
  result.data.resize(static_cast<std::size_t>(size));
  const auto one = [&](index_t i) {
    const Image& image = images[static_cast<std::size_t>(i)];
    float* planes = result.data.data() + first[static_cast<std::size_t>(i)] * patch;
    if (as_is) {
      normalize_image(image, table, planes);
    } else if (!tiles) {
      normalize_image(
          resize(image, config.height, config.width, config.resample, config.pass_order), table,
          planes);
    } else {
      for (const Image& tile :
           tile_image(image, config.min_patches, config.max_patches, config.height, config.width,
                      config.resample, config.pass_order)) {
        normalize_image(tile, table, planes);
        planes += patch;
      }
    }
  };
  const auto pictures = static_cast<index_t>(images.size());
  if (pool != nullptr) {
    pool->parallel_for(pictures, one);
  } else {
    for (index_t i = 0; i < pictures; ++i) one(i);
  }
  return result;
}

}  // namespace gov
