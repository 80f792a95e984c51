#include "gov/image/pixel_values.hpp"

#include <doctest/doctest.h>

#include "gov/io/json.hpp"
#include "tests/image/picture.hpp"

namespace gov {
namespace {

using namespace test;

std::vector<Image> fixture_images() {
  std::ifstream list = open_fixture("pixel_values_images.txt");
  std::vector<Image> images;
  index_t height, width;
  std::uint64_t seed;
  while (list >> height >> width >> seed) images.push_back(picture(height, width, seed));
  REQUIRE(images.size() == 6);
  return images;
}

std::uint32_t crc_of(const PixelValues& values) {
  return crc32(std::as_bytes(std::span(values.data)));
}

TEST_CASE("equal to GotOcr2ImageProcessorPil to the bit") {
  const std::vector<Image> images = fixture_images();
  std::ifstream list = open_fixture("pixel_values.txt");
  std::string name;
  index_t count, channels, height, width;
  std::uint32_t crc, fused;
  int cases = 0;
  while (list >> name >> std::dec >> count >> channels >> height >> width >> std::hex >> crc >>
         fused >> std::dec) {
    CAPTURE(name);
    std::vector<index_t> num_patches(images.size());
    for (index_t& patches : num_patches) list >> patches;
    ImageProcessorConfig config =
        load_image_processor_config(fixture("processor/" + name + ".json"));
    const PixelValues values = preprocess(images, config);
    CHECK(values.count == count);
    CHECK(values.channels == channels);
    CHECK(values.height == height);
    CHECK(values.width == width);
    CHECK(values.num_patches == num_patches);
    CHECK(crc_of(values) == crc);
    for (std::size_t i = 0; i < images.size(); ++i)
      CHECK(patches_of(images[i].height, images[i].width, config) == num_patches[i]);
    config.normalize_order = NormalizeOrder::fused;
    CHECK(crc_of(preprocess(images, config)) == fused);
    ++cases;
  }
  CHECK(cases == 8);
}

TEST_CASE("the same bits with a team of threads, and one picture at a time") {
  const std::vector<Image> images = fixture_images();
  ImageProcessorConfig config;
  config.height = config.width = 28;
  const PixelValues whole = preprocess(images, config);
  ThreadPool pool(3);
  CHECK(preprocess(images, config, &pool).data == whole.data);
  index_t patch = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const PixelValues one = preprocess({&images[i], 1}, config);
    REQUIRE(one.count == whole.num_patches[i]);
    CHECK(std::equal(one.data.begin(), one.data.end(), whole.patch(patch)));
    patch += one.count;
  }
}

TEST_CASE("pictures as they are") {
  ImageProcessorConfig config;
  config.crop_to_patches = config.do_resize = false;
  const std::vector<Image> same{picture(6, 9, 1), picture(6, 9, 2)};
  const PixelValues values = preprocess(same, config);
  CHECK(values.height == 6);
  CHECK(values.width == 9);
  CHECK(values.count == 2);
  const std::vector<Image> mixed{picture(6, 9, 1), picture(9, 6, 2)};
  CHECK(error_of([&] { preprocess(mixed, config); }).code() == Errc::bad_image);
  CHECK(preprocess({}, config).data.empty());
}

TEST_CASE("limits and broken images") {
  ImageProcessorConfig config;
  std::vector<Image> images{picture(6, 9, 1)};
  images[0].pixels.pop_back();
  CHECK(error_of([&] { preprocess(images, config); }).code() == Errc::bad_image);
  images[0] = Image(1, 4096);
  config.height = config.width = 4096;
  config.max_patches = max_tiles;
  config.min_patches = 100;
  CHECK(error_of([&] { preprocess(images, config); }).code() == Errc::limit_exceeded);
  config = {};
  config.image_std[0] = 0;
  images[0] = Image(4, 4);
  CHECK(error_of([&] { preprocess(images, config); }).code() == Errc::bad_config);
}

}  // namespace
}  // namespace gov
