#include "gov/image/processor_config.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("what transformers writes") {
  const ImageProcessorConfig config = load_image_processor_config(fixture("processor/clip.json"));
  CHECK(config.height == 28);
  CHECK(config.width == 42);
  CHECK(config.crop_to_patches);
  CHECK(config.min_patches == 2);
  CHECK(config.max_patches == 5);
  CHECK(config.do_resize);
  CHECK(config.resample == Resample::bicubic);
  CHECK(config.rescale_factor == 1.0 / 255.0);
  CHECK(config.image_mean[1] == 0.4578275);
  CHECK(config.image_std[2] == 0.27577711);
  CHECK(load_image_processor_config(fixture("processor/bilinear.json")).resample ==
        Resample::bilinear);
  CHECK(!load_image_processor_config(fixture("processor/no_rescale.json")).do_rescale);
}

TEST_CASE("nested as transformers 5 writes processor_config.json") {
  const ImageProcessorConfig config = load_image_processor_config(fixture("processor/nested.json"));
  CHECK(config.height == 56);
  CHECK(config.image_mean[0] == 0.485);
  CHECK(config.crop_to_patches);
}

TEST_CASE("InternVLProcessor cuts tiles whatever the file says, video never does") {
  const Json root = parse_json(
      R"({"processor_class": "InternVLProcessor", "crop_to_patches": false, "video_processor": {"size": {"height": 14, "width": 14}, "crop_to_patches": true}})",
      "a.json");
  CHECK(image_processor_config(root).crop_to_patches);
  const ImageProcessorConfig video = image_processor_config(root, "video_processor");
  CHECK(!video.crop_to_patches);
  CHECK(video.height == 14);
  CHECK(!image_processor_config(parse_json("{}", "a.json")).crop_to_patches);
}

TEST_CASE("absent and null keys have the class's values, and one number serves all channels") {
  const ImageProcessorConfig config = read_image_processor(parse_json(
      R"({"size": null, "image_std": 0.5, "image_mean": [0, 1, 2], "size_divisor": 3})", "a.json"));
  CHECK(config.height == 384);
  CHECK(config.image_std == std::array<double, 3>{0.5, 0.5, 0.5});
  CHECK(config.image_mean == std::array<double, 3>{0, 1, 2});
  CHECK(config.max_patches == 12);
}

TEST_CASE("the original InternVL file, whose crop cuts nothing of a tile") {
  ImageProcessorConfig config = read_image_processor(parse_json(
      R"({"crop_size": 448, "do_center_crop": true, "do_normalize": true, "do_resize": true,
          "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
          "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 448})",
      "a.json"));
  CHECK(config.height == 448);
  CHECK(config.width == 448);
  config.squeeze();
  CHECK(config.shortest_edge == 0);
  CHECK_FALSE(config.do_center_crop);
}

TEST_CASE("the class that a file names says what it leaves out") {
  const auto read = [](const char* text) {
    return read_image_processor(parse_json(text, "a.json"));
  };
  for (const char* text : {R"({"image_processor_type": "CLIPImageProcessor"})",
                           R"({"image_processor_type": "CLIPImageProcessorFast"})",
                           R"({"image_processor_type": "BitImageProcessor"})",
                           R"({"image_processor_type": "LlavaImageProcessor"})",
                           R"({"feature_extractor_type": "CLIPFeatureExtractor"})"}) {
    CAPTURE(text);
    const ImageProcessorConfig config = read(text);
    CHECK(config.shortest_edge == 224);
    CHECK(config.do_center_crop);
    CHECK(config.height == 224);
    CHECK(config.width == 224);
    CHECK(config.resample == Resample::bicubic);
    CHECK(config.image_mean[0] == 0.48145466);
  }
  for (const char* text : {R"({"image_processor_type": "ViTImageProcessor"})",
                           R"({"feature_extractor_type": "ViTFeatureExtractor"})"}) {
    const ImageProcessorConfig config = read(text);
    CHECK(config.shortest_edge == 0);
    CHECK_FALSE(config.do_center_crop);
    CHECK(config.height == 224);
    CHECK(config.resample == Resample::bilinear);
    CHECK(config.image_mean[0] == 0.5);
    CHECK(config.image_std[2] == 0.5);
  }
  const ImageProcessorConfig siglip = read(R"({"image_processor_type": "SiglipImageProcessor"})");
  CHECK(siglip.shortest_edge == 0);
  CHECK_FALSE(siglip.do_center_crop);
  CHECK(siglip.height == 224);
  CHECK(siglip.resample == Resample::bicubic);
  CHECK(siglip.image_mean == std::array<double, 3>{0.5, 0.5, 0.5});
  CHECK(siglip.image_std == std::array<double, 3>{0.5, 0.5, 0.5});
  CHECK(read("{}").height == 384);
}

