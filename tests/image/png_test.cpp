#include "gov/image/png.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("crc32 of the standard check string") {
  CHECK(crc32(bytes_of("123456789")) == 0xcbf43926u);
  CHECK(crc32(bytes_of("6789"), crc32(bytes_of("12345"))) == 0xcbf43926u);
  CHECK(crc32({}) == 0);
}

TEST_CASE("header") {
  const auto png = bytes_of(make_png(7, 3, 16, 6, std::string(3 * (1 + 56), '\0')));
  CHECK(is_png(png));
  CHECK(!is_png(std::span(png).first(7)));
  const PngHeader header = png_header(png, "a.png");
  CHECK(header.width == 7);
  CHECK(header.height == 3);
  CHECK(header.bit_depth == 16);
  CHECK(header.samples() == 4);
}

TEST_CASE("headers that the standard does not know") {
  const auto header_error = [](std::uint32_t width, std::uint32_t height, int depth, int color) {
    const auto png =
        bytes_of(png_start + png_header_chunk(width, height, depth, color) + png_chunk("IEND", ""));
    return thrown([&] { png_header(png, "a.png"); }).code();
  };
  CHECK(header_error(0, 1, 8, 2) == Errc::bad_image);
  CHECK(header_error(1, 0, 8, 2) == Errc::bad_image);
  CHECK(header_error(0xffffffffu, 1, 8, 2) == Errc::bad_image);
  CHECK(header_error(1, 1, 3, 0) == Errc::bad_image);
  CHECK(header_error(1, 1, 4, 2) == Errc::bad_image);
  CHECK(header_error(1, 1, 16, 3) == Errc::bad_image);
  CHECK(header_error(1, 1, 8, 1) == Errc::bad_image);
  CHECK(header_error(1, 1, 8, 5) == Errc::bad_image);
}

TEST_CASE("the minimal copy keeps pixels and drops every other chunk") {
  const std::string pixels = png_chunk("IDAT", stored_zlib(std::string("\0\1\2\3", 4)));
  const std::string plain =
      png_start + png_header_chunk(1, 1, 8, 2) + pixels + png_chunk("IEND", "");
  const std::string rich = png_start + png_header_chunk(1, 1, 8, 2) +
                           png_chunk("tEXt", "Comment\0hello") +
                           png_chunk("tRNS", std::string("\0\1\0\2\0\3", 6)) + pixels +
                           png_chunk("tIME", "1234567") + png_chunk("IEND", "") + "trailing bytes";
  const auto copy = [](const std::string& png, bool transparency) {
    const auto bytes = bytes_of(png);
    return minimal_png(bytes, png_header(bytes, "a.png"), "a.png", transparency);
  };
  CHECK(copy(rich, false) == copy(plain, false));
  CHECK(copy(rich, true).size() == copy(plain, true).size() + 18);
}

TEST_CASE("damaged chunks") {
  const std::string head = png_header_chunk(1, 1, 8, 2), end = png_chunk("IEND", "");
  const std::string pixels = png_chunk("IDAT", stored_zlib(std::string("\0\1\2\3", 4)));
  const auto message = [](const std::string& chunks) {
    const auto bytes = bytes_of(png_start + chunks);
    const Error error = thrown([&] { minimal_png(bytes, png_header(bytes, "a.png"), "a.png"); });
    CHECK(error.code() == Errc::bad_image);
    CHECK(error.file() == "a.png");
    return std::string(error.what());
  };
  const auto says = [&](const std::string& chunks, std::string_view part) {
    const std::string text = message(chunks);
    CHECK_MESSAGE(text.find(part) != text.npos, text);
  };
  says(end, "IHDR");
  says(head + end, "IDAT");
  says(head + pixels, "IEND");
  says(head + pixels.substr(0, pixels.size() - 3), "left in the file");
  says(head + pixels + pixels + png_chunk("tEXt", "x") + pixels + end, "in a row");
  says(head + png_chunk("CgBI", "1234") + pixels + end, "Apple");
  says(head + png_chunk("ABCD", "") + pixels + end, "ABCD");
  says(head + png_chunk("PLTE", "12") + pixels + end, "PLTE");
  says(png_header_chunk(1, 1, 8, 3) + pixels + end, "palette");
  says(head + png_chunk("ID\1T", "") + end, "four letters");
  std::string flipped = head + pixels + end;
  flipped[head.size() + 10] = static_cast<char>(flipped[head.size() + 10] ^ 4);
  says(flipped, "CRC");
  flipped = head + pixels + end;
  flipped[9] = static_cast<char>(flipped[9] ^ 4);
  says(flipped, "CRC");
  says(png_header_chunk(4000, 4000, 8, 2) + pixels + end,
       "bytes of image data");  // cannot unpack to 48 MB
}

}  // namespace
}  // namespace gov
