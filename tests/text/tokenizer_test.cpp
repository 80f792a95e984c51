#include "gov/text/tokenizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/errors.hpp"
#include "tests/support/tokenizer_fixture.hpp"

using namespace gov;
using namespace gov::test;

TEST_CASE("12,000 strings get the ids that the tokenizers package gives them") {
  const auto strings = fixture_strings();
  REQUIRE(strings.size() >= 10'000);
  for (const std::string name : {"o200k", "qwen2", "gpt2", "llama3"}) {
    CAPTURE(name);
    const Tokenizer& tokenizer = fixture_tokenizer(name);
    FixtureReader expected(name + ".ids");
    int wrong = 0;
    const auto compare = [&](const std::string& text, const char* mode, auto&& same,
                             const std::vector<int>& ids) {
      if (same(ids)) return;
      if (++wrong < 10) MESSAGE(mode << ": " << shown(text) << " -> " << shown(ids));
    };
    for (const std::string& text : strings) {
      const auto ids = expected.ids();
      compare(
          text, "default", [&](const auto& got) { return got == ids; }, tokenizer.encode(text));
    }
    for (const std::string& text : strings) {
      for (const bool added : {true, false}) {
        const std::uint32_t hash = expected.word();
        compare(
            text, added ? "no special" : "plain",
            [&](const auto& got) { return hash_ids(got) == hash; },
            tokenizer.encode(text, {.parse_special = false, .parse_added = added}));
      }
    }
    CHECK(expected.done());
    CHECK(wrong == 0);
  }
}

TEST_CASE("6,000 strings under SentencePiece-like files: ids and decoded texts") {
  const auto strings = fixture_strings();
  for (const std::string& name : character_tokenizers) {
    CAPTURE(name);
    const Tokenizer& tokenizer = fixture_tokenizer(name);
    FixtureReader expected(name + ".hash");
    int wrong = 0;
    for (std::size_t i = 0; i < strings.size(); i += 2) {
      const auto ids = tokenizer.encode(strings[i]);
      auto all = ids;
      tokenizer.encode_to(strings[i], all, {.parse_special = false});
      tokenizer.encode_to(strings[i], all, plain_text);
      const std::string text = tokenizer.decode(ids);
      const std::string skipped = tokenizer.decode(ids, {.skip_special_tokens = true});
      const bool same_ids = hash_ids(all) == expected.word();
      const bool same_text = hash_bytes(text + skipped) == expected.word();
      if ((!same_ids || !same_text) && ++wrong < 10)
        MESSAGE((same_ids ? "text: " : "ids: ")
                << shown(strings[i]) << " -> " << shown(all) << " -> " << shown(text));
    }
    CHECK(expected.done());
    CHECK(wrong == 0);
  }
}

TEST_CASE("decode gives the text back, with U+FFFD for what was no UTF-8") {
  for (const std::string name : {"o200k", "gpt2", "llama3"}) {
    const Tokenizer& tokenizer = fixture_tokenizer(name);
    for (const std::string& bytes : fixture_strings()) {
      const std::string text = to_valid_utf8(bytes);
      if (tokenizer.decode(tokenizer.encode(bytes, plain_text)) != text) FAIL_CHECK(shown(bytes));
    }
  }
}

TEST_CASE("SentencePiece-like files decode any ids as the tokenizers package does") {
  FixtureReader expected("decode.bin");
  for (const std::string& name : character_tokenizers) {
    const Tokenizer& tokenizer = fixture_tokenizer(name);
    for (int i = 0; i < 150; ++i) {
      const auto ids = expected.ids();
      for (const bool skip : {false, true}) {
        const std::string text = expected.text(expected.varint());
        if (tokenizer.decode(ids, {.skip_special_tokens = skip}) != text)
          FAIL_CHECK(name << ": " << shown(ids) << " -> " << shown(text));
      }
    }
  }
  CHECK(expected.done());
}

TEST_CASE("pieces over characters: byte tokens, the space of the first word, at_start") {
  const Tokenizer& tokenizer = fixture_tokenizer("mistral");
  const int newline = *tokenizer.token_to_id("<0x0A>");
  CHECK(tokenizer.encode("\u0378") == std::vector{*tokenizer.token_to_id("▁"),
                                                  *tokenizer.token_to_id("<0xCD>"),
                                                  *tokenizer.token_to_id("<0xB8>")});
  CHECK(tokenizer.piece(newline) == "\n");
  CHECK(tokenizer.id_to_token(newline) == "<0x0A>");
  const auto first = tokenizer.encode("the");
  const auto later = tokenizer.encode("the", {.at_start = false});
  CHECK(first != later);
  CHECK(tokenizer.encode("[INST]the").size() == 1 + later.size());
  CHECK(tokenizer.piece(first.front()).front() == ' ');
  CHECK(tokenizer.decode(first) == "the");
  for (int id = 0; id < tokenizer.vocab_size(); ++id)
    REQUIRE(tokenizer.token_to_id(*tokenizer.id_to_token(id)) == id);
  // The invalid part of a run of byte tokens is replaced, not the whole run.
  const auto byte = [&](const char* name) { return *tokenizer.token_to_id(name); };
  const std::vector<int> run = {newline, byte("<0xE4>"), byte("<0xBD>"), newline};
  CHECK(tokenizer.decode(run) == "\n\uFFFD\n");
}

TEST_CASE("control text is control only where it is asked for") {
  const Tokenizer& tokenizer = fixture_tokenizer("qwen2");
  const std::string text = "<|im_start|>user\n<think>hi</think><|im_end|>";
  const auto count = [&](const EncodeOptions& options) {
    int special = 0, added = 0;
    for (const int id : tokenizer.encode(text, options)) {
      special += tokenizer.is_special(id);
      added += tokenizer.is_added(id);
    }
    return std::pair(special, added);
  };
  CHECK(count({}) == std::pair(2, 4));
  CHECK(count({.parse_special = false}) == std::pair(0, 2));
  CHECK(count({.parse_added = false}) == std::pair(2, 2));
  CHECK(count(plain_text) == std::pair(0, 0));
  const auto ids = tokenizer.encode(text);
  CHECK(tokenizer.decode(ids) == text);
  CHECK(tokenizer.decode(ids, {.skip_special_tokens = true}) == "user\n<think>hi</think>");
}

TEST_CASE("ids, spellings and pieces") {
  const Tokenizer& tokenizer = fixture_tokenizer("o200k");
  const int space = *tokenizer.token_to_id("\u0120");
  CHECK(tokenizer.piece(space) == " ");
  CHECK(tokenizer.id_to_token(space) == "\u0120");
  const int start = tokenizer.added_token_id("<|start|>");
  CHECK(tokenizer.token_to_id("<|start|>") == start);
  CHECK(tokenizer.is_special(start));
  CHECK_FALSE(tokenizer.is_special(space));
  CHECK_FALSE(tokenizer.token_to_id("<|nobody|>").has_value());
  CHECK_FALSE(tokenizer.token_to_id("").has_value());
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    REQUIRE(tokenizer.contains(id));
    REQUIRE(tokenizer.token_to_id(*tokenizer.id_to_token(id)) == id);
  }
  for (const int id : {-1, tokenizer.vocab_size(), 2'000'000'000, -2'147'483'647 - 1}) {
    CHECK_FALSE(tokenizer.contains(id));
    CHECK_FALSE(tokenizer.is_special(id));
    CHECK_FALSE(tokenizer.id_to_token(id).has_value());
    const std::vector<int> ids = {space, id, space};
    CHECK(tokenizer.decode(ids) == "  ");
    CHECK_THROWS_AS(tokenizer.decode(ids, {.strict = true}), const Error&);
  }
}