TEST_CASE("sizes of a resize and of the crop behind it") {
  const auto read = [](const char* text) {
    return read_image_processor(parse_json(text, "a.json"));
  };
  // A published LLaVA-1.5 and a published DINOv2; CLIP's own file has plain numbers.
  auto config = read(R"({"image_processor_type": "CLIPImageProcessor",
      "size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}})");
  CHECK(config.shortest_edge == 336);
  CHECK(config.height == 336);
  config = read(R"({"image_processor_type": "BitImageProcessor",
      "size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 200}})");
  CHECK(config.shortest_edge == 256);
  CHECK(config.height == 224);
  CHECK(config.width == 200);
  config = read(R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 336,
      "crop_size": 320})");
  CHECK(config.shortest_edge == 336);
  CHECK(config.height == 320);
  // A fixed size and a crop, and neither.
  config = read(R"({"do_center_crop": true, "size": 448, "crop_size": 224})");
  CHECK(config.shortest_edge == 0);
  CHECK(config.resize_height == 448);
  CHECK(config.height == 224);
  config = read(R"({"image_processor_type": "CLIPImageProcessor", "do_center_crop": false,
      "size": {"height": 20, "width": 30}})");
  CHECK(config.resize_height == 0);
  CHECK(config.height == 20);
  CHECK(config.width == 30);
  // Tiles are squeezed into, and a crop of their size is none.
  config = read(R"({"crop_to_patches": true, "do_center_crop": true, "size": 448,
      "crop_size": 448})");
  CHECK_FALSE(config.do_center_crop);
  CHECK(config.height == 448);
}

TEST_CASE("LLaVA's files") {
  const ImageProcessorConfig next =
      load_image_processor_config(fixture("processor/llava_next_crop.json"));
  CHECK(next.shortest_edge == 32);
  CHECK(next.do_center_crop);
  CHECK(next.height == 28);
  CHECK(!next.pad_to_square);  // its do_pad is about batches
  CHECK(next.image_grid_pinpoints.size() == 5);
  CHECK(next.image_grid_pinpoints[4] == Extent{28, 84});
  CHECK(load_image_processor_config(fixture("processor/llava_pad.json")).pad_to_square);
  CHECK(!load_image_processor_config(fixture("processor/llava_crop.json")).pad_to_square);
  const ImageProcessorConfig bare = read_image_processor(
      parse_json(R"({"image_processor_type": "LlavaNextImageProcessorFast"})", "a.json"));
  CHECK(bare.image_grid_pinpoints.size() == 5);
  CHECK(bare.shortest_edge == 224);
  CHECK(bare.width == 224);
}

