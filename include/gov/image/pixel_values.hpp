// Pictures to the tensor that a vision tower takes: tile, cut into views, or resize and cut out the
// middle; rescale, normalise. Equal to transformers' GotOcr2, Llava, LlavaNext, CLIP, Bit
// (DINOv2's) and ViT image processors (Pillow's) to the bit on the same RGB pixels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/config.hpp"
#include "gov/core/error.hpp"
#include "gov/core/parallel.hpp"
#include "gov/image/anyres.hpp"
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
  std::vector<Extent> image_sizes;   // of each picture as it came

  const float* patch(index_t i) const { return data.data() + i * channels * height * width; }
};

inline constexpr index_t max_pixel_values = index_t{1} << 30;  // floats in one call

// How many patches a picture of this size becomes.
inline index_t patches_of(index_t height, index_t width, const ImageProcessorConfig& config) {
  if (!config.image_grid_pinpoints.empty()) {
    check_resolutions(config.image_grid_pinpoints, config.height);
    return 1 + anyres_grid({height, width}, config.image_grid_pinpoints, config.height).tiles();
  }
  if (!config.crop_to_patches || config.max_patches <= 1) return 1;
  const TileGrid grid = choose_grid(height, width, config.min_patches, config.max_patches,
                                    config.height, config.width);
  return config.use_thumbnail ? grid.patches() : grid.tiles();
}

inline constexpr index_t max_resized_pixels = index_t{1} << 26;  // of a picture, before the crop

// What one picture is resized to when it is not tiled. As in transformers the longer side is
// rounded down.
inline Extent resized_size(index_t height, index_t width, const ImageProcessorConfig& config) {
  if (!config.do_resize) return {height, width};
  if (config.shortest_edge > 0) {
    const index_t edge = config.shortest_edge, shorter = std::min(height, width);
    const auto longer = static_cast<index_t>(static_cast<double>(edge * std::max(height, width)) /
                                             static_cast<double>(shorter));
    if (longer > max_resized_pixels / edge)
      throw Error({.code = Errc::limit_exceeded,
                   .file = {},
                   .field = "image size",
                   .expected = "a picture of at most " + std::to_string(max_resized_pixels) +
                               " pixels when its shorter side is " + std::to_string(edge),
                   .found = std::to_string(width) + "x" + std::to_string(height)});
    return width <= height ? Extent{longer, edge} : Extent{edge, longer};
  }
  if (config.resize_height > 0) return {config.resize_height, config.resize_width};
  return {config.height, config.width};
}

// The pixels that become one patch without tiles.
inline Image prepare_image(const Image& image, const ImageProcessorConfig& config) {
  const Extent size = resized_size(image.height, image.width, config);
  const bool crops = config.do_center_crop;
  if (!config.do_resize) return crops ? center_crop(image, config.height, config.width) : image;
  Image resized = resize(image, size.height, size.width, config.resample, config.pass_order);
  return crops ? center_crop(resized, config.height, config.width) : resized;
}

// Without tiles, all pictures must come to one size.
inline PixelValues preprocess(std::span<const Image> images, const ImageProcessorConfig& config,
                              ThreadPool* pool = nullptr) {
  PixelValues result;
  const bool views = !config.image_grid_pinpoints.empty(),
             tiles = !views && config.crop_to_patches && config.max_patches > 1,
             of_one_size = views || tiles || config.do_center_crop;
  if (views && (!config.do_resize || config.height != config.width))
    throw Error({.code = Errc::unsupported,
                 .file = {},
                 .field = "image_grid_pinpoints",
                 .expected = "do_resize and square views",
                 .found = std::to_string(config.width) + "x" + std::to_string(config.height)});
  result.height = config.height;
  result.width = config.width;
  std::vector<index_t> first;  // patch of each picture
  for (const Image& image : images) {
    check_image(image);
    const Extent size = of_one_size ? Extent{config.height, config.width}
                                    : resized_size(image.height, image.width, config);
    if (first.empty()) result.height = size.height, result.width = size.width;
    if (size.height != result.height || size.width != result.width)
      throw Error({.code = Errc::bad_image,
                   .file = {},
                   .field = "image size",
                   .expected = std::to_string(result.width) + "x" + std::to_string(result.height) +
                               ", as the first",
                   .found = std::to_string(size.width) + "x" + std::to_string(size.height)});
    first.push_back(result.count);
    result.image_sizes.push_back({image.height, image.width});
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
    if (views) {
      const index_t edge = config.shortest_edge;
      const Extent base = edge > 0 ? Extent{edge, edge} : resized_size(1, 1, config);
      for (const Image& view : anyres_views(image, config.image_grid_pinpoints, base, config.height,
                                            config.resample, config.pass_order)) {
        normalize_image(prepare_image(view, config), table, planes);
        planes += patch;
      }
    } else if (!tiles) {
      const bool pads = config.pad_to_square && image.height != image.width;
      normalize_image(
          prepare_image(pads ? pad_to_square(image, mean_colour(config.image_mean)) : image,
                        config),
          table, planes);
    } else {
      for (const Image& tile :
           tile_image(image, config.min_patches, config.max_patches, config.height, config.width,
                      config.resample, config.pass_order, config.use_thumbnail)) {
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
