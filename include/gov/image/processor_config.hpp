// ImageProcessorConfig: how pictures become pixel values, as preprocessor_config.json spells it, or
// processor_config.json, where transformers 5 nests it under "image_processor". The defaults are
// those of the published InternVL3 checkpoints. Every value is range-checked. Keys that a file
// leaves out have the values of the class that it names: CLIP's, DINOv2's and LLaVA's processors
// (the shorter side resized, the middle cut out), ViT's and SigLIP's, else GOT-OCR2's, InternVL's.
// LLaVA's do_pad is a square canvas; LLaVA-NeXT's only pads batches, of which there are none here.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/anyres.hpp"
#include "gov/image/normalize.hpp"
#include "gov/image/resize.hpp"
#include "gov/image/tile.hpp"
#include "gov/io/json.hpp"

namespace gov {

inline constexpr std::array<double, 3> clip_mean{0.48145466, 0.4578275, 0.40821073};
inline constexpr std::array<double, 3> clip_std{0.26862954, 0.26130258, 0.27577711};

struct ImageProcessorConfig {
  index_t height = 448;  // of a tile, or of what is cut out of the middle
  index_t width = 448;
  bool crop_to_patches = true;
  index_t min_patches = 1;
  index_t max_patches = 12;
  bool use_thumbnail = true;  // the whole picture follows its tiles
  bool do_resize = true;
  bool pad_to_square = false;                // before anything else, with image_mean's colour
  std::vector<Extent> image_grid_pinpoints;  // LLaVA-NeXT's resolutions; empty: none
  Resample resample = Resample::bicubic;
  // Without tiles: the shorter side becomes shortest_edge and the longer one keeps the proportions;
  // if that is 0, the picture is squeezed into resize_height x resize_width, or where these are 0
  // into height x width. Then the middle is cut out.
  index_t shortest_edge = 0;
  index_t resize_height = 0, resize_width = 0;
  bool do_center_crop = false;
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

