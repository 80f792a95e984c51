#include "gov/image/tile.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("grids equal transformers' over a sweep of sizes") {
  std::ifstream list = open_fixture("grids.txt");
  index_t tile_height, tile_width, low, high, count, total = 0;
  while (list >> tile_height >> tile_width >> low >> high >> count) {
    index_t wrong = 0;
    for (index_t i = 0; i < count; ++i) {
      index_t height, width;
      TileGrid expected;
      list >> height >> width >> expected.columns >> expected.rows;
      REQUIRE(!list.fail());
      wrong += choose_grid(height, width, low, high, tile_height, tile_width) != expected;
    }
    CAPTURE(high);
    CHECK(wrong == 0);
    total += count;
  }
  CHECK(total >= 16000);
}

TEST_CASE("the published examples") {
  const auto grid = [](index_t height, index_t width) {
    return choose_grid(height, width, 1, 12, 448, 448);
  };
  CHECK(grid(480, 640) == TileGrid{4, 3});
  CHECK(grid(1080, 1920) == TileGrid{4, 2});
  CHECK(grid(448, 448) == TileGrid{1, 1});
  CHECK(grid(896, 896) == TileGrid{2, 2});
  CHECK(grid(1000, 1000) == TileGrid{3, 3});
  CHECK(grid(240, 320) == TileGrid{4, 3});
  CHECK(grid(100, 800) == TileGrid{8, 1});
  CHECK(grid(2000, 1500) == TileGrid{3, 4});
  CHECK(TileGrid{4, 3}.patches() == 13);
  CHECK(TileGrid{1, 1}.patches() == 1);
  CHECK(supported_grids(1, 12).size() == 35);
}

TEST_CASE("tiles row by row, the thumbnail of the original last") {
  const Image image = picture(40, 90, 9);
  const std::vector<Image> tiles = tile_image(image, 1, 6, 16, 24);
  const TileGrid grid = choose_grid(40, 90, 1, 6, 16, 24);
  CHECK(grid == TileGrid{2, 1});
  REQUIRE(tiles.size() == 3);
  const Image canvas = resize_bicubic(image, 16, 48);
  CHECK(tiles[0] == crop(canvas, 0, 0, 16, 24));
  CHECK(tiles[1] == crop(canvas, 0, 24, 16, 24));
  CHECK(tiles[2] == resize_bicubic(image, 16, 24));
  const std::vector<Image> three = tile_image(image, TileGrid{2, 3}, 8, 8);
  REQUIRE(three.size() == 7);
  CHECK(three[3] == crop(resize_bicubic(image, 24, 16), 8, 8, 8, 8));
}

TEST_CASE("one tile has no thumbnail") {
  const Image image = picture(20, 21, 9);
  const std::vector<Image> tiles = tile_image(image, 1, 1, 16, 16);
  REQUIRE(tiles.size() == 1);
  CHECK(tiles[0] == resize_bicubic(image, 16, 16));
}

TEST_CASE("arguments are checked") {
  CHECK_THROWS_AS(supported_grids(0, 4), Error);
  CHECK_THROWS_AS(supported_grids(5, 4), Error);
  CHECK_THROWS_AS(supported_grids(1, max_tiles + 1), Error);
  CHECK_THROWS_AS(choose_grid(0, 5, 1, 4, 448, 448), Error);
  CHECK_THROWS_AS(choose_grid(5, 5, 1, 4, 0, 448), Error);
  CHECK_THROWS_AS(tile_image(Image(), 1, 4, 16, 16), Error);
  CHECK_THROWS_AS(tile_image(picture(4, 4, 1), TileGrid{0, 1}, 16, 16), Error);
}

}  // namespace
}  // namespace gov
