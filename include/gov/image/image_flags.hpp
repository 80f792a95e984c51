// Tiles that were made elsewhere: dropping those that a flag calls dummies, and telling pictures
// apart by num_patches. OpenGVLab's batches have one flag per tile, and drop a dummy's features
// behind the tower; tiles do not know of each other, so that dropping the tile is the same.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/image/pixel_values.hpp"

namespace gov {

// Refuses numbers of tiles that do not sum to `count`.
inline void check_num_patches(std::span<const index_t> num_patches, index_t count) {
  index_t left = count;
  for (const index_t patches : num_patches) {
    left = patches < 0 || patches > left ? -1 : left - patches;
    if (left < 0) break;
  }
  if (left != 0)
    throw Error({.code = Errc::image_count_mismatch,
                 .file = {},
                 .field = "num_patches_list",
                 .expected = "numbers that sum to the " + std::to_string(count) + " tiles",
                 .found = left < 0 ? "more" : std::to_string(count - left)});
}

// The tiles whose flag is 1. num_patches counts what is left of each picture, perhaps 0; it may be
// empty, if the tiles are not of whole pictures.
inline PixelValues flagged_tiles(const PixelValues& pixels, std::span<const int> image_flags) {
  const auto refuse = [](std::string expected, std::string found) {
    throw Error({.code = Errc::image_count_mismatch,
                 .file = {},
                 .field = "image_flags",
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  if (std::ssize(image_flags) != pixels.count)
    refuse("one for each of the " + std::to_string(pixels.count) + " tiles",
           std::to_string(image_flags.size()));
  if (!pixels.num_patches.empty()) check_num_patches(pixels.num_patches, pixels.count);
  PixelValues kept;
  kept.channels = pixels.channels, kept.height = pixels.height, kept.width = pixels.width;
  kept.num_patches = pixels.num_patches;
  std::size_t picture = 0;
  index_t behind = pixels.num_patches.empty() ? pixels.count : 0;  // first tile of the next picture
  for (index_t i = 0; i < pixels.count; ++i) {
    const int flag = image_flags[static_cast<std::size_t>(i)];
    while (i >= behind) behind += pixels.num_patches[picture++];
    if (flag != 0 && flag != 1) refuse("0 or 1", std::to_string(flag));
    if (flag == 1) {
      kept.data.insert(kept.data.end(), pixels.patch(i), pixels.patch(i + 1));
      ++kept.count;
    } else if (!kept.num_patches.empty()) {
      --kept.num_patches[picture - 1];
    }
  }
  return kept;
}

// One PixelValues for each picture that has tiles: num_patches_list says how many each has.
inline std::vector<PixelValues> split_pictures(const PixelValues& pixels,
                                               std::span<const index_t> num_patches_list) {
  check_num_patches(num_patches_list, pixels.count);
  std::vector<PixelValues> pictures;
  index_t first = 0;
  for (const index_t patches : num_patches_list) {
    if (patches == 0) continue;
    PixelValues picture;
    picture.channels = pixels.channels, picture.height = pixels.height;
    picture.width = pixels.width, picture.count = patches, picture.num_patches = {patches};
    picture.data.assign(pixels.patch(first), pixels.patch(first + patches));
    first += patches;
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

}  // namespace gov
