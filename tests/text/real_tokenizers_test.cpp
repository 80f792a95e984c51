#include "gov/text/tokenizer.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gov/text/stream_decoder.hpp"
#include "tests/support/chat_fixture.hpp"
#include "tests/support/tokenizer_fixture.hpp"

// The published tokenizer files of gpt-oss and Qwen3. GOV_TOKENIZERS_DIR names the folder that
// holds gpt-oss/tokenizer.json and qwen3/tokenizer.json; without it these cases are reported as
// skipped.

namespace real_tokenizers_test {

using namespace gov;
using namespace gov::test;

const Tokenizer* real_tokenizer(const std::string& name) {
  static const Tokenizer* loaded[2] = {};
  const char* const folder = std::getenv("GOV_TOKENIZERS_DIR");
  if (!folder || !*folder) {
    std::puts("SKIPPED: GOV_TOKENIZERS_DIR is not set");
    return nullptr;
  }
  const Tokenizer*& tokenizer = loaded[name == "qwen3"];
  if (!tokenizer) tokenizer = new Tokenizer(Tokenizer::load(std::string(folder) + "/" + name));
  return tokenizer;
}

using Ids = std::vector<int>;

TEST_CASE("published files: 12,000 strings in three modes") {
  const auto strings = fixture_strings();
  for (const std::string name : {"gpt-oss", "qwen3"}) {
    CAPTURE(name);
    const Tokenizer* tokenizer = real_tokenizer(name);
    if (!tokenizer) return;
    FixtureReader expected("real_" + name + ".hash");
    const EncodeOptions modes[] = {{}, {.parse_special = false}, plain_text};
    int wrong = 0;
    for (const std::string& text : strings)
      for (const EncodeOptions& mode : modes) {
        const auto ids = tokenizer->encode(text, mode);
        if (hash_ids(ids) == expected.word()) continue;
        if (++wrong < 10) MESSAGE(shown(text) << " -> " << shown(ids));
      }
    CHECK(wrong == 0);
    CHECK(expected.done());
  }
}

TEST_CASE("published gpt-oss file: golden encodings that tiktoken agrees with") {
  const Tokenizer* tokenizer = real_tokenizer("gpt-oss");
  if (!tokenizer) return;
  CHECK(tokenizer->token_count() == 200'019);
  CHECK(tokenizer->vocab_size() == 200'019);
  CHECK(tokenizer->added_token_id("<|return|>") == 200'002);
  CHECK(tokenizer->added_token_id("<|endofprompt|>") == 200'018);
  CHECK(tokenizer->is_special(200'005));
  CHECK_FALSE(tokenizer->contains(200'019));
  const auto encode = [&](std::string_view text) { return tokenizer->encode(text); };
  CHECK(encode("Roses are red, violets") == Ids{49, 14301, 553, 3592, 11, 68484, 12222});
  CHECK(encode("I'M you'Re HE'S   x") == Ids{40, 95346, 481, 146756, 18638, 31233, 256, 1215});
  CHECK(encode(" \r\n a/b//\n") == Ids{4568, 261, 7611, 22704});
  CHECK(encode("123456789 3.14159 1,000") ==
        Ids{7633, 19354, 29338, 220, 18, 13, 16926, 4621, 220, 16, 11, 1302});
  CHECK(encode("fooBarBAZ_quxHTTPServer") == Ids{16660, 4622, 7431, 57, 32744, 87, 17893, 6444});
  CHECK(encode("a\n\n\n   b\n  ") == Ids{64, 2499, 256, 287, 198, 256});
  CHECK(encode("if (a){\n\treturn b;\n}\n") == Ids{366, 350, 64, 2138, 1393, 287, 307, 739});
  const Ids turn{200006, 1428, 200008, 3686, 200007, 200006, 173781};
  const std::string_view text = "<|start|>user<|message|>hi<|end|><|start|>assistant";
  CHECK(encode(text) == turn);
  CHECK(tokenizer->decode(turn) == text);
  CHECK(tokenizer->decode(turn, {.skip_special_tokens = true}) == "userhiassistant");
  for (const int id : tokenizer->encode(text, plain_text)) CHECK(id < 199'998);
  CHECK(tokenizer->decode(tokenizer->encode(text, plain_text)) == text);
}

TEST_CASE("published Qwen3 file: golden encodings") {
  const Tokenizer* tokenizer = real_tokenizer("qwen3");
  if (!tokenizer) return;
  const auto encode = [&](std::string_view text) { return tokenizer->encode(text); };
  CHECK(tokenizer->token_count() == 151'669);
  CHECK(encode("Roses are red, violets") == Ids{49, 19696, 525, 2518, 11, 348, 815, 9942});
  CHECK(encode("<|im_start|>user\nhi<|im_end|>\n") == Ids{151644, 872, 198, 6023, 151645, 198});
  CHECK(encode(" \r\n a/b//\n") == Ids{2529, 264, 3470, 2289});
  CHECK(tokenizer->added_token_id("<tool_call>") == 151'657);
  CHECK_FALSE(tokenizer->is_special(151'657));
  CHECK(encode("e\u0301") == encode("\u00e9"));
}

TEST_CASE("published files: every token streams out as it decodes") {
  for (const std::string name : {"gpt-oss", "qwen3"}) {
    const Tokenizer* tokenizer = real_tokenizer(name);
    if (!tokenizer) return;
    Ids all;
    for (int id = 0; id < tokenizer->vocab_size(); ++id) all.push_back(id);
    StreamDecoder stream(*tokenizer);
    std::string text;
    for (const int id : all) text += stream.push(id);
    text += stream.finish();
    CHECK(text == tokenizer->decode(all));
  }
}

TEST_CASE("published gpt-oss file: the chat template's conversations") {
  const Tokenizer* tokenizer = real_tokenizer("gpt-oss");
  if (!tokenizer) return;
  FixtureReader expected("real_chat.hash");
  for (const ChatCase& chat : chat_cases("harmony")) {
    CAPTURE(chat.text);
    const Prompt prompt = render_harmony(*tokenizer, chat.messages, chat.harmony);
    CHECK(hash_ids(prompt.ids) == expected.word());
    CHECK(tokenizer->decode(prompt.ids) == chat.text);
  }
  CHECK(expected.done());
}

}  // namespace real_tokenizers_test
