#include "gov/core/error.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <type_traits>

using namespace gov;

static_assert(std::is_base_of_v<std::runtime_error, Error>);

TEST_CASE("the message names file, field, expected, found and code") {
  const Error error({.code = Errc::bad_type,
                     .file = "config.json",
                     .field = "hidden_size",
                     .expected = "an integer",
                     .found = "a string"});
  CHECK(std::string(error.what()) ==
        "config.json: hidden_size: expected an integer, found a string [bad_type]");
  CHECK(error.code() == Errc::bad_type);
  CHECK(error.file() == "config.json");
  CHECK(error.field() == "hidden_size");
  CHECK(error.expected() == "an integer");
  CHECK(error.found() == "a string");
  CHECK(error.info().found == "a string");
}

TEST_CASE("empty parts are left out of the message") {
  const auto text = [](ErrorInfo info) { return std::string(Error(std::move(info)).what()); };
  CHECK(text({.code = Errc::io_error, .file = "a", .field = {}, .expected = {}, .found = "gone"}) ==
        "a: found gone [io_error]");
  CHECK(text({.code = Errc::overflow, .file = {}, .field = "size", .expected = {}, .found = {}}) ==
        "size [overflow]");
  CHECK(
      text(
          {.code = Errc::overflow, .file = {}, .field = {}, .expected = "a number", .found = {}}) ==
      "expected a number [overflow]");
}

TEST_CASE("control bytes of untrusted text cannot reach a terminal") {
  const Error error({.code = Errc::bad_name,
                     .file = "a\x1b[2J",
                     .field = std::string("x\0y", 3),
                     .expected = {},
                     .found = "tab\t"});
  const std::string text = error.what();
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\0') == std::string::npos);
  CHECK(text.find("a\\x1b[2J") != std::string::npos);
  CHECK(text.find("x\\x00y") != std::string::npos);
  CHECK(error.file() == "a\x1b[2J");  // the parts stay as they were
}

TEST_CASE("every code has a name of its own") {
  std::set<std::string_view> names;
  int count = 0;
  for (int code = 0; to_string(static_cast<Errc>(code)) != "error"; ++code, ++count)
    names.insert(to_string(static_cast<Errc>(code)));
  CHECK(count == static_cast<int>(Errc::bad_logits) + 1);
  CHECK(names.size() == static_cast<std::size_t>(count));
}
