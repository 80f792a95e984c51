// Video files from untrusted bytes, within small limits: what the container says, then up to four
// frames. Only gov::Error may be thrown; the same bytes give the same frames. FFmpeg's own code is
// that of the system, without instrumentation.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "gov/image/video_file.hpp"

namespace {

std::vector<gov::Image> frames_of(std::span<const std::byte> bytes) {
  gov::VideoLimits limits;
  limits.file_bytes = 1 << 20;
  limits.streams = 4;
  limits.call_seconds = 1e9;  // no clock decides what comes out
  limits.packets = 1000;
  limits.image.pixels = 1 << 18;
  limits.image.side = 2048;
  limits.pixels = 1 << 19;
  limits.decoded_pixels = 1 << 21;
  limits.allocation = 16 << 20;
  try {
    const gov::VideoFile video(bytes, "fuzz", limits);
    gov::FrameSampling sampling;
    sampling.num_frames = 4;
    sampling.rule = gov::FrameRule::uniform;
    sampling.shorten = true;
    std::vector<gov::Image> frames =
        video.read(gov::pick_frames(video.frames(), sampling, {}, limits));
    for (const gov::Image& frame : frames) gov::check_image(frame);
    return frames;
  } catch (const gov::Error&) {
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (frames_of(bytes) != frames_of(bytes)) std::abort();
  return 0;
}
