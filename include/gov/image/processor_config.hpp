// ImageProcessorConfig: how pictures become pixel values, as preprocessor_config.json spells it, or
// processor_config.json, where transformers 5 nests it under "image_processor". The defaults are
// those of the published InternVL3 checkpoints. Every value is range-checked. Only fixed sizes are
// read
// ({"height", "width"} or one number); cropping, padding and shortest-edge sizes are refused.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/normalize.hpp"
#include "gov/image/resize.hpp"
#include "gov/image/tile.hpp"
#include "gov/io/json.hpp"

namespace gov {

struct ImageProcessorConfig {
  index_t height = 448;  // of a tile
  index_t width = 448;
  bool crop_to_patches = true;
  index_t min_patches = 1;
  index_t max_patches = 12;
  bool do_resize = true;
  Resample resample = Resample::bicubic;
  bool do_rescale = true;
  double rescale_factor = 1.0 / 255.0;
  bool do_normalize = true;
  std::array<double, 3> image_mean{0.485, 0.456, 0.406};
  std::array<double, 3> image_std{0.229, 0.224, 0.225};
  bool do_convert_rgb = true;  // decoded images are RGB already

  // Not in the file: whose arithmetic to follow. Pillow's processor is the default; for the
  // torchvision one set horizontal_first and fused (JPEG decoding and one level of resizing
  // remain).
  PassOrder pass_order = PassOrder::pillow;
  NormalizeOrder normalize_order = NormalizeOrder::sequential;

  Normalization normalization() const {
    return {.do_rescale = do_rescale,
            .rescale_factor = rescale_factor,
            .do_normalize = do_normalize,
            .mean = image_mean,
            .std = image_std,
            .order = normalize_order};
  }
};

namespace detail {

inline index_t processor_integer(const Json& value, index_t low, index_t high) {
  const auto number = value.as<std::int64_t>();
  if (number < low || number > high)
    value.fail(Errc::bad_config,
               "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  return static_cast<index_t>(number);
}

inline double processor_number(const Json& value, double low, double high) {
  const double number = value.as_double();
  if (!(number >= low && number <= high))
    value.fail(Errc::bad_config,
               "a number from " + std::to_string(low) + " to " + std::to_string(high));
  return number;
}

// Three numbers, or one for all channels.
inline std::array<double, 3> processor_channels(const Json& value, double low, double high) {
  std::array<double, 3> numbers;
  if (value.is_number()) {
    numbers.fill(processor_number(value, low, high));
    return numbers;
  }
  if (!value.is_array() || value.size() != 3) value.fail(Errc::bad_config, "three numbers or one");
  for (std::size_t i = 0; i < 3; ++i) numbers[i] = processor_number(value.at(i), low, high);
  return numbers;
}

}  // namespace detail

inline constexpr index_t max_tile_side = 4096;

// Reads the object whose keys are the processor's own; null means absent.
inline ImageProcessorConfig read_image_processor(const Json& json) {
  if (!json.is_object()) json.fail(Errc::bad_type, "an object with the image processor's settings");
  ImageProcessorConfig config;
  // Keys that the file leaves out have the class's values in transformers, not the checkpoints'.
  config.height = config.width = 384;
  config.crop_to_patches = false;
  config.image_mean = {0.48145466, 0.4578275, 0.40821073};
  config.image_std = {0.26862954, 0.26130258, 0.27577711};
  const auto given = [&json](std::string_view key, auto&& read) {
    if (json.has_value(key)) read(json.at(key));
  };
  const auto flag = [&given](std::string_view key, bool& value) {
    given(key, [&value](const Json& v) { value = v.as_bool(); });
  };
  given("size", [&config](const Json& size) {
    if (size.is_integer()) {
      config.height = config.width = detail::processor_integer(size, 1, max_tile_side);
    } else if (size.is_object() && size.size() == 2 && size.contains("height") &&
               size.contains("width")) {
      config.height = detail::processor_integer(size.at("height"), 1, max_tile_side);
      config.width = detail::processor_integer(size.at("width"), 1, max_tile_side);
    } else {
      size.fail(Errc::unsupported, R"({"height": H, "width": W})");
    }
  });
  flag("crop_to_patches", config.crop_to_patches);
  given("min_patches",
        [&](const Json& v) { config.min_patches = detail::processor_integer(v, 1, max_tiles); });
  given("max_patches",
        [&](const Json& v) { config.max_patches = detail::processor_integer(v, 1, max_tiles); });
  if (config.crop_to_patches && config.max_patches > 1 && config.min_patches > config.max_patches)
    json.at("min_patches")
        .fail(Errc::bad_config, "at most max_patches (" + std::to_string(config.max_patches) + ")");
  flag("do_resize", config.do_resize);
  given("resample", [&config](const Json& v) {
    const auto number = v.as<std::int64_t>();
    if (number != 2 && number != 3) v.fail(Errc::unsupported, "3 (bicubic) or 2 (bilinear)");
    config.resample = static_cast<Resample>(number);
  });
  flag("do_rescale", config.do_rescale);
  given("rescale_factor",
        [&](const Json& v) { config.rescale_factor = detail::processor_number(v, 1e-9, 1e6); });
  flag("do_normalize", config.do_normalize);
  given("image_mean",
        [&](const Json& v) { config.image_mean = detail::processor_channels(v, -1e6, 1e6); });
  given("image_std",
        [&](const Json& v) { config.image_std = detail::processor_channels(v, 1e-9, 1e6); });
  flag("do_convert_rgb", config.do_convert_rgb);
  bool pad = false, center_crop = false;
  flag("do_pad", pad);
  flag("do_center_crop", center_crop);
  if (pad) json.at("do_pad").fail(Errc::unsupported, "false");
  if (center_crop) {  // harmless where it cuts nothing, as in the original InternVL files
    const auto crop = json.find("crop_size");
    const bool same = crop && crop->is_integer() && crop->as_int() == config.height &&
                      config.height == config.width;
    if (!same)
      json.at("do_center_crop").fail(Errc::unsupported, "false, or a crop_size equal to size");
  }
  return config;
}

// From the root of preprocessor_config.json or processor_config.json. InternVLProcessor asks for
// tiles whatever the file says; video processors ("video_processor") never cut tiles.
inline ImageProcessorConfig image_processor_config(const Json& root,
                                                   std::string_view key = "image_processor") {
  ImageProcessorConfig config = read_image_processor(root.has_value(key) ? root.at(key) : root);
  if (key == "video_processor") {
    config.crop_to_patches = false;
  } else if (root.has_value("processor_class") &&
             root.at("processor_class").as_string() == "InternVLProcessor") {
    config.crop_to_patches = true;
    if (config.max_patches > 1 && config.min_patches > config.max_patches)
      root.fail(Errc::bad_config, "min_patches of at most max_patches",
                std::to_string(config.min_patches));
  }
  return config;
}

inline ImageProcessorConfig load_image_processor_config(const std::string& path) {
  return image_processor_config(load_json(path));
}

}  // namespace gov
