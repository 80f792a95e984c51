#include "gov/image/video_limits.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("a watch ends a call by its time or by a request, and says which") {
  VideoLimits limits;
  CHECK(limits.streams == 8);
  CHECK(limits.call_seconds == 600);
  CHECK(!VideoWatch(limits).over());
  VideoWatch(limits).check("film.mp4");

  for (const double seconds : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    limits.call_seconds = seconds;
    const VideoWatch watch(limits);
    CHECK(watch.over());
    const Error error = thrown([&] { watch.check("film.mp4"); });
    CHECK(error.code() == Errc::limit_exceeded);
    CHECK(error.file() == "film.mp4");
    CHECK(error.field() == "time to read a video");
  }
  limits.call_seconds = std::numeric_limits<double>::infinity();

  std::stop_source source;
  limits.stop = source.get_token();
  const VideoWatch watch(limits);
  watch.check("film.mp4");
  source.request_stop();
  CHECK(watch.over());
  const Error error = thrown([&] { watch.check("film.mp4"); });
  CHECK(error.code() == Errc::cancelled);
  CHECK(error.file() == "film.mp4");

  limits.call_seconds = 0;  // who asked for an end is not told of the time
  CHECK(thrown([&] { VideoWatch(limits).check("film.mp4"); }).code() == Errc::cancelled);
}

}  // namespace
}  // namespace gov
