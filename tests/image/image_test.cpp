#include "gov/image/image.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"

#include <limits>

namespace gov {
namespace {

TEST_CASE("an image is black rows of three channels") {
  Image image(2, 5);
  CHECK(image.pixels.size() == 30);
  CHECK(image.pixels == std::vector<std::uint8_t>(30, 0));
  CHECK(image.row(1) - image.row(0) == 15);
  CHECK(!image.empty());
  CHECK(Image().empty());
  image.row(1)[14] = 9;
  CHECK(image.pixels.back() == 9);
}

TEST_CASE("sizes are checked") {
  CHECK_THROWS_AS(Image(0, 5), Error);
  CHECK_THROWS_AS(Image(5, -1), Error);
  constexpr index_t huge = std::numeric_limits<index_t>::max();
  CHECK_THROWS_AS(Image(huge, 2), Error);
  CHECK_THROWS_AS(Image(huge / 2, 1), Error);  // times three channels
  Image image(2, 2);
  image.pixels.pop_back();
  CHECK_THROWS_AS(check_image(image), Error);
  CHECK_THROWS_AS(check_image(Image()), Error);
}

TEST_CASE("crop copies a rectangle inside") {
  Image image(3, 4);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i);
  const Image part = crop(image, 1, 2, 2, 2);
  CHECK(part.pixels == std::vector<std::uint8_t>{18, 19, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35});
  CHECK(crop(image, 0, 0, 3, 4) == image);
  CHECK_THROWS_AS(crop(image, 2, 2, 2, 2), Error);
  CHECK_THROWS_AS(crop(image, 0, -1, 1, 1), Error);
  CHECK_THROWS_AS(crop(image, 0, 0, 0, 1), Error);
  CHECK_THROWS_AS(crop(image, 0, 0, std::numeric_limits<index_t>::max(), 1), Error);
}

TEST_CASE("the middle of a picture, black beyond it") {
  Image image(3, 4);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i + 1);
  CHECK(center_crop(image, 3, 4) == image);
  CHECK(center_crop(image, 1, 2) == crop(image, 1, 1, 1, 2));
  CHECK(center_crop(image, 2, 3) == crop(image, 0, 0, 2, 3));
  Image wide(2, 7);  // one row cut off, three black columns: two of them on the left
  for (index_t y = 0; y < 2; ++y) std::copy_n(image.row(y), 12, wide.row(y) + 6);
  CHECK(center_crop(image, 2, 7) == wide);
  Image framed(5, 4);
  for (index_t y = 0; y < 3; ++y) std::copy_n(image.row(y), 12, framed.row(y + 1));
  CHECK(center_crop(image, 5, 4) == framed);
  CHECK_THROWS_AS(center_crop(image, 0, 4), Error);
}

}  // namespace
}  // namespace gov
