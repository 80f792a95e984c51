// A config.json that is written reads back as what it was written from, in every layout.
#include "gov/model/config_output.hpp"

#include <doctest/doctest.h>

#include <set>

#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "; ";
  return text;
}
ModelDescription again(const ModelDescription& description, Layout layout) {
  return describe_config(parse_json(config_json(description, layout, "bfloat16"), "config.json"));
}
void check_same(const ModelDescription& a, const ModelDescription& b, bool tokens = true) {
  CHECK(joined(differences(a, b)) == "");
  CHECK(a.tied() == b.tied());
  if (!tokens) return;
  CHECK(a.language.max_position_embeddings() == b.language.max_position_embeddings());
  CHECK(a.tokens.image_token_id == b.tokens.image_token_id);
  CHECK(a.tokens.bos_token_id == b.tokens.bos_token_id);
  CHECK(a.tokens.pad_token_id == b.tokens.pad_token_id);
  CHECK(a.tokens.eos_token_id == b.tokens.eos_token_id);
}

TEST_CASE("every config of the fixtures, in every layout that can say it") {
  int written = 0;
  for (const auto& entry : std::filesystem::directory_iterator("tests/fixtures/parity")) {
    const auto path = entry.path() / "config.json";
    if (!std::filesystem::exists(path)) continue;
    CAPTURE(path.string());
    ModelDescription description = describe(path);
    if (description.composition && description.composition->image_token_key() != "" &&
        description.tokens.image_token_id < 0) {  // OpenGVLab's leave it out
      CHECK(code_of([&] { again(description, Layout::hf); }) == "missing_field");
      description.tokens.image_token_id = 9;
    }
    for (const Layout layout : {Layout::hf, Layout::hf_old, Layout::internvl}) {
      if (layout == Layout::internvl && !description.composition) continue;
      if (layout == Layout::internvl && !description.composition->config.is<InternVlConfig>()) {
        CHECK(code_of([&] { again(description, layout); }) == "unsupported");
        continue;
      }
      CAPTURE(std::string(to_string(layout)));
      check_same(again(description, layout), description);
      ++written;
    }
  }
  CHECK(written > 40);
}

ModelDescription with_image_token(ModelDescription description) {
  if (description.composition && description.composition->image_token_key() != "")
    description.tokens.image_token_id = 9;
  return description;
}
template <class... Cfg>
void check_presets() {
  const auto check = [](const ModelDescription& description) {
    check_same(again(description, Layout::hf), description);
  };
  (check(with_image_token(ModelDescription::of<Cfg>())), ...);
}
TEST_CASE("the presets") {
  check_presets<InternVl35GptOss20b, GptOss20b, GptOss120b, TinyGov, TinyGptOss, GovNotes>();
  check_presets<InternVl3_1b, Llama2_7b, Llama3_8b, Llama3_1_8b, Llama3_2_1b, Mistral7b, Qwen2_0_5b,
                Qwen2_7b, Qwen3_0_6b, Gemma2b, Gemma7b, Mixtral8x7b, Gpt2Small, Bambi, Mpt7b>();
  check_presets<GptOssVision20b, GptOssVisionVit20b, GptOssVisionConv20b, GptOssVisionVit120b>();
  check_presets<Seed96, BabyLmIt, LlavaSt>();
}

TEST_CASE("a composition with another language model, in OpenGVLab's spelling too") {
  const ModelDescription description = with_image_token(ModelDescription::of<InternVl3_1b>());
  for (const Layout layout : {Layout::hf, Layout::internvl})
    check_same(again(description, layout), description);
  const Json json = parse_json(config_json(description, Layout::internvl, "bfloat16"), "f");
  CHECK(json.at("llm_config").at("model_type").as_string() == "qwen2");
  CHECK(json.at("llm_config").at("rope_parameters").at("rope_type").as_string() == "dynamic");
  const Json text =
      parse_json(config_json(ModelDescription::of<Mistral7b>(), Layout::hf, "bfloat16"), "f");
  CHECK(text.at("architectures").at(0).as_string() == "MistralForCausalLM");
}

