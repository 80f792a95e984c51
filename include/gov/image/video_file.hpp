// VideoFile: frames of an MP4, QuickTime, Matroska or WebM file through FFmpeg's libraries (5.1).
// An optional part: link gov::ffmpeg (CMake's GOV_WITH_FFMPEG, or the package's component ffmpeg)
// and include this header once; load_video and gov::video then take such files.
//
// Only the demuxers and decoders of image/ffmpeg.hpp take part. Frames are numbered in the order of
// their times. All packets are read, which is cheap; only those from the key frame before a sampled
// frame on are decoded, in one thread: same file, same pixels. The first video stream counts.
// Frames are turned as the file says; alpha is dropped; matrix and range of the colours are the
// stream's (BT.601, limited, where it names none). Sound, subtitles, interlacing and the pixel
// aspect ratio are ignored. FFmpeg runs in this process: its own faults are not contained.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/ffmpeg.hpp"
#include "gov/image/image.hpp"
#include "gov/image/video.hpp"
#include "gov/image/video_container.hpp"
#include "gov/image/video_limits.hpp"

namespace gov {

class VideoFile {
 public:
  explicit VideoFile(const std::string& path, const VideoLimits& limits = {})
      : VideoFile(VideoBytes(path), limits) {}
  // Of memory that stays put as long as this object lives; `name` names it in errors.
  VideoFile(std::span<const std::byte> memory, std::string_view name,
            const VideoLimits& limits = {})
      : VideoFile(VideoBytes(memory, name), limits) {}

  index_t frames() const { return std::ssize(shown_); }
  double fps() const { return fps_; }  // on average; 0 where a single frame has none
  double seconds() const { return seconds_; }
  std::string_view codec() const { return decoder_->name; }

  // The frames of these numbers, in any order and as often as they are named.
  std::vector<Image> read(std::span<const index_t> indices) const {
    const auto count = std::ssize(indices);
    if (count < 1 || count > limits_.frames)
      fail(Errc::bad_video, "frames", "1 to " + std::to_string(limits_.frames),
           std::to_string(count));
    if (checked_mul<index_t>(pixels_, count, "frames") > limits_.pixels) fail_pixels();
    std::vector<index_t> wanted(indices.begin(), indices.end());
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    if (wanted.front() < 0 || wanted.back() >= frames())
      fail(Errc::bad_video, "frame", "0 to " + std::to_string(frames() - 1),
           std::to_string(wanted.front() < 0 ? wanted.front() : wanted.back()));

    const ffmpeg::Quiet quiet;
    const VideoWatch watch(limits_);
    std::vector<Image> found;
    // A key frame that does not start afresh (a recovery point) leaves frames out: then from the
    // start on.
    if (!decode(wanted, timed_, found, watch) && (!timed_ || !decode(wanted, false, found, watch)))
      fail(Errc::bad_video, "frame " + std::to_string(wanted[found.size()]), "a frame", "none");
    std::vector<Image> result;
    result.reserve(indices.size());
    index_t pixels = 0;
    for (const index_t index : indices) {
      const auto at = std::lower_bound(wanted.begin(), wanted.end(), index) - wanted.begin();
      result.push_back(found[static_cast<std::size_t>(at)]);
      pixels += result.back().height * result.back().width;
      if (pixels > limits_.pixels) fail_pixels();
    }
    return result;
  }

 private:
  struct Shown {
    std::int64_t time;
    index_t packet;  // its number in the stream
  };

  VideoFile(VideoBytes bytes, const VideoLimits& limits)
      : bytes_(std::move(bytes)), limits_(limits) {
    if (limits.file_bytes < 0 || bytes_.size() > static_cast<std::uint64_t>(limits.file_bytes))
      fail(Errc::limit_exceeded, "video file",
           "at most " + std::to_string(limits.file_bytes) + " bytes",
           std::to_string(bytes_.size()));
    container_ = video_container(bytes_);
    const ffmpeg::Quiet quiet;
    if (limits.allocation > 0) av_max_alloc(static_cast<std::size_t>(limits.allocation));
    const VideoWatch watch(limits_);
    ffmpeg::Input input(bytes_, container_, limits_, watch);
    inspect(input.stream());
    scan(input);
  }

