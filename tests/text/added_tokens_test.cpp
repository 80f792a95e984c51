#include "gov/text/added_tokens.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace gov;

namespace {

using Parts = std::vector<std::string>;

// Texts as they are, tokens as #id.
Parts split(const AddedTokenMatcher& matcher, std::string_view text, AddedTokenFilter filter = {}) {
  Parts parts;
  matcher.split(
      text, filter, [&](std::string_view part) { parts.emplace_back(part); },
      [&](int id) { parts.push_back("#" + std::to_string(id)); });
  return parts;
}

AddedTokenMatcher matcher_of(std::vector<AddedToken> tokens) {
  AddedTokenMatcher matcher;
  for (AddedToken& token : tokens) matcher.add(std::move(token));
  REQUIRE(matcher.build() == -1);
  return matcher;
}

AddedToken token(int id, std::string content) {
  AddedToken made;
  made.id = id;
  made.content = std::move(content);
  return made;
}

}  // namespace

TEST_CASE("leftmost, then longest, without overlap") {
  const auto matcher = matcher_of(
      {token(1, "<a>"), token(2, "<a><b>"), token(3, "<b>"), token(4, "><"), token(5, "<")});
  CHECK(split(matcher, "") == Parts{});
  CHECK(split(matcher, "plain") == Parts{"plain"});
  CHECK(split(matcher, "x<a>y") == Parts{"x", "#1", "y"});
  CHECK(split(matcher, "<a><b><b>") == Parts{"#2", "#3"});
  CHECK(split(matcher, "<a><c>") == Parts{"#1", "#5", "c>"});
  CHECK(split(matcher, "<a") == Parts{"#5", "a"});
  CHECK(split(matcher, "=><a>") == Parts{"=", "#4", "a>"});
}

TEST_CASE("the same content twice is reported") {
  AddedTokenMatcher matcher;
  matcher.add(token(1, "x"));
  matcher.add(token(2, "y"));
  matcher.add(token(3, "x"));
  const int twice = matcher.build();
  REQUIRE(twice >= 0);
  CHECK(matcher.tokens()[static_cast<std::size_t>(twice)].content == "x");
}

TEST_CASE("what the filter rejects stays text, and hides what lies inside it") {
  AddedToken special = token(1, "<|end|>");
  special.special = true;
  const auto matcher = matcher_of({special, token(2, "end"), token(3, "<think>")});
  CHECK(split(matcher, "<|end|>end") == Parts{"#1", "#2"});
  CHECK(split(matcher, "<|end|>end", {.special = false, .other = true}) == Parts{"<|end|>", "#2"});
  CHECK(split(matcher, "<think><|end|>", {.special = true, .other = false}) ==
        Parts{"<think>", "#1"});
  CHECK(split(matcher, "<think><|end|>", {.special = false, .other = false}) ==
        Parts{"<think><|end|>"});
}

TEST_CASE("single_word, lstrip and rstrip") {
  AddedToken single = token(1, "word"), left = token(2, "[L]"), right = token(3, "[R]");
  single.single_word = left.lstrip = right.rstrip = true;
  const auto matcher = matcher_of({single, left, right});
  CHECK(split(matcher, "word words sword, word") == Parts{"#1", " words sword, ", "#1"});
  CHECK(split(matcher, "\u00e9word word\u0301 (word)") ==
        Parts{"\u00e9word word\u0301 (", "#1", ")"});
  CHECK(split(matcher, "a \u3000\n[L] b") == Parts{"a", "#2", " b"});
  CHECK(split(matcher, "a [R] \u2003\tb") == Parts{"a ", "#3", "b"});
  CHECK(split(matcher, "[R]  [L]") == Parts{"#3", "#2"});  // the spaces go to the first
  CHECK(split(matcher, "  [L]") == Parts{"#2"});
}

TEST_CASE("a token of white space after one that has swallowed it") {
  AddedToken right = token(1, "[R]");
  right.rstrip = true;
  const auto matcher = matcher_of({right, token(2, "  "), token(3, " x")});
  CHECK(split(matcher, "[R]  y") == Parts{"#1", "y"});
  CHECK(split(matcher, "[R]   xy") == Parts{"#1", "#3", "y"});
}
