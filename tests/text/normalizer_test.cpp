#include "gov/text/normalizer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "tests/support/errors.hpp"

using namespace gov;

namespace {

Normalizer read(std::string_view text) { return Normalizer::read(parse_json(text, "t.json")); }

void refused(std::string_view text, Errc code, std::string_view field) {
  CAPTURE(text);
  const Error error = test::thrown([&] { read(text); });
  CHECK(error.code() == code);
  CHECK(error.field() == field);
}

}  // namespace

TEST_CASE("strings are replaced from left to right, without overlap") {
  CHECK(replace_all("", "a", "b") == "");
  CHECK(replace_all("aXbX", "X", "--") == "a--b--");
  CHECK(replace_all("aaa", "aa", "b") == "ba");
  CHECK(replace_all("a b", " ", "") == "ab");
}

TEST_CASE("steps run in order, and an empty text gets no prefix") {
  CHECK(Normalizer().empty());
  CHECK(Normalizer().apply(" x") == " x");
  const Normalizer llama = read(R"({"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]})");
  CHECK(llama.apply("a b ") == "▁a▁b▁");
  CHECK(llama.apply(" a") == "▁▁a");
  CHECK(llama.apply("").empty());
  CHECK(read(R"({"type": "NFC"})").apply("e\u0301") == "\u00e9");
  const Normalizer late = read(R"({"type": "Sequence", "normalizers": [
      {"type": "Replace", "pattern": {"String": "x"}, "content": ""},
      {"type": "Prepend", "prepend": "p"}]})");
  CHECK(late.apply("xx").empty());
}

TEST_CASE("other normalizers, patterns and long contents are refused by name") {
  refused(R"({"type": "NFKC"})", Errc::unsupported, "type");
  refused(R"({"type": "Precompiled", "precompiled_charsmap": ""})", Errc::unsupported, "type");
  refused(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})",
          Errc::unsupported, "pattern");
  refused(R"({"type": "Replace", "pattern": {"String": ""}, "content": " "})", Errc::bad_tokenizer,
          "pattern.String");
  refused("{\"type\": \"Prepend\", \"prepend\": \"" + std::string(65, 'x') + "\"}",
          Errc::limit_exceeded, "prepend");
  refused(R"({"type": "Prepend"})", Errc::missing_field, "prepend");
  refused(R"({"type": "Sequence", "normalizers": {}})", Errc::bad_type, "normalizers");
  std::string many = R"({"type": "Sequence", "normalizers": [{"type": "NFC"})";
  for (int i = 0; i < 16; ++i) many += R"(, {"type": "NFC"})";
  refused(many + "]}", Errc::limit_exceeded, "normalizers");
}

TEST_CASE("a text cannot be blown up without end") {
  const std::string step = R"({"type": "Replace", "pattern": {"String": "a"}, "content": ")" +
                           std::string(64, 'a') + "\"}";
  CHECK(read(step).apply(std::string(70, 'a')).size() == 64 * 70);
  const Normalizer twice =
      read(R"({"type": "Sequence", "normalizers": [)" + step + "," + step + "]}");
  CHECK(twice.apply("a").size() == 4096);
  for (const Normalizer& normalizer : {twice, read(step)})
    CHECK(test::code_of([&] { normalizer.apply(std::string(80, 'a')); }) == "limit_exceeded");
}
