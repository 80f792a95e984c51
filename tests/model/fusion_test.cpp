#include "gov/model/fusion.hpp"

#include <doctest/doctest.h>

#include "tests/support/errors.hpp"

using gov::index_t;

TEST_CASE("placeholders by id, in order") {
  const std::vector<int> ids{7, 3, 7, 7, 1};
  CHECK(gov::placeholders(ids, 7) == std::vector<index_t>{0, 2, 3});
  CHECK(gov::placeholders(ids, 9).empty());
}

TEST_CASE("placeholders by embedding must match in every channel") {
  std::vector<float> embeds{1, 2, 1, 3, 1, 2, 0, 2};
  const float image[] = {1, 2};
  CHECK(gov::placeholders(gov::Rows<const float>(embeds.data(), 4, 2), image) ==
        std::vector<index_t>{0, 2});
}

TEST_CASE("counts must be equal, and the error says both") {
  CHECK_NOTHROW(gov::require_equal_counts(4, 4));
  for (const index_t places : {3, 5, 0}) {
    const gov::Error error = gov::test::thrown([&] { gov::require_equal_counts(places, 4); });
    CHECK(error.code() == gov::Errc::image_count_mismatch);
    CHECK(error.found() == std::to_string(places));
    CHECK(error.expected().starts_with("4"));
  }
}