  [[noreturn]] void fail(Errc code, std::string_view field, std::string expected,
                         std::string found) const {
    ffmpeg::fail(bytes_.name(), code, field, std::move(expected), std::move(found));
  }
  [[noreturn]] void fail_pixels() const {
    fail(Errc::image_too_large, "video",
         "at most " + std::to_string(limits_.pixels) + " pixels in all frames", "more");
  }

  void inspect(const AVStream& stream) {
    const AVCodecParameters& codec = *stream.codecpar;
    for (const auto& each : ffmpeg::decoders)
      if (each.codec == codec.codec_id) decoder_ = &each;
    if (!decoder_ || !avcodec_find_decoder_by_name(decoder_->name))
      fail(Errc::unsupported, "codec", std::string("one of ") + ffmpeg::decoder_list,
           avcodec_get_name(codec.codec_id));
    if (codec.width > 0 && codec.height > 0) {
      detail::check_image_limits(codec.height, codec.width, limits_.image, bytes_.name());
      pixels_ = index_t{codec.height} * codec.width;
    }
    orientation_ = ffmpeg::orientation_of(stream, bytes_.name());
  }

  // Reads all packets, decodes none: which frames there are, when, and behind which key frames.
  void scan(ffmpeg::Input& input) {
    const auto packet = ffmpeg::owned(av_packet_alloc(), bytes_.name());
    std::int64_t last_duration = 0;
    for (index_t number = 0; input.next(*packet); ++number) {
      if (number >= limits_.packets)
        fail(Errc::limit_exceeded, "frames", "at most " + std::to_string(limits_.packets), "more");
      if (packet->flags & AV_PKT_FLAG_KEY) keys_.push_back({packet->pts, number});
      // Outside the edit list, or a VP8 frame that only others refer to.
      if (packet->flags & AV_PKT_FLAG_DISCARD) continue;
      if (decoder_->codec == AV_CODEC_ID_VP8 && packet->size > 0 && !(packet->data[0] & 0x10))
        continue;
      timed_ = timed_ && packet->pts != AV_NOPTS_VALUE;
      shown_.push_back({packet->pts, number});
      last_duration = packet->duration;
    }
    if (shown_.empty()) fail(Errc::bad_video, "frames", "at least one", "none");
    std::stable_sort(shown_.begin(), shown_.end(),
                     [](const Shown& a, const Shown& b) { return a.time < b.time; });
    for (std::size_t i = 1; i < shown_.size(); ++i)
      timed_ = timed_ && shown_[i - 1].time != shown_[i].time;

    const AVStream& stream = input.stream();
    const double tick = av_q2d(stream.time_base);
    if (timed_) {
      const double span =
          static_cast<double>(shown_.back().time) - static_cast<double>(shown_.front().time);
      const double last = last_duration > 0 ? static_cast<double>(last_duration)
                          : frames() > 1    ? span / static_cast<double>(frames() - 1)
                                            : 0;
      seconds_ = (span + last) * tick;
    }
    const AVRational rate = stream.avg_frame_rate;
    fps_ = rate.num > 0 && rate.den > 0 ? av_q2d(rate)
           : seconds_ > 0               ? static_cast<double>(frames()) / seconds_
                                        : 0;
    if (!(seconds_ >= 0 && seconds_ <= limits_.seconds))
      fail(Errc::limit_exceeded, "duration",
           "at most " + std::to_string(limits_.seconds) + " seconds", std::to_string(seconds_));
  }

  // The packet to decode from for a frame: the last key frame neither behind it nor after its time.
  index_t start_of(const Shown& frame) const {
    auto key = std::upper_bound(keys_.begin(), keys_.end(), frame.packet,
                                [](index_t packet, const Shown& k) { return packet < k.packet; });
    while (key != keys_.begin())
      if (--key; key->time <= frame.time) return key->packet;
    return 0;
  }

