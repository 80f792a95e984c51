#include "gov/text/trim.hpp"

#include <doctest/doctest.h>

using namespace gov;

TEST_CASE("white space goes at the ends that are asked for, never inside") {
  constexpr std::string_view text = " \t\n\v\f\r a b \r\n";
  CHECK(trim_start(text) == "a b \r\n");
  CHECK(trim_end(text) == " \t\n\v\f\r a b");
  CHECK(trimmed(text) == "a b");
  for (const char* nothing : {"", " ", "\n\t "}) {
    CHECK(trim_start(nothing).empty());
    CHECK(trim_end(nothing).empty());
    CHECK(trimmed(nothing).empty());
  }
  CHECK(trimmed("x") == "x");
}
