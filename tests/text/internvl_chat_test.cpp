#include "gov/text/internvl_chat.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/chat_fixture.hpp"

namespace internvl_chat_test {

using namespace gov;
using namespace gov::test;

const Tokenizer& tokenizer() { return fixture_tokenizer("qwen2"); }

TEST_CASE("conversations with images and videos become the processor's tokens") {
  const auto cases = chat_cases("internvl");
  REQUIRE(cases.size() >= 7);
  for (const ChatCase& chat : cases) {
    CAPTURE(chat.text);
    const Prompt prompt = render_internvl_chat(
        tokenizer(), chat.messages, {.add_generation_prompt = chat.harmony.add_generation_prompt},
        chat.visuals);
    CHECK(tokenizer().decode(prompt.ids) == to_nfc(chat.text));
    CHECK(prompt.ids == chat.ids);
    index_t context = 0, spans = 0;
    for (const int id : prompt.ids) context += id == tokenizer().added_token_id("<IMG_CONTEXT>");
    for (const VisualSpan& span : prompt.visuals) {
      spans += span.count;
      for (index_t i = 0; i < span.count; ++i)
        CHECK(prompt.ids[static_cast<std::size_t>(span.begin + i)] == prompt.image_token_id);
    }
    CHECK(context == spans);
  }
}

TEST_CASE("the original code's system sentence, and the frame label of its README") {
  const std::vector<Message> chat = {
      {.role = Role::user, .content = {Content::video(2), Content::of_text("q")}}};
  InternVlChatOptions options{.default_system = std::string(internvl_system)};
  options.visual.frame = "Frame-{i}: ";
  const Prompt prompt =
      render_internvl_chat(tokenizer(), chat, options, {.images = {}, .videos = {{1, 1}}});
  CHECK(tokenizer().decode(prompt.ids) ==
        "<|im_start|>system\n" + std::string(internvl_system) +
            "<|im_end|>\n<|im_start|>user\nFrame-1: <img><IMG_CONTEXT></img>\n"
            "Frame-2: <img><IMG_CONTEXT></img>\nq<|im_end|>\n<|im_start|>assistant\n");
  const std::vector<Message> own = {message(Role::system, "mine"), message(Role::user, "q")};
  CHECK(tokenizer()
            .decode(render_internvl_chat(tokenizer(), own, options).ids)
            .starts_with("<|im_start|>system\nmine<|im_end|>\n<|im_start|>user\n"));
}

}  // namespace internvl_chat_test
