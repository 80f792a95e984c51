// Video as a list of frames: which frames of a clip to take (four published rules), and frames read
// from a folder of pictures in natural order (frame2 before frame10) or from a list of files. Each
// frame becomes one tile. Video files are decoded by image/video_file.hpp, which a program includes
// if it has FFmpeg; load_video then takes them too.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/decode.hpp"
#include "gov/image/image.hpp"
#include "gov/image/video_limits.hpp"

namespace gov {

enum class FrameRule {
  intervals,  // InternVLVideoProcessor of transformers: sample_frames
  segments,   // OpenGVLab's get_index: segment_frames
  uniform,    // first, last and evenly between, rounded: uniform_frames
  linspace,   // LLaVA-NeXT and LLaVA-Video: linspace_frames
};

inline FrameRule frame_rule(std::string_view name) {
  if (name == "intervals") return FrameRule::intervals;
  if (name == "segments") return FrameRule::segments;
  if (name == "uniform") return FrameRule::uniform;
  if (name == "linspace") return FrameRule::linspace;
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "frame rule",
               .expected = "intervals, segments, uniform or linspace",
               .found = std::string(name)});
}

// Which frames to take: num_frames, or fps when num_frames is absent (linspace: fps while that is
// at most num_frames); neither takes all. Without initial_shift the frames of `intervals` come from
// the middle of their intervals; 0 starts at the first frame.
struct FrameSampling {
  std::optional<index_t> num_frames;
  std::optional<double> fps;
  std::optional<double> initial_shift;
  FrameRule rule = FrameRule::intervals;
  std::optional<std::pair<double, double>> bound{};  // seconds; of `segments`
  bool shorten = false;  // fewer where the video has fewer than num_frames; else as the rule says
};

namespace detail {

[[noreturn]] inline void throw_bad_video(std::string_view field, std::string expected,
                                         std::string found) {
  throw Error({.code = Errc::bad_video,
               .file = {},
               .field = std::string(field),
               .expected = std::move(expected),
               .found = std::move(found)});
}

inline void check_frame_counts(index_t total, index_t sampled) {
  constexpr index_t most = index_t{1} << 31;
  if (total < 1 || total > most)
    throw_bad_video("frames", "1 to 2147483648", std::to_string(total));
  if (sampled < 1 || sampled > most)
    throw_bad_video("num_frames", "1 to 2147483648", std::to_string(sampled));
}

}  // namespace detail

// transformers' InternVLVideoProcessor.sample_frames: start, start + step, ... below total, cut to
// integers, where step = total / num_frames and start = step / 2. More frames than there are is an
// error.
inline std::vector<index_t> sample_frames(index_t total, const FrameSampling& sampling,
                                          std::optional<double> video_fps = std::nullopt) {
  index_t count = 0;
  if (sampling.num_frames) {
    count = *sampling.num_frames;
  } else if (sampling.fps) {
    if (!video_fps || !std::isfinite(*video_fps) || *video_fps <= 0)
      detail::throw_bad_video("fps", "the frame rate of the video, to sample by fps", "none");
    if (!std::isfinite(*sampling.fps) || *sampling.fps <= 0 || *sampling.fps > 1e6)
      detail::throw_bad_video("fps", "a positive number", std::to_string(*sampling.fps));
    const double frames = static_cast<double>(total) / *video_fps * *sampling.fps;
    if (!(frames < 2147483648.0))
      detail::throw_bad_video("fps", "at most 2147483647 frames", std::to_string(frames));
    count = static_cast<index_t>(frames);
  } else {
    detail::throw_bad_video("num_frames", "num_frames or fps", "neither");
  }
  detail::check_frame_counts(total, count);
  if (count > total)
    detail::throw_bad_video("num_frames",
                            "at most the video's " + std::to_string(total) + " frames",
                            std::to_string(count));
  const double step = static_cast<double>(total) / static_cast<double>(count);
  const double start = sampling.initial_shift.value_or(step / 2);
  if (!(start >= 0 && start <= static_cast<double>(total)))
    detail::throw_bad_video("initial_shift", "0 to " + std::to_string(total),
                            std::to_string(start));
  const auto length = static_cast<index_t>(std::ceil((static_cast<double>(total) - start) / step));
  std::vector<index_t> indices;
  indices.reserve(static_cast<std::size_t>(length));
  for (index_t i = 0; i < length; ++i)  // torch.arange rounds each position to float before the cut
    indices.push_back(
        static_cast<index_t>(static_cast<float>(start + static_cast<double>(i) * step)));
  return indices;
}

