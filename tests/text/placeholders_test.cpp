#include "gov/text/placeholders.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gov/text/internvl_chat.hpp"
#include "tests/support/tokenizer_fixture.hpp"

using namespace gov;
using namespace gov::test;

namespace {

// "i" and "v" for visuals inside the text, "I" and "V" for those in front, texts as they are.
std::string spelled(const std::vector<Content>& parts) {
  std::string text;
  for (const Content& part : parts) {
    if (part.kind == Content::Kind::text) {
      text += "[" + part.text + "]";
      continue;
    }
    const bool image = part.kind == Content::Kind::image;
    text += part.inside ? (image ? "i" : "v") : (image ? "I" : "V");
  }
  return text;
}

}  // namespace

TEST_CASE("marks say where images and videos go; without marks they come first") {
  CHECK(spelled(place_visuals("What?", 0, 0)) == "[What?]");
  CHECK(spelled(place_visuals("What?", 2, 1)) == "IIV[What?]");
  CHECK(spelled(place_visuals("<image>\nWhat?", 1, 0)) == "i[\nWhat?]");
  CHECK(spelled(place_visuals("a<image><image>b<video>", 2, 1)) == "[a]ii[b]v");
  CHECK(spelled(place_visuals("a<video>b", 2, 1)) == "II[a]v[b]");
  CHECK(spelled(place_visuals("", 1, 0)) == "I");
}

TEST_CASE("marks of what is not given are text") {
  CHECK(spelled(place_visuals("the <image> tag", 0, 0)) == "[the <image> tag]");
  CHECK(spelled(place_visuals("<image><video>", 1, 0)) == "i[<video>]");
}

TEST_CASE("nothing is added behind a mark, and a new line behind what comes first") {
  const Tokenizer& tokenizer = fixture_tokenizer("qwen2");
  const auto rendered = [&](std::string_view question) {
    Message turn = message(Role::user, {});
    turn.content = place_visuals(question, 1, 0);
    return tokenizer.decode(
        render_internvl_chat(tokenizer, {&turn, 1}, {.add_generation_prompt = false}, {{1}, {}})
            .ids);
  };
  CHECK(rendered("a <image> b") == "<|im_start|>user\na <img><IMG_CONTEXT></img> b<|im_end|>\n");
  CHECK(rendered("a") == "<|im_start|>user\n<img><IMG_CONTEXT></img>\na<|im_end|>\n");
  CHECK(rendered("<image>\na") == rendered("a"));
}
