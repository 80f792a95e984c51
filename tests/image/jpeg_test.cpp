#include "gov/image/jpeg.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("headers of real files") {
  const auto header = [](const char* name) {
    const auto bytes = read_fixture("decode/" + std::string(name));
    CHECK(is_jpeg(bytes));
    return jpeg_header(bytes, name);
  };
  const JpegHeader baseline = header("baseline.jpg");
  CHECK(baseline.width == 50);
  CHECK(baseline.height == 37);
  CHECK(baseline.components == 3);
  CHECK(baseline.scans == 1);
  CHECK(!baseline.progressive);
  CHECK(!baseline.adobe);
  CHECK(baseline.orientation == 1);
  CHECK(header("progressive.jpg").progressive);
  CHECK(header("progressive.jpg").scans > 1);
  CHECK(header("grey.jpg").components == 1);
  CHECK(header("cmyk.jpg").components == 4);
  CHECK(header("cmyk.jpg").adobe);
  for (int orientation = 2; orientation <= 8; ++orientation)
    CHECK(header(("turned" + std::to_string(orientation) + ".jpg").c_str()).orientation ==
          orientation);
}

TEST_CASE("a file cut anywhere is refused") {
  for (const char* name : {"decode/baseline.jpg", "decode/progressive.jpg", "decode/restart.jpg"}) {
    const auto bytes = read_fixture(name);
    for (std::size_t size = 2; size < bytes.size(); ++size)
      CHECK_THROWS_AS(jpeg_header(std::span(bytes).first(size), name), Error);
    CHECK_NOTHROW(jpeg_header(bytes, name));
  }
}

TEST_CASE("kinds that are not decoded") {
  const auto says = [](const std::string& segments, std::string_view part) {
    const auto bytes = bytes_of("\xff\xd8" + segments + "\xff\xd9");
    const Error error = thrown([&] { jpeg_header(bytes, "a.jpg"); });
    CHECK(error.code() == Errc::bad_image);
    CHECK_MESSAGE(std::string(error.what()).find(part) != std::string::npos, error.what());
  };
  const auto frame = [](char type, char precision, std::string_view size, char components) {
    return std::string("\xff") + type + std::string("\0\x08", 2) + precision + std::string(size) +
           components;
  };
  const std::string_view size("\0\x10\0\x10", 4);
  says("", "at least one scan");
  says(frame('\xc0', 12, size, 3), "12-bit");
  says(frame('\xc3', 8, size, 3), "frame type 3");
  says(frame('\xc9', 8, size, 3), "frame type 9");
  says(std::string("\xff\xcc\0\2", 4), "arithmetic");
  says(frame('\xc0', 8, size, 2), "components");
  says(frame('\xc0', 8, std::string_view("\0\0\0\x10", 4), 3), "positive sides");
  says(frame('\xc0', 8, size, 3) + frame('\xc0', 8, size, 3), "two");
  says(std::string("\xff\xda\0\2", 4), "before the first scan");
  says(std::string("\xff\xe0\0\1", 4), "length");
}

TEST_CASE("Huffman tables that hold more codes than there are symbols") {
  const auto says = [](const std::string& table, std::string_view part) {
    const auto bytes = bytes_of("\xff\xd8\xff\xc4" +
                                std::string{static_cast<char>((table.size() + 2) >> 8),
                                            static_cast<char>((table.size() + 2) & 0xff)} +
                                table + "\xff\xd9");
    const Error error = thrown([&] { jpeg_header(bytes, "a.jpg"); });
    CHECK_MESSAGE(std::string(error.what()).find(part) != std::string::npos, error.what());
  };
  std::string counts(16, '\0');
  counts[14] = counts[15] = '\x81';
  says('\0' + counts + std::string(258, 'x'), "256 codes");
  counts[14] = '\x7f';
  says('\0' + counts + std::string(255, 'x'), "256 values");
  says('\0' + counts + std::string(256, 'x') + "more", "17 bytes");
  says('\0' + counts + std::string(256, 'x'), "at least one scan");  // the table itself is fine
}

TEST_CASE("EXIF orientation in both byte orders, and damaged") {
  const auto orientation = [](const std::string& tiff) { return exif_orientation(bytes_of(tiff)); };
  const std::string little("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0", 22);
  const std::string big("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x08\0\0", 22);
  CHECK(orientation(little) == 6);
  CHECK(orientation(big) == 8);
  for (std::size_t size = 0; size < little.size(); ++size)
    CHECK(orientation(little.substr(0, size)) == 1);
  std::string wrong = little;
  wrong[18] = 9;
  CHECK(orientation(wrong) == 1);
  wrong = little;
  wrong[4] = wrong[5] = wrong[6] = wrong[7] = '\xff';
  CHECK(orientation(wrong) == 1);
  wrong = little;
  wrong[8] = wrong[9] = '\xff';  // 65535 entries
  wrong[10] = 0;
  CHECK(orientation(wrong) == 1);
  CHECK(orientation("XX*\0\x08\0\0\0") == 1);
}

}  // namespace
}  // namespace gov