// OpenGVLab's get_index: the clip, or its part between `bound` seconds, in equal segments, one
// frame from the middle of each.
inline std::vector<index_t> segment_frames(
    index_t total, double video_fps, index_t segments,
    std::optional<std::pair<double, double>> bound = std::nullopt) {
  detail::check_frame_counts(total, segments);
  if (!std::isfinite(video_fps) || video_fps <= 0 || video_fps > 1e6)
    detail::throw_bad_video("fps", "a positive frame rate", std::to_string(video_fps));
  double first = 0, last = static_cast<double>(total - 1);
  if (bound) {
    if (!(bound->first >= 0 && bound->second >= bound->first && bound->second <= 1e9))
      detail::throw_bad_video("bound", "0 <= start <= end seconds",
                              std::to_string(bound->first) + ", " + std::to_string(bound->second));
    first = std::max(first,
                     std::nearbyint(bound->first * video_fps));  // half to even, as Python rounds
    last = std::min(last, std::nearbyint(bound->second * video_fps));
  }
  const double segment = (last - first) / static_cast<double>(segments);
  std::vector<index_t> indices;
  indices.reserve(static_cast<std::size_t>(segments));
  for (index_t i = 0; i < segments; ++i) {
    const double position = first + segment / 2 + std::nearbyint(segment * static_cast<double>(i));
    if (!(position >= 0 && position < static_cast<double>(total)))
      detail::throw_bad_video("bound",
                              "a part inside the video's " + std::to_string(total) + " frames",
                              "frame " + std::to_string(position));
    indices.push_back(static_cast<index_t>(position));
  }
  return indices;
}

// LLaVA's uniform rule: the first and the last frame and what lies evenly between, rounded half to
// even; a frame may come twice when there are fewer than asked for.
inline std::vector<index_t> uniform_frames(index_t total, index_t count) {
  detail::check_frame_counts(total, count);
  std::vector<index_t> indices(static_cast<std::size_t>(count), 0);
  for (index_t i = 1; i < count; ++i)
    indices[static_cast<std::size_t>(i)] = static_cast<index_t>(std::nearbyint(
        static_cast<double>(i) / static_cast<double>(count - 1) * static_cast<double>(total - 1)));
  return indices;
}

// LLaVA-NeXT's np.linspace(0, total - 1, count, dtype=int): as uniform_frames, but cut to integers.
inline std::vector<index_t> linspace_frames(index_t total, index_t count) {
  detail::check_frame_counts(total, count);
  std::vector<index_t> indices(static_cast<std::size_t>(count), 0);
  const double step =
      static_cast<double>(total - 1) / static_cast<double>(count > 1 ? count - 1 : 1);
  for (index_t i = 1; i < count; ++i)
    indices[static_cast<std::size_t>(i)] =
        i + 1 == count ? total - 1 : static_cast<index_t>(static_cast<double>(i) * step);
  return indices;
}

// LLaVA-Video's range(0, total, round(video_fps / fps)).
inline std::vector<index_t> stride_frames(index_t total, double video_fps, double fps) {
  detail::check_frame_counts(total, 1);
  const double stride = std::nearbyint(video_fps / fps);
  if (!(video_fps > 0 && fps > 0 && stride >= 1 && stride <= 2147483648.0))
    detail::throw_bad_video("fps",
                            "a positive rate, at most the video's " + std::to_string(video_fps),
                            std::to_string(fps));
  std::vector<index_t> indices;
  for (index_t i = 0; i < total; i += static_cast<index_t>(stride)) indices.push_back(i);
  return indices;
}

// The frames that `sampling` takes from a video of `total`.
inline std::vector<index_t> pick_frames(index_t total, const FrameSampling& sampling,
                                        std::optional<double> video_fps = std::nullopt,
                                        const VideoLimits& limits = {}) {
  if (sampling.num_frames && *sampling.num_frames > limits.frames)
    detail::throw_bad_video("num_frames", "at most " + std::to_string(limits.frames),
                            std::to_string(*sampling.num_frames));
  FrameSampling chosen = sampling;
  if (chosen.num_frames && chosen.shorten) chosen.num_frames = std::min(*chosen.num_frames, total);
  if (chosen.bound && chosen.rule != FrameRule::segments)
    detail::throw_bad_video("bound", "none, or the rule `segments`", "another rule");
  if (!chosen.num_frames && !chosen.fps) {
    detail::check_frame_counts(total, 1);
    if (total > limits.frames)
      detail::throw_bad_video("frames", "at most " + std::to_string(limits.frames),
                              std::to_string(total));
    std::vector<index_t> all(static_cast<std::size_t>(total));
    for (index_t i = 0; i < total; ++i) all[static_cast<std::size_t>(i)] = i;
    return all;
  }
  if (chosen.rule == FrameRule::intervals) return sample_frames(total, chosen, video_fps);
  if (chosen.rule == FrameRule::linspace && chosen.fps) {
    std::vector<index_t> indices = stride_frames(total, video_fps.value_or(0), *chosen.fps);
    if (!chosen.num_frames || std::ssize(indices) <= *chosen.num_frames) return indices;
  }
  if (!chosen.num_frames)
    detail::throw_bad_video("num_frames", "a number: this rule has no use for fps", "none");
  if (chosen.rule == FrameRule::linspace) return linspace_frames(total, *chosen.num_frames);
  if (chosen.rule == FrameRule::uniform) return uniform_frames(total, *chosen.num_frames);
  return segment_frames(total, video_fps.value_or(chosen.bound ? 0 : 1), *chosen.num_frames,
                        chosen.bound);
}

