#include "gov/image/decode.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

constexpr ImageDecodeOptions over_white{.alpha = ImageDecodeOptions::Alpha::over_white,
                                        .apply_orientation = true};

TEST_CASE("PNG files equal Pillow's pixels") {
  std::ifstream list = open_fixture("decode.txt");
  std::string name;
  index_t width, height;
  std::uint32_t crc, white;
  int files = 0;
  while (list >> name >> std::dec >> width >> height >> std::hex >> crc >> white) {
    if (!name.ends_with(".png")) continue;
    CAPTURE(name);
    const Image image = load_image(fixture("decode/" + name));
    CHECK(image.width == width);
    CHECK(image.height == height);
    CHECK(crc_of(image) == crc);
    CHECK(crc_of(load_image(fixture("decode/" + name), {}, over_white)) == white);
    ++files;
  }
  CHECK(files >= 22);
}

TEST_CASE("JPEG files are near Pillow's pixels") {
  std::ifstream list = open_fixture("decode.txt");
  std::string name, crc, white;
  index_t width, height;
  int files = 0;
  while (list >> name >> width >> height >> crc >> white) {
    if (!name.ends_with(".jpg")) continue;
    CAPTURE(name);
    const Image image = load_image(fixture("decode/" + name));
    CHECK(image.width == width);
    CHECK(image.height == height);
    const auto expected = read_fixture("decode/" + name.substr(0, name.size() - 4) + ".rgb");
    REQUIRE(expected.size() == image.pixels.size());
    int largest = 0;
    double sum = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const int difference = std::abs(std::to_integer<int>(expected[i]) - int{image.pixels[i]});
      largest = std::max(largest, difference);
      sum += difference;
    }
    CHECK(largest <= 6);
    CHECK(sum / static_cast<double>(expected.size()) < 1.0);
    ++files;
  }
  CHECK(files >= 13);
}

TEST_CASE("orientation is applied by load_image, and by decode_image when asked") {
  const auto bytes = read_fixture("decode/turned6.jpg");
  CHECK(decode_image(bytes, "a").width == 24);
  CHECK(decode_image(bytes, "a", {},
                     {.alpha = ImageDecodeOptions::Alpha::drop, .apply_orientation = true})
            .width == 16);
  CHECK(load_image(fixture("decode/turned6.jpg")).width == 16);
}

TEST_CASE("other kinds and rubbish are told what is read") {
  for (const std::string& text :
       {std::string("GIF89a\1\0\1\0\x80\0\0"), std::string("BM\x46\0\0\0"),
        std::string("RIFF....WEBP"), std::string("II*\0"), std::string("P6 1 1 255\n"),
        std::string("#?RADIANCE\n"), std::string("8BPS"), std::string("\x89PNG"),
        std::string("\xff\xd8"), std::string("\0", 1), std::string()}) {
    const Error error = thrown([&] { decode_image(bytes_of(text), "desk.png"); });
    CHECK(error.code() == Errc::bad_image);
    CHECK(error.file() == "desk.png");
    CHECK(error.expected() == "PNG or JPEG");
  }
  // The name does not matter.
  CHECK(decode_image(read_fixture("decode/rgb8.png"), "holiday.jpg").width == 23);
}

TEST_CASE("random bytes behind a right signature") {
  std::uint64_t state = 5;
  for (int i = 0; i < 300; ++i) {
    std::string text = i % 2 ? png_start : "\xff\xd8\xff";
    for (int j = 0; j < i; ++j) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      text += static_cast<char>(state >> 56);
    }
    CHECK_THROWS_AS(decode_image(bytes_of(text), "random"), Error);
  }
}

TEST_CASE("every cut of a file is an error") {
  for (const char* name : {"rgb8.png", "palette_alpha.png", "interlaced.png", "baseline.jpg",
                           "progressive.jpg", "cmyk.jpg"}) {
    const auto bytes = read_fixture("decode/" + std::string(name));
    for (std::size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 37)
      CHECK_THROWS_AS(decode_image(std::span(bytes).first(size), name), Error);
  }
}

