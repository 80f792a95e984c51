// Which class a config.json may name, and what is told of one that names another family's.
#include "gov/model/architecture_names.hpp"

#include <doctest/doctest.h>

#include <set>

#include "gov/model/config_output.hpp"
#include "gov/model/description.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace architecture_names_test {

using namespace gov;
using namespace gov::test;

ModelDescription of_text(const std::string& text) {
  return describe_config(parse_json(text, "folder/config.json"));
}
std::string language(std::string_view type, std::string_view names) {
  return R"({"model_type":")" + std::string(type) + R"(","architectures":)" + std::string(names) +
         "}";
}
std::string list_of(std::string_view name) { return "[\"" + std::string(name) + "\"]"; }

TEST_CASE("every class under every model_type: accepted where it belongs, refused elsewhere") {
  std::set<std::pair<std::string, std::string>> belong;
  std::set<std::string> classes, types;
  for_each_architecture([&](std::string_view name, std::string_view type) {
    belong.emplace(name, type);
    classes.emplace(name);
  });
  CHECK(classes.size() == 9 + 5 + 1 + 6);  // GptOssForCausalLM and LlavaGPT2ForCausalLM come twice
  AnyLanguage::for_each([&]<class C>(const C&) { types.emplace(C::model_type); });
  CHECK(types.size() == 10);
  for (const std::string& name : classes)
    for (const std::string& type : types) {
      CAPTURE(name);
      CAPTURE(type);
      Problems problems("config.json");
      const std::string text = language(type, list_of(name));
      check_architectures(parse_json(text, "config.json"), type, problems);
      CHECK(problems.empty() == belong.contains({name, type}));
    }
}

TEST_CASE("a Mistral under a Llama's model_type is refused by name, and the other way round") {
  const auto error = error_of([] { of_text(language("llama", R"(["MistralForCausalLM"])")); });
  REQUIRE(error);
  CHECK(error->code() == Errc::bad_config);
  CHECK(error->file() == "folder/config.json");
  CHECK(error->field() == "architectures[0]");
  CHECK(error->expected() == "LlamaForCausalLM, as model_type is \"llama\"");
  CHECK(error->found() == "MistralForCausalLM, of model_type mistral");
  CHECK(code_of([] { of_text(language("mistral", R"(["LlamaForCausalLM"])")); }) == "bad_config");
  CHECK(code_of([] { of_text(language("qwen2", R"(["Qwen3ForCausalLM"])")); }) == "bad_config");
  CHECK(code_of([] { of_text(language("llama", R"(["LlavaLlamaForCausalLM"])")); }) ==
        "bad_config");
  const auto second =
      error_of([] { of_text(language("llama", R"(["LlamaForCausalLM", "GemmaForCausalLM"])")); });
  REQUIRE(second);
  CHECK(second->field() == "architectures[1]");
}

TEST_CASE("what is no class of the table tells nothing") {
  for (const char* names : {"null", "[]", R"(["LlamaModel"])", R"(["MistralModel", "My"])",
                            R"(["LlamaForSequenceClassification"])"}) {
    CAPTURE(std::string(names));
    CHECK(of_text(language("llama", names)).language.model_type() == "llama");
  }
  CHECK(code_of([] { of_text(language("llama", "\"LlamaForCausalLM\"")); }) == "bad_type");
  CHECK(code_of([] { of_text(language("llama", "[1]")); }) == "bad_type");
}

