#include "gov/text/add_tokens.hpp"

#include <doctest/doctest.h>

#include "gov/text/latent_tokens.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/tokenizer_fixture.hpp"

using namespace gov;
using namespace gov::test;

namespace {

const std::vector<NewToken> latents = {{"<|start-latent|>"}, {"<|end-latent|>"}, {"<|latent|>"}};

void put(const TempFolder& folder, const AddedTokens& added) {
  for (const auto& [name, text] : added.files) folder.write(name, text);
}

TempFolder& with_tokenizer(TempFolder& folder, const std::string& name) {
  folder.write("tokenizer.json", file_bytes(tokenizer_fixtures + name + "/tokenizer.json"));
  return folder;
}

}  // namespace

TEST_CASE("new ids follow the largest, and the text finds them") {
  for (const std::string name : {"qwen2", "gpt2", "llama2", "gemma"}) {
    CAPTURE(name);
    TempFolder folder;
    const Tokenizer& before = fixture_tokenizer(name);
    const AddedTokens added = add_tokens(with_tokenizer(folder, name).path(), latents);
    const int first = before.vocab_size();
    CHECK(added.ids == std::vector{first, first + 1, first + 2});
    REQUIRE(added.files.size() == 1);
    put(folder, added);
    const Tokenizer after = Tokenizer::load(folder.path().string());
    CHECK(after.token_count() == before.token_count() + 3);
    const auto ids = after.encode("a<|start-latent|><|latent|><|latent|><|end-latent|>b");
    CHECK(std::count(ids.begin(), ids.end(), first + 2) == 2);
    CHECK(after.is_added(first));
    CHECK_FALSE(after.is_special(first));
    CHECK(after.decode(std::vector{first + 2}, {.skip_special_tokens = true}) == "<|latent|>");
    for (const std::string& text : {std::string("Nothing new here."), std::string("字 é\n")})
      CHECK(after.encode(text) == before.encode(text));
  }
}

TEST_CASE("InternVL3's vocabulary of 151,674: the latents are 151674 to 151676") {
  // As OpenGVLab's: 151,643 tokens of the model, then 31 added ones.
  TempFolder folder;
  std::vector<std::string> contents;
  for (int id = 151'643; id < 151'672; ++id) contents.push_back("<" + std::to_string(id) + ">");
  const std::vector<std::string_view> controls(contents.begin(), contents.end());
  folder.write("tokenizer.json",
               byte_tokenizer_json(SplitPattern::qwen2, controls, false, false, 151'643));
  REQUIRE(Tokenizer::load(folder.path().string()).vocab_size() == 151'674);
  const AddedTokens added = add_tokens(folder.path(), latents);
  CHECK(added.ids == std::vector{151'674, 151'675, 151'676});
  put(folder, added);
  const Tokenizer after = Tokenizer::load(folder.path().string());
  CHECK(after.vocab_size() == 151'677);
  const LatentTokens found = find_latent_tokens(after);
  CHECK(found.start == 151'674);
  CHECK(found.end == 151'675);
  CHECK(found.latent == 151'676);
  CHECK(after.encode("<|start-latent|><|latent|><|end-latent|>") ==
        std::vector{151'674, 151'676, 151'675});
}

TEST_CASE("the other files say the same, where they exist") {
  TempFolder folder;
  with_tokenizer(folder, "qwen2");
  folder.write("added_tokens.json", R"({"<img>": 1808})");
  folder.write("tokenizer_config.json", R"({"added_tokens_decoder": {"1808": {"content": "<img>"}},
      "additional_special_tokens": ["<img>"], "model_max_length": 8192, "x": 0.1})");
  folder.write("special_tokens_map.json", R"({"eos_token": "<|im_end|>"})");
  const AddedTokens added =
      add_tokens(folder.path(), std::vector<NewToken>{{"<a>"}, {"<b>", true}});
  put(folder, added);
  const auto load = [&](const char* name) { return load_json(folder / name); };
  CHECK(load("added_tokens.json").at("<a>").as_int() == added.ids[0]);
  CHECK(load("added_tokens.json").at("<img>").as_int() == 1808);
  const Json config = load("tokenizer_config.json");
  const Json entry = config.at("added_tokens_decoder").at(std::to_string(added.ids[1]));
  CHECK(entry.at("content").as_string() == "<b>");
  CHECK(entry.at("special").as_bool());
  CHECK(config.at("additional_special_tokens").as_vector<std::string>() ==
        std::vector<std::string>{"<img>", "<b>"});
  CHECK(config.at("x").as_double() == 0.1);
  CHECK_FALSE(load("special_tokens_map.json").contains("additional_special_tokens"));
  CHECK(Tokenizer::load(folder.path().string()).is_special(added.ids[1]));
}

TEST_CASE("a token that exists, twice the same, or no text at all is refused") {
  TempFolder folder;
  with_tokenizer(folder, "qwen2");
  const auto code = [&](std::vector<NewToken> tokens) {
    return code_of([&] { add_tokens(folder.path(), tokens); });
  };
  CHECK(code({{"<new>"}, {"<img>"}}) == "bad_tokenizer");  // added
  CHECK(code({{"a"}}) == "bad_tokenizer");                 // of the model
  CHECK(code({{"<new>"}, {"<new>"}}) == "bad_argument");
  CHECK(code({}) == "bad_argument");
  CHECK(code({{""}}) == "bad_argument");
  CHECK(code({{"\xff"}}) == "bad_argument");
  CHECK(code({{std::string(1025, 'x')}}) == "bad_argument");
  const auto error = error_of([&] { add_tokens(folder.path(), std::vector<NewToken>{{"<img>"}}); });
  REQUIRE(error);
  CHECK(error->found().find("<img>, which is id ") != std::string::npos);
  TempFolder empty;
  CHECK(code_of([&] { add_tokens(empty.path(), latents); }) == "io_error");
}
