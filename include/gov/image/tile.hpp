// InternVL's dynamic tiling: the grid of tiles whose shape is nearest to the picture's, the whole
// picture resized to it (its proportions are not kept), cut row by row, and, when there is more
// than one tile, a thumbnail of the original picture last. Grids are compared as transformers
// compares them: columns outer, rows inner, sorted by area; in double; a tie goes to the larger
// grid only when the picture covers more than half of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/image.hpp"
#include "gov/image/resize.hpp"

namespace gov {

struct TileGrid {
  index_t columns = 1;
  index_t rows = 1;

  index_t tiles() const { return columns * rows; }
  index_t patches() const { return tiles() == 1 ? 1 : tiles() + 1; }  // with the thumbnail
  friend bool operator==(const TileGrid&, const TileGrid&) = default;
};

inline constexpr index_t max_tiles = 4096;  // bound of max_patches

inline std::vector<TileGrid> supported_grids(index_t min_patches, index_t max_patches) {
  if (min_patches < 1 || max_patches < min_patches || max_patches > max_tiles)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "min_patches, max_patches",
                 .expected = "1 <= min_patches <= max_patches <= " + std::to_string(max_tiles),
                 .found = std::to_string(min_patches) + ", " + std::to_string(max_patches)});
  std::vector<TileGrid> grids;
  for (index_t columns = 1; columns <= max_patches; ++columns)
    for (index_t rows = 1; columns * rows <= max_patches; ++rows)
      if (columns * rows >= min_patches) grids.push_back({columns, rows});
  std::stable_sort(grids.begin(), grids.end(),
                   [](const TileGrid& a, const TileGrid& b) { return a.tiles() < b.tiles(); });
  return grids;
}

inline TileGrid choose_grid(index_t height, index_t width, index_t min_patches, index_t max_patches,
                            index_t tile_height, index_t tile_width) {
  if (height <= 0 || width <= 0 || tile_height <= 0 || tile_width <= 0)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "image and tile size",
                 .expected = "positive sides",
                 .found = std::to_string(width) + "x" + std::to_string(height) + ", " +
                          std::to_string(tile_width) + "x" + std::to_string(tile_height)});
  const double shape = static_cast<double>(width) / static_cast<double>(height);
  const double area = static_cast<double>(checked_mul(height, width, "image size"));
  const double half_tile = 0.5 * static_cast<double>(tile_height) * static_cast<double>(tile_width);
  double best = std::numeric_limits<double>::infinity();
  TileGrid chosen;
  for (const TileGrid& grid : supported_grids(min_patches, max_patches)) {
    const auto columns = static_cast<double>(grid.columns), rows = static_cast<double>(grid.rows);
    const double difference = std::abs(shape - columns / rows);
    if (difference < best) {
      best = difference;
      chosen = grid;
    } else if (difference == best && area > half_tile * columns * rows) {
      chosen = grid;
    }
  }
  return chosen;
}

// The tiles row by row, then the thumbnail if there are several and `use_thumbnail`: images of
// tile_height x tile_width.
inline std::vector<Image> tile_image(const Image& image, TileGrid grid, index_t tile_height,
                                     index_t tile_width, Resample resample = Resample::bicubic,
                                     PassOrder order = PassOrder::pillow,
                                     bool use_thumbnail = true) {
  const Image canvas = resize(image, checked_mul(tile_height, grid.rows, "tiles"),
                              checked_mul(tile_width, grid.columns, "tiles"), resample, order);
  std::vector<Image> tiles;
  tiles.reserve(static_cast<std::size_t>(grid.patches()));
  for (index_t row = 0; row < grid.rows; ++row)
    for (index_t column = 0; column < grid.columns; ++column)
      tiles.push_back(
          crop(canvas, row * tile_height, column * tile_width, tile_height, tile_width));
  if (use_thumbnail && grid.tiles() != 1)
    tiles.push_back(resize(image, tile_height, tile_width, resample, order));
  return tiles;
}

inline std::vector<Image> tile_image(const Image& image, index_t min_patches, index_t max_patches,
                                     index_t tile_height, index_t tile_width,
                                     Resample resample = Resample::bicubic,
                                     PassOrder order = PassOrder::pillow,
                                     bool use_thumbnail = true) {
  check_image(image);
  const TileGrid grid =
      choose_grid(image.height, image.width, min_patches, max_patches, tile_height, tile_width);
  return tile_image(image, grid, tile_height, tile_width, resample, order, use_thumbnail);
}

}  // namespace gov
