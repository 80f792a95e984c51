#include "gov/io/json_writer.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <random>

#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

using gov::test::code_of;

TEST_CASE("members, arrays and nesting are laid out") {
  gov::JsonWriter out;
  out.begin_object().field("name", "a").field("n", 3).key("shape").value(std::vector{2, 3});
  out.key("empty").begin_object().end_object().key("none").value(nullptr).field("yes", true);
  out.end_object();
  CHECK(
      out.str() ==
      "{\n  \"name\": \"a\",\n  \"n\": 3,\n  \"shape\": [\n    2,\n    3\n  ],\n  \"empty\": {},\n"
      "  \"none\": null,\n  \"yes\": true\n}");
  gov::JsonWriter line(-1);
  line.begin_array()
      .value(1)
      .value(2.0)
      .value("x")
      .begin_object()
      .field("k", 1u)
      .end_object()
      .end_array();
  CHECK(line.str() == "[1, 2.0, \"x\", {\"k\":1}]");
}

TEST_CASE("strings are escaped and read back") {
  std::string all;
  for (int i = 0; i < 0x80; ++i) all += static_cast<char>(i);
  all += "é漢😀\"\\";
  const std::string text = gov::JsonWriter(-1).value(all).str();
  for (const char c : text) CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK(gov::parse_json(text, "t").as_string() == all);
  CHECK(code_of([] { gov::JsonWriter().value("\xff"); }) == "bad_utf8");
}

TEST_CASE("doubles read back to the same bits, and stay floats") {
  std::mt19937_64 random(7);
  const auto check = [](double x) {
    const gov::Json json = gov::parse_json(gov::JsonWriter().value(x).str(), "t");
    REQUIRE_FALSE(json.is_integer());
    REQUIRE(std::bit_cast<std::uint64_t>(json.as_double()) == std::bit_cast<std::uint64_t>(x));
  };
  for (const double x :
       {0.0, -0.0, 1.0, -2.0, 0.1, 1e300, 5e-324, 1e-5, 1e22, 150000.0, 1e100,
        std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()})
    check(x);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = random();
    if ((bits >> 52 & 0x7ff) != 0x7ff) check(std::bit_cast<double>(bits));
  }
  CHECK(gov::JsonWriter().value(1e-5f).str() == "1e-05");
  CHECK(code_of([] { gov::JsonWriter().value(std::numeric_limits<double>::infinity()); }) ==
        "bad_number");
  CHECK(code_of([] { gov::JsonWriter().value(std::numeric_limits<float>::quiet_NaN()); }) ==
        "bad_number");
  CHECK(gov::JsonWriter().value(std::numeric_limits<std::uint64_t>::max()).str() ==
        "18446744073709551615");
}

TEST_CASE("a document written out again is the same document") {
  const std::string text =
      R"({"a":[1,-2,-0,2.5,1e+30,true,false,null,[],{}],"b":{"c":"\u0001é"},"d":18446744073709551615})";
  const std::string once = gov::dump(gov::parse_json(text, "t"), -1);
  CHECK(once ==
        "{\"a\":[1, -2, -0, 2.5, 1e+30, true, false, null, [], {}], \"b\":{\"c\":\"\\u0001é\"}, "
        "\"d\":18446744073709551615}");
  CHECK(gov::dump(gov::parse_json(once, "t"), -1) == once);
  CHECK(gov::dump(gov::parse_json(gov::dump(gov::parse_json(text, "t")), "t"), -1) == once);
}

TEST_CASE("misuse is refused") {
  CHECK(code_of([] { gov::JsonWriter().begin_object().value(1); }) == "bad_argument");
  CHECK(code_of([] { gov::JsonWriter().begin_array().key("a"); }) == "bad_argument");
  CHECK(code_of([] { gov::JsonWriter().begin_array().end_object(); }) == "bad_argument");
  CHECK(code_of([] { gov::JsonWriter().begin_object().key("a").end_object(); }) == "bad_argument");
  CHECK(code_of([] { gov::JsonWriter().begin_object().str(); }) == "bad_argument");
  CHECK(code_of([] { gov::JsonWriter().value(1).value(2); }) == "bad_argument");
  CHECK(code_of([] { gov::JsonWriter().str(); }) == "bad_argument");
}
