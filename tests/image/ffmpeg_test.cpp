#include "gov/image/ffmpeg.hpp"

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("stderr is quiet while a call runs, however many do") {
  const int before = av_log_get_level();
  av_log_set_level(AV_LOG_WARNING);
  {
    const ffmpeg::Quiet one;
    CHECK(av_log_get_level() == AV_LOG_QUIET);
    { const ffmpeg::Quiet two; }
    CHECK(av_log_get_level() == AV_LOG_QUIET);
  }
  CHECK(av_log_get_level() == AV_LOG_WARNING);
  av_log_set_level(before);
}

TEST_CASE("display matrices turn as players do") {
  constexpr std::int32_t one = 1 << 16;
  const auto orientation = [](std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
    const std::int32_t matrix[9]{a, b, 0, c, d, 0, 0, 0, 1 << 30};
    return ffmpeg::orientation_of(matrix);
  };
  CHECK(orientation(one, 0, 0, one) == 1);
  CHECK(orientation(-one, 0, 0, one) == 2);
  CHECK(orientation(-one, 0, 0, -one) == 3);
  CHECK(orientation(one, 0, 0, -one) == 4);
  CHECK(orientation(0, one, -one, 0) == 6);
  CHECK(orientation(0, -one, one, 0) == 8);
  CHECK(orientation(one - 3, 2, -2, one + 3) == 1);
  CHECK(!orientation(46341, 46341, -46341, 46341));
  CHECK(!orientation(0, 0, 0, 0));

  // Where the matrix puts the pixel (0, 0) and its right neighbour, for each of the eight.
  Image image(2, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i / 3);
  for (const int a : {-1, 0, 1})
    for (const int b : {-1, 0, 1})
      for (const int c : {-1, 0, 1})
        for (const int d : {-1, 0, 1}) {
          if (a * d - b * c == 0 || a * b != 0 || c * d != 0) continue;
          const auto found = orientation(a * one, b * one, c * one, d * one);
          REQUIRE(found);
          const Image turned = detail::oriented(image, *found);
          CHECK(turned.width == (a ? 3 : 2));
          for (index_t y = 0; y < 2; ++y)
            for (index_t x = 0; x < 3; ++x) {
              const index_t to_x = a * x + c * y + (a + c < 0 ? turned.width - 1 : 0);
              const index_t to_y = b * x + d * y + (b + d < 0 ? turned.height - 1 : 0);
              CHECK(turned.row(to_y)[3 * to_x] == 3 * y + x);
            }
        }
}

TEST_CASE("whitelists") {
  std::string list;
  for (const auto& decoder : ffmpeg::decoders) {
    CAPTURE(decoder.name);
    const AVCodec* found = avcodec_find_decoder_by_name(decoder.name);
    REQUIRE(found);
    CHECK(found->id == decoder.codec);
    list += (list.empty() ? "" : ",") + std::string(decoder.name);
  }
  CHECK(list == ffmpeg::decoder_list);
  CHECK(list == "h264,hevc,vp8,vp9,libdav1d");
}

TEST_CASE("packets of the first video stream, from a file or from memory") {
  const auto times = [](const VideoBytes& bytes) {
    const VideoWatch watch({});
    ffmpeg::Input input(bytes, video_container(bytes), {}, watch);
    CHECK(input.stream().codecpar->codec_id == AV_CODEC_ID_H264);
    const auto packet = ffmpeg::owned(av_packet_alloc(), bytes.name());
    std::vector<std::int64_t> found;
    while (input.next(*packet)) found.push_back(packet->pts);
    CHECK(!input.next(*packet));
    return found;
  };
  const std::string path = fixture("../video/h264.mp4");
  const std::vector<std::byte> memory = read_fixture("../video/h264.mp4");
  const auto found = times(VideoBytes(path));
  CHECK(found.size() == 20);
  CHECK(times(VideoBytes(memory, "memory")) == found);

  const VideoBytes sound(fixture("../video/sound.mkv"));
  const VideoWatch watch({});
  const Error error = thrown([&] { ffmpeg::Input(sound, video_container(sound), {}, watch); });
  CHECK(error.code() == Errc::bad_video);
  CHECK(error.expected() == "a video stream");
}

TEST_CASE("a request to stop ends reading between two packets, and FFmpeg's own waiting") {
  const VideoBytes bytes(fixture("../video/h264.mp4"));
  const ffmpeg::Quiet quiet;
  std::stop_source source;
  VideoLimits limits;
  limits.stop = source.get_token();
  const VideoWatch watch(limits);
  ffmpeg::Input input(bytes, video_container(bytes), limits, watch);
  const AVIOInterruptCB& asked = input.format().interrupt_callback;
  const bool given = asked.callback != nullptr;
  REQUIRE(given);
  CHECK(asked.callback(asked.opaque) == 0);
  const auto packet = ffmpeg::owned(av_packet_alloc(), bytes.name());
  CHECK(input.next(*packet));
  CHECK(input.next(*packet));
  source.request_stop();
  CHECK(asked.callback(asked.opaque) != 0);
  const Error error = thrown([&] { input.next(*packet); });
  CHECK(error.code() == Errc::cancelled);
  CHECK(error.file() == bytes.name());
  // Before the header is read, too.
  CHECK(thrown([&] { ffmpeg::Input(bytes, VideoContainer::mp4, limits, watch); }).code() ==
        Errc::cancelled);

  limits = {};
  limits.call_seconds = 0;
  const VideoWatch late(limits);
  CHECK(thrown([&] { ffmpeg::Input(bytes, VideoContainer::mp4, limits, late); }).code() ==
        Errc::limit_exceeded);
}

}  // namespace
}  // namespace gov
