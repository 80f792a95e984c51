#include "gov/text/pre_tokenizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/errors.hpp"

namespace pre_tokenizer_test {

using namespace gov;

using Pieces = std::vector<std::string>;

PreTokenizer read(std::string_view text) { return PreTokenizer::read(parse_json(text, "t.json")); }

Pieces split(std::string_view json, std::string_view text, bool first = true) {
  Pieces pieces;
  read(json).split(text, first, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

void refused(std::string_view text, Errc code, std::string_view field) {
  CAPTURE(text);
  const Error error = test::thrown([&] { read(text); });
  CHECK(error.code() == code);
  CHECK(error.field() == field);
}

std::string metaspace(std::string_view more) {
  return R"({"type": "Metaspace", "replacement": "▁")" + std::string(more) + "}";
}
std::string literal(std::string_view behavior) {
  return R"({"type": "Split", "pattern": {"String": "--"}, "behavior": ")" + std::string(behavior) +
         "\"}";
}

TEST_CASE("none: the text is one piece") {
  Pieces pieces;
  PreTokenizer().split(" a b", true, [&](std::string_view piece) { pieces.emplace_back(piece); });
  CHECK(pieces == Pieces{" a b"});
  CHECK_FALSE(PreTokenizer().byte_level());
}

TEST_CASE("Metaspace: scheme, older spelling, with and without split") {
  const std::string always = metaspace("");
  CHECK(split(always, "a b") == Pieces{"▁a", "▁b"});
  CHECK(split(always, "a  b ", false) == Pieces{"▁a", "▁", "▁b", "▁"});
  CHECK(split(always, " a") == Pieces{"▁a"});
  CHECK(split(metaspace(R"(, "add_prefix_space": false)"), "a b") == Pieces{"a", "▁b"});
  CHECK(split(metaspace(R"(, "add_prefix_space": true, "prepend_scheme": "never")"), "a b") ==
        Pieces{"a", "▁b"});
  const std::string first = metaspace(R"(, "prepend_scheme": "first", "split": false)");
  CHECK(split(first, "a b") == Pieces{"▁a▁b"});
  CHECK(split(first, "a b", false) == Pieces{"a▁b"});
  CHECK(split(first, "▁a") == Pieces{"▁a"});
}

TEST_CASE("only the first of several pieces is at the beginning") {
  const std::string both = R"({"type": "Sequence", "pretokenizers": [)" + literal("Isolated") +
                           "," + metaspace(R"(, "prepend_scheme": "first", "split": false)") + "]}";
  CHECK(split(both, "a--b c") == Pieces{"▁a", "--", "b▁c"});
  CHECK(split(both, "a--b c", false) == Pieces{"a", "--", "b▁c"});
}

TEST_CASE("a string to split at goes with its neighbour") {
  CHECK(split(literal("MergedWithPrevious"), "a----b--") == Pieces{"a--", "--", "b--"});
  CHECK(split(literal("MergedWithNext"), "a----b--") == Pieces{"a", "--", "--b", "--"});
  CHECK(split(literal("Isolated"), "--a---b") == Pieces{"--", "a", "--", "-b"});
  CHECK(split(literal("Isolated"), "ab") == Pieces{"ab"});
}

TEST_CASE("ByteLevel stands last, with its own space and pattern") {
  const std::string plain = R"({"type": "ByteLevel", "add_prefix_space": true})";
  CHECK(read(plain).byte_level());
  CHECK(split(plain, "ab cd!") == Pieces{" ab", " cd", "!"});
  CHECK(split(R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false})", "a b") ==
        Pieces{"a b"});
  refused(
      R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "ByteLevel"}]})",
      Errc::unsupported, "pretokenizers[1]");
}

TEST_CASE("unknown steps, patterns and schemes are refused by name") {
  refused(R"({"type": "Whitespace"})", Errc::unsupported, "type");
  refused(R"({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"})",
          Errc::unsupported, "pattern.Regex");
  refused(literal("Removed"), Errc::unsupported, "behavior");
  refused(literal("Contiguous"), Errc::unsupported, "behavior");
  refused(R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated"})",
          Errc::bad_tokenizer, "pattern.String");
  refused(metaspace(R"(, "prepend_scheme": "last")"), Errc::bad_tokenizer, "prepend_scheme");
  refused(R"({"type": "Metaspace", "replacement": "ab"})", Errc::bad_tokenizer, "replacement");
  refused(R"({"type": "Metaspace", "replacement": ""})", Errc::bad_tokenizer, "replacement");
  refused(R"({"type": "Metaspace"})", Errc::missing_field, "replacement");
  std::string many = R"({"type": "Sequence", "pretokenizers": [)" + literal("Isolated");
  for (int i = 0; i < 8; ++i) many += "," + literal("Isolated");
  refused(many + "]}", Errc::limit_exceeded, "");
}

}  // namespace pre_tokenizer_test
