#include "gov/io/json_events.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using gov::test::code_of;
using gov::test::error_of;

// Writes down what it hears.
struct Recorder {
  std::string log;
  void on_null() { log += "null "; }
  void on_bool(bool value) { log += value ? "true " : "false "; }
  void on_unsigned(std::uint64_t value) { log += "u" + std::to_string(value) + " "; }
  void on_negative(std::int64_t value) { log += "n" + std::to_string(value) + " "; }
  void on_float(double value) { log += "f" + std::to_string(value) + " "; }
  void on_string(const std::string& value) { log += "'" + value + "' "; }
  void on_key(const std::string& value) { log += value + ": "; }
  void on_start_object() { log += "{ "; }
  void on_end_object() { log += "} "; }
  void on_start_array() { log += "[ "; }
  void on_end_array() { log += "] "; }
};

std::string events(std::string_view text, gov::JsonLimits limits = {}) {
  Recorder recorder;
  gov::parse_json_events(text, "test.json", limits, recorder);
  return recorder.log;
}
std::string code(std::string_view text, gov::JsonLimits limits = {}) {
  return code_of([&] { events(text, limits); });
}

}  // namespace

TEST_CASE("events come in document order, numbers by kind") {
  CHECK(events(R"({"a":[1,-2,-0,2.0,true,null],"b":"\u00e9","a":{}})") ==
        "{ a: [ u1 n-2 n0 f2.000000 true null ] b: 'é' a: { } } ");
  CHECK(events("18446744073709551615") == "u18446744073709551615 ");
  CHECK(events("-9223372036854775808") == "n-9223372036854775808 ");
  CHECK(events("18446744073709551616").starts_with("f18446744073709551616"));
  CHECK(events(" \t\r\n{} \n") == "{ } ");
}

TEST_CASE("text that is not JSON is refused, with the reason's code") {
  for (const std::string_view text : {"",
                                      "{}x",
                                      "{}{}",
                                      "{",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "// c\n{}",
                                      "/* c */{}",
                                      "{'a':1}",
                                      "NaN",
                                      "[Infinity]",
                                      "{\"a\" 1}",
                                      "[1 2]",
                                      "nul",
                                      "\"a",
                                      "\"\\ud800\"",
                                      "\"\\udc00\\ud800\"",
                                      "\"\\x41\"",
                                      "\"a\nb\"",
                                      "+1",
                                      ".5",
                                      "1.",
                                      "1e",
                                      "-",
                                      "[1]]",
                                      "\xef\xbb\xbf{}"}) {
    CAPTURE(text);
    CHECK(code(text) == "bad_json");
  }
  using namespace std::string_view_literals;
  CHECK(code("{}\0"sv) == "bad_json");
  CHECK(code("{}\0{"sv) == "bad_json");
  CHECK(code("[\"a\0b\"]"sv) == "bad_json");
  CHECK(code("\0{\0}"sv) == "bad_json");  // UTF-16
  for (const std::string_view text : {"02", "[1, 00]", "-01", "1e400", "-1e400", "[1e999]"}) {
    CAPTURE(text);
    CHECK(code(text) == "bad_number");
  }
}

TEST_CASE("UTF-8 is strict everywhere in the text") {
  for (const std::string_view bytes :
       {"\xff", "\xc0\xaf", "\xc1\x81", "\xe0\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xc3", "\xe2\x82",
        "\xf0\x9f\x98", "\xc3(", "\xe2\x28\xa1", "\xff\xfe"}) {
    CAPTURE(static_cast<int>(static_cast<unsigned char>(bytes[0])));
    CHECK(code("[\"" + std::string(bytes) + "\"]") == "bad_utf8");
    CHECK(gov::find_bad_utf8("ab" + std::string(bytes)) == 2);
  }
  for (const std::string_view good :
       {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(!gov::find_bad_utf8(good));
}

TEST_CASE("every single code point encodes to good UTF-8, every cut of it to bad") {
  for (unsigned point = 0x80; point < 0x110000; point += point < 0x3000 ? 1 : 61) {
    if (point >= 0xd800 && point < 0xe000) continue;
    std::string text;
    if (point < 0x800) {
      text += static_cast<char>(0xc0 | point >> 6);
    } else if (point < 0x10000) {
      text += static_cast<char>(0xe0 | point >> 12);
      text += static_cast<char>(0x80 | (point >> 6 & 63));
    } else {
      text += static_cast<char>(0xf0 | point >> 18);
      text += static_cast<char>(0x80 | (point >> 12 & 63));
      text += static_cast<char>(0x80 | (point >> 6 & 63));
    }
    text += static_cast<char>(0x80 | (point & 63));
    REQUIRE(!gov::find_bad_utf8(text));
    text.pop_back();
    REQUIRE(gov::find_bad_utf8(text) == 0);
  }
}

TEST_CASE("depth and size are limited") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(code(nested(64)) == "none");
  CHECK(code(nested(65)) == "too_deep");
  CHECK(code(nested(128), {.depth = 128}) == "none");
  CHECK(code(std::string(200000, '[')) == "too_deep");
  CHECK(code("[1234567]", {.text_bytes = 9}) == "none");
  CHECK(code("[12345678]", {.text_bytes = 9}) == "limit_exceeded");
}

TEST_CASE("the message says where") {
  const auto error = error_of([] { events("{\n  \"a\": tru\n}"); });
  REQUIRE(error);
  CHECK(error->file() == "test.json");
  CHECK(error->found().find("line 2") != std::string::npos);
  CHECK(error_of([] { events("[1,\n 1e400]"); })->found() == "1e400");
}
