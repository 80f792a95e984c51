// What LLaVA and LLaVA-NeXT say of their pictures: tokens, mark, and how they are prepared with and
// without an image processor's file. Whole prompts: tests/infer/llava_chat_test.cpp.
#include "gov/infer/visual_rules.hpp"

#include <doctest/doctest.h>

#include "gov/model/internvl.hpp"
#include "gov/model/llava_next.hpp"
#include "gov/model/presets.hpp"
#include "gov/vision/siglip_vit.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace visual_rules_test {

using namespace gov;
using namespace gov::test;

struct SmallClip : ClipVitModules {
  static constexpr ClipVitConfig config{.hidden_size = 16,
                                        .intermediate_size = 24,
                                        .num_hidden_layers = 3,
                                        .num_attention_heads = 2,
                                        .image_size = {28, 28},
                                        .patch_size = {7, 7}};
};
struct SmallLlama : Llama {
  static constexpr LlamaConfig config{.hidden_size = 16,
                                      .intermediate_size = 16,
                                      .num_hidden_layers = 1,
                                      .num_attention_heads = 2,
                                      .vocab_size = 32};
};
struct Fixed : Llava {
  using Vision = SmallClip;
  using Language = SmallLlama;
  static constexpr LlavaConfig config{};
};
struct OverSiglip : Fixed {
  using Vision = TinySiglipVit;
  static constexpr LlavaConfig config{.vision_feature_select_strategy = FeatureSelect::full};
};
struct OverDinov2 : Fixed {
  using Vision = Dinov2Base;
};
struct Tiles : InternVl {
  using Vision = TinyInternVit;
  using Language = SmallLlama;
  static constexpr InternVlConfig config{};
};
struct Anyres : LlavaNext {
  using Vision = SmallClip;
  using Language = SmallLlama;
  static constexpr LlavaNextConfig config{.image_grid_pinpoints = {Extent{28, 56}, Extent{56, 28}}};
};

// What the rules ask of a model.
template <class Cfg>
struct Model {
  using Config = Cfg;
  using A = Architecture<Cfg>;
  static constexpr bool multimodal = true;
  ModelTokens tokens() const {
    ModelTokens tokens;
    tokens.image_token_id = 7;
    return tokens;
  }
};

TEST_CASE("a picture is its tokens, each the image token, with nothing around them") {
  const VisualRules fixed = visual_rules(Model<Fixed>{}), anyres = visual_rules(Model<Anyres>{});
  for (const VisualRules& rules : {fixed, anyres}) {
    CHECK(rules.image.start.empty());
    CHECK(rules.image.end.empty());
    CHECK(rules.image.context_id == 7);
    CHECK(rules.num_frames == 0);
    CHECK_FALSE(rules.prefix_fusion);
  }
  CHECK(fixed.tokens({.pixel_values = {nullptr, 1, 3, 28, 28}}) == 16);
  const std::vector<Extent> wide{{28, 56}};
  CHECK(anyres.tokens({.pixel_values = {nullptr, 3, 3, 28, 28}, .image_sizes = wide}) ==
        16 + 4 * 9);
}

TEST_CASE(
    "a folder without an image processor: CLIP's or SigLIP's, and the square of config.json") {
  const TempFolder folder;
  const auto images = image_config_of<Model<Fixed>>(folder.path());
  CHECK(images.height == 28);
  CHECK(images.shortest_edge == 28);
  CHECK(images.do_center_crop);
  CHECK_FALSE(images.crop_to_patches);
  CHECK_FALSE(images.pad_to_square);
  CHECK(images.image_grid_pinpoints.empty());
  folder.write("config.json", R"({"image_aspect_ratio": "pad"})");
  CHECK(image_config_of<Model<Fixed>>(folder.path()).pad_to_square);
  const auto squeezed = image_config_of<Model<OverSiglip>>(folder.path());
  CHECK(squeezed.height == 32);
  CHECK(squeezed.shortest_edge == 0);
  CHECK_FALSE(squeezed.do_center_crop);
  CHECK(squeezed.image_mean == std::array<double, 3>{0.5, 0.5, 0.5});
  CHECK(squeezed.pad_to_square);
}

