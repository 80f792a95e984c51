#include "gov/text/stream_decoder.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/tokenizer_fixture.hpp"

using namespace gov;
using namespace gov::test;

TEST_CASE("pieces are whole characters and together the decoded text") {
  for (const std::string name :
       {"o200k", "qwen2", "gpt2", "llama3", "llama2", "mistral", "gemma", "metaspace", "unfused"}) {
    const Tokenizer& tokenizer = fixture_tokenizer(name);
    std::mt19937 random(11);
    for (int round = 0; round < 2000; ++round) {
      std::vector<int> ids;
      for (auto n = random() % 12; n > 0; --n)
        ids.push_back(
            static_cast<int>(random() % (random() % 2 ? 300u : 1850u)));  // odd bytes, gaps
      for (const bool skip : {false, true}) {
        const DecodeOptions options{.skip_special_tokens = skip};
        StreamDecoder stream(tokenizer, options);
        std::string text;
        for (const int id : ids) {
          const std::string part = stream.push(id);
          if (!is_valid_utf8(part) || stream.held_bytes() > 3) FAIL_CHECK(shown(ids));
          text += part;
        }
        text += stream.finish();
        if (text != tokenizer.decode(ids, options)) FAIL_CHECK(shown(ids));
      }
    }
  }
}

TEST_CASE("text goes through encode, stream and back unchanged") {
  const Tokenizer& tokenizer = fixture_tokenizer("o200k");
  for (const std::string& bytes : fixture_strings()) {
    const std::string text = to_valid_utf8(bytes);
    StreamDecoder stream(tokenizer);
    std::string back;
    for (const int id : tokenizer.encode(text)) back += stream.push(id);
    back += stream.finish();
    if (back != text) FAIL_CHECK(shown(text));
  }
}

TEST_CASE("byte tokens wait for each other, and a stream loses its first space only") {
  const Tokenizer& tokenizer = fixture_tokenizer("llama2");
  const auto token = [&](const char* spelling) { return *tokenizer.token_to_id(spelling); };
  StreamDecoder stream(tokenizer);
  for (int round = 0; round < 2; ++round) {  // finish() makes it new
    CHECK(stream.push(token("▁")).empty());
    CHECK(stream.push(token("▁")) == " ");
    CHECK(stream.push(token("<0xE2>")).empty());
    CHECK(stream.push(token("<0x82>")).empty());
    CHECK(stream.push(token("<0xAC>")) == "\u20ac");
    CHECK(stream.push(token("<0x0A>")) == "\n");
    CHECK(stream.push(token("<0xE2>")).empty());
    CHECK(stream.push(token("▁")) == "\uFFFD ");
    CHECK(stream.finish().empty());
  }
}

TEST_CASE("a character waits for its last byte; a cut one becomes U+FFFD at the end") {
  const Tokenizer& tokenizer = fixture_tokenizer("gpt2");
  const auto byte = [&](const char* spelling) { return *tokenizer.token_to_id(spelling); };
  const int e2 = byte("\u00e2"), x82 = byte("\u0124"), xac = byte("\u00ac");
  StreamDecoder stream(tokenizer);
  CHECK(stream.push(e2).empty());
  CHECK(stream.push(x82).empty());
  CHECK(stream.held_bytes() == 2);
  CHECK(stream.push(xac) == "\u20ac");
  CHECK(stream.push(e2).empty());
  CHECK(stream.push(byte("a")) ==
        "\uFFFD"
        "a");
  CHECK(stream.push(e2).empty());
  CHECK(stream.finish() == "\uFFFD");
  CHECK(stream.finish().empty());
}
