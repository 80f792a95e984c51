#include "gov/model/inputs.hpp"

#include <doctest/doctest.h>

#include <array>

TEST_CASE("tiles of pixel values follow each other") {
  std::vector<float> data(2 * 3 * 4 * 5);
  const gov::PixelView pixels{data.data(), 2, 3, 4, 5};
  CHECK(pixels.tile(0) == data.data());
  CHECK(pixels.tile(1) == data.data() + 60);
}

TEST_CASE("the number of tokens is that of ids, or of embeddings") {
  const std::array<int, 3> ids{1, 2, 3};
  std::vector<float> embeds(8);
  CHECK(gov::Inputs{.input_ids = ids}.rows() == 3);
  CHECK(gov::Inputs{.inputs_embeds = {embeds.data(), 2, 4}}.rows() == 2);
  CHECK(gov::Inputs{}.rows() == 0);
}

TEST_CASE("unpad drops what the mask masks, on either side") {
  const std::vector<int> ids{0, 0, 5, 6, 7, 8, 0, 9}, mask{0, 0, 1, 1, 1, 1, 0, 1};
  const auto rows = gov::unpad(ids, mask, 2);
  CHECK(rows == std::vector<std::vector<int>>{{5, 6}, {7, 8, 9}});
  CHECK_THROWS_AS(gov::unpad(ids, std::vector<int>(7, 1), 2), gov::Error);
  CHECK_THROWS_AS(gov::unpad(ids, mask, 3), gov::Error);
  CHECK_THROWS_AS(gov::unpad(ids, mask, 0), gov::Error);
}