  // Whether a square picture comes through whole: resized to what is then cut out.
  bool keeps_squares() const {
    return shortest_edge > 0 ? shortest_edge == height && shortest_edge == width
                             : resize_height == 0;
  }
  // Every picture is squeezed into height x width, whatever its proportions and the file's crop.
  void squeeze() {
    shortest_edge = resize_height = resize_width = 0;
    do_center_crop = false;
  }

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

namespace detail {

struct ProcessorSize {
  index_t height = 0, width = 0, shortest_edge = 0;
};

// {"height", "width"}, {"shortest_edge"}, or one number, which is the shorter side if not `square`.
inline ProcessorSize processor_size(const Json& size, bool square) {
  if (size.is_integer()) {
    const index_t side = processor_integer(size, 1, max_tile_side);
    return square ? ProcessorSize{side, side, 0} : ProcessorSize{0, 0, side};
  }
  if (size.is_object() && size.size() == 2 && size.contains("height") && size.contains("width"))
    return {processor_integer(size.at("height"), 1, max_tile_side),
            processor_integer(size.at("width"), 1, max_tile_side), 0};
  if (size.is_object() && size.size() == 1 && size.contains("shortest_edge"))
    return {0, 0, processor_integer(size.at("shortest_edge"), 1, max_tile_side)};
  size.fail(Errc::unsupported, R"({"height": H, "width": W} or {"shortest_edge": S})");
}

// The class that a file names, as transformers 4 and 5 and before them feature extractors spell it.
inline std::string processor_class(const Json& json) {
  std::string name;
  for (const std::string_view key : {"image_processor_type", "feature_extractor_type"})
    if (name.empty() && json.has_value(key)) name = json.at(key).as_string();
  for (const std::string_view suffix : {"Fast", "Pil", "ImageProcessor", "FeatureExtractor"})
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

// Pairs (height, width), as transformers writes them.
inline std::vector<Extent> processor_resolutions(const Json& list) {
  if (!list.is_array() || list.size() == 0 || list.size() > static_cast<std::size_t>(max_tiles))
    list.fail(Errc::bad_config, "1 to " + std::to_string(max_tiles) + " resolutions");
  std::vector<Extent> resolutions;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json pair = list.at(i);
    if (!pair.is_array() || pair.size() != 2) pair.fail(Errc::bad_config, "[height, width]");
    resolutions.push_back({processor_integer(pair.at(0), 1, max_resolution_side),
                           processor_integer(pair.at(1), 1, max_resolution_side)});
  }
  return resolutions;
}

}  // namespace detail

namespace detail {

// Tiles are squeezed into; a crop may only be one that cuts nothing of them.
inline void settle_tiles(const Json& json, ImageProcessorConfig& config) {
  if (!config.crop_to_patches) return;
  if (!config.keeps_squares())
    (json.has_value("crop_size") ? json.at("crop_size") : json)
        .fail(Errc::unsupported, "the same as size where pictures are cut into tiles");
  config.squeeze();
}

}  // namespace detail

// Reads the object whose keys are the processor's own; null means absent.
inline ImageProcessorConfig read_image_processor(const Json& json) {
  if (!json.is_object()) json.fail(Errc::bad_type, "an object with the image processor's settings");
  ImageProcessorConfig config;
  const std::string type = detail::processor_class(json);
  const bool crops = type == "CLIP" || type == "Bit" || type == "Llava" || type == "LlavaNext";
  const bool squeezes = type == "ViT" || type == "Siglip";
  const index_t usual = crops || squeezes ? 224 : 384;
  detail::ProcessorSize size =
      crops ? detail::ProcessorSize{0, 0, usual} : detail::ProcessorSize{usual, usual, 0};
  detail::ProcessorSize crop =
      crops ? detail::ProcessorSize{usual, usual, 0} : detail::ProcessorSize{};
  config.do_center_crop = crops;
  config.crop_to_patches = false;
  if (type == "ViT") config.resample = Resample::bilinear;
  if (squeezes) {
    config.image_mean = config.image_std = {0.5, 0.5, 0.5};
  } else {
    config.image_mean = clip_mean, config.image_std = clip_std;
  }
  const auto given = [&json](std::string_view key, auto&& read) {
    if (json.has_value(key)) read(json.at(key));
  };
  const auto flag = [&given](std::string_view key, bool& value) {
    given(key, [&value](const Json& v) { value = v.as_bool(); });
  };
  given("size", [&](const Json& v) { size = detail::processor_size(v, !crops); });
  given("crop_size", [&](const Json& v) { crop = detail::processor_size(v, true); });
  flag("do_center_crop", config.do_center_crop);
  if (type == "LlavaNext")
    config.image_grid_pinpoints = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  given("image_grid_pinpoints", [&config](const Json& list) {
    config.image_grid_pinpoints = detail::processor_resolutions(list);
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
  bool pad = false;
  flag("do_pad", pad);
  config.pad_to_square = pad && type == "Llava";
  if (pad && type != "Llava" && type != "LlavaNext")
    json.at("do_pad").fail(Errc::unsupported, "false");
  if (config.do_center_crop && crop.height == 0)
    json.at("do_center_crop").fail(Errc::bad_config, "false, or a crop_size beside it");
  const index_t edge = config.shortest_edge = size.shortest_edge;
  config.height = config.do_center_crop ? crop.height : edge > 0 ? edge : size.height;
  config.width = config.do_center_crop ? crop.width : edge > 0 ? edge : size.width;
  if (edge == 0 && (size.height != config.height || size.width != config.width))
    config.resize_height = size.height, config.resize_width = size.width;
  detail::settle_tiles(json, config);
  return config;
}

// From the root of preprocessor_config.json or processor_config.json. InternVLProcessor asks for
// tiles whatever the file says; video processors ("video_processor") never cut tiles.
inline ImageProcessorConfig image_processor_config(const Json& root,
                                                   std::string_view key = "image_processor") {
  const Json own = root.has_value(key) ? root.at(key) : root;
  ImageProcessorConfig config = read_image_processor(own);
  if (key == "video_processor") {
    config.crop_to_patches = false;
  } else if (root.has_value("processor_class") &&
             root.at("processor_class").as_string() == "InternVLProcessor") {
    config.crop_to_patches = true;
    if (config.max_patches > 1 && config.min_patches > config.max_patches)
      root.fail(Errc::bad_config, "min_patches of at most max_patches",
                std::to_string(config.min_patches));
    detail::settle_tiles(own, config);
  }
  return config;
}

// Tiles as the config.json of an OpenGVLab checkpoint (model_type internvl_chat) says; keys that it
// lacks are those of load_image in its model card. Its processor's file names CLIP's processor and
// knows nothing of tiles.
inline void read_dynamic_tiles(const Json& json, ImageProcessorConfig& config) {
  config.squeeze();
  config.crop_to_patches = json.get_or("dynamic_image_size", true);
  config.use_thumbnail = json.get_or("use_thumbnail", true);
  config.min_patches = 1;
  if (json.has_value("min_dynamic_patch"))
    config.min_patches = detail::processor_integer(json.at("min_dynamic_patch"), 1, max_tiles);
  config.max_patches = std::max<index_t>(config.min_patches, 12);
  if (json.has_value("max_dynamic_patch"))
    config.max_patches =
        detail::processor_integer(json.at("max_dynamic_patch"), config.min_patches, max_tiles);
}

inline ImageProcessorConfig load_image_processor_config(const std::string& path) {
  return image_processor_config(load_json(path));
}

// What a folder says about its images, if it does. A processor_config.json without image_processor
// leaves it to preprocessor_config.json.
inline std::optional<ImageProcessorConfig> find_image_config(const std::filesystem::path& folder) {
  for (const std::string_view name : {"processor_config.json", "preprocessor_config.json"}) {
    if (!std::filesystem::exists(folder / name)) continue;
    const Json json = load_json((folder / name).string());
    if (name == "preprocessor_config.json" || json.has_value("image_processor"))
      return image_processor_config(json);
  }
  return std::nullopt;
}

}  // namespace gov
