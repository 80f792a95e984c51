#include "gov/image/video.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

std::string joined(const std::vector<index_t>& indices) {
  std::string text;
  for (const index_t i : indices) text += (text.empty() ? "" : " ") + std::to_string(i);
  return text;
}

TEST_CASE("the sampling rules equal their sources") {
  std::ifstream list = open_fixture("frames.txt");
  std::string line;
  int counts[5] = {0, 0, 0, 0, 0};
  while (std::getline(list, line)) {
    CAPTURE(line);
    const std::size_t colon = line.find(':');
    REQUIRE(colon != line.npos);
    std::istringstream arguments(line.substr(0, colon));
    const std::string expected = line.substr(colon + 1);
    std::string rule, found = "error";
    index_t total;
    arguments >> rule >> total;
    try {
      if (rule == "hf") {
        double video_fps, fps;
        index_t count;
        std::string shift;
        arguments >> video_fps >> count >> fps >> shift;
        FrameSampling sampling;
        if (count) sampling.num_frames = count;
        if (fps > 0) sampling.fps = fps;
        if (shift != "true") sampling.initial_shift = shift == "false" ? 0.0 : std::stod(shift);
        ++counts[0];
        found = joined(sample_frames(total, sampling, video_fps));
      } else if (rule == "segments") {
        double fps, first, last;
        index_t segments;
        arguments >> fps >> segments >> first >> last;
        std::optional<std::pair<double, double>> bound;
        if (first >= 0) bound = {first, last};
        ++counts[1];
        found = joined(segment_frames(total, fps, segments, bound));
      } else if (rule == "stride") {
        double video_fps, fps;
        arguments >> video_fps >> fps;
        ++counts[3];
        found = joined(stride_frames(total, video_fps, fps));
      } else {
        index_t count;
        arguments >> count;
        const bool cut = rule == "linspace";
        REQUIRE((cut || rule == "uniform"));
        ++counts[cut ? 4 : 2];
        found = joined(cut ? linspace_frames(total, count) : uniform_frames(total, count));
      }
    } catch (const Error& error) {
      CHECK(error.code() == Errc::bad_video);
    }
    CHECK(found == expected);
  }
  CHECK(counts[0] >= 300);
  CHECK(counts[1] >= 400);
  CHECK(counts[2] >= 50);
  CHECK(counts[3] >= 30);
  CHECK(counts[4] >= 50);
}

TEST_CASE("sampling needs sensible arguments") {
  CHECK_THROWS_AS(sample_frames(10, {}), Error);
  CHECK_THROWS_AS(sample_frames(0, {.num_frames = 1, .fps = {}, .initial_shift = {}}), Error);
  CHECK_THROWS_AS(sample_frames(10, {.num_frames = 0, .fps = {}, .initial_shift = {}}), Error);
  CHECK_THROWS_AS(sample_frames(10, {.num_frames = 11, .fps = {}, .initial_shift = {}}), Error);
  CHECK_THROWS_AS(sample_frames(10, {.num_frames = {}, .fps = 1.0, .initial_shift = {}}), Error);
  CHECK_THROWS_AS(sample_frames(10, {.num_frames = {}, .fps = 1e300, .initial_shift = {}}, 1e-300),
                  Error);
  CHECK_THROWS_AS(sample_frames(10, {.num_frames = 2, .fps = {}, .initial_shift = -1.0}), Error);
  CHECK_THROWS_AS(segment_frames(10, 0, 4), Error);
  CHECK_THROWS_AS(segment_frames(10, 25, 4, std::pair{5.0, 1.0}), Error);
  CHECK_THROWS_AS(uniform_frames(10, 0), Error);
  CHECK_THROWS_AS(linspace_frames(0, 2), Error);
  CHECK_THROWS_AS(stride_frames(10, 30, 0), Error);
  CHECK_THROWS_AS(stride_frames(10, 1, 3), Error);
}

TEST_CASE("one rule or another by FrameSampling") {
  FrameSampling sampling;
  CHECK(joined(pick_frames(4, sampling)) == "0 1 2 3");
  sampling.num_frames = 3;
  CHECK(joined(pick_frames(10, sampling)) == "1 5 8");
  CHECK_THROWS_AS(pick_frames(2, sampling), Error);
  sampling.rule = FrameRule::uniform;
  CHECK(joined(pick_frames(10, sampling)) == "0 4 9");
  CHECK(joined(pick_frames(2, sampling)) == "0 0 1");
  sampling.shorten = true;
  CHECK(joined(pick_frames(2, sampling)) == "0 1");
  sampling.rule = FrameRule::linspace;
  CHECK(joined(pick_frames(10, sampling)) == "0 4 9");
  CHECK(joined(pick_frames(12, sampling)) == "0 5 11");
  sampling.fps = 1;
  CHECK(joined(pick_frames(12, sampling, 5.0)) == "0 5 10");
  CHECK(joined(pick_frames(12, sampling, 3.0)) == "0 5 11");  // four would be too many
  CHECK_THROWS_AS(pick_frames(12, sampling), Error);
  sampling.fps = {};
  sampling.rule = FrameRule::segments;
  CHECK(joined(pick_frames(12, sampling)) == "1 5 8");
  sampling.bound = {1.0, 2.0};
  CHECK(joined(pick_frames(12, sampling, 5.0)) == "5 7 8");
  CHECK_THROWS_AS(pick_frames(12, sampling), Error);
  sampling.rule = FrameRule::uniform;
  CHECK_THROWS_AS(pick_frames(12, sampling, 5.0), Error);
  sampling = {};
  sampling.fps = 1;
  sampling.rule = FrameRule::uniform;
  CHECK_THROWS_AS(pick_frames(12, sampling, 5.0), Error);
  VideoLimits limits;
  limits.frames = 3;
  CHECK_THROWS_AS(pick_frames(4, {}, {}, limits), Error);
  sampling = {};
  sampling.num_frames = 4;
  CHECK_THROWS_AS(pick_frames(100, sampling, {}, limits), Error);
  CHECK(frame_rule("linspace") == FrameRule::linspace);
  CHECK(thrown([] { frame_rule("random"); }).code() == Errc::bad_argument);
}

