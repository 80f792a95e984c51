// LLaVA's config.json, its parameters and the names that its files give them. What it computes is
// held against transformers in tests/parity.
#include "gov/model/llava.hpp"

#include <doctest/doctest.h>

#include "gov/io/name_map.hpp"
#include "gov/model/config_output.hpp"
#include "gov/model/load.hpp"
#include "gov/vision/siglip_vit.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;

// llava-hf/llava-1.5-7b-hf: CLIP-L/336 without its pooled head, 1024 -> 4096 -> 4096, Vicuna.
static_assert(parameter_count<Architecture<Llava15_7b>> == 7'063'427'072);
static_assert(Architecture<Llava15_7b>::Images::image_tokens(336, 336) == 576);
static_assert(Architecture<Llava15_7b>::Images::deepest == 23);

// SigLIP has no class token: under "default" a picture's first patch is lost, as in transformers.
template <FeatureSelect Select>
struct OverSiglip : Llava {
  using Vision = TinySiglipVit;
  using Language = Llava15_7b::Language;
  static constexpr LlavaConfig config{.vision_feature_select_strategy = Select};
};
static_assert(Architecture<OverSiglip<FeatureSelect::full>>::Images::image_tokens(32, 32) == 16);
static_assert(Architecture<OverSiglip<FeatureSelect::default_>>::Images::image_tokens(32, 32) ==
              15);

ModelDescription of_text(const std::string& text) {
  return describe_config(parse_json(text, "config.json"));
}
std::string found_problem(const std::string& text) {
  const auto error = test::error_of([&] { of_text(text); });
  return error ? error->what() : "";
}

const std::string vision =
    R"("vision_config":{"hidden_size":24,"num_attention_heads":3,"num_hidden_layers":3,"image_size":24,"patch_size":8})";

TEST_CASE("what a file leaves out is the class's") {
  const auto found =
      of_text("{\"model_type\":\"llava\",\"text_config\":{\"vocab_size\":32064}," + vision + "}");
  REQUIRE(found.composition);
  const auto& between = found.composition->config.as<LlavaConfig>();
  CHECK(between.vision_feature_layer == FeatureLayers(-2));
  CHECK(between.vision_feature_select_strategy == FeatureSelect::default_);
  CHECK(between.multimodal_projector_bias);
  CHECK(found.tokens.image_token_id == 32000);
  CHECK(found.language.model_type() == "llama");
  CHECK(found.composition->vision.as<ClipVitConfig>().hidden_act == kernel::Activation::quick_gelu);
  CHECK_FALSE(found.tied());
}

TEST_CASE("layers may be a list, the image token goes by two names, the text may tie") {
  const auto found = of_text(
      R"({"model_type":"llava","image_token_id":5,"vision_feature_layer":[-2,0,1],"text_config":
          {"model_type":"qwen2","tie_word_embeddings":true},)" +
      vision + "}");
  CHECK(found.composition->config.as<LlavaConfig>().vision_feature_layer ==
        FeatureLayers{-2, 0, 1});
  CHECK(found.tokens.image_token_id == 5);
  CHECK(found.tied());
  const std::string again = config_json(found, Layout::hf, "float32");
  CHECK(parse_json(again, "f").at("image_token_index").as<int>() == 5);
  CHECK(parse_json(again, "f").at("vision_feature_layer").size() == 3);
  CHECK(differences(of_text(again), found).empty());
  CHECK(config_code(found.composition->config.as<LlavaConfig>()) ==
        "{.vision_feature_layer = {-2, 0, 1}, .tie_word_embeddings = true}");
}

TEST_CASE("what does not hold together names its key") {
  const auto text = [](const std::string& more) {
    return "{\"model_type\":\"llava\",\"text_config\":{\"vocab_size\":32064}," + vision + "," +
           more + "}";
  };
  CHECK(found_problem(text(R"("vision_feature_layer":4)")).find("vision_feature_layer") !=
        std::string::npos);
  CHECK(found_problem(text(R"("vision_feature_layer":[-5,0])")).find("vision_feature_layer") !=
        std::string::npos);
  CHECK(found_problem(text(R"("vision_feature_layer":[])")).find("a list of 1 to 8") !=
        std::string::npos);
  CHECK(found_problem(text(R"("image_token_index":32064)")).find("vocab_size = 32064") !=
        std::string::npos);
  CHECK(found_problem(R"({"model_type":"llava","text_config":{"vocab_size":32064},"vision_config":
      {"model_type":"blip_vision_model"}})")
            .find("clip_vision_model, siglip_vision_model, dinov2") != std::string::npos);
  CHECK(found_problem(R"({"model_type":"blip"})").find("internvl, llava, llava_next") !=
        std::string::npos);
}

TEST_CASE("SigLIP: its head is not the model's, whatever the file says") {
  for (const char* head : {"", R"(,"vision_use_head":true)", R"(,"vision_use_head":false)"}) {
    const auto found = of_text(
        R"({"model_type":"llava","vision_feature_select_strategy":"full","text_config":
            {"vocab_size":32064},"vision_config":{"model_type":"siglip_vision_model")" +
        std::string(head) + "}}");
    CHECK(found.composition->vision == AnyTower(SiglipVitConfig{}));
    const Json again = parse_json(config_json(found, Layout::hf, "float32"), "f");
    CHECK_FALSE(again.at("vision_config").at("vision_use_head").as_bool());
    CHECK(differences(describe_config(again), found).empty());
    const std::string own = R"({"a":1,"vision_config":{"b":2)" + std::string(head) + "}}";
    const Json without = parse_json(without_vision_head(own, found), "f");
    CHECK_FALSE(without.at("vision_config").at("vision_use_head").as_bool());
    CHECK(without.at("vision_config").size() == 2);
    CHECK(without.at("a").as_int() == 1);
    CHECK(without_vision_head(own, ModelDescription::of<Llava15_7b>()) == own);
  }
}

TEST_CASE("another family is another model, whatever its keys") {
  const auto found =
      of_text("{\"model_type\":\"llava\",\"text_config\":{\"vocab_size\":32064}," + vision + "}");
  auto other = found;
  other.composition->config = InternVlConfig{};
  CHECK(differences(found, other).front() == "model_type=llava (compiled internvl)");
  other = found;
  other.composition->vision = VitConfig{};
  CHECK(differences(found, other).front() ==
        "vision_config.model_type=clip_vision_model (compiled vit)");
}

TEST_CASE("published files have a word more before the tower's names") {
  Naming naming = naming_of<Llava15_7b>();
  const std::string ours = "model.vision_tower.encoder.layers.0.mlp.fc1.weight";
  CHECK(spell(Layout::hf_old, ours, naming).name == "vision_tower.encoder.layers.0.mlp.fc1.weight");
  naming.look_at("language_model.model.norm.weight");
  CHECK(spell(Layout::hf, ours, naming).name == ours);
  naming.look_at("vision_tower.vision_model.pre_layrnorm.bias");
  CHECK(spell(Layout::hf_old, ours, naming).name ==
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight");
  CHECK(spell(Layout::hf, ours, naming).name ==
        "model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight");
  CHECK(spell(Layout::hf_old, "model.image_newline", naming).name == "image_newline");
}

}  // namespace
