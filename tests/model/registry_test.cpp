// The type whose geometry a config.json asks for is picked; when none fits, the nearest is named,
// with what differs and the lines of CMake to write.
#include "gov/model/registry.hpp"

#include <doctest/doctest.h>

#include "gov/model/architecture.hpp"
#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/fixtures.hpp"

namespace registry_test {

using namespace gov;
using namespace gov::test;
using Models = auto_model<TextMxfp4, VlmTiny, VlmBf16, MistralFullBf16>;

const std::string parity = "tests/fixtures/parity/";

std::string picked(const std::string& folder) {
  return Models::visit(folder,
                       []<class Cfg>(std::type_identity<Cfg>) { return std::string(Cfg::name); });
}

TEST_CASE("the type that fits, in any spelling of the config") {
  for (const auto& [folder, name] : {std::pair{"vlm-bf16", "VlmBf16"},
                                     {"vlm-bf16-hf-new", "VlmBf16"},
                                     {"vlm-bf16-internvl", "VlmBf16"},
                                     {"vlm-tiny", "VlmTiny"},
                                     {"vlm-tiny-sharded", "VlmTiny"},
                                     {"text-mxfp4", "TextMxfp4"},
                                     {"mistral-full-bf16", "MistralFullBf16"},
                                     {"text-mxfp4-openai", "TextMxfp4"}}) {
    const auto shown_folder = std::string(folder);  // clang 14: no capture of bindings
    CAPTURE(shown_folder);
    CHECK(picked(parity + folder) == name);
  }
  int calls = 0;
  Models::visit(parity + "vlm-bf16",
                [&]<class Cfg>(std::type_identity<Cfg>) { calls += std::is_same_v<Cfg, VlmBf16>; });
  CHECK(calls == 1);
}

TEST_CASE("max_position_embeddings is not geometry") {
  ModelDescription wanted = ModelDescription::of<TextMxfp4>();
  wanted.language.set_max_position_embeddings(77);
  CHECK(Models::select(wanted, "folder") == 0);
}

TEST_CASE("no type fits: the nearest, the differences, the remedy") {
  const auto refused = [](const ModelDescription& wanted) {
    const auto error = error_of([&] { Models::select(wanted, "some/folder"); });
    REQUIRE(error);
    CHECK(error->code() == Errc::no_matching_model);
    CHECK(error->file() == "some/folder");
    return error->found();
  };
  ModelDescription wanted = ModelDescription::of<VlmTiny>();
  wanted.language.as<GptOssConfig>().sliding_window = 6;
  wanted.composition->vision.as<InternVitConfig>().num_hidden_layers = 3;
  const std::string two = refused(wanted);
  for (const char* part :
       {"the nearest, VlmTiny, differs in ", "vision_config.num_hidden_layers=3 (compiled 2)",
        "text_config.sliding_window=6 (compiled 5)", "gov_add_model(MyModel CONFIG some/folder)",
        "gov_add_tool(mytool MODELS MyModel)"})
    CHECK_MESSAGE(two.find(part) != two.npos, two);

  // A type of the same kind is nearer than one without a tower, however much differs.
  wanted = ModelDescription::of<GovNotes>();
  const std::string many = refused(wanted);
  CHECK_MESSAGE(many.find("the nearest, Vlm") != many.npos, many);
  CHECK_MESSAGE(many.find(" more. To compile") != many.npos, many);
  wanted = ModelDescription::of<TinyGptOss>();
  CHECK(refused(wanted).find("the nearest, TextMxfp4") != std::string::npos);
  const auto error =
      error_of([] { auto_model<TextMxfp4>::select(ModelDescription::of<VlmTiny>(), "f"); });
  REQUIRE(error);
  CHECK(error->found().find("has a vision tower (compiled without)") != std::string::npos);
}

TEST_CASE("a model of another family is another model, however its numbers are") {
  const auto refused = [](const char* folder) {
    const auto error = error_of([&] { picked(parity + folder); });
    REQUIRE(error);
    CHECK(error->code() == Errc::no_matching_model);
    return error->found();
  };
  CHECK(refused("llama-tiny").find("model_type=llama (compiled ") != std::string::npos);
  // Of one family, the nearest is of that family.
  CHECK(refused("mistral-window").find("the nearest, MistralFullBf16") != std::string::npos);
  const auto error = error_of(
      [] { auto_model<MistralFullBf16>::select(describe(parity + "mistral-window"), "f"); });
  REQUIRE(error);
  CHECK(error->found().find("sliding_window=4 (compiled null)") != std::string::npos);
}

TEST_CASE("a folder that cannot be read says so itself") {
  CHECK(code_of([] { picked("no/such/folder"); }) == "io_error");
}

}  // namespace registry_test
