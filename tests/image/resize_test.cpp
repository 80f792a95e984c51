#include "gov/image/resize.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("equal to Pillow to the bit") {
  std::ifstream list = open_fixture("resize.txt");
  std::uint64_t seed;
  index_t height, width, target_height, target_width;
  int resample, difference, cases = 0, orders_differ = 0, above_one = 0;
  std::uint32_t crc, across_first;
  while (list >> std::dec >> seed >> height >> width >> target_height >> target_width >> resample >>
         std::hex >> crc >> across_first >> std::dec >> difference) {
    CAPTURE(height);
    CAPTURE(width);
    CAPTURE(target_height);
    CAPTURE(target_width);
    CAPTURE(resample);
    const Image source = picture(height, width, seed);
    const auto filter = static_cast<Resample>(resample);
    const Image resized = resize(source, target_height, target_width, filter);
    CHECK(resized.height == target_height);
    CHECK(resized.width == target_width);
    CHECK(crc_of(resized) == crc);
    CHECK(crc_of(resize(source, target_height, target_width, filter,
                        PassOrder::horizontal_first)) == across_first);
    // torch's uint8 kernel on the same pictures, measured when the fixture was made.
    CHECK(difference <= 2);
    above_one += difference > 1;
    orders_differ += crc != across_first;
    ++cases;
  }
  CHECK(cases >= 80);
  CHECK(orders_differ >= 10);
  CHECK(above_one <= 1);  // 3x40 enlarged to 121x41: each pass adds its own level
}

TEST_CASE("whole outputs") {
  for (const auto& [seed, height, width, target_height, target_width] :
       {std::array<index_t, 5>{5, 1, 1, 7, 5}, {23, 120, 160, 112, 168}, {25, 8, 6, 7, 5}}) {
    const Image out = resize_bicubic(picture(height, width, static_cast<std::uint64_t>(seed)),
                                     target_height, target_width);
    const auto expected = read_fixture("resize_" + std::to_string(seed) + ".rgb");
    REQUIRE(expected.size() == out.pixels.size());
    CHECK(
        std::equal(expected.begin(), expected.end(), std::as_bytes(std::span(out.pixels)).begin()));
  }
}

TEST_CASE("a flat picture stays flat and an unchanged size is a copy") {
  Image flat(13, 29);
  for (std::size_t i = 0; i < flat.pixels.size(); ++i)
    flat.pixels[i] = static_cast<std::uint8_t>(60 + 90 * (i % 3));
  for (const Resample filter : {Resample::bilinear, Resample::bicubic}) {
    const Image out = resize(flat, 31, 7, filter);
    for (std::size_t i = 0; i < out.pixels.size(); ++i)
      CHECK(int{out.pixels[i]} == static_cast<int>(60 + 90 * (i % 3)));
    CHECK(resize(flat, 13, 29, filter) == flat);
  }
}

TEST_CASE("sizes are checked") {
  const Image image = picture(4, 4, 1);
  CHECK_THROWS_AS(resize_bicubic(image, 0, 4), Error);
  CHECK_THROWS_AS(resize_bicubic(image, 4, -4), Error);
  CHECK_THROWS_AS(resize_bicubic(image, index_t{1} << 40, 4), Error);
  CHECK_THROWS_AS(resize_bicubic(image, 1 << 20, 1 << 20), Error);
  CHECK_THROWS_AS(resize_bicubic(Image(), 4, 4), Error);
}

}  // namespace
}  // namespace gov
