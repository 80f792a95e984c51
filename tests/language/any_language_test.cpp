// One value for the config of any family.
#include "gov/language/any_language.hpp"

#include <doctest/doctest.h>

#include <set>

namespace {

using namespace gov;

TEST_CASE("what is held is asked by the same words, whatever its family") {
  AnyLanguage any = Mistral7b::config;
  CHECK(any.model_type() == "mistral");
  CHECK(any.is<MistralConfig>());
  CHECK(any.geometry().head_dim == 128);
  CHECK_FALSE(any.tied());
  any.set_tied(true);
  CHECK(any.as<MistralConfig>().tie_word_embeddings);
  any.set_max_position_embeddings(99);
  CHECK(any.max_position_embeddings() == 99);
  CHECK_THROWS_AS(any.as<LlamaConfig>(), std::bad_variant_access);
  any = Qwen3_0_6b::config;
  CHECK(any.model_type() == "qwen3");
}

TEST_CASE("keys that may change after loading are taken from another of the family") {
  AnyLanguage any = GptOssVision20b::config;
  GptOssVisionConfig other{.use_nope = true, .nope_stride = 2, .router_aux_loss_coef = 0.5};
  any.take_run_time(other);
  CHECK(any.as<GptOssVisionConfig>().use_nope);
  CHECK(any.as<GptOssVisionConfig>().nope_stride == 2);
  CHECK(any.as<GptOssVisionConfig>().router_aux_loss_coef == 0.5);
  CHECK(any.geometry().num_hidden_layers == 24);  // geometry stays
  any = GptOssConfig{};
  const std::vector<AnyLanguage> of_another{GptOssConfig{.swiglu_limit = 3}};
  any.take_run_time(of_another.front());
  CHECK(any == AnyLanguage(GptOssConfig{}));
}

TEST_CASE("equal when everything that is said, or follows, is equal") {
  CHECK(AnyLanguage(LlamaConfig{}) == AnyLanguage(LlamaConfig{.num_key_value_heads = 32}));
  CHECK(AnyLanguage(LlamaConfig{}) != AnyLanguage(LlamaConfig{.num_key_value_heads = 8}));
  CHECK(AnyLanguage(LlamaConfig{}) != AnyLanguage(MistralConfig{}));
  CHECK(AnyLanguage() == AnyLanguage(GptOssConfig{}));
}

TEST_CASE("each family once, by its model_type") {
  std::set<std::string> seen;
  for (const char* type : {"gpt_oss", "llama", "mistral", "qwen2", "qwen3", "gemma", "mixtral",
                           "gpt2", "mpt", "gpt_oss_vision"})
    CHECK(AnyLanguage::with_model_type(type, [&]<class C>(const C& config) {
      CHECK(C::model_type == type);
      CHECK(config == C{});
      seen.insert(std::string(C::header));
    }));
  CHECK(seen.size() == 10);
  CHECK_FALSE(AnyLanguage::with_model_type("bert", [](const auto&) { CHECK(false); }));
  CHECK(AnyLanguage::model_types().find("llama, mistral") != std::string::npos);
}

}  // namespace
