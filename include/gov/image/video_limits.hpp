// VideoLimits: what reading a video may take, for files that nobody vouches for; VideoWatch: one
// call's time and its stop token, for loops over packets and frames to look at. Both are looked at
// between pictures and pieces of a file: one picture's decoding is not broken off.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/decode.hpp"

namespace gov {

struct VideoLimits {
  index_t frames = 4096;               // sampled, and so decoded
  index_t entries = index_t{1} << 20;  // names in a folder
  index_t pixels = index_t{1} << 28;   // of all sampled frames together
  ImageLimits image;
  // Ten minutes on the clock for each call: opening a file, and reading frames.
  double call_seconds = 600;
  std::stop_token stop{};  // ends such a call with Errc::cancelled
  // of a video file
  index_t file_bytes = index_t{4} << 30;
  index_t streams = 8;
  double seconds = 24 * 3600;  // that it plays
  index_t packets = index_t{1} << 22;
  index_t decoded_pixels = index_t{1} << 38;  // of sampled frames and those that they depend on
  index_t allocation = index_t{512} << 20;    // FFmpeg's largest; 0: as the program has set it
};

// Starts when it is made.
class VideoWatch {
 public:
  explicit VideoWatch(const VideoLimits& limits)
      : seconds_(limits.call_seconds), stop_(limits.stop) {}

  bool over() const noexcept { return stop_.stop_requested() || late(); }
  void check(const std::string& file) const {
    if (stop_.stop_requested())
      throw Error({.code = Errc::cancelled,
                   .file = file,
                   .field = "video",
                   .expected = "to be read to its end",
                   .found = "a request to stop"});
    if (late())
      throw Error({.code = Errc::limit_exceeded,
                   .file = file,
                   .field = "time to read a video",
                   .expected = "less than " + std::to_string(seconds_) + " seconds",
                   .found = "more"});
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool late() const noexcept {
    return !(std::chrono::duration<double>(Clock::now() - start_).count() < seconds_);
  }

  Clock::time_point start_ = Clock::now();
  double seconds_;
  std::stop_token stop_;
};

}  // namespace gov
