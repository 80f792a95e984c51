// What differs between a file's description and a compiled type's.
#include "gov/model/model_description.hpp"

#include <doctest/doctest.h>

#include "gov/model/description.hpp"
#include "gov/model/presets.hpp"
#include "tests/support/models/fixtures.hpp"

namespace model_description_test {

using namespace gov;
using namespace gov::test;

const std::filesystem::path fixtures = "tests/fixtures/parity";

TEST_CASE("what differs is said key by key, with its section") {
  const auto compiled = ModelDescription::of<VlmBf16>();
  auto wanted = describe(fixtures / "vlm-bf16");
  wanted.language.set_max_position_embeddings(7);
  CHECK(differences(wanted, compiled).empty());
  wanted.language.as<GptOssConfig>().num_local_experts = 5;
  wanted.composition->vision.as<InternVitConfig>().use_qk_norm = true;
  wanted.composition->config.as<InternVlConfig>().vision_feature_layer = -2;
  CHECK(differences(wanted, compiled) ==
        std::vector<std::string>{"vision_feature_layer=-2 (compiled -1)",
                                 "vision_config.use_qk_norm=true (compiled false)",
                                 "text_config.num_local_experts=5 (compiled 4)"});
  CHECK(differences(describe(fixtures / "text-mxfp4"), compiled) ==
        std::vector<std::string>{"has no vision tower (compiled with one)"});
  CHECK(differences(wanted, ModelDescription::of<TextMxfp4>()) ==
        std::vector<std::string>{"has a vision tower (compiled without)"});
}

TEST_CASE("what differs between families, and when the number of positions counts") {
  using Lines = std::vector<std::string>;
  const auto of = [](const auto& config) {
    ModelDescription description;
    description.language = config;
    return description;
  };
  CHECK(differences(of(MistralConfig{}), of(LlamaConfig{})) ==
        Lines{"model_type=mistral (compiled llama)"});
  CHECK(differences(of(LlamaConfig{.max_position_embeddings = 7}), of(LlamaConfig{})).empty());
  Qwen2Config dynamic{.rope_parameters = {.rope_type = RopeType::dynamic, .factor = 2}};
  Qwen2Config shorter = dynamic;
  shorter.max_position_embeddings = 16;
  CHECK(differences(of(shorter), of(dynamic)) ==
        Lines{"max_position_embeddings=16 (compiled 32768)"});
  // Keys that decide nothing are not compared.
  CHECK(differences(of(Qwen2Config{.sliding_window = 7, .max_window_layers = 3}), of(Qwen2Config{}))
            .empty());
  CHECK(differences(of(LlamaConfig{.num_key_value_heads = 32, .head_dim = 128}), of(LlamaConfig{}))
            .empty());
}

}  // namespace model_description_test
