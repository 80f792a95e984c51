#include "gov/text/tokenizer_json.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "gov/text/tokenizer.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/tokenizer_fixture.hpp"

namespace tokenizer_json_test {

using namespace gov;
using namespace gov::test;

// A whole file; each part can be replaced. Tokens a b c ab abc " " "<" ">" with ids 0...
struct Source {
  std::string version = R"("1.0")";
  std::string added = R"([{"id": 8, "content": "<|x|>", "special": true, "normalized": false}])";
  std::string normalizer = "null";
  std::string pre_tokenizer =
      R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})";
  std::string post_processor = "null";
  std::string decoder = R"({"type": "ByteLevel"})";
  std::string flags =
      R"("type": "BPE", "dropout": null, "unk_token": null, "byte_fallback": false)";
  std::string vocab = R"({"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "Ġ": 5, "<": 6, ">": 7})";
  std::string merges = R"(["a b", "ab c"])";

  std::string text() const {
    return "{\"version\": " + version +
           ", \"truncation\": null, \"padding\": null, \"added_tokens\": " + added +
           ", \"normalizer\": " + normalizer + ", \"pre_tokenizer\": " + pre_tokenizer +
           ", \"post_processor\": " + post_processor + ", \"decoder\": " + decoder +
           ", \"model\": {" + flags + ", \"vocab\": " + vocab + ", \"merges\": " + merges + "}}";
  }
};

void refused(const Source& file, Errc code, std::string_view field, std::string_view said = "") {
  const std::string text = file.text();
  CAPTURE(text);
  const Error error = test::thrown([&] { Tokenizer::parse(text, "t.json"); });
  INFO(error.what());
  CHECK(error.code() == code);
  CHECK(error.file() == "t.json");
  CHECK(error.field() == field);
  CHECK(std::string_view(error.what()).find(said) != std::string_view::npos);
}

using Ids = std::vector<int>;

TEST_CASE("a small file, in both spellings of merges") {
  Source file;
  for (const std::string merges : {R"(["a b", "ab c"])", R"([["a", "b"], ["ab", "c"]])"}) {
    file.merges = merges;
    const Tokenizer tokenizer = Tokenizer::parse(file.text());
    CHECK(tokenizer.encode("abcab<|x|> ab") == Ids{4, 3, 8, 5, 3});
    CHECK(tokenizer.decode(Ids{4, 3, 8, 5, 3}) == "abcab<|x|> ab");
    CHECK(tokenizer.vocab_size() == 9);
  }
}

TEST_CASE("sequences, splits and processors that published files use") {
  Source file;
  file.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"}]})";
  file.pre_tokenizer =
      R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": ")"
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+)"
      R"("}, "behavior": "Removed", "invert": true},
                       {"type": "ByteLevel", "add_prefix_space": true, "use_regex": false}]})";
  file.post_processor = R"({"type": "Sequence", "processors": [{"type": "ByteLevel"},
      {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|x|>", "type_id": 0}},
       {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|x|>", "type_id": 0}}],
       "pair": [], "special_tokens": {"<|x|>": {"id": "<|x|>", "ids": [8], "tokens": ["<|x|>"]}}}]})";
  const Tokenizer tokenizer = Tokenizer::parse(file.text());
  CHECK(tokenizer.encode("ab<") == Ids{5, 3, 5, 6});  // a space before every piece
  CHECK(tokenizer.encode("ab", {.add_special_tokens = true}) == Ids{8, 5, 3, 8});
}

TEST_CASE("tokens outside the byte-level alphabet are verbatim") {
  Source file;
  file.vocab = R"({"a": 0, "b": 1, "字": 2, "a b": 3, "é": 4})";
  file.merges = "[]";
  const Tokenizer tokenizer = Tokenizer::parse(file.text());
  CHECK(tokenizer.decode(Ids{2, 3}) == "字a b");
  CHECK(tokenizer.id_to_token(2) == "字");
  CHECK(tokenizer.token_to_id("a b") == 3);
  CHECK(tokenizer.piece(4) == "\xE9");  // a spelling: one byte
}

