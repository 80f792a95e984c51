#include "gov/text/byte_level.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace gov;

TEST_CASE("the spelling of bytes, both ways") {
  CHECK(to_byte_level(" ") == "\u0120");
  CHECK(to_byte_level("\n") == "\u010A");
  CHECK(to_byte_level(std::string(1, '\0')) == "\u0100");
  CHECK(to_byte_level("\xAD") == "\u0143");  // the last of the 68
  CHECK(to_byte_level("a~!") == "a~!");
  CHECK(to_byte_level("\u00e9") == "\u00c3\u00a9");
  std::string all, back;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  REQUIRE(from_byte_level(to_byte_level(all), back));
  CHECK(back == all);
}

TEST_CASE("text that is no spelling") {
  std::string bytes;
  CHECK_FALSE(from_byte_level("a b", bytes));  // a space has its own letter
  CHECK_FALSE(from_byte_level("\u5b57", bytes));
  CHECK_FALSE(from_byte_level("\u00ad", bytes));
  CHECK_FALSE(from_byte_level("\u0144", bytes));
  CHECK_FALSE(from_byte_level("\xFF", bytes));
  CHECK(from_byte_level("", bytes));
  CHECK(bytes.empty());
}
