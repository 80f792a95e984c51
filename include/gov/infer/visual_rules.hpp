// What a family of models says about its pictures and videos in a prompt: how many tokens each
// takes, which markers stand around them, and how they are prepared where a checkpoint has no image
// processor's file.
#pragma once

#include <algorithm>
#include <filesystem>

#include "gov/infer/processor.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/text/visual_placeholders.hpp"

namespace gov {

template <class Model>
VisualRules visual_rules(const Model& model) {
  using A = typename Model::A;
  VisualRules rules;
  if constexpr (Model::multimodal) {
    rules.tokens = [](const Inputs& inputs) { return A::Images::rows(inputs); };
    rules.prefix_fusion = A::prefix_fusion;
    if constexpr (A::has_markers) {
      const VisualMarkers names;
      const VisualMarkerIds& ids = model.tokens().markers;
      rules.image = {names.image_start, names.image_patch, names.image_end, true, ids.im_patch};
      rules.num_frames = A::Images::num_frames;
      rules.slow_tokens = A::Images::slow_tokens();
      rules.tracks = {{names.video_start, names.video_patch, names.video_end, true, ids.vid_patch},
                      {names.slow_start, names.video_patch, names.slow_end, true, ids.vid_patch}};
    } else if (Model::Config::config.model_type != InternVlConfig::model_type &&
               !A::prefix_fusion) {
      rules.image = {"", "<image>", "", false, model.tokens().image_token_id};
    }
  }
  return rules;
}

// As the image processors of the family's published checkpoints. OpenGVLab and LLaVA's original
// code put what they do into config.json.
template <class Model>
ImageProcessorConfig native_images(const std::filesystem::path& folder) {
  using A = typename Model::A;
  constexpr std::string_view model_type = Model::Config::config.model_type;
  constexpr Extent size = A::picture_size;
  ImageProcessorConfig images;
  images.height = size.height, images.width = size.width;
  images.crop_to_patches = model_type == InternVlConfig::model_type;
  if constexpr (A::VisionConfig::config.model_type == SiglipVitConfig::model_type) {  // squeezed
    images.image_mean = images.image_std = {0.5, 0.5, 0.5};
  } else if constexpr (A::crops) {  // 224 out of 256
    images.shortest_edge = std::min(size.height, size.width) * 256 / 224;
    images.do_center_crop = true;
  } else if constexpr (model_type.starts_with("llava")) {  // CLIP's
    images.shortest_edge = std::min(size.height, size.width);
    images.do_center_crop = true;
    images.image_mean = clip_mean, images.image_std = clip_std;
  }
  if constexpr (model_type.starts_with("llava") && !A::has_markers) {
    if (const auto path = folder / "config.json"; std::filesystem::exists(path))
      images.pad_to_square = load_json(path.string()).get_or("image_aspect_ratio", "") == "pad";
  }
  return images;
}

// Of a folder: what its files say, with what the family does not leave to them.
template <class Model>
ImageProcessorConfig image_config_of(const std::filesystem::path& folder) {
  const auto found = find_image_config(folder);
  ImageProcessorConfig images = found ? *found : native_images<Model>(folder);
  if constexpr (Model::Config::config.model_type == InternVlConfig::model_type) {
    if (images.keeps_squares()) images.squeeze();  // pictures are squeezed into tiles
    if (!(found && found->crop_to_patches) &&
        detail::ModelTypes(folder).whole == InternVlConfig::chat_model_type)
      read_dynamic_tiles(load_json((folder / "config.json").string()), images);
  }
  if constexpr (requires { Model::Config::config.image_grid_pinpoints; }) {
    const auto& pinpoints = Model::Config::config.image_grid_pinpoints;
    images.image_grid_pinpoints.assign(pinpoints.begin(), pinpoints.end());
  }
  return images;
}

}  // namespace gov
