#include "gov/model/internvl.hpp"

#include <doctest/doctest.h>

using gov::InternVlConfig;

static_assert(InternVlConfig{}.fold() == 2);
static_assert(InternVlConfig{.downsample_ratio = 0.25}.fold() == 4);
static_assert(InternVlConfig{.downsample_ratio = 1}.fold() == 1);

TEST_CASE("downsample_ratio must be 1 over a whole number") {
  for (const double ratio : {1.0, 0.5, 1.0 / 3, 0.25}) {
    CAPTURE(ratio);
    CHECK(InternVlConfig{.downsample_ratio = ratio}.problem() == "");
  }
  for (const double ratio : {0.4, 0.75, 0.3}) {
    CAPTURE(ratio);
    CHECK(InternVlConfig{.downsample_ratio = ratio}.problem() != "");
  }
}