  // Appends the frames `wanted`, which ascend, to `found`, emptied before; false as soon as the
  // decoder leaves one out. jump: past packets that no wanted frame needs.
  bool decode(std::span<const index_t> wanted, bool jump, std::vector<Image>& found,
              const VideoWatch& watch) const {
    found.clear();
    ffmpeg::Input input(bytes_, container_, limits_, watch);
    const auto codec = open_decoder(input.stream());
    const auto packet = ffmpeg::owned(av_packet_alloc(), bytes_.name());
    const auto frame = ffmpeg::owned(av_frame_alloc(), bytes_.name());
    ffmpeg::RgbConverter converter;
    const auto next = [&]() -> const Shown& {
      return shown_[static_cast<std::size_t>(wanted[found.size()])];
    };
    index_t start = jump ? start_of(next()) : 0, given = 0, decoded_pixels = 0, pixels = 0;
    for (index_t number = 0; found.size() < wanted.size(); ++number) {
      const bool more = input.next(*packet);
      if (more && number < start) continue;
      int error = avcodec_send_packet(codec.get(), more ? packet.get() : nullptr);
      if (error < 0 && error != AVERROR_EOF) {
        if (jump) return false;
        fail_decoding(number, error);
      }
      while (found.size() < wanted.size() &&
             (error = avcodec_receive_frame(codec.get(), frame.get())) >= 0) {
        watch.check(bytes_.name());
        detail::check_image_limits(frame->height, frame->width, limits_.image, bytes_.name());
        decoded_pixels += index_t{frame->height} * frame->width;
        if (decoded_pixels > limits_.decoded_pixels)
          fail(Errc::limit_exceeded, "decoded pixels",
               "at most " + std::to_string(limits_.decoded_pixels), "more");
        const index_t index = given++;
        const bool damaged = frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT);
        if (timed_ ? frame->pts < next().time : index < wanted[found.size()]) continue;
        if (timed_ && frame->pts != next().time) return false;
        if (damaged) {
          if (jump) return false;
          fail_decoding(number, AVERROR_INVALIDDATA);
        }
        pixels += index_t{frame->height} * frame->width;
        if (pixels > limits_.pixels) fail_pixels();
        found.push_back(detail::oriented(converter.convert(*frame, bytes_.name()), orientation_));
      }
      if (error < 0 && error != AVERROR(EAGAIN) && error != AVERROR_EOF) {
        if (jump) return false;
        fail_decoding(number, error);
      }
      if (!more) break;
      if (jump && found.size() < wanted.size() && start_of(next()) > number + 1) {
        start = start_of(next());
        avcodec_flush_buffers(codec.get());
      }
    }
    return found.size() == wanted.size();
  }

  [[noreturn]] void fail_decoding(index_t packet, int error) const {
    fail(error == AVERROR(ENOMEM) ? Errc::out_of_memory : Errc::bad_video,
         "packet " + std::to_string(packet), std::string("a frame of ") + decoder_->name,
         ffmpeg::message(error));
  }

  ffmpeg::Owned<AVCodecContext> open_decoder(const AVStream& stream) const {
    const AVCodec* decoder = avcodec_find_decoder_by_name(decoder_->name);
    auto codec = ffmpeg::owned(avcodec_alloc_context3(decoder), bytes_.name());
    int error = avcodec_parameters_to_context(codec.get(), stream.codecpar);
    codec->pkt_timebase = stream.time_base;
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    codec->err_recognition = AV_EF_EXPLODE;
    codec->max_pixels = limits_.image.pixels;
    if (error >= 0) error = avcodec_open2(codec.get(), decoder, nullptr);
    if (error < 0) fail_decoding(0, error);
    return codec;
  }

  VideoBytes bytes_;
  VideoLimits limits_;
  VideoContainer container_{};
  const ffmpeg::VideoDecoder* decoder_ = nullptr;
  index_t pixels_ = 0;  // of a frame, as the container says; 0: it leaves that to the decoder
  int orientation_ = 1;
  std::vector<Shown> shown_;  // by time
  std::vector<Shown> keys_;   // as they come
  bool timed_ = true;         // every frame has a time of its own; otherwise frames are counted
  double fps_ = 0, seconds_ = 0;
};

// The frames of a video file that `sampling` takes.
inline std::vector<Image> load_video_file(const std::string& path,
                                          const FrameSampling& sampling = {},
                                          const VideoLimits& limits = {}) {
  const VideoFile video(path, limits);
  std::optional<double> fps;
  if (video.fps() > 0) fps = video.fps();
  return video.read(pick_frames(video.frames(), sampling, fps, limits));
}

inline const bool video_files_are_loaded = (video_file_loader.store(&load_video_file), true);

}  // namespace gov
