#include "gov/text/utf8.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "tests/support/errors.hpp"

using namespace gov;

namespace {

std::string replaced(std::string_view text) { return to_valid_utf8(text); }
const std::string r = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace

TEST_CASE("every code point survives encode and decode") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Char back = decode_utf8(text, 0);
    if (!back.valid || back.code_point != c || back.length != text.size()) FAIL_CHECK(int(c));
    for (std::size_t cut = 1; cut < text.size(); ++cut)
      if (incomplete_utf8_tail(text.substr(0, cut)) != cut) FAIL_CHECK(int(c));
    if (incomplete_utf8_tail(text) != 0) FAIL_CHECK(int(c));
  }
}

TEST_CASE("one U+FFFD per maximal subpart, as Unicode's own example has it") {
  CHECK(replaced("a\xF1\x80\x80\xE1\x80\xC2"
                 "b\x80"
                 "c\x80\xBF"
                 "d") == "a" + r + r + r + "b" + r + "c" + r + r + "d");
  CHECK(replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == r + r + r + r + "A");
  CHECK(replaced("plain ASCII, long enough for the fast path\xFF") ==
        "plain ASCII, long enough for the fast path" + r);
}

TEST_CASE("valid and invalid text is told apart") {
  CHECK(is_valid_utf8(""));
  CHECK(is_valid_utf8(std::string_view("\0x", 2)));
  CHECK(is_valid_utf8("12345678\u00e9\u5b57\U0001F600"));
  CHECK(find_invalid_utf8("123456789\xFF") == 9);
  CHECK(find_invalid_utf8("\u00e9\xE2\x82") == 2);
  CHECK_FALSE(is_valid_utf8("\xED\xA0\x80"));
  const Error error = test::thrown([&] { check_utf8("ab\xC0", "prompt"); });
  CHECK(error.code() == Errc::bad_utf8);
  CHECK(error.field() == "prompt");
  CHECK(error.found() == "an invalid sequence at byte 2");
  check_utf8("fine", "prompt");
}

TEST_CASE("only what further bytes can complete counts as incomplete") {
  CHECK(incomplete_utf8_tail("") == 0);
  CHECK(incomplete_utf8_tail("a\xE2\x82") == 2);
  CHECK(incomplete_utf8_tail("\xF0\x9F\x98") == 3);
  CHECK(incomplete_utf8_tail("\xE0\x80") == 0);  // never valid
  CHECK(incomplete_utf8_tail("\xC0") == 0);
  CHECK(incomplete_utf8_tail("\x80\x80\x80") == 0);
  CHECK(incomplete_utf8_tail("\xC3\xA9\xA9") == 0);
}