TEST_CASE("the post-processor's tokens on request") {
  const Tokenizer& tokenizer = fixture_tokenizer("llama3");
  const int begin = tokenizer.added_token_id("<|begin_of_text|>");
  auto plain = tokenizer.encode("a b");
  const auto whole = tokenizer.encode("a b", {.add_special_tokens = true});
  plain.insert(plain.begin(), begin);
  CHECK(whole == plain);
}

TEST_CASE("hostile input: invalid UTF-8, NULs, a megabyte of one letter, too much") {
  const Tokenizer& tokenizer = fixture_tokenizer("qwen2");
  CHECK(tokenizer.encode("a\xFFz") == tokenizer.encode("a\uFFFDz"));
  CHECK(tokenizer.encode("\xE2\x82") == tokenizer.encode("\uFFFD"));
  const auto strict = [&](std::string_view text) { tokenizer.encode(text, {.strict_utf8 = true}); };
  CHECK_NOTHROW(strict("\u00e9"));
  CHECK_THROWS_AS(strict("\xC3"), const Error&);
  const std::string nuls(1000, '\0');
  CHECK(tokenizer.decode(tokenizer.encode(nuls)) == nuls);
  const std::string letters(1 << 20, 'a');
  CHECK(tokenizer.decode(tokenizer.encode(letters)) == letters);
  std::vector<int> ids = {1, 2};
  CHECK(thrown([&] { tokenizer.encode_to("12345", ids, {.max_bytes = 4}); }).code() ==
        Errc::limit_exceeded);
  CHECK(ids == std::vector<int>{1, 2});
}

TEST_CASE("a byte that the vocabulary lacks is an error that leaves the ids alone") {
  const Tokenizer tokenizer = Tokenizer::parse(
      R"({"version": "1.0", "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
          "decoder": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0, "b": 1}, "merges": []}})");
  std::vector<int> ids;
  CHECK_THROWS_AS(tokenizer.encode_to("ab c", ids), const Error&);
  CHECK(ids.empty());
  tokenizer.encode_to("ab", ids);
  CHECK(ids == std::vector<int>{0, 1});
}

TEST_CASE("load takes the file or its folder, and names what it cannot open") {
  CHECK(Tokenizer::load(tokenizer_fixtures + "gpt2/tokenizer.json").vocab_size() ==
        fixture_tokenizer("gpt2").vocab_size());
  const Error error = thrown([&] { Tokenizer::load(tokenizer_fixtures + "nowhere"); });
  CHECK(error.code() == Errc::io_error);
  CHECK(error.file() == tokenizer_fixtures + "nowhere");
}