TEST_CASE("what is not supported is refused by name") {
  Source file;
  const auto with = [](std::string Source::*part, std::string value) {
    Source changed;
    changed.*part = std::move(value);
    return changed;
  };
  using F = Source;
  refused(with(&F::version, R"("2.0")"), Errc::unsupported, "version");
  refused(with(&F::normalizer, R"({"type": "NFKC"})"), Errc::unsupported, "normalizer.type",
          "NFKC");
  refused(with(&F::normalizer, R"({"type": "Replace"})"), Errc::missing_field,
          "normalizer.pattern");
  refused(with(&F::pre_tokenizer, "null"), Errc::unsupported, "decoder");
  refused(with(&F::pre_tokenizer, R"({"type": "Metaspace", "replacement": "▁"})"),
          Errc::unsupported, "decoder");
  refused(with(&F::pre_tokenizer, R"({"type": "Sequence", "pretokenizers": []})"),
          Errc::unsupported, "decoder");
  const auto split = [&](const std::string& pattern, const std::string& more) {
    return with(&F::pre_tokenizer,
                R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": )" +
                    pattern + ", " + more + R"(}, {"type": "ByteLevel"}]})");
  };
  const std::string isolated = R"("behavior": "Isolated", "invert": false)";
  const std::string in = "pre_tokenizer.pretokenizers[0].";
  refused(split(R"({"Regex": "(a+)+$"})", isolated), Errc::unsupported, in + "pattern.Regex",
          "(a+)+$");
  refused(split(R"({"String": " "})", R"("behavior": "Removed")"), Errc::unsupported,
          in + "behavior");
  const std::string known =
      R"({"Regex": "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"})";
  refused(split(known, R"("behavior": "MergedWithNext", "invert": false)"), Errc::unsupported,
          in + "behavior");
  refused(split(known, R"("behavior": "Isolated", "invert": true)"), Errc::unsupported,
          in + "behavior");
  refused(with(&F::decoder, "null"), Errc::unsupported, "decoder");
  refused(with(&F::decoder, R"({"type": "WordPiece"})"), Errc::unsupported, "decoder");
  refused(with(&F::decoder, R"({"type": "Metaspace", "replacement": "▁"})"), Errc::unsupported,
          "decoder");
  refused(with(&F::flags, R"("type": "Unigram")"), Errc::unsupported, "model.type", "Unigram");
  refused(with(&F::flags, R"("type": "BPE", "byte_fallback": true)"), Errc::unsupported,
          "model.byte_fallback", "ByteLevel");
  refused(with(&F::flags, R"("type": "BPE", "dropout": 0.1)"), Errc::unsupported, "model.dropout");
  refused(with(&F::flags, R"("type": "BPE", "end_of_word_suffix": "</w>")"), Errc::unsupported,
          "model.end_of_word_suffix");
  refused(with(&F::post_processor, R"({"type": "BertProcessing"})"), Errc::unsupported,
          "post_processor.type");
}

