#include "gov/image/xtensor.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/image/picture.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("an image as [height, width, 3]") {
  Image image = picture(4, 6, 1);
  auto view = as_xtensor(image);
  CHECK(view.shape()[0] == 4);
  CHECK(view.shape()[1] == 6);
  CHECK(view.shape()[2] == 3);
  CHECK(view(2, 5, 1) == image.row(2)[16]);
  xt::view(view, xt::all(), 0, 2) = 77;
  CHECK(image.row(3)[2] == 77);
  const Image& constant = image;
  CHECK(&as_xtensor(constant)(0, 0, 0) == image.pixels.data());
  image.pixels.pop_back();
  CHECK_THROWS_AS(as_xtensor(image), Error);
}

TEST_CASE("pixel values as [patches, 3, height, width]") {
  ImageProcessorConfig config;
  config.height = config.width = 8;
  const std::vector<Image> images{picture(4, 6, 1)};
  PixelValues values = preprocess(images, config);
  auto view = as_xtensor(values);
  CHECK(view.shape()[0] == static_cast<std::size_t>(values.count));
  CHECK(view(1, 2, 3, 4) == values.patch(1)[2 * 64 + 3 * 8 + 4]);
  const xt::xtensor<float, 1> mean =
      xt::mean(as_xtensor(std::as_const(values)), {0, 2, 3}, xt::evaluation_strategy::immediate);
  double sum = 0;
  for (index_t i = 0; i < values.count; ++i)
    for (index_t j = 0; j < 64; ++j) sum += static_cast<double>(values.patch(i)[64 + j]);
  CHECK(static_cast<double>(mean(1)) ==
        doctest::Approx(sum / static_cast<double>(64 * values.count)).epsilon(1e-4));
}

TEST_CASE("an image out of an expression") {
  const Image image = picture(5, 7, 3);
  CHECK(image_from(as_xtensor(image)) == image);
  const xt::xtensor<int, 3> wide = xt::cast<int>(as_xtensor(image)) * 2 - 100;
  const Image clamped = image_from(wide);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    CHECK(int{clamped.pixels[i]} == std::clamp(int{image.pixels[i]} * 2 - 100, 0, 255));
  const Image half = image_from(xt::cast<float>(as_xtensor(image)) * 0.5f);
  CHECK(int{half.pixels[10]} == static_cast<int>(std::nearbyint(image.pixels[10] * 0.5f)));
  const Image lazy = image_from(
      255 - xt::cast<int>(xt::view(as_xtensor(image), xt::range(1, 3), xt::all(), xt::all())));
  CHECK(lazy.height == 2);
  CHECK(lazy.pixels[0] == 255 - image.row(1)[0]);

  const xt::xtensor<double, 2> grey = {{0.4, 0.6, 300},
                                       {-5, std::numeric_limits<double>::quiet_NaN(), 254.5}};
  const Image from_grey = image_from(grey);
  CHECK(from_grey.pixels == std::vector<std::uint8_t>{0, 0, 0, 1, 1, 1, 255, 255, 255, 0, 0, 0, 0,
                                                      0, 0, 254, 254, 254});
  const xt::xarray<std::uint8_t> column = xt::zeros<std::uint8_t>({3, 2, 3});
  CHECK(image_from(column).height == 3);
}

TEST_CASE("shapes that are no image") {
  const xt::xtensor<float, 1> line = {1, 2, 3};
  CHECK_THROWS_AS(image_from(line), Error);
  const xt::xarray<int> four = xt::zeros<int>({2, 2, 4});
  CHECK_THROWS_AS(image_from(four), Error);
  const xt::xarray<int> empty = xt::zeros<int>({0, 2, 3});
  CHECK_THROWS_AS(image_from(empty), Error);
}

}  // namespace
}  // namespace gov