TEST_CASE("bad values name the field") {
  struct Case {
    const char* text;
    Errc code;
    const char* field;
  };
  const Case cases[] = {
      {R"({"size": {"height": 0, "width": 4}})", Errc::bad_config, "size.height"},
      {R"({"size": {"height": 4, "width": -1}})", Errc::bad_config, "size.width"},
      {R"({"size": {"height": 4, "width": 4097}})", Errc::bad_config, "size.width"},
      {R"({"size": {"height": 4, "width": 2147483648}})", Errc::bad_config, "size.width"},
      {R"({"size": {"height": 4, "width": 9223372036854775808}})", Errc::bad_number, "size.width"},
      {R"({"size": {"height": 4, "width": 1e308}})", Errc::bad_number, "size.width"},
      {R"({"size": {"height": 4, "width": "4"}})", Errc::bad_type, "size.width"},
      {R"({"size": {"longest_edge": 224}})", Errc::unsupported, "size"},
      {R"({"size": {"shortest_edge": 0}})", Errc::bad_config, "size.shortest_edge"},
      {R"({"size": {"shortest_edge": 224, "longest_edge": 300}})", Errc::unsupported, "size"},
      {R"({"size": [448, 448]})", Errc::unsupported, "size"},
      {R"({"size": 0})", Errc::bad_config, "size"},
      {R"({"min_patches": 0})", Errc::bad_config, "min_patches"},
      {R"({"max_patches": 4097})", Errc::bad_config, "max_patches"},
      {R"({"crop_to_patches": true, "min_patches": 5, "max_patches": 4})", Errc::bad_config,
       "min_patches"},
      {R"({"crop_to_patches": 1})", Errc::bad_type, "crop_to_patches"},
      {R"({"resample": 0})", Errc::unsupported, "resample"},
      {R"({"resample": 1})", Errc::unsupported, "resample"},
      {R"({"resample": "bicubic"})", Errc::bad_type, "resample"},
      {R"({"rescale_factor": 0})", Errc::bad_config, "rescale_factor"},
      {R"({"rescale_factor": -1})", Errc::bad_config, "rescale_factor"},
      {R"({"rescale_factor": 1e308})", Errc::bad_config, "rescale_factor"},
      {R"({"rescale_factor": "NaN"})", Errc::bad_type, "rescale_factor"},
      {R"({"image_mean": [0, 0]})", Errc::bad_config, "image_mean"},
      {R"({"image_mean": [0, 0, 1e300]})", Errc::bad_config, "image_mean[2]"},
      {R"({"image_mean": [0, null, 0]})", Errc::bad_type, "image_mean[1]"},
      {R"({"image_std": [1, 0, 1]})", Errc::bad_config, "image_std[1]"},
      {R"({"image_std": 0})", Errc::bad_config, "image_std"},
      {R"({"do_pad": true})", Errc::unsupported, "do_pad"},
      {R"({"do_center_crop": true})", Errc::bad_config, "do_center_crop"},
      {R"({"do_center_crop": 1, "crop_size": 224})", Errc::bad_type, "do_center_crop"},
      {R"({"crop_size": {"height": 4, "width": 5000}})", Errc::bad_config, "crop_size.width"},
      {R"({"crop_to_patches": true, "do_center_crop": true, "size": 448, "crop_size": 224})",
       Errc::unsupported, "crop_size"},
      {R"({"crop_to_patches": true, "image_processor_type": "CLIPImageProcessor",
           "size": {"shortest_edge": 448}, "crop_size": 224})",
       Errc::unsupported, "crop_size"},
      {R"({"processor_class": "InternVLProcessor", "do_center_crop": true, "crop_size": 448})",
       Errc::unsupported, "crop_size"},
      {R"({"image_processor_type": 3})", Errc::bad_type, "image_processor_type"},
      {R"({"image_grid_pinpoints": []})", Errc::bad_config, "image_grid_pinpoints"},
      {R"({"image_grid_pinpoints": "1x1"})", Errc::bad_config, "image_grid_pinpoints"},
      {R"({"image_grid_pinpoints": [[4, 4], [4]]})", Errc::bad_config, "image_grid_pinpoints[1]"},
      {R"({"image_grid_pinpoints": [[4, 0]]})", Errc::bad_config, "image_grid_pinpoints[0][1]"},
      {R"({"image_grid_pinpoints": [[4, 99999]]})", Errc::bad_config, "image_grid_pinpoints[0][1]"},
      {R"([])", Errc::bad_type, ""},
      {R"({"processor_class": "InternVLProcessor", "min_patches": 13})", Errc::bad_config, ""},
      {R"({"image_processor": 3})", Errc::bad_type, "image_processor"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const Error error =
        thrown([&] { image_processor_config(parse_json(c.text, "preprocessor_config.json")); });
    CHECK(error.code() == c.code);
    CHECK(error.field() == c.field);
    CHECK(error.file() == "preprocessor_config.json");
  }
}

TEST_CASE("which file of a folder says it") {
  const TempFolder folder;
  CHECK(!find_image_config(folder.path()));
  folder.write("preprocessor_config.json", R"({"size": {"height": 64, "width": 96}})");
  CHECK(find_image_config(folder.path())->width == 96);
  folder.write("processor_config.json",
               R"({"processor_class": "InternVLProcessor", "image_seq_length": 9})");
  CHECK(find_image_config(folder.path())->width == 96);  // the newer file leaves it to the older
  folder.write("processor_config.json",
               R"({"image_processor": {"size": {"height": 32, "width": 32}}})");
  CHECK(find_image_config(folder.path())->width == 32);
  folder.write("processor_config.json",
               R"({"image_processor": {"size": {"height": 0, "width": 32}}})");
  CHECK(thrown([&] { find_image_config(folder.path()); }).code() == Errc::bad_config);
}

}  // namespace
}  // namespace gov