// Digits compare by their number, everything else byte by byte; equal numbers with fewer zeros
// first.
inline bool natural_less(std::string_view a, std::string_view b) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!digit(a[i]) || !digit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    const auto number = [&digit](std::string_view text, std::size_t& at) {
      while (at < text.size() && text[at] == '0') ++at;
      const std::size_t begin = at;
      while (at < text.size() && digit(text[at])) ++at;
      return text.substr(begin, at - begin);
    };
    const std::string_view x = number(a, i), y = number(b, j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  if (i == a.size() && j == b.size()) return a.size() != b.size() ? a.size() < b.size() : a < b;
  return i == a.size();
}

// The .png, .jpg and .jpeg files of a folder (case ignored), in natural order of their names.
inline std::vector<std::string> frame_files(const std::string& folder,
                                            const VideoLimits& limits = {}) {
  std::error_code failure;
  std::vector<std::pair<std::string, std::string>> names;  // file name, path
  std::filesystem::directory_iterator entry(folder, failure), end;
  index_t entries = 0;
  for (; !failure && entry != end; entry.increment(failure)) {
    if (++entries > limits.entries)
      throw Error({.code = Errc::limit_exceeded,
                   .file = folder,
                   .field = "folder",
                   .expected = "at most " + std::to_string(limits.entries) + " names",
                   .found = "more"});
    std::string suffix = entry->path().extension().string();
    for (char& c : suffix) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (suffix == ".png" || suffix == ".jpg" || suffix == ".jpeg")
      names.emplace_back(entry->path().filename().string(), entry->path().string());
  }
  if (failure)
    throw Error({.code = Errc::io_error,
                 .file = folder,
                 .field = {},
                 .expected = "a folder that can be read",
                 .found = failure.message()});
  if (names.empty())
    throw Error({.code = Errc::bad_video,
                 .file = folder,
                 .field = "frames",
                 .expected = "PNG or JPEG files",
                 .found = "none"});
  std::sort(names.begin(), names.end(),
            [](const auto& a, const auto& b) { return natural_less(a.first, b.first); });
  std::vector<std::string> files;
  files.reserve(names.size());
  for (auto& name : names) files.push_back(std::move(name.second));
  return files;
}

// Decodes files[i] for every i of `indices`; a frame named several times in a row is decoded once.
inline std::vector<Image> load_frames(std::span<const std::string> files,
                                      std::span<const index_t> indices,
                                      const VideoLimits& limits = {}) {
  const auto count = static_cast<index_t>(indices.size()),
             total = static_cast<index_t>(files.size());
  if (count < 1 || count > limits.frames)
    detail::throw_bad_video("frames", "1 to " + std::to_string(limits.frames),
                            std::to_string(count));
  const VideoWatch watch(limits);
  std::vector<Image> frames;
  frames.reserve(indices.size());
  index_t pixels = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0 || indices[i] >= total)
      detail::throw_bad_video("frame", "0 to " + std::to_string(total - 1),
                              std::to_string(indices[i]));
    const std::string& file = files[static_cast<std::size_t>(indices[i])];
    watch.check(file);
    if (i > 0 && indices[i] == indices[i - 1]) {
      const Image last = frames.back();
      frames.push_back(last);
    } else {
      ImageLimits image = limits.image;
      image.pixels = std::min(image.pixels, limits.pixels - pixels);
      frames.push_back(load_image(file, image));
    }
    pixels += frames.back().height * frames.back().width;
    if (pixels > limits.pixels)
      throw Error({.code = Errc::image_too_large,
                   .file = file,
                   .field = "video",
                   .expected = "at most " + std::to_string(limits.pixels) + " pixels in all frames",
                   .found = "more"});
  }
  return frames;
}

// Decodes a video file; null in a program that does not include image/video_file.hpp.
using VideoFileLoader = std::vector<Image> (*)(const std::string& path,
                                               const FrameSampling& sampling,
                                               const VideoLimits& limits);
inline constinit std::atomic<VideoFileLoader> video_file_loader{nullptr};

// The frames that `sampling` takes from a folder of pictures, whose frame rate is video_fps, or
// from a video file.
inline std::vector<Image> load_video(const std::string& path, const FrameSampling& sampling = {},
                                     std::optional<double> video_fps = std::nullopt,
                                     const VideoLimits& limits = {}) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    const VideoFileLoader load = video_file_loader;
    if (load) return load(path, sampling, limits);
    throw Error({.code = Errc::unsupported,
                 .file = path,
                 .field = "video",
                 .expected = "a folder of frames; this program was built without video files "
                             "(GOV_WITH_FFMPEG, gov::ffmpeg)",
                 .found = "a file"});
  }
  const std::vector<std::string> files = frame_files(path, limits);
  const auto total = static_cast<index_t>(files.size());
  return load_frames(files, pick_frames(total, sampling, video_fps, limits), limits);
}

}  // namespace gov
