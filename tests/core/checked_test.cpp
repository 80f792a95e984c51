#include "gov/core/checked.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/errors.hpp"

using namespace gov;

namespace {
constexpr index_t largest = std::numeric_limits<index_t>::max();
constexpr index_t smallest = std::numeric_limits<index_t>::min();
}  // namespace

TEST_CASE("products and sums that fit are themselves") {
  CHECK(checked_mul<index_t>(6, 7, "x") == 42);
  CHECK(checked_mul<index_t>(largest, 1, "x") == largest);
  CHECK(checked_mul<index_t>(largest, 0, "x") == 0);
  CHECK(checked_mul<index_t>(-3, 5, "x") == -15);
  CHECK(checked_add<index_t>(largest - 1, 1, "x") == largest);
  CHECK(checked_add<std::uint8_t>(200, 55, "x") == 255);
}

TEST_CASE("those that wrap are an error that names the field") {
  CHECK_THROWS_AS(checked_mul<index_t>(largest, 2, "x"), Error);
  CHECK_THROWS_AS(checked_mul<index_t>(smallest, -1, "x"), Error);
  CHECK_THROWS_AS(checked_mul<index_t>(index_t{1} << 32, index_t{1} << 31, "x"), Error);
  CHECK_THROWS_AS(checked_add<index_t>(largest, 1, "x"), Error);
  CHECK_THROWS_AS(checked_add<index_t>(smallest, -1, "x"), Error);
  CHECK_THROWS_AS(checked_add<std::uint8_t>(200, 56, "x"), Error);
  CHECK_THROWS_AS(checked_mul<std::uint64_t>(std::uint64_t{1} << 33, std::uint64_t{1} << 31, "x"),
                  Error);
  const Error error = test::thrown([&] { checked_mul(largest, largest, "data_offsets"); });
  CHECK(error.code() == Errc::overflow);
  CHECK(error.field() == "data_offsets");
}

TEST_CASE("checked_index narrows what fits") {
  CHECK(checked_index(0, "x") == 0);
  CHECK(checked_index(static_cast<std::uint64_t>(largest), "x") == largest);
  CHECK_THROWS_AS(checked_index(static_cast<std::uint64_t>(largest) + 1, "x"), Error);
  CHECK_THROWS_AS(checked_index(std::numeric_limits<std::uint64_t>::max(), "x"), Error);
}
