#include "gov/text/unicode.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using namespace gov;

TEST_CASE("all 0x110000 code points have the class that the generator saw") {
  std::uint32_t counts[std::size(char_class_counts)] = {};
  std::uint64_t digest = 0xCBF29CE484222325u;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const auto value = static_cast<std::uint8_t>(char_class(c));
    digest = (digest ^ value) * 0x100000001B3u;
    REQUIRE(value < std::size(counts));
    if (c < 0xD800 || c >= 0xE000) ++counts[value];
  }
  CHECK(digest == char_class_fnv1a);
  for (std::size_t i = 0; i < std::size(counts); ++i) CHECK(counts[i] == char_class_counts[i]);
  CHECK(char_class(0x110000) == CharClass::other);
  CHECK(char_class(0xFFFFFFFF) == CharClass::other);
}

TEST_CASE("classes of well-known characters, at compile time") {
  static_assert(char_class('A') == CharClass::upper && char_class('z') == CharClass::lower);
  static_assert(char_class(0x1C5) == CharClass::title);     // Dz with caron
  static_assert(char_class(0x2B0) == CharClass::modifier);  // small h
  static_assert(char_class(0x5B57) == CharClass::letter);
  static_assert(char_class(0x301) == CharClass::mark);
  static_assert(char_class('7') == CharClass::number_word && char_class(0xBD) == CharClass::number);
  static_assert(char_class(0xA0) == CharClass::space && char_class(0x3000) == CharClass::space);
  static_assert(char_class(0x180E) == CharClass::other && char_class(0x200B) == CharClass::other);
  static_assert(char_class('_') == CharClass::other_word &&
                char_class(0x200D) == CharClass::other_word);
  static_assert(char_class(0x10428) == CharClass::lower);
  static_assert(is_letter(char_class(0xE9)) && !is_letter(char_class(0x301)));
  static_assert(is_number(char_class(0x2167)) && is_word(char_class(0x2167)));
  static_assert(is_word(char_class(0x24D0)) && !is_word(char_class('-')) &&
                !is_word(char_class(' ')));
  CHECK(is_space(char_class('\n')));
}