TEST_CASE("the language model's class inside a composition") {
  const auto whole = [](std::string_view top, std::string_view text) {
    return R"({"model_type":"llava","image_token_index":5,"architectures":)" + list_of(top) +
           R"(,"vision_config":{},"text_config":{)" + std::string(text) + "}}";
  };
  const std::string llava = "LlavaForConditionalGeneration";
  const std::string mistral = R"("architectures":["MistralForCausalLM"])";
  CHECK(of_text(whole(llava, R"("model_type":"mistral",)" + mistral)).language.model_type() ==
        "mistral");
  const auto error = error_of([&] { of_text(whole(llava, R"("model_type":"llama",)" + mistral)); });
  REQUIRE(error);
  CHECK(error->code() == Errc::bad_config);
  CHECK(error->field() == "text_config.architectures[0]");
  // Without a model_type it is the family's usual one, a Llama.
  CHECK(code_of([&] { of_text(whole(llava, mistral)); }) == "bad_config");
  const auto other = error_of([&] {
    of_text(whole("LlavaNextForConditionalGeneration", R"("model_type":"mistral",)" + mistral));
  });
  REQUIRE(other);
  CHECK(other->field() == "architectures[0]");
  CHECK(other->found() == "LlavaNextForConditionalGeneration, of model_type llava_next");

  const auto internvl = error_of([] {
    of_text(R"({"model_type":"internvl_chat","architectures":["InternVLChatModel"],
      "vision_config":{},"llm_config":{"model_type":"qwen2","architectures":["Qwen3ForCausalLM"]}})");
  });
  REQUIRE(internvl);
  CHECK(internvl->field() == "llm_config.architectures[0]");
}

TEST_CASE("a file called llava is the wrapper whose class it names, or Llama's") {
  const auto read = [](std::string_view type, std::string_view names) {
    return of_text(R"({"model_type":")" + std::string(type) +
                   R"(","mm_vision_tower":"facebook/dinov2-base",)" +
                   R"("mm_projector_type":"mlp2x_gelu","architectures":)" + std::string(names) +
                   "}")
        .language.model_type();
  };
  for (const LlavaWrapper& wrapper : available_models) {
    CHECK(read("llava", list_of(wrapper.architecture)) == wrapper.language);
    CHECK(read(wrapper.model_type, list_of(wrapper.architecture)) == wrapper.language);
  }
  CHECK(read("llava", "[]") == "llama");
  CHECK(read("llava", R"(["Mine"])") == "llama");
  CHECK(code_of([&] { read("llava_llama", R"(["LlavaQwenForCausalLM"])"); }) == "bad_config");
}

TEST_CASE("without a model_type the class tells, and else the folder's name") {
  const auto read = [](std::string_view names) {
    return describe_config(parse_json(R"({"mm_vision_tower":"facebook/dinov2-base",)"
                                      R"("mm_projector_type":"mlp2x_gelu","architectures":)" +
                                          std::string(names) + "}",
                                      "llava-v1.5-7b/config.json"))
        .language.model_type();
  };
  for (const LlavaWrapper& wrapper : available_models)
    CHECK(read(list_of(wrapper.architecture)) == wrapper.language);
  CHECK(read(R"(["Mine"])") == "llama");
  CHECK(read("[]") == "llama");
}

TEST_CASE("the fixtures' classes, which transformers wrote, are read; what is written as well") {
  int read = 0, named = 0;
  for (const auto& folder : std::filesystem::directory_iterator("tests/fixtures/parity")) {
    const auto file = folder.path() / "config.json";
    if (!std::filesystem::exists(file)) continue;
    CAPTURE(file.string());
    const Json json = load_json(file.string());
    const ModelDescription found = describe_config(json);
    const auto is_known = [](std::string_view name) {
      bool known = name == "GptOssVisionForCausalLM";  // ours: transformers has none
      for_each_architecture(
          [&](std::string_view each, std::string_view) { known |= each == name; });
      return known;
    };
    if (json.has_value("architectures")) {
      CHECK(is_known(json.at("architectures").at(0).as_string()));
      ++named;
    }
    for (const Layout layout : {Layout::hf, Layout::internvl}) {
      if (layout == Layout::internvl &&
          (!found.composition || !found.composition->config.is<InternVlConfig>()))
        continue;
      ModelDescription description = found;
      if (description.tokens.image_token_id == -1) description.tokens.image_token_id = 1;
      const Json written = parse_json(config_json(description, layout, "float32"), "written");
      CHECK(is_known(written.at("architectures").at(0).as_string()));
      CHECK_NOTHROW(describe_config(written));
    }
    ++read;
  }
  CHECK(read > 50);
  CHECK(named > 30);
}

}  // namespace architecture_names_test
