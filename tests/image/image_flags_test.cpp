#include "gov/image/image_flags.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

using namespace gov;
using namespace gov::test;

namespace {

// Tiles of 3 x 1 x 2 numbers, all of tile i being i.
PixelValues tiles(index_t count, std::vector<index_t> num_patches) {
  PixelValues pixels;
  pixels.count = count, pixels.height = 1, pixels.width = 2;
  pixels.num_patches = std::move(num_patches);
  for (index_t i = 0; i < 6 * count; ++i) pixels.data.push_back(static_cast<float>(i / 6));
  return pixels;
}

std::vector<float> firsts(const PixelValues& pixels) {
  CHECK(std::ssize(pixels.data) == 6 * pixels.count);
  std::vector<float> values;
  for (index_t i = 0; i < pixels.count; ++i) values.push_back(pixels.patch(i)[5]);
  return values;
}

}  // namespace

TEST_CASE("tiles with flag 0 go, and every picture counts what it keeps") {
  const std::vector<int> flags = {1, 0, 1, 0, 0, 1};
  const PixelValues kept = flagged_tiles(tiles(6, {2, 0, 1, 2, 1}), flags);
  CHECK(firsts(kept) == std::vector{0.0f, 2.0f, 5.0f});
  CHECK(kept.num_patches == std::vector<index_t>{1, 0, 1, 0, 1});
  CHECK(kept.height == 1);
  CHECK(kept.width == 2);
  CHECK(firsts(flagged_tiles(tiles(6, {}), flags)) == firsts(kept));
  CHECK(flagged_tiles(tiles(1, {1}), std::vector{0}).count == 0);
  CHECK(flagged_tiles(tiles(0, {}), {}).count == 0);
}

TEST_CASE("pictures apart, without those that have no tiles") {
  const auto pictures = split_pictures(tiles(4, {}), std::vector<index_t>{1, 0, 3});
  REQUIRE(pictures.size() == 2);
  CHECK(firsts(pictures[0]) == std::vector{0.0f});
  CHECK(firsts(pictures[1]) == std::vector{1.0f, 2.0f, 3.0f});
  CHECK(pictures[1].num_patches == std::vector<index_t>{3});
  CHECK(split_pictures(tiles(0, {}), {}).empty());
}

TEST_CASE("flags and numbers that do not fit the tiles are refused") {
  const auto flags = [](std::vector<int> values, std::vector<index_t> patches = {2}) {
    return code_of([&] { flagged_tiles(tiles(2, patches), values); });
  };
  CHECK(flags({1, 1}) == "none");
  CHECK(flags({1}) == "image_count_mismatch");
  CHECK(flags({1, 0, 1}) == "image_count_mismatch");
  CHECK(flags({1, 2}) == "image_count_mismatch");
  CHECK(flags({1, -1}) == "image_count_mismatch");
  CHECK(flags({1, 1}, {1}) == "image_count_mismatch");
  CHECK(flags({1, 1}, {-1, 3}) == "image_count_mismatch");
  const auto list = [](std::vector<index_t> patches) {
    return code_of([&] { split_pictures(tiles(2, {}), patches); });
  };
  CHECK(list({1, 1}) == "none");
  for (const auto& wrong : {std::vector<index_t>{}, {1}, {3}, {-1, 3}, {2, 1}, {4, -2}})
    CHECK(list(wrong) == "image_count_mismatch");
}
