// generation_config.json: what is read, what is left at the library's values, what is refused.
#include "gov/infer/generation_config.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

TEST_CASE("the values of a file, and the library's for what it does not say") {
  const auto config = read_generation_config(parse_json(
      R"({"do_sample": true, "temperature": 0.7, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.1,
          "max_new_tokens": 40, "eos_token_id": [200002, 199999], "bos_token_id": 1, "transformers_version": "5.0"})",
      "generation_config.json"));
  CHECK(config.sampling.do_sample);
  CHECK(config.sampling.temperature == 0.7);
  CHECK(config.sampling.top_k == 50);  // transformers' own default
  CHECK(config.sampling.top_p == 0.9);
  CHECK(config.sampling.min_p == 0.05);
  CHECK(config.sampling.repetition_penalty == 1.1);
  CHECK(config.eos_token_id == std::vector<int>{200002, 199999});
  const GenerateOptions options = config.options();
  CHECK(options.max_new_tokens == 40);
  CHECK(options.sampling.temperature == 0.7);
  CHECK(options.stop_tokens.empty());

  const auto none =
      read_generation_config(parse_json(R"({"top_k": null, "eos_token_id": 5})", "f"));
  CHECK(!none.sampling.do_sample);
  CHECK(none.sampling.top_k == 50);
  CHECK(none.max_new_tokens == 128);
  CHECK(none.eos_token_id == std::vector<int>{5});
}

TEST_CASE("a folder without the file has the library's values") {
  const TempFolder folder;
  CHECK(!load_generation_config(folder.path()).sampling.do_sample);
  folder.write("generation_config.json", R"({"top_k": 3})");
  CHECK(load_generation_config(folder.path()).sampling.top_k == 3);
}

TEST_CASE(
    "older checkpoints say it in config.json, and a family's own defaults stand behind both") {
  const TempFolder folder;
  GenerationConfig family;
  family.max_new_tokens = 1024;
  const auto load = [&] { return load_generation_config(folder.path(), family); };
  CHECK(load().max_new_tokens == 1024);
  folder.write("config.json",
               R"({"temperature": 0, "max_new_tokens": 77, "text_config": {"eos_token_id": 2}})");
  CHECK(load().max_new_tokens == 77);
  CHECK(load().eos_token_id == std::vector<int>{2});
  CHECK(!load().sampling.do_sample);
  folder.write("config.json", R"({"eos_token_id": 5, "text_config": {"eos_token_id": 2}})");
  CHECK(load().eos_token_id == std::vector<int>{5});
  CHECK(load().max_new_tokens == 1024);
  folder.write("generation_config.json", R"({"do_sample": false})");  // the newer file, alone
  CHECK(load().eos_token_id.empty());
}

TEST_CASE("values out of range and of wrong types name the file and the field") {
  const TempFolder folder;
  struct Case {
    const char *json, *code, *field;
  };
  const Case cases[] = {{R"({"do_sample": true, "temperature": 0})", "bad_config", "temperature"},
                        {R"({"temperature": -1})", "bad_config", "temperature"},
                        {R"({"temperature": "hot"})", "bad_type", "temperature"},
                        {R"({"top_k": -1})", "bad_config", "top_k"},
                        {R"({"top_k": 4294967296})", "bad_number", "top_k"},
                        {R"({"top_p": 0})", "bad_config", "top_p"},
                        {R"({"top_p": 1.5})", "bad_config", "top_p"},
                        {R"({"min_p": 2})", "bad_config", "min_p"},
                        {R"({"repetition_penalty": 0})", "bad_config", "repetition_penalty"},
                        {R"({"do_sample": 1})", "bad_type", "do_sample"},
                        {R"({"max_new_tokens": 0})", "bad_config", "max_new_tokens"},
                        {R"({"eos_token_id": "2"})", "bad_type", "eos_token_id"},
                        {R"({"eos_token_id": [1, "2"]})", "bad_type", "eos_token_id[1]"},
                        {R"({"eos_token_id": 1)", "bad_json", ""},
                        {R"([])", "bad_type", ""}};
  for (const auto& each : cases) {
    CAPTURE(std::string(each.json));
    const std::string path = folder.write("generation_config.json", each.json);
    const auto error = error_of([&] { load_generation_config(folder.path()); });
    REQUIRE(error);
    CHECK(to_string(error->code()) == each.code);
    CHECK(error->file() == path);
    CHECK(error->field() == each.field);
  }
}

}  // namespace
