// LLaVA-NeXT's pictures of any resolution (transformers: LlavaNextImageProcessor; the original's
// process_anyres_image): of some resolutions the one that loses least of the picture, the picture
// resized into it with its proportions kept and centred on black, cut row by row into the tower's
// square views; before them the whole picture squeezed into one view. And LLaVA-1.5's square
// canvas of the mean colour (image_aspect_ratio "pad").
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/config.hpp"
#include "gov/image/resize.hpp"
#include "gov/image/tile.hpp"

namespace gov {

// How a list of resolutions is written: transformers' pairs are (height, width), the original's
// (width, height).
enum class PairOrder { height_width, width_height };

inline constexpr index_t max_resolution_side = index_t{1} << 14;

[[noreturn]] inline void throw_bad_resolutions(std::string expected, std::string found) {
  throw Error({.code = Errc::bad_config,
               .file = {},
               .field = "image_grid_pinpoints",
               .expected = std::move(expected),
               .found = std::move(found)});
}

// What every use of a list relies on: it is not empty, and its resolutions are whole views.
inline void check_resolutions(std::span<const Extent> resolutions, index_t view) {
  if (resolutions.empty() || static_cast<index_t>(resolutions.size()) > max_tiles)
    throw_bad_resolutions("1 to " + std::to_string(max_tiles) + " resolutions",
                          std::to_string(resolutions.size()));
  for (const Extent& r : resolutions)
    if (view < 1 || r.height < 1 || r.width < 1 || r.height > max_resolution_side ||
        r.width > max_resolution_side || r.height % view != 0 || r.width % view != 0)
      throw_bad_resolutions(
          "multiples of " + std::to_string(view) + " up to " + std::to_string(max_resolution_side),
          std::to_string(r.height) + ", " + std::to_string(r.width));
}

// LLaVA-NeXT's short form "(1x1),...,(6x6)": all grids between the first and the last pair, in
// views of `view` pixels.
inline std::vector<Extent> resolutions_between(std::string_view text, index_t view,
                                               PairOrder order = PairOrder::width_height) {
  std::vector<std::array<index_t, 2>> pairs;
  const auto number = [&](std::size_t& at) {
    index_t value = 0;
    const std::size_t from = at;
    while (at < text.size() && '0' <= text[at] && text[at] <= '9' && at - from < 3)
      value = 10 * value + (text[at++] - '0');
    return at > from ? value : 0;
  };
  for (std::size_t open = text.find('('); open != text.npos; open = text.find('(', open + 1)) {
    std::size_t at = open + 1;
    const index_t first = number(at);
    const bool crossed = at < text.size() && text[at] == 'x';
    const index_t second = crossed ? number(++at) : 0;
    if (first > 0 && second > 0 && at < text.size() && text[at] == ')')
      pairs.push_back({first, second});
  }
  const std::string expected = "a range of grids like (1x1),...,(6x6)";
  if (pairs.empty() || view < 1) throw_bad_resolutions(expected, std::string(text));
  const auto [from, to] = std::array{pairs.front(), pairs.back()};
  if (to[0] < from[0] || to[1] < from[1] ||
      (to[0] - from[0] + 1) * (to[1] - from[1] + 1) > max_tiles)
    throw_bad_resolutions(expected, std::string(text));
  std::vector<Extent> all;
  for (index_t i = from[0]; i <= to[0]; ++i)
    for (index_t j = from[1]; j <= to[1]; ++j)
      all.push_back(order == PairOrder::height_width ? Extent{i * view, j * view}
                                                     : Extent{j * view, i * view});
  check_resolutions(all, view);
  return all;
}

// Keeps most pixels of the picture; of equals the one that wastes least, then the first.
inline Extent select_best_resolution(Extent image, std::span<const Extent> resolutions) {
  (void)Image::size_of(image.height, image.width);
  if (resolutions.empty()) throw_bad_resolutions("at least one resolution", "none");
  const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
  index_t most_kept = 0, least_wasted = std::numeric_limits<index_t>::max();
  Extent best = resolutions.front();
  for (const Extent& r : resolutions) {
    const double scale =
        std::min(static_cast<double>(r.width) / width, static_cast<double>(r.height) / height);
    const index_t kept =
        std::min(static_cast<index_t>(width * scale) * static_cast<index_t>(height * scale),
                 image.height * image.width);
    const index_t wasted = r.width * r.height - kept;
    if (kept > most_kept || (kept == most_kept && wasted < least_wasted))
      most_kept = kept, least_wasted = wasted, best = r;
  }
  return best;
}

// The largest size of the picture's proportions that fits into the canvas (get_patch_output_size).
inline Extent size_inside(Extent image, Extent canvas) {
  const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
  const double across = static_cast<double>(canvas.width) / width;
  const double down = static_cast<double>(canvas.height) / height;
  const auto rounded_up = [](double x) { return static_cast<index_t>(std::ceil(x)); };
  return across < down ? Extent{std::min(rounded_up(height * across), canvas.height), canvas.width}
                       : Extent{canvas.height, std::min(rounded_up(width * down), canvas.width)};
}

// The picture in the middle of a canvas, the odd pixel of a margin behind it.
inline Image centred(const Image& image, Extent canvas,
                     const std::array<std::uint8_t, 3>& colour = {}) {
  check_image(image);
  if (canvas.height < image.height || canvas.width < image.width)
    throw Error(
        {.code = Errc::bad_argument,
         .file = {},
         .field = "canvas",
         .expected = "at least " + std::to_string(image.width) + "x" + std::to_string(image.height),
         .found = std::to_string(canvas.width) + "x" + std::to_string(canvas.height)});
  Image result(canvas.height, canvas.width);
  if (colour != std::array<std::uint8_t, 3>{})
    for (std::size_t i = 0; i < result.pixels.size(); ++i) result.pixels[i] = colour[i % 3];
  const index_t top = (canvas.height - image.height) / 2, left = (canvas.width - image.width) / 2;
  for (index_t y = 0; y < image.height; ++y)
    std::copy_n(image.row(y), image.width * image_channels,
                result.row(top + y) + left * image_channels);
  return result;
}

inline Image resize_and_pad(const Image& image, Extent canvas,
                            Resample resample = Resample::bicubic,
                            PassOrder order = PassOrder::pillow) {
  check_image(image);
  const Extent inside = size_inside({image.height, image.width}, canvas);
  return centred(resize(image, inside.height, inside.width, resample, order), canvas);
}

// The colour of the margins: int(255 mean), in the interval of a byte.
inline std::array<std::uint8_t, 3> mean_colour(const std::array<double, 3>& mean) {
  std::array<std::uint8_t, 3> colour{};
  for (std::size_t c = 0; c < 3; ++c)
    colour[c] = static_cast<std::uint8_t>(std::clamp(mean[c] * 255, 0.0, 255.0));
  return colour;
}

inline Image pad_to_square(const Image& image, const std::array<std::uint8_t, 3>& colour) {
  const index_t side = std::max(image.height, image.width);
  return centred(image, {side, side}, colour);
}

// Rows and columns of views behind the first.
inline TileGrid anyres_grid(Extent image, std::span<const Extent> resolutions, index_t view) {
  const Extent best = select_best_resolution(image, resolutions);
  return {.columns = best.width / view, .rows = best.height / view};
}

// The whole picture, resized to `base`, then the views row by row, `view` pixels wide and high.
inline std::vector<Image> anyres_views(const Image& image, std::span<const Extent> resolutions,
                                       Extent base, index_t view,
                                       Resample resample = Resample::bicubic,
                                       PassOrder order = PassOrder::pillow) {
  check_image(image);
  check_resolutions(resolutions, view);
  const Extent canvas = select_best_resolution({image.height, image.width}, resolutions);
  std::vector<Image> views{resize(image, base.height, base.width, resample, order)};
  const Image large = resize_and_pad(image, canvas, resample, order);
  for (index_t y = 0; y < canvas.height; y += view)
    for (index_t x = 0; x < canvas.width; x += view) views.push_back(crop(large, y, x, view, view));
  return views;
}

}  // namespace gov
