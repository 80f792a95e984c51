#include "gov/image/video_container.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

VideoContainer container_of(std::string_view text) {
  return video_container(VideoBytes(std::as_bytes(std::span(text)), "film"));
}
Errc code_of(std::string_view text) {
  return thrown([&] { container_of(text); }).code();
}

std::string box(std::string_view kind, std::string_view body) {
  return big_endian(static_cast<std::uint32_t>(body.size() + 8)) + std::string(kind) +
         std::string(body);
}

const std::string ebml =
    "\x1a\x45\xdf\xa3\x82"
    "ab";
const std::string segment_id = "\x18\x53\x80\x67";

TEST_CASE("containers by their first bytes, and nothing else") {
  const std::string whole = box("ftyp", "isom") + box("moov", "x") + box("mdat", "0123456789");
  CHECK(container_of(whole) == VideoContainer::mp4);
  CHECK(container_of(box("wide", "") + box("mdat", "0") + box("moov", "")) == VideoContainer::mp4);
  CHECK(container_of(ebml + segment_id +
                     "\x83"
                     "abc") == VideoContainer::matroska);
  CHECK(code_of("") == Errc::bad_video);
  CHECK(thrown([] { container_of(""); }).found() == "no bytes");
  CHECK(code_of("MZ") == Errc::bad_video);
  CHECK(code_of("a plain text, called .mp4") == Errc::bad_video);
  CHECK(code_of("RIFF....AVI LIST") == Errc::bad_video);
  CHECK(code_of("#EXTM3U\nhttp://example.org/a.ts\n") == Errc::bad_video);
  CHECK(code_of("ffconcat version 1.0\nfile a.mp4\n") == Errc::bad_video);
  const Error error = thrown([] { container_of("GIF89a"); });
  CHECK(error.file() == "film");
  CHECK(error.found() == "bytes 47 49 46 38");
}

TEST_CASE("every cut of an MP4") {
  const std::string front = box("ftyp", "isom") + box("moov", "x") + box("mdat", "0123456789");
  const std::string back = box("ftyp", "isom") + box("mdat", "0123456789") + box("moov", "x");
  const std::string parts =
      box("ftyp", "isom") + box("moov", "x") + box("moof", "y") + box("mdat", "0123456789");
  for (const std::string& whole : {front, back, parts}) {
    CHECK(container_of(whole) == VideoContainer::mp4);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      CAPTURE(length);
      if (whole == front && length == 12 + 9) continue;  // whole boxes: the decoder misses the data
      if (whole == parts && length == 12 + 9) continue;  // no fragment at all
      const Errc code = code_of(whole.substr(0, length));
      CHECK((code == Errc::bad_video || code == Errc::file_truncated));
    }
  }
  CHECK(code_of(front.substr(0, front.size() - 1)) == Errc::file_truncated);
  CHECK(code_of(back.substr(0, 30)) == Errc::bad_video);        // no moov
  CHECK(code_of(parts.substr(0, 30)) == Errc::file_truncated);  // ends with moof
}

TEST_CASE("sizes of boxes") {
  const std::string start = box("ftyp", "isom") + box("moov", "x");
  const auto long_box = [](std::uint32_t high, std::uint32_t low, std::size_t body) {
    return big_endian(1) + "mdat" + big_endian(high) + big_endian(low) + std::string(body, 'x');
  };
  CHECK(container_of(start + long_box(0, 20, 4)) == VideoContainer::mp4);
  CHECK(code_of(start + long_box(0, 21, 4)) == Errc::file_truncated);
  CHECK(code_of(start + long_box(0, 15, 4)) == Errc::bad_video);
  CHECK(code_of(start + long_box(0xffffffff, 0xffffffff, 4)) == Errc::file_truncated);
  CHECK(code_of(start + big_endian(1) + "mdat" + big_endian(0)) == Errc::file_truncated);
  CHECK(container_of(start + big_endian(0) + "mdat" + "anything") == VideoContainer::mp4);
  CHECK(code_of(start + big_endian(7) + "mdat") == Errc::bad_video);
  CHECK(code_of(start + "xyz") == Errc::file_truncated);
  std::string many = start;
  for (int i = 0; i < 1 << 20; ++i) many += box("free", "");
  CHECK(code_of(many) == Errc::limit_exceeded);
}

TEST_CASE("every cut of a Matroska file, and sizes that are not known") {
  const std::string whole = ebml + segment_id + "\x43\xe8" + std::string(1000, 'x');
  CHECK(container_of(whole) == VideoContainer::matroska);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    const Errc code = code_of(whole.substr(0, length));
    CHECK(code == (length < 4 ? Errc::bad_video : Errc::file_truncated));
  }
  CHECK(container_of(ebml + segment_id + "\xff") == VideoContainer::matroska);
  CHECK(container_of(ebml + segment_id +
                     "\x01\xff\xff\xff\xff\xff\xff\xff"
                     "x") == VideoContainer::matroska);
  CHECK(code_of(ebml + segment_id + "\x01\xff\xff\xff\xff\xff\xff\xfe") == Errc::file_truncated);
  CHECK(code_of(ebml + segment_id + std::string(9, '\0')) == Errc::bad_video);
  CHECK(code_of(ebml + "\x18\x53\x80\x68\x80") == Errc::bad_video);
}

TEST_CASE("files") {
  const VideoBytes bytes(fixture("decode/rgb8.png"));
  CHECK(thrown([&] { video_container(bytes); }).code() == Errc::bad_video);
  std::array<std::byte, 4> tail{};
  CHECK(bytes.read_at(bytes.size() - 3, tail) == 3);
  CHECK(bytes.read_at(bytes.size(), tail) == 0);
  CHECK(thrown([] { VideoBytes("no/such/file"); }).code() == Errc::io_error);
}

}  // namespace
}  // namespace gov