TEST_CASE("special tokens are kept") {
  ModelDescription description = ModelDescription::of<TinyGov>();
  description.tokens.image_token_id = 17;
  description.tokens.bos_token_id = 3;
  description.tokens.eos_token_id = {4, 5};
  for (const Layout layout : {Layout::hf, Layout::internvl})
    check_same(again(description, layout), description);
}

TEST_CASE("openai's file says what it can, and the rest is refused") {
  const ModelDescription description = describe("tests/fixtures/parity/text-mxfp4/config.json");
  check_same(again(description, Layout::openai), description, false);
  check_same(again(ModelDescription::of<GptOss20b>(), Layout::openai),
             ModelDescription::of<GptOss20b>(), false);
  CHECK(code_of([] { config_json(ModelDescription::of<TinyGov>(), Layout::openai, "bfloat16"); }) ==
        "unsupported");
  CHECK(code_of([] { config_json(ModelDescription::of<Qwen2_0_5b>(), Layout::openai, ""); }) ==
        "unsupported");
  const auto refused = [&](auto&& change) {
    ModelDescription other = description;
    change(other.language.as<GptOssConfig>());
    return code_of([&] { config_json(other, Layout::openai, "bfloat16"); });
  };
  CHECK(refused([](GptOssConfig&) {}) == "none");
  CHECK(refused([](GptOssConfig& c) { c.rope_parameters.rope_type = RopeType::linear; }) ==
        "unsupported");
  CHECK(refused([](GptOssConfig& c) { c.rope_parameters.truncate = true; }) == "unsupported");
  CHECK(refused([](GptOssConfig& c) { c.attention_bias = false; }) == "unsupported");
  CHECK(refused([](GptOssConfig& c) { c.tie_word_embeddings = true; }) == "unsupported");
  CHECK(refused([](GptOssConfig& c) { c.rms_norm_eps = 1e-6; }) == "unsupported");
  CHECK(refused([](GptOssConfig& c) { c.swiglu_alpha = 1.5; }) == "unsupported");
}

TEST_CASE("architectures and dtypes, as the layout spells them") {
  const ModelDescription description = with_image_token(ModelDescription::of<TinyGov>());
  const Json hf = parse_json(config_json(description, Layout::hf, "float32"), "f");
  CHECK(hf.at("architectures").at(0).as_string() == "InternVLForConditionalGeneration");
  CHECK(hf.at("dtype").as_string() == "float32");
  const Json original = parse_json(config_json(description, Layout::internvl, "float32"), "f");
  CHECK(original.at("architectures").at(0).as_string() == "InternVLChatModel");
  CHECK(original.at("torch_dtype").as_string() == "float32");
  CHECK(original.at("llm_config").at("model_type").as_string() == "gpt_oss");
  CHECK(original.at("vision_config").contains("qkv_bias"));
  CHECK(!original.at("vision_config").contains("attention_bias"));
}

TEST_CASE("a key more, another value, a key less") {
  const Json config = parse_json(R"({"a": 1, "b": {"c": [1.5, "x", null]}})", "f");
  const auto five = [](JsonWriter& out) { out.value(5); };
  const Json more = parse_json(with_key(config, "z", five), "f");
  CHECK(more.at("z").as_int() == 5);
  CHECK(more.at("a").as_int() == 1);
  CHECK(more.at("b").at("c").at(1).as_string() == "x");
  const Json other = parse_json(with_key(config, "a", five), "f");
  CHECK(other.at("a").as_int() == 5);
  CHECK(other.size() == 2);
  const Json less = parse_json(with_key(config, "a", {}), "f");
  CHECK(!less.contains("a"));
  CHECK(less.contains("b"));
}

}  // namespace
