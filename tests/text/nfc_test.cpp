#include "gov/text/nfc.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/support/tokenizer_fixture.hpp"

using namespace gov;
using namespace gov::test;

namespace {

class Crc32 {
 public:
  Crc32() {
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
      table_[i] = value;
    }
  }
  void add(char c) {
    state_ = state_ >> 8 ^ table_[(state_ ^ static_cast<unsigned char>(c)) & 0xFF];
  }
  std::uint32_t value() const { return ~state_; }

 private:
  std::array<std::uint32_t, 256> table_{};
  std::uint32_t state_ = ~0u;
};

}  // namespace

TEST_CASE("NFC of every code point is that of the tokenizers package") {
  std::istringstream lines(read_text(tokenizer_fixtures + "nfc.txt", 1000));
  std::string word;
  lines >> word >> word;  // package and version
  struct Context {
    std::string name, before, after;
  };
  for (const Context& context : {Context{"alone", "", ""}, Context{"before", "q\u0301", "\u0334"},
                                 Context{"between", "a", "\u0316\u0301"}}) {
    CAPTURE(context.name);
    std::uint32_t expected = 0;
    lines >> word >> std::hex >> expected;
    REQUIRE(word == context.name);
    Crc32 crc;
    for (char32_t c = 1; c < 0x110000; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      std::string text = context.before;
      append_utf8(text, c);
      for (const char byte : to_nfc(text + context.after)) crc.add(byte);
      crc.add('\0');
    }
    CHECK(crc.value() == expected);
  }
}

TEST_CASE("NFC of random sequences of marks, composites and Hangul") {
  FixtureReader reader("nfc.bin");
  const std::uint32_t count = reader.varint();
  REQUIRE(count == 3000);
  int wrong = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string text = reader.text(reader.varint());
    const std::string expected = reader.text(reader.varint());
    if (to_nfc(text) == expected) continue;
    if (++wrong < 5)
      MESSAGE(shown(text) << " -> " << shown(to_nfc(text)) << " not " << shown(expected));
  }
  CHECK(wrong == 0);
  CHECK(reader.done());
}

TEST_CASE("NFC composes, orders marks and keeps what it does not know") {
  CHECK(to_nfc("").empty());
  CHECK(to_nfc(std::string_view("a\0b", 3)) == std::string_view("a\0b", 3));
  CHECK(to_nfc("e\u0301") == "\u00e9");
  CHECK(to_nfc("\u212b") == "\u00c5");
  CHECK(to_nfc("a\u0301\u0316") == "\u00e1\u0316");  // 0316 does not block 0301
  CHECK(to_nfc("\u1100\u1161\u11a8") == "\uac01");
  CHECK(to_nfc("\uac00\u11a7") == "\uac00\u11a7");  // U+11A7 is no trailing consonant
  CHECK(to_nfc("\u0958") == "\u0915\u093c");        // composition exclusion
  CHECK(to_nfc("e\u0301\u0301") == "\u00e9\u0301");
}

TEST_CASE("a long run of marks in the worst order is sorted, not bubbled") {
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i) text += i % 2 ? "\u0316" : "\u0301";  // classes 220 and 230
  const std::string composed = to_nfc(text);
  CHECK(composed.size() == text.size() - 1);  // one acute joins the a
  CHECK(composed.substr(0, 4) == "\u00e1\u0316");
  CHECK(composed.substr(composed.size() - 2) == "\u0301");
}
