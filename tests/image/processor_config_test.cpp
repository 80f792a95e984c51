#include "gov/image/processor_config.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"

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

TEST_CASE("the original InternVL file, whose crop cuts nothing") {
  const ImageProcessorConfig config = read_image_processor(parse_json(
      R"({"crop_size": 448, "do_center_crop": true, "do_normalize": true, "do_resize": true,
          "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
          "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 448})",
      "a.json"));
  CHECK(config.height == 448);
  CHECK(config.width == 448);
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
      {R"({"size": {"shortest_edge": 224}})", Errc::unsupported, "size"},
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
      {R"({"do_center_crop": true})", Errc::unsupported, "do_center_crop"},
      {R"({"do_center_crop": true, "size": 448, "crop_size": 224})", Errc::unsupported,
       "do_center_crop"},
      {R"([])", Errc::bad_type, ""},
      {R"({"processor_class": "InternVLProcessor", "min_patches": 13})", Errc::bad_config, ""},
      {R"({"image_processor": 3})", Errc::bad_type, "image_processor"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const Error error =
        error_of([&] { image_processor_config(parse_json(c.text, "preprocessor_config.json")); });
    CHECK(error.code() == c.code);
    CHECK(error.field() == c.field);
    CHECK(error.file() == "preprocessor_config.json");
  }
}

}  // namespace
}  // namespace gov
