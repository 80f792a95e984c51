#include "gov/text/internvl_gpt_oss_chat.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/chat_fixture.hpp"

namespace internvl_gpt_oss_chat_test {

using namespace gov;
using namespace gov::test;

const Tokenizer& tokenizer() { return fixture_tokenizer("o200k"); }
std::string rendered(const std::vector<Message>& messages,
                     const InternVlGptOssChatOptions& options = {},
                     const VisualTokens& visuals = {}) {
  return tokenizer().decode(
      render_internvl_gpt_oss_chat(tokenizer(), messages, options, visuals).ids);
}
const std::string system_block =
    "<|start|>system<|message|>" + std::string(internvl_gpt_oss_system) + "<|end|>";

TEST_CASE("a question about a picture, as OpenGVLab's conversation template writes it") {
  const std::vector<Message> chat = {
      {.role = Role::user, .content = {Content::image(), Content::of_text("What?")}}};
  CHECK(rendered(chat, {}, {.images = {2}, .videos = {}}) ==
        system_block +
            "<|start|>user<|message|><img><IMG_CONTEXT><IMG_CONTEXT></img>\nWhat?<|end|>"
            "<|start|>assistant");
}

TEST_CASE("own system text, earlier answers, training samples") {
  const std::vector<Message> chat = {message(Role::system, "S"),
                                     message(Role::user, "a"),
                                     message(Role::assistant, "t", "analysis"),
                                     message(Role::assistant, "b"),
                                     message(Role::user, "c"),
                                     message(Role::assistant, "u", "analysis"),
                                     message(Role::assistant, "d")};
  const std::string start =
      "<|start|>system<|message|>S<|end|><|start|>user<|message|>a<|end|>"
      "<|start|>assistant<|channel|>final<|message|>b<|end|><|start|>user<|message|>c<|end|>";
  CHECK(rendered(chat) ==
        start + "<|start|>assistant<|channel|>final<|message|>d<|end|><|start|>assistant");
  CHECK(rendered(chat, {.add_generation_prompt = false}) ==
        start +
            "<|start|>assistant<|channel|>analysis<|message|>u<|end|>"
            "<|start|>assistant<|channel|>final<|message|>d<|return|>");
  CHECK(rendered({message(Role::user, "x")}, {.default_system = ""}) ==
        "<|start|>user<|message|>x<|end|><|start|>assistant");
}

TEST_CASE("each text between control tokens is encoded as one") {
  const Prompt prompt = render_internvl_gpt_oss_chat(
      tokenizer(), std::vector<Message>{message(Role::user, "What is  this?\n")});
  CHECK(prompt.ids == tokenizer().encode(tokenizer().decode(prompt.ids)));
}

}  // namespace internvl_gpt_oss_chat_test