TEST_CASE("a file, in a program that has no decoder for it") {
  const VideoFileLoader loader = video_file_loader.exchange(nullptr);
  const Error error = thrown([] { load_video(fixture("../video/h264.mp4")); });
  CHECK(error.code() == Errc::unsupported);
  CHECK(error.expected().find("GOV_WITH_FFMPEG") != std::string::npos);
  video_file_loader = [](const std::string&, const FrameSampling&, const VideoLimits&) {
    return std::vector<Image>{Image(1, 2)};
  };
  CHECK(load_video(fixture("../video/h264.mp4")).front().width == 2);
  video_file_loader = loader;
}

TEST_CASE("natural order") {
  const std::vector<std::string> names{"a",
                                       "frame1.png",
                                       "frame2.png",
                                       "frame02.png",
                                       "frame10.png",
                                       "frame010.png",
                                       "frame10b.png",
                                       "frame123456789012345678901.png",
                                       "g"};
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t j = 0; j < names.size(); ++j) {
      CAPTURE(names[i]);
      CAPTURE(names[j]);
      CHECK(natural_less(names[i], names[j]) == (i < j));
    }
  CHECK(natural_less("", "a"));
  CHECK(!natural_less("a", ""));
  CHECK(natural_less("x9y", "x10"));
}

struct Folder {
  std::filesystem::path path;
  Folder()
      : path(std::filesystem::temp_directory_path() /
             ("gov_video_test_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  void add(const std::string& name, std::uint32_t width, std::uint32_t height, char level) const {
    std::string raw;
    for (std::uint32_t y = 0; y < height; ++y) raw += '\0' + std::string(width, level);
    std::ofstream(path / name, std::ios::binary) << make_png(width, height, 8, 0, raw);
  }
};

TEST_CASE("frames of a folder in natural order") {
  const Folder folder;
  CHECK(thrown([&] { frame_files(folder.path.string()); }).code() == Errc::bad_video);
  for (int i = 0; i < 12; ++i)
    folder.add("f" + std::to_string(i) + (i % 2 ? ".PNG" : ".png"), 2, 3, static_cast<char>(i));
  std::ofstream(folder.path / "notes.txt") << "not a frame";
  const std::vector<Image> all = load_video(folder.path.string());
  REQUIRE(all.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) CHECK(all[i].pixels[0] == i);
  const std::vector<Image> some =
      load_video(folder.path.string(), {.num_frames = 3, .fps = {}, .initial_shift = {}});
  REQUIRE(some.size() == 3);
  CHECK(some[0].pixels[0] == 2);
  CHECK(some[2].pixels[0] == 10);
  CHECK(load_video(folder.path.string(), {.num_frames = {}, .fps = 1.0, .initial_shift = {}}, 4.0)
            .size() == 3);

  const std::vector<std::string> files = frame_files(folder.path.string());
  const std::vector<index_t> twice{5, 5, 0};
  const std::vector<Image> frames = load_frames(files, twice);
  CHECK(frames[0] == frames[1]);
  CHECK(frames[2].pixels[0] == 0);

  VideoLimits limits;
  limits.frames = 11;
  CHECK(thrown([&] { load_video(folder.path.string(), {}, {}, limits); }).code() ==
        Errc::bad_video);
  limits = {};
  limits.pixels = 12 * 6 - 1;
  CHECK(thrown([&] { load_video(folder.path.string(), {}, {}, limits); }).code() ==
        Errc::image_too_large);
  limits.pixels = 12 * 6;
  CHECK(load_video(folder.path.string(), {}, {}, limits).size() == 12);
  limits.pixels = 10;
  CHECK(thrown([&] { load_frames(files, twice, limits); }).code() == Errc::image_too_large);
  limits = {};
  limits.entries = 5;
  CHECK(thrown([&] { frame_files(folder.path.string(), limits); }).code() == Errc::limit_exceeded);
  const std::vector<index_t> outside{12};
  CHECK(thrown([&] { load_frames(files, outside); }).code() == Errc::bad_video);
  CHECK(thrown([&] { load_frames(files, {}); }).code() == Errc::bad_video);
}

TEST_CASE("a folder that is not there, and a frame that is no picture") {
  CHECK(thrown([] { frame_files("no/such/folder"); }).code() == Errc::io_error);
  const Folder folder;
  std::ofstream(folder.path / "a.png") << "rubbish";
  const Error error = thrown([&] { load_video(folder.path.string()); });
  CHECK(error.code() == Errc::bad_image);
  CHECK(error.file().ends_with("a.png"));
}

TEST_CASE("reading a folder ends by a request or by the time, and names the frame") {
  const Folder folder;
  folder.add("frame1.png", 2, 3, 'a');
  std::stop_source source;
  VideoLimits limits;
  limits.stop = source.get_token();
  CHECK(load_video(folder.path.string(), {}, {}, limits).size() == 1);
  source.request_stop();
  const Error error = thrown([&] { load_video(folder.path.string(), {}, {}, limits); });
  CHECK(error.code() == Errc::cancelled);
  CHECK(error.file().ends_with("frame1.png"));
  limits = {};
  limits.call_seconds = 0;
  CHECK(thrown([&] { load_video(folder.path.string(), {}, {}, limits); }).code() ==
        Errc::limit_exceeded);
}

}  // namespace
}  // namespace gov