TEST_CASE("every flipped bit of a PNG file is an error") {
  auto bytes = read_fixture("decode/palette2.png");
  std::size_t errors = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= static_cast<std::byte>(1 << bit);
      try {
        decode_image(bytes, "a");
      } catch (const Error&) {
        ++errors;
      }
      bytes[i] ^= static_cast<std::byte>(1 << bit);
    }
  CHECK(errors == bytes.size() * 8);
}

TEST_CASE("limits are checked before decoding and named") {
  const auto refused = [](std::uint32_t width, std::uint32_t height, std::string_view field) {
    // 67 bytes that declare the size: were they decoded, the error would be another.
    const auto png = bytes_of(make_png(width, height, 8, 0, "x"));
    const Error error = thrown([&] { decode_image(png, "bomb.png"); });
    CHECK(error.code() == Errc::image_too_large);
    CHECK(error.field() == field);
    CHECK(error.found() == std::to_string(width) + "x" + std::to_string(height));
  };
  refused(16384, 16384, "image size");
  refused(8193, 8193, "image size");
  refused(16385, 1000, "image side");
  refused(2, 100000, "image side");
  refused(1, 10000, "image aspect ratio");
  refused(201, 1, "image aspect ratio");
  refused(4020, 20, "image aspect ratio");
  CHECK(load_image(fixture("decode/wide_200x1.png")).width == 200);
  CHECK(load_image(fixture("decode/one_pixel.png")).pixels.size() == 3);

  ImageLimits limits;
  limits.encoded_bytes = 100;
  const auto bytes = read_fixture("decode/rgb8.png");
  CHECK(thrown([&] { decode_image(bytes, "a", limits); }).field() == "image file");
  CHECK(thrown([&] { load_image(fixture("decode/rgb8.png"), limits); }).field() == "image file");
  limits = {};
  limits.pixels = 19 * 23 - 1;
  CHECK(thrown([&] { decode_image(bytes, "a", limits); }).field() == "image size");
  limits.pixels = 19 * 23;
  CHECK_NOTHROW(decode_image(bytes, "a", limits));
  limits = {};
  limits.scans = 2;
  CHECK(thrown([&] {
          decode_image(read_fixture("decode/progressive.jpg"), "a", limits);
        }).field() == "JPEG scans");
}

TEST_CASE("a header that declares what its data cannot hold is refused before decoding") {
  const auto png = bytes_of(make_png(8000, 8000, 8, 2, std::string(5000, 'x')));
  CHECK(thrown([&] { decode_image(png, "bomb.png"); }).code() == Errc::bad_image);
  const auto inflated =
      bytes_of(make_png(4, 4, 8, 2, std::string(8 << 20, '\0')));  // far too many rows
  CHECK_THROWS_AS(decode_image(inflated, "bomb.png"), Error);
  const auto missing = bytes_of(make_png(4, 4, 8, 2, std::string(40, '\0')));  // of 52 bytes
  CHECK(thrown([&] { decode_image(missing, "short.png"); }).code() == Errc::bad_image);
}

TEST_CASE("CMYK without the Adobe marker is refused") {
  auto bytes = read_fixture("decode/cmyk.jpg");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = text.find("Adobe");
  REQUIRE(at != text.npos);
  bytes[at] = std::byte{'X'};
  const Error error = thrown([&] { decode_image(bytes, "cmyk.jpg"); });
  CHECK(error.code() == Errc::bad_image);
  CHECK(error.expected().find("Adobe") != std::string::npos);
}

TEST_CASE("files that cannot be read") {
  CHECK(thrown([] { load_image("no/such/file.png"); }).code() == Errc::io_error);
  CHECK(thrown([] { load_image(fixture("decode")); }).code() == Errc::io_error);
}

}  // namespace
}  // namespace gov