TEST_CASE("broken vocabularies, merges and added tokens are refused") {
  const auto with = [](std::string Source::*part, std::string value) {
    Source changed;
    changed.*part = std::move(value);
    return changed;
  };
  using F = Source;
  const auto bad = Errc::bad_tokenizer;
  refused(with(&F::vocab, "{}"), bad, "model.vocab");
  refused(with(&F::vocab, "[]"), Errc::bad_type, "model.vocab");
  refused(with(&F::vocab, R"({"a": "0"})"), Errc::bad_type, "model.vocab.a");
  refused(with(&F::vocab, R"({"a": -1})"), Errc::bad_number, "model.vocab.a");
  refused(with(&F::vocab, R"({"a": 0.5})"), Errc::bad_number, "model.vocab.a");
  refused(with(&F::vocab, R"({"a": null})"), Errc::bad_type, "model.vocab.a");
  refused(with(&F::vocab, R"({"a": 2147483648})"), bad, "model.vocab.a");
  refused(with(&F::vocab, R"({"a": 9223372036854775808})"), bad, "model.vocab.a");
  refused(with(&F::vocab, R"({"a": 0, "b": 9999999})"), bad, "model.vocab", "gaps");
  refused(with(&F::vocab, R"({"a": 0, "b": 0})"), bad, "model.vocab.b", "no other token");
  refused(with(&F::vocab, R"({"a": 0, "a": 1})"), Errc::duplicate_key, "a");
  refused(with(&F::vocab, R"({"": 0})"), bad, "model.vocab.");
  refused(with(&F::merges, "null"), Errc::bad_type, "model.merges");
  refused(with(&F::merges, R"(["a z"])"), bad, "model.merges[0]", "\"z\"");
  refused(with(&F::merges, R"(["b a"])"), bad, "model.merges[0]", "\"ba\"");
  refused(with(&F::merges, R"(["ab"])"), bad, "model.merges[0]");
  refused(with(&F::merges, R"(["a b c"])"), bad, "model.merges[0]");
  refused(with(&F::merges, R"([["a"]])"), bad, "model.merges[0]");
  refused(with(&F::merges, R"([["a", 1]])"), Errc::bad_type, "model.merges[0][1]");
  refused(with(&F::merges, R"([7])"), bad, "model.merges[0]");
  refused(with(&F::merges, R"(["a b", "ab c", "a b"])"), bad, "model.merges[2]", "once");
  const auto added = [&](const std::string& list) { return with(&F::added, list); };
  refused(added("{}"), Errc::bad_type, "added_tokens");
  refused(added(R"([{"id": 8}])"), Errc::missing_field, "added_tokens[0].content");
  refused(added(R"([{"content": "x"}])"), Errc::missing_field, "added_tokens[0].id");
  refused(added(R"([{"id": 8, "content": ""}])"), bad, "added_tokens[0].content");
  refused(added(R"([{"id": 3, "content": "x"}])"), bad, "added_tokens[0].id");
  refused(added(R"([{"id": 8, "content": "ab"}])"), bad, "added_tokens[0].id", "model.vocab, 3");
  refused(added(R"([{"id": 8, "content": "x"}, {"id": 9, "content": "x"}])"), bad,
          "added_tokens[1].id");
  refused(added(R"([{"id": 8, "content": "x"}, {"id": 8, "content": "y"}])"), bad,
          "added_tokens[1].id");
  refused(added(R"([{"id": 3, "content": "ab"}, {"id": 3, "content": "ab"}])"), bad,
          "added_tokens[1]");
  refused(added(R"([{"id": 9999999, "content": "x"}])"), bad, "added_tokens", "gaps");
  refused(added("[{\"id\": 8, \"content\": \"" + std::string(1025, 'x') + "\"}]"),
          Errc::limit_exceeded, "added_tokens[0].content");
  refused(added(R"([{"id": 8, "content": "x", "special": "yes"}])"), Errc::bad_type,
          "added_tokens[0].special");
  refused(with(&F::post_processor, R"({"type": "TemplateProcessing", "single": [
      {"SpecialToken": {"id": "x"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": [77]}}})"),
          bad, "post_processor.special_tokens.x.ids[0]");
}

TEST_CASE("BPE over characters: bytes, unknown, and what added tokens are not") {
  Source file;
  file.pre_tokenizer = "null";
  file.normalizer = R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})";
  file.decoder = R"({"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
      {"type": "Fuse"}]})";
  file.flags = R"("type": "BPE", "unk_token": "?", "byte_fallback": true, "fuse_unk": true)";
  file.vocab = R"({"a": 0, "b": 1, "ab": 2, "▁": 3, "<0xC3>": 4, "<0xA9>": 5, "?": 6})";
  file.merges = R"(["a b"])";
  file.added = R"([{"id": 8, "content": "é", "normalized": false},
                   {"id": 9, "content": "b▁b", "normalized": true}])";
  const Tokenizer tokenizer = Tokenizer::parse(file.text());
  CHECK(tokenizer.encode("ab aéxy") == Ids{2, 3, 0, 8, 6});
  CHECK(tokenizer.encode("b b", {}) == Ids{9});  // found once the space is replaced
  CHECK(tokenizer.encode("aé b", plain_text) == Ids{0, 4, 5, 3, 1});
  CHECK(tokenizer.decode(Ids{2, 3, 4, 5, 9, 6}) == "ab éb b?");
  CHECK(tokenizer.id_to_token(3) == "▁");
  CHECK(tokenizer.token_to_id("<0xC3>") == 4);
  CHECK(tokenizer.token_to_id("é") == 8);
  CHECK(tokenizer.vocab_size() == 10);
  file.flags = R"("type": "BPE", "unk_token": "<unk>")";
  refused(file, Errc::bad_tokenizer, "model.unk_token");
  file.flags = R"("type": "BPE", "unk_token": null)";
  CHECK_THROWS_AS(Tokenizer::parse(file.text()).encode("x"), const Error&);
}

TEST_CASE("two added tokens that NFC makes one are refused") {
  Source file;
  file.normalizer = R"({"type": "NFC"})";
  file.added = R"([{"id": 8, "content": "e\u0301", "normalized": true},
                   {"id": 9, "content": "\u00e9!", "normalized": true},
                   {"id": 10, "content": "e\u0301!", "normalized": true}])";
  refused(file, Errc::bad_tokenizer, "added_tokens", "twice");
}

TEST_CASE("every prefix of a file, and every byte changed, is an error or a tokenizer") {
  const std::string whole = Source().text();
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_THROWS_AS(Tokenizer::parse(whole.substr(0, size)), const Error&);
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const char c : {'0', '"', '}', '\\', '\x80', ' '}) {
      std::string text = whole;
      text[at] = c;
      try {
        Tokenizer::parse(text).encode("abc<|x|> ab");
      } catch (const Error&) {
      }
    }
}

TEST_CASE("a cycle among tokens cannot be written: a merge makes the longer token") {
  Source file;
  file.vocab = R"({"a": 0, "aa": 1, "aaa": 2})";
  file.merges = R"(["a a", "aa a", "a aa"])";
  const Tokenizer tokenizer = Tokenizer::parse(file.text());
  CHECK(tokenizer.encode(std::string(7, 'a')) == Ids{1, 1, 2});
}

}  // namespace tokenizer_json_test
