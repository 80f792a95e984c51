#include "gov/image/video_file.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

struct Film {
  std::string file, codec;
  index_t frames;
  double fps;
  int each;  // frames that a colour lasts
};
std::vector<Film> films() {
  std::ifstream list = open_fixture("../video/files.txt");
  std::vector<Film> films;
  for (Film film; list >> film.file >> film.codec >> film.frames >> film.fps >> film.each;)
    films.push_back(film);
  return films;
}
std::string path_of(std::string_view file) { return fixture("../video/" + std::string(file)); }
std::vector<std::byte> bytes_of_file(std::string_view file) {
  return read_fixture("../video/" + std::string(file));
}
std::vector<index_t> numbers_to(index_t count) {
  std::vector<index_t> numbers;
  for (index_t i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

// The number that tests/reference/video_files.py wrote into a frame: eight blocks along the top.
int number_in(const Image& image) {
  int number = 0;
  for (int bit = 0; bit < 8; ++bit) {
    const int level = image.row(4)[3 * (8 * bit + 4)];
    CHECK((level < 40 || level > 215));
    number |= (level > 128) << bit;
  }
  return number;
}

// The largest difference from the colour that was drawn, below the blocks and what blurs from them.
int worst_colour(const Image& image, int number, int each) {
  constexpr int colours[5][3]{
      {200, 40, 40}, {40, 160, 60}, {50, 60, 190}, {210, 190, 50}, {128, 128, 128}};
  int worst = 0;
  for (index_t y = 16; y < image.height; ++y)
    for (index_t x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c)
        worst = std::max(worst, std::abs(image.row(y)[3 * x + c] - colours[number / each % 5][c]));
  return worst;
}

TEST_CASE("each container and codec: frames in order, their colours, rate and length") {
  const std::vector<Film> all = films();
  CHECK(all.size() >= 17);
  for (const Film& film : all) {
    CAPTURE(film.file);
    const VideoFile video(path_of(film.file));
    CHECK(video.codec() == film.codec);
    CHECK(video.frames() == film.frames);
    CHECK(video.fps() == doctest::Approx(film.fps));
    const std::vector<Image> frames = video.read(numbers_to(film.frames));
    REQUIRE(std::ssize(frames) == film.frames);
    if (film.file == "turned_90.mp4" || film.file == "mirrored.mp4") continue;
    for (int i = 0; i < film.frames; ++i) {
      CAPTURE(i);
      const Image& image = frames[static_cast<std::size_t>(i)];
      CHECK(image.width == 64);
      CHECK(image.height == 48);
      const int number = film.file == "vp8_hidden.webm" && i >= 5 ? i + 1 : i;
      CHECK(number_in(image) == number);
      if (film.file != "vp8_hidden.webm") CHECK(worst_colour(image, number, film.each) <= 8);
    }
  }
  CHECK(VideoFile(path_of("h264.mp4")).seconds() == doctest::Approx(20.0 / 12));
  CHECK(VideoFile(path_of("vp9_uneven.webm")).seconds() == doctest::Approx(3.083));
}

TEST_CASE("a sampled frame has the bits of the same frame among all") {
  for (const Film& film : films()) {
    CAPTURE(film.file);
    const VideoFile video(path_of(film.file));
    const std::vector<Image> all = video.read(numbers_to(film.frames));
    for (index_t i = 0; i < film.frames; ++i) {
      CAPTURE(i);
      const index_t one[]{i};
      CHECK(video.read(one).front() == all[static_cast<std::size_t>(i)]);
    }
    const std::vector<index_t> some{film.frames - 1, 1, 3, 3, 0};
    const std::vector<Image> frames = video.read(some);
    for (std::size_t i = 0; i < some.size(); ++i)
      CHECK(frames[i] == all[static_cast<std::size_t>(some[i])]);
  }
}

TEST_CASE("only what is sampled is decoded, from the key frame before it on") {
  VideoLimits limits;
  limits.decoded_pixels = 3 * 64 * 48;
  const VideoFile video(path_of("vp9.webm"), limits);  // key frames at 0, 8, 16
  const index_t near_keys[]{10};
  CHECK(video.read(near_keys).size() == 1);
  const index_t one_more[]{11}, apart[]{1, 17};
  CHECK(thrown([&] { video.read(one_more); }).code() == Errc::limit_exceeded);
  CHECK(thrown([&] { video.read(apart); }).code() == Errc::limit_exceeded);
  limits.decoded_pixels = 4 * 64 * 48;
  CHECK(VideoFile(path_of("vp9.webm"), limits).read(apart).size() == 2);
}

TEST_CASE("frames are turned as the file says") {
  const index_t first[]{3};
  const Image plain = VideoFile(path_of("h264_front.mp4")).read(first).front();
  const Image turned = VideoFile(path_of("turned_90.mp4")).read(first).front();
  REQUIRE(turned.height == 64);
  REQUIRE(turned.width == 48);
  for (index_t y = 0; y < 48; ++y)
    for (index_t x = 0; x < 64; ++x)  // the top row is the right column, read downwards
      CHECK(
          std::equal(plain.row(y) + 3 * x, plain.row(y) + 3 * x + 3, turned.row(x) + 3 * (47 - y)));
  CHECK(VideoFile(path_of("mirrored.mp4")).read(first).front() == detail::oriented(plain, 2));
  CHECK(thrown([] { VideoFile(path_of("turned_30.mp4")); }).code() == Errc::unsupported);
}

TEST_CASE("sampling rules on a file") {
  const auto numbers = [](const FrameSampling& sampling) {
    std::string text;
    for (const Image& image : load_video(path_of("h264.mp4"), sampling))
      text += (text.empty() ? "" : " ") + std::to_string(number_in(image));
    return text;
  };
  FrameSampling sampling;
  CHECK(load_video_file(path_of("h264.mp4"), sampling).size() == 20);
  sampling.num_frames = 4;
  CHECK(numbers(sampling) == "2 7 12 17");
  sampling.rule = FrameRule::uniform;
  CHECK(numbers(sampling) == "0 6 13 19");
  sampling.rule = FrameRule::linspace;
  CHECK(numbers(sampling) == "0 6 12 19");
  sampling.fps = 4;  // every third frame would be seven
  CHECK(numbers(sampling) == "0 6 12 19");
  sampling.num_frames = 7;
  CHECK(numbers(sampling) == "0 3 6 9 12 15 18");
  sampling = {};
  sampling.num_frames = 2;
  sampling.rule = FrameRule::segments;
  CHECK(numbers(sampling) == "4 14");
  sampling.bound = {0.5, 1.0};
  CHECK(numbers(sampling) == "7 10");
  sampling = {};
  sampling.fps = 2;
  CHECK(numbers(sampling) == "3 10 16");
}

TEST_CASE("not a video, empty, without pictures, of another codec, too wide") {
  const auto code = [](std::string_view text) {
    return thrown([&] { VideoFile(std::as_bytes(std::span(text)), "film.mp4"); }).code();
  };
  CHECK(code("") == Errc::bad_video);
  CHECK(code("a text with another name") == Errc::bad_video);
  CHECK(code(std::string("\0\0\0\x10"
                         "ftypisom\0\0\0\0"
                         "\0\0\0\x08moov",
                         24)) == Errc::bad_video);
  CHECK(code(std::string("\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x80", 10)) == Errc::bad_video);
  CHECK(thrown([] { VideoFile(path_of("sound.mkv")); }).code() == Errc::bad_video);
  const Error codec = thrown([] { VideoFile(path_of("mjpeg.mkv")); });
  CHECK(codec.code() == Errc::unsupported);
  CHECK(codec.found() == "mjpeg");
  CHECK(codec.file().ends_with("mjpeg.mkv"));
  CHECK(thrown([] { VideoFile(path_of("mpeg4.mp4")); }).found() == "mpeg4");
  CHECK(thrown([] { VideoFile(path_of("huge.mp4")); }).code() == Errc::image_too_large);
  CHECK(thrown([] { VideoFile("no/such/file.mp4"); }).code() == Errc::io_error);
  CHECK(thrown([] { VideoFile("tests"); }).code() == Errc::io_error);
}

TEST_CASE("cut files are errors; a live recording gives what it has") {
  for (const Film& film : films()) {
    CAPTURE(film.file);
    const std::vector<std::byte> bytes = bytes_of_file(film.file);
    for (std::size_t eighth = 0; eighth < 8; ++eighth) {
      const std::size_t size = bytes.size() * eighth / 8;
      CAPTURE(size);
      const std::span<const std::byte> part(bytes.data(), size);
      if (film.file == "vp9_live.webm" && eighth > 0) {
        try {
          const VideoFile video(part, "cut");
          const std::vector<Image> frames = video.read(numbers_to(video.frames()));
          for (std::size_t i = 0; i < frames.size(); ++i)
            CHECK(number_in(frames[i]) == static_cast<int>(i));
          CHECK(video.frames() < film.frames);
        } catch (const Error& error) {
          CHECK((error.code() == Errc::bad_video || error.code() == Errc::file_truncated));
        }
        continue;
      }
      const Error error = thrown([&] { VideoFile(part, "cut"); });
      CHECK((error.code() == Errc::bad_video || error.code() == Errc::file_truncated));
      CHECK(error.file() == "cut");
    }
  }
}

TEST_CASE("data that lies behind the end, though every box is whole") {
  std::vector<std::byte> bytes = bytes_of_file("h264_front.mp4");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t data = text.find("mdat") - 4;
  bytes.resize(data + 8 + 100);
  bytes[data + 2] = std::byte{0};
  bytes[data + 3] = std::byte{108};
  CHECK(video_container(VideoBytes(bytes, "cut")) == VideoContainer::mp4);
  CHECK(thrown([&] { VideoFile(bytes, "cut"); }).code() == Errc::bad_video);
  bytes.resize(data);
  CHECK(thrown([&] { VideoFile(bytes, "cut"); }).code() == Errc::bad_video);
}

TEST_CASE("flipped bytes: pictures or an error, and the same of both each time") {
  const auto outcome = [](std::span<const std::byte> bytes) {
    try {
      const VideoFile video(bytes, "damaged");
      std::string text;
      for (const Image& image : video.read(numbers_to(std::min<index_t>(video.frames(), 30))))
        text += std::to_string(crc_of(image)) + " ";
      return text;
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  int errors = 0;
  for (const char* file : {"h264_front.mp4", "vp9.webm", "hevc.mkv"}) {
    std::vector<std::byte> bytes = bytes_of_file(file);
    for (std::size_t at = 5; at < bytes.size(); at += bytes.size() / 40) {
      bytes[at] ^= std::byte{0xff};
      const std::string found = outcome(bytes);
      CHECK(outcome(bytes) == found);
      errors += found.find("damaged") != found.npos;
      bytes[at] ^= std::byte{0xff};
    }
  }
  CHECK(errors > 20);
}

TEST_CASE("limits") {
  const auto code = [](const VideoLimits& limits) {
    return thrown([&] {
             const VideoFile video(path_of("h264.mp4"), limits);
             video.read(numbers_to(video.frames()));
           })
        .code();
  };
  const auto at = [](auto member, auto value) {
    VideoLimits limits;
    limits.*member = value;
    return limits;
  };
  const std::size_t size = bytes_of_file("h264.mp4").size();
  CHECK(code(at(&VideoLimits::file_bytes, static_cast<index_t>(size) - 1)) == Errc::limit_exceeded);
  CHECK(code(at(&VideoLimits::streams, 1)) == Errc::limit_exceeded);
  CHECK(code(at(&VideoLimits::seconds, 1.6)) == Errc::limit_exceeded);
  CHECK(code(at(&VideoLimits::packets, 19)) == Errc::limit_exceeded);
  CHECK(code(at(&VideoLimits::decoded_pixels, 20 * 64 * 48 - 1)) == Errc::limit_exceeded);
  CHECK(code(at(&VideoLimits::frames, 19)) == Errc::bad_video);
  CHECK(code(at(&VideoLimits::pixels, 20 * 64 * 48 - 1)) == Errc::image_too_large);
  VideoLimits limits;
  limits.image.side = 63;
  CHECK(code(limits) == Errc::image_too_large);

  limits = {};
  limits.file_bytes = static_cast<index_t>(size), limits.streams = 2, limits.seconds = 1.7;
  limits.packets = limits.frames = 20;
  limits.pixels = limits.decoded_pixels = 20 * 64 * 48;
  const VideoFile video(path_of("h264.mp4"), limits);
  CHECK(video.read(numbers_to(20)).size() == 20);
  const index_t outside[]{20}, negative[]{-1, 3};
  CHECK(thrown([&] { video.read(outside); }).code() == Errc::bad_video);
  CHECK(thrown([&] { video.read(negative); }).code() == Errc::bad_video);
  CHECK(thrown([&] { video.read({}); }).code() == Errc::bad_video);

  // A size that only the decoder knows: the sample entry's says 0 x 0.
  std::vector<std::byte> bytes = bytes_of_file("h264.mp4");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t entry = text.rfind("avc1");
  REQUIRE(bytes[entry + 29] == std::byte{64});
  REQUIRE(bytes[entry + 31] == std::byte{48});
  bytes[entry + 29] = bytes[entry + 31] = std::byte{0};
  limits = {};
  limits.pixels = 20 * 64 * 48 - 1;
  const VideoFile unknown(bytes, "film", limits);
  CHECK(thrown([&] { unknown.read(numbers_to(20)); }).code() == Errc::image_too_large);
  limits.image.side = 63;
  const index_t first[]{0};
  const VideoFile narrow(bytes, "film", limits);
  CHECK(thrown([&] { narrow.read(first); }).code() == Errc::image_too_large);
}

TEST_CASE("a request to stop, or the time, ends opening and reading") {
  std::stop_source source;
  VideoLimits limits;
  limits.stop = source.get_token();
  const VideoFile video(path_of("h264.mp4"), limits);
  CHECK(video.read(numbers_to(20)).size() == 20);
  source.request_stop();
  const Error error = thrown([&] { video.read(numbers_to(20)); });
  CHECK(error.code() == Errc::cancelled);
  CHECK(error.file().ends_with("h264.mp4"));
  CHECK(thrown([&] { VideoFile(path_of("h264.mp4"), limits); }).code() == Errc::cancelled);
  CHECK(thrown([&] { load_video(path_of("h264.mp4"), {}, {}, limits); }).code() == Errc::cancelled);
  limits = {};
  limits.call_seconds = 0;
  CHECK(thrown([&] { VideoFile(path_of("h264.mp4"), limits); }).code() == Errc::limit_exceeded);
}

TEST_CASE("nothing is written to stderr, and no descriptor stays open") {
  const auto open_files = [] {
    index_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      ++count;
    return count;
  };
  std::FILE* const log = std::tmpfile();
  REQUIRE(log);
  const int kept = ::dup(STDERR_FILENO);
  const index_t before = open_files();
  ::dup2(::fileno(log), STDERR_FILENO);
  for (const Film& film : films()) {
    const std::vector<std::byte> bytes = bytes_of_file(film.file);
    for (std::size_t at = 40; at < bytes.size(); at += bytes.size() / 10) {
      std::vector<std::byte> damaged = bytes;
      damaged[at] ^= std::byte{0x55};
      try {
        const VideoFile video(damaged, "damaged");
        const index_t first[]{0};
        video.read(first);
      } catch (const Error&) {
      }
    }
    try {
      VideoFile(path_of(film.file));
    } catch (const Error&) {
    }
  }
  ::dup2(kept, STDERR_FILENO);
  CHECK(open_files() == before);
  ::close(kept);
  CHECK(std::ftell(log) == 0);
  std::fseek(log, 0, SEEK_END);
  CHECK(std::ftell(log) == 0);
  std::fclose(log);
}

}  // namespace
}  // namespace gov