TEST_CASE("DINOv2 is shown 224 pixels out of 256, though its positions are of 518") {
  const TempFolder folder;
  const auto check_crop = [](const ImageProcessorConfig& images) {
    CHECK(images.height == 224);
    CHECK(images.width == 224);
    CHECK(images.shortest_edge == 256);
    CHECK(images.do_center_crop);
    CHECK(images.image_mean == std::array<double, 3>{0.485, 0.456, 0.406});
  };
  check_crop(image_config_of<Model<Seed96>>(folder.path()));
  check_crop(image_config_of<Model<BabyLmIt>>(folder.path()));
  check_crop(image_config_of<Model<OverDinov2>>(folder.path()));
  CHECK(Architecture<BabyLmIt>::Images::image_tokens(224, 224) == 256);
}

TEST_CASE("an OpenGVLab folder is cut into the tiles of its config.json") {
  const TempFolder folder;
  const auto images = [&](const std::string& config) {
    folder.write("config.json", config);
    return image_config_of<Model<Tiles>>(folder.path());
  };
  // The processor's file of OpenGVLab/InternVL3-1B: CLIP's, with no word of tiles.
  folder.write("preprocessor_config.json",
               R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 28, "crop_size": 28,
                   "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]})");
  const auto usual = images(R"({"model_type": "internvl_chat", "dynamic_image_size": true,
      "use_thumbnail": true, "min_dynamic_patch": 1, "max_dynamic_patch": 6})");
  CHECK(usual.crop_to_patches);
  CHECK(usual.max_patches == 6);
  CHECK(usual.shortest_edge == 0);
  CHECK_FALSE(usual.do_center_crop);
  CHECK(patches_of(28, 84, usual) == 3 + 1);
  CHECK(patches_of(280, 28, usual) == 6 + 1);
  CHECK(patches_of(280, 28, images(R"({"model_type": "internvl_chat"})")) == 10 + 1);
  CHECK(patches_of(28, 84, images(R"({"model_type": "internvl_chat", "use_thumbnail": false})")) ==
        3);
  CHECK(patches_of(28, 28, images(R"({"model_type": "internvl_chat", "min_dynamic_patch": 4,
                                      "max_dynamic_patch": 4})")) == 4 + 1);
  CHECK(patches_of(28, 84,
                   images(R"({"model_type": "internvl_chat", "dynamic_image_size": false})")) == 1);
  CHECK(patches_of(28, 84, images(R"({"model_type": "internvl"})")) == 1);  // the file decides
  const auto error = error_of([&] {
    images(R"({"model_type": "internvl_chat", "min_dynamic_patch": 5, "max_dynamic_patch": 4})");
  });
  REQUIRE(error);
  CHECK(error->field() == "max_dynamic_patch");
  // A file that speaks of tiles itself is believed.
  folder.write(
      "preprocessor_config.json",
      R"({"size": {"height": 28, "width": 28}, "crop_to_patches": true, "max_patches": 2})");
  CHECK(images(R"({"model_type": "internvl_chat", "max_dynamic_patch": 6})").max_patches == 2);
}

TEST_CASE("what a processor's file says is taken; the resolutions are the model's") {
  const std::string chats = "tests/fixtures/chat/";
  const auto fixed = image_config_of<Model<Fixed>>(chats + "llava");
  CHECK(fixed.height == 28);
  CHECK(fixed.do_center_crop);
  CHECK(fixed.image_grid_pinpoints.empty());
  const auto anyres = image_config_of<Model<Anyres>>(chats + "llava_next");
  CHECK(anyres.image_grid_pinpoints.size() == 2);
}

}  // namespace visual_rules_test
