#include "gov/image/pixel_values.hpp"

#include <doctest/doctest.h>

#include "gov/io/json.hpp"
#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

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

std::uint32_t crc_of_values(const PixelValues& values) {
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
    CHECK(crc_of_values(values) == crc);
    for (std::size_t i = 0; i < images.size(); ++i)
      CHECK(patches_of(images[i].height, images[i].width, config) == num_patches[i]);
    config.normalize_order = NormalizeOrder::fused;
    CHECK(crc_of_values(preprocess(images, config)) == fused);
    ++cases;
  }
  CHECK(cases == 8);
}

TEST_CASE("equal to the processors of CLIP, DINOv2 and ViT to the bit") {
  const std::vector<Image> images = fixture_images();
  std::ifstream list = open_fixture("cropped.txt");
  std::string name;
  index_t count, channels, height, width;
  std::uint32_t crc;
  std::size_t cases = 0, alone = 0;
  while (list >> name >> std::dec >> count >> channels >> height >> width >> std::hex >> crc) {
    CAPTURE(name);
    const ImageProcessorConfig config =
        load_image_processor_config(fixture("processor/" + name + ".json"));
    const bool all = count == 6;
    const PixelValues values =
        preprocess(all ? std::span(images) : std::span(&images[alone++], 1), config);
    CHECK(values.count == count);
    CHECK(values.height == height);
    CHECK(values.width == width);
    CHECK(crc_of_values(values) == crc);
    CHECK(std::count(values.num_patches.begin(), values.num_patches.end(), 1) == count);
    ++cases;
  }
  CHECK(cases == 14);
  CHECK(alone == 6);
}

TEST_CASE("equal to LlavaNextImageProcessorPil and LlavaImageProcessorPil to the bit") {
  std::ifstream list = open_fixture("anyres_pixels.txt");
  std::string name, crc;
  index_t height, width, count, total = 0;
  std::uint64_t seed;
  std::vector<Image> all;
  while (list >> name >> height >> width >> seed >> count >> crc) {
    CAPTURE(name);
    CAPTURE(height);
    const ImageProcessorConfig config =
        load_image_processor_config(fixture("processor/" + name + ".json"));
    const Image image = picture(height, width, seed);
    const PixelValues values = preprocess({&image, 1}, config);
    CHECK(values.count == count);
    CHECK(values.image_sizes == std::vector<Extent>{{height, width}});
    CHECK(patches_of(height, width, config) == count);
    CHECK(crc_of_values(values) == std::stoul(crc, nullptr, 16));
    ++total;
    if (name == "llava_next") all.push_back(image);
  }
  CHECK(total == 42);
  const ImageProcessorConfig next =
      load_image_processor_config(fixture("processor/llava_next.json"));
  ThreadPool pool(3);
  const PixelValues together = preprocess(all, next, &pool);
  CHECK(together.num_patches == std::vector<index_t>{5, 4, 3, 3, 3, 5, 5});
  const PixelValues last = preprocess({&all[6], 1}, next);
  CHECK(std::equal(last.data.begin(), last.data.end(), together.patch(23)));
}

TEST_CASE("tiles without the thumbnail are the same tiles") {
  const std::vector<Image> images{picture(40, 90, 3), picture(10, 10, 4)};
  ImageProcessorConfig config;
  config.height = config.width = 16;
  const PixelValues with = preprocess(images, config);
  config.use_thumbnail = false;
  const PixelValues without = preprocess(images, config);
  REQUIRE(with.num_patches.front() > 2);
  CHECK(without.num_patches.front() == with.num_patches.front() - 1);
  CHECK(without.num_patches.back() == with.num_patches.back());
  CHECK(without.count == with.count - 1);
  const auto patch = with.patch(1) - with.patch(0);
  const auto tiles = patch * without.num_patches.front();
  CHECK(std::equal(without.data.begin(), without.data.begin() + tiles, with.data.begin()));
  CHECK(std::equal(without.data.begin() + tiles, without.data.end(),
                   with.data.begin() + tiles + patch));
}

TEST_CASE("views must be square and resized") {
  ImageProcessorConfig config;
  config.image_grid_pinpoints = {{28, 56}};
  config.height = config.width = 28;
  const std::vector<Image> images{picture(6, 9, 1)};
  CHECK(preprocess(images, config).count == 3);
  config.do_resize = false;
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::unsupported);
  config.do_resize = true, config.width = 14;
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::unsupported);
  config.width = config.height = 20;
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::bad_config);
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
  CHECK(thrown([&] { preprocess(mixed, config); }).code() == Errc::bad_image);
  CHECK(preprocess({}, config).data.empty());
  config.do_resize = true, config.shortest_edge = 6;
  CHECK(thrown([&] { preprocess(mixed, config); }).code() == Errc::bad_image);
  CHECK(preprocess({&mixed[0], 1}, config).width == 9);
  config.do_center_crop = true, config.height = 5, config.width = 4;
  CHECK(preprocess(mixed, config).data.size() == 2 * 3 * 5 * 4);
}

TEST_CASE("limits and broken images") {
  ImageProcessorConfig config;
  std::vector<Image> images{picture(6, 9, 1)};
  images[0].pixels.pop_back();
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::bad_image);
  images[0] = Image(1, 4096);
  config.height = config.width = 4096;
  config.max_patches = max_tiles;
  config.min_patches = 100;
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::limit_exceeded);
  config = {};
  config.crop_to_patches = false;
  config.shortest_edge = 4096;  // 16777216 x 4096
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::limit_exceeded);
  config = {};
  config.image_std[0] = 0;
  images[0] = Image(4, 4);
  CHECK(thrown([&] { preprocess(images, config); }).code() == Errc::bad_config);
}

}  // namespace
}  // namespace gov
