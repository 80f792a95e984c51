#include "gov/text/harmony_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/chat_fixture.hpp"

using namespace gov;
using namespace gov::test;

namespace {

const Tokenizer& tokenizer() { return fixture_tokenizer("o200k"); }
std::vector<Message> parse(std::string_view text) {
  return parse_harmony(tokenizer(), tokenizer().encode(text));
}

}  // namespace

TEST_CASE("analysis, a tool call and an answer") {
  const auto messages = parse(
      "<|channel|>analysis<|message|>Think. Caf\u00e9 \U0001F600<|end|>"
      "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{\"a\": 1}<|call|>"
      "<|start|>assistant<|channel|>commentary to=functions.g "
      "<|constrain|>json<|message|>{}<|call|>"
      "<|start|>assistant<|channel|>final<|message|>Done.<|return|>");
  REQUIRE(messages.size() == 4);
  CHECK(messages[0].channel == "analysis");
  CHECK(messages[0].text() == "Think. Caf\u00e9 \U0001F600");
  CHECK(messages[1].recipient == "functions.f");
  CHECK(messages[1].content_type == "json");
  CHECK(messages[1].text() == "{\"a\": 1}");
  CHECK(messages[2].channel == "commentary");
  CHECK(messages[2].recipient == "functions.g");
  CHECK(messages[2].content_type == "json");
  CHECK(messages[3].channel == "final");
  CHECK(messages[3].text() == "Done.");
}

TEST_CASE("streaming: whole characters with their channel, and the final text alone") {
  HarmonyParser parser(tokenizer());
  std::string shown_text, thoughts;
  for (const int id :
       tokenizer().encode("<|channel|>analysis<|message|>hm \u5b57<|end|><|start|>assistant"
                          "<|channel|>final<|message|>\U0001F600 ok \u0939\u093f<|return|>")) {
    CHECK_FALSE(parser.stopped());
    const auto delta = parser.push(id);
    CHECK(is_valid_utf8(delta.text));
    (delta.channel == "final" ? shown_text : thoughts) += delta.text;
  }
  CHECK(parser.stopped());
  CHECK(shown_text == "\U0001F600 ok \u0939\u093f");
  CHECK(thoughts == "hm \u5b57");
  CHECK(parser.final_text() == shown_text);
  CHECK(parser.finish().text.empty());
}

TEST_CASE("answers that are cut, bare or muddled") {
  CHECK(parse("").empty());
  CHECK(parse("<|channel|>final").empty());  // no message yet
  auto messages = parse("<|channel|>final<|message|>half an ans");
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].text() == "half an ans");
  messages = parse("<|message|>no channel<|end|>stray<|start|><|start|>assistant<|message|>x");
  REQUIRE(messages.size() == 3);
  CHECK(messages[0].channel.empty());
  CHECK(messages[1].text() == "stray");
  CHECK(messages[2].text() == "x");
  messages = parse("<|channel|>final<|message|>a<|message|>b<|channel|>c<|end|><|end|>");
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].text() == "a<|message|>b<|channel|>c");
  HarmonyParser parser(tokenizer());
  for (int id = -2; id < tokenizer().vocab_size() + 3; ++id) parser.push(id);
  parser.finish();
  CHECK_THROWS_AS(HarmonyParser(fixture_tokenizer("gpt2")), const Error&);
}

TEST_CASE("what was rendered is read back") {
  for (const ChatCase& chat : chat_cases("harmony")) {
    const auto messages = parse_harmony(tokenizer(), chat.ids);
    // Every message of the prompt but the open one at its end: as many as <|message|> tokens.
    std::size_t bodies = 0;
    const int body = tokenizer().added_token_id("<|message|>");
    for (const int id : chat.ids) bodies += id == body;
    CHECK(messages.size() == bodies);
  }
}
