#include "gov/text/split.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/tokenizer_fixture.hpp"

#ifdef GOV_TEST_PCRE2  // set by the build when libpcre2-8 is there
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#endif

using namespace gov;
using namespace gov::test;

namespace {

using Pieces = std::vector<std::string>;

Pieces split(SplitPattern pattern, std::string_view text) {
  Pieces pieces;
  split_text(pattern, text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

constexpr SplitPattern all_patterns[] = {SplitPattern::gpt2, SplitPattern::llama3,
                                         SplitPattern::qwen2, SplitPattern::o200k};

}  // namespace

TEST_CASE("the known spellings are told apart, others are unknown") {
  for (const SplitPattern pattern : all_patterns)
    CHECK(find_split_pattern(split_regex(pattern)) == pattern);
  CHECK_FALSE(find_split_pattern("").has_value());
  CHECK_FALSE(find_split_pattern(R"(\s+)").has_value());
  CHECK_FALSE(find_split_pattern(std::string(split_regex(SplitPattern::qwen2)) + "|x").has_value());
}

TEST_CASE("o200k: words by case, digits by three, slashes with punctuation") {
  const auto p = SplitPattern::o200k;
  CHECK(split(p, "fooBarBAZ_quxHTTPServer") == Pieces{"foo", "Bar", "BAZ", "_qux", "HTTPServer"});
  CHECK(split(p, "I'M you'Re HE'S   x") == Pieces{"I'M", " you'Re", " HE'S", "  ", " x"});
  CHECK(split(p, " \r\n a/b//\n") == Pieces{" \r\n", " a", "/b", "//\n"});
  CHECK(split(p, "1234567 89") == Pieces{"123", "456", "7", " ", "89"});
  CHECK(split(p, "AB\u5b57CD") == Pieces{"AB\u5b57", "CD"});  // back to the uncased letter
  CHECK(split(p, "AB\u5b57CDe") == Pieces{"AB\u5b57CDe"});
  CHECK(split(p, "\u0301") == Pieces{"\u0301"});
  CHECK(split(p,
              "\u0301"
              "AB") == Pieces{"\u0301", "AB"});  // the mark alone, then capitals
  CHECK(split(p,
              "\u0301"
              "ABc") == Pieces{"\u0301"
                               "ABc"});
  CHECK(split(p, "a'\u017f b's") == Pieces{"a'\u017f", " b's"});
  CHECK(split(p, "x'll'") == Pieces{"x'll", "'"});
}

TEST_CASE("Qwen2, Llama-3 and GPT-2 differ where their patterns do") {
  CHECK(split(SplitPattern::qwen2, "it'S 123") == Pieces{"it", "'S", " ", "1", "2", "3"});
  CHECK(split(SplitPattern::llama3, "it'S 1234") == Pieces{"it", "'S", " ", "123", "4"});
  CHECK(split(SplitPattern::gpt2, "it'S it's 1234") ==
        Pieces{"it", "'", "S", " it", "'s", " 1234"});
  CHECK(split(SplitPattern::qwen2, "a!\n\n//\n") == Pieces{"a", "!\n\n", "//\n"});
  CHECK(split(SplitPattern::gpt2, "a!\n\n b") == Pieces{"a", "!", "\n\n", " b"});
  CHECK(split(SplitPattern::gpt2, "\tx") == Pieces{"\t", "x"});
  CHECK(split(SplitPattern::qwen2, "\tx") == Pieces{"\tx"});
  CHECK(split(SplitPattern::qwen2, "  \n  x") == Pieces{"  \n", " ", " x"});
  CHECK(split(SplitPattern::qwen2, "x  ") == Pieces{"x", "  "});
  CHECK(split(SplitPattern::qwen2,
              "\u0301"
              "a") == Pieces{"\u0301"
                             "a"});
}

TEST_CASE("the pieces are the text, and none is empty") {
  for (const std::string& bytes : fixture_strings()) {
    const std::string text = to_valid_utf8(bytes);
    for (const SplitPattern pattern : all_patterns) {
      std::string joined;
      split_text(pattern, text, [&](std::string_view piece) {
        if (piece.empty()) FAIL_CHECK("an empty piece");
        joined += piece;
      });
      if (joined != text) FAIL_CHECK(shown(text));
    }
  }
}

TEST_CASE("long runs of one kind pass through without recursion") {
  for (const SplitPattern pattern : all_patterns)
    for (const std::string unit :
         {"a", "A", " ", "\n", "1", "^", "'s", "\u0301", "\u5b57", " \n", "A\u5b57"}) {
      std::string text;
      while (text.size() < 300'000) text += unit;
      std::size_t total = 0;
      split_text(pattern, text, [&](std::string_view piece) { total += piece.size(); });
      CHECK(total == text.size());
    }
}

#ifdef GOV_TEST_PCRE2
namespace {

// A second opinion: the pattern itself, run by PCRE2. Its Unicode tables are older, so texts with
// characters that it calls unassigned are left out; so is U+180E, white space until Unicode 6.2.
class Pcre2 {
 public:
  explicit Pcre2(std::string_view pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
    REQUIRE(code_);
    match_ = pcre2_match_data_create_from_pattern(code_, nullptr);
  }
  ~Pcre2() {
    pcre2_match_data_free(match_);
    pcre2_code_free(code_);
  }
  Pcre2(const Pcre2&) = delete;

  // The end of a match that begins at `begin`, or npos.
  std::size_t match(std::string_view text, std::size_t begin, std::uint32_t options) const {
    const int count = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  begin, options | PCRE2_NO_UTF_CHECK, match_, nullptr);
    return count < 0 ? std::string_view::npos : pcre2_get_ovector_pointer(match_)[1];
  }

 private:
  pcre2_code* code_;
  pcre2_match_data* match_;
};

}  // namespace

TEST_CASE("the scanners cut where PCRE2 does") {
  const Pcre2 unassigned(R"([\p{Cn}\x{180e}])");
  std::vector<std::string> texts = fixture_strings();
  for (std::string& text : texts) text = to_valid_utf8(text);
  std::vector<std::string> atoms(texts.begin() + 60, texts.begin() + 170);
  std::mt19937 random(3);
  for (int i = 0; i < 30'000; ++i) {
    std::string text;
    for (auto n = 2 + random() % 8; n > 0; --n) text += atoms[random() % atoms.size()];
    texts.push_back(std::move(text));
  }
  int compared = 0;
  for (const SplitPattern pattern : all_patterns) {
    const Pcre2 oracle(split_regex(pattern));
    for (const std::string& text : texts) {
      if (unassigned.match(text, 0, 0) != std::string_view::npos) continue;
      ++compared;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t expected = oracle.match(text, at, PCRE2_ANCHORED);
        const std::size_t end = split_end(pattern, text, at);
        if (end != expected) {
          FAIL_CHECK(split_regex(pattern) << " at " << at << " of " << shown(text));
          break;
        }
        at = end;
      }
    }
  }
  CHECK(compared > 100'000);
}
#endif
