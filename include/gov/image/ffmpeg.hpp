// What gov takes from FFmpeg's libraries (5.1): Input, the packets of one video stream, and
// RgbConverter, pixels of decoded frames. Used by image/video_file.hpp alone.
//
// Demuxers: mov, matroska, chosen by the file's first bytes; decoders: those of `decoders`. Bytes
// come through VideoBytes, and no other file, address or device is ever opened.
#pragma once

#ifndef GOV_WITH_FFMPEG
#error "gov's video files need FFmpeg: link gov::ffmpeg"
#endif

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/image.hpp"
#include "gov/image/video_container.hpp"
#include "gov/image/video_limits.hpp"

namespace gov {

namespace ffmpeg {

struct VideoDecoder {
  AVCodecID codec;
  const char* name;  // FFmpeg's decoder
};
inline constexpr std::array<VideoDecoder, 5> decoders{{{AV_CODEC_ID_H264, "h264"},
                                                       {AV_CODEC_ID_HEVC, "hevc"},
                                                       {AV_CODEC_ID_VP8, "vp8"},
                                                       {AV_CODEC_ID_VP9, "vp9"},
                                                       {AV_CODEC_ID_AV1, "libdav1d"}}};
inline constexpr const char* decoder_list = "h264,hevc,vp8,vp9,libdav1d";

struct Release {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

inline std::string message(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(error, text.data(), text.size());
  return text.data();
}

[[noreturn]] inline void fail(const std::string& file, Errc code, std::string_view field,
                              std::string expected, std::string found) {
  throw Error({.code = code,
               .file = file,
               .field = std::string(field),
               .expected = std::move(expected),
               .found = std::move(found)});
}

template <class T>
Owned<T> owned(T* made, const std::string& file) {
  if (!made) fail(file, Errc::out_of_memory, "video", "memory for FFmpeg", "none");
  return Owned<T>(made);
}

// FFmpeg writes to stderr at a level that is the process's: none while a call of gov runs, and then
// again what it was.
class Quiet {
 public:
  Quiet() {
    const std::lock_guard lock(mutex_);
    if (calls_++ == 0) {
      level_ = av_log_get_level();
      av_log_set_level(AV_LOG_QUIET);
    }
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() {
    const std::lock_guard lock(mutex_);
    if (--calls_ == 0) av_log_set_level(level_);
  }

 private:
  inline static std::mutex mutex_;
  inline static int calls_ = 0, level_ = 0;
};

// One opened container, from its first packet to its last, while the watch lets it.
class Input {
 public:
  Input(const VideoBytes& bytes, VideoContainer container, const VideoLimits& limits,
        const VideoWatch& watch)
      : bytes_(bytes), watch_(watch) {
    constexpr int buffer_bytes = 1 << 16;
    auto* const buffer = static_cast<unsigned char*>(av_malloc(buffer_bytes));
    io_ =
        buffer ? avio_alloc_context(buffer, buffer_bytes, 0, this, &read, nullptr, &seek) : nullptr;
    format_ = io_ ? avformat_alloc_context() : nullptr;
    AVDictionary* options = nullptr;
    if (format_) {
      format_->pb = io_;
      format_->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
      format_->io_open = &refuse_to_open;
      format_->interrupt_callback = {&interrupted, this};
      av_dict_set(&options, "protocol_whitelist", "none", 0);
      av_dict_set(&options, "format_whitelist", "mov,matroska", 0);
      av_dict_set(&options, "codec_whitelist", decoder_list, 0);
    } else if (!io_) {
      av_free(buffer);
    }
    int error = AVERROR(ENOMEM);
    if (format_) {
      const bool mp4 = container == VideoContainer::mp4;
      const AVInputFormat* demuxer = av_find_input_format(mp4 ? "mov" : "matroska");
      error = demuxer ? avformat_open_input(&format_, "", demuxer, &options)
                      : AVERROR_DEMUXER_NOT_FOUND;
    }
    av_dict_free(&options);
    if (error < 0) {
      close();
      raise(error, "header");
    }
    try {
      choose_stream(limits);
    } catch (...) {
      close();
      throw;
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input() { close(); }

  const AVFormatContext& format() const { return *format_; }
  const AVStream& stream() const { return *format_->streams[index_]; }

  // The next packet of the chosen stream; false at the end.
  bool next(AVPacket& packet) {
    for (;;) {
      watch_.check(bytes_.name());
      av_packet_unref(&packet);
      const int error = av_read_frame(format_, &packet);
      if (failure_) std::rethrow_exception(failure_);
      if (error == AVERROR_EOF) return false;
      if (error < 0) raise(error, "packet");
      if (packet.stream_index != static_cast<int>(index_)) continue;
      if (packet.flags & AV_PKT_FLAG_CORRUPT)
        fail(bytes_.name(), Errc::bad_video, "packet", "whole packets", "a damaged or cut one");
      return true;
    }
  }

 private:
  static int read(void* self, std::uint8_t* to, int size) noexcept {
    auto& input = *static_cast<Input*>(self);
    try {
      input.watch_.check(input.bytes_.name());
      const std::size_t count = input.bytes_.read_at(
          input.at_,
          std::as_writable_bytes(std::span(to, static_cast<std::size_t>(std::max(size, 0)))));
      input.at_ += count;
      return count == 0 ? AVERROR_EOF : static_cast<int>(count);
    } catch (...) {
      input.failure_ = std::current_exception();
      return AVERROR(EIO);
    }
  }
  static std::int64_t seek(void* self, std::int64_t offset, int whence) noexcept {
    auto& input = *static_cast<Input*>(self);
    const auto size = static_cast<std::int64_t>(input.bytes_.size());
    if (whence & AVSEEK_SIZE) return size;
    std::int64_t from = 0;
    switch (whence & ~AVSEEK_FORCE) {
      case SEEK_SET: break;
      case SEEK_CUR: from = static_cast<std::int64_t>(input.at_); break;
      case SEEK_END: from = size; break;
      default: return AVERROR(EINVAL);
    }
    std::int64_t to = 0;
    if (__builtin_add_overflow(from, offset, &to) || to < 0) return AVERROR(EINVAL);
    input.at_ = static_cast<std::uint64_t>(to);
    return to;
  }
  static int interrupted(void* self) noexcept {
    return static_cast<const Input*>(self)->watch_.over();
  }
  static int refuse_to_open(AVFormatContext*, AVIOContext** io, const char*, int, AVDictionary**) {
    *io = nullptr;
    return AVERROR(EPERM);
  }

  [[noreturn]] void raise(int error, std::string_view field) const {
    if (failure_) std::rethrow_exception(failure_);
    if (error == AVERROR_EXIT) watch_.check(bytes_.name());  // FFmpeg has asked `interrupted`
    const Errc code = error == AVERROR(ENOMEM) ? Errc::out_of_memory : Errc::bad_video;
    fail(bytes_.name(), code, field, "a video that FFmpeg reads", message(error));
  }

  void choose_stream(const VideoLimits& limits) {
    if (static_cast<index_t>(format_->nb_streams) > limits.streams)
      fail(bytes_.name(), Errc::limit_exceeded, "streams",
           "at most " + std::to_string(limits.streams), std::to_string(format_->nb_streams));
    std::optional<unsigned> chosen;
    for (unsigned i = 0; i < format_->nb_streams; ++i) {
      AVStream& stream = *format_->streams[i];
      if (!chosen && stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
          !(stream.disposition & AV_DISPOSITION_ATTACHED_PIC))
        chosen = i;
      else
        stream.discard = AVDISCARD_ALL;
    }
    if (!chosen)
      fail(bytes_.name(), Errc::bad_video, "streams", "a video stream",
           std::to_string(format_->nb_streams) + " streams of other kinds");
    index_ = *chosen;
  }

  void close() {
    avformat_close_input(&format_);
    if (io_) av_freep(&io_->buffer);
    avio_context_free(&io_);
  }

  const VideoBytes& bytes_;
  const VideoWatch& watch_;
  std::uint64_t at_ = 0;
  std::exception_ptr failure_;  // of reading, on its way through FFmpeg
  AVIOContext* io_ = nullptr;
  AVFormatContext* format_ = nullptr;
  unsigned index_ = 0;
};

// The EXIF orientation (see detail::oriented) of a display matrix [a b u; c d v; x y w]; nothing
// for turns by other than quarters.
inline std::optional<int> orientation_of(const std::int32_t* matrix) {
  const auto sign = [](std::int32_t number) {
    return number > 60000 ? 1 : number < -60000 ? -1 : number > -600 && number < 600 ? 0 : 9;
  };
  const std::array<int, 4> turn{sign(matrix[0]), sign(matrix[1]), sign(matrix[3]), sign(matrix[4])};
  constexpr std::array<std::array<int, 4>, 8> turns{{{1, 0, 0, 1},
                                                     {-1, 0, 0, 1},
                                                     {-1, 0, 0, -1},
                                                     {1, 0, 0, -1},
                                                     {0, 1, 1, 0},
                                                     {0, 1, -1, 0},
                                                     {0, -1, -1, 0},
                                                     {0, -1, 1, 0}}};
  for (std::size_t i = 0; i < turns.size(); ++i)
    if (turn == turns[i]) return static_cast<int>(i) + 1;
  return std::nullopt;
}

inline int orientation_of(const AVStream& stream, const std::string& file) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 29, 100)
  const AVPacketSideData* data =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  const std::uint8_t* bytes = data && data->size >= 36 ? data->data : nullptr;
#else
  std::size_t size = 0;
  const std::uint8_t* bytes = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (size < 36) bytes = nullptr;
#endif
  if (!bytes) return 1;
  std::array<std::int32_t, 9> matrix{};
  std::copy_n(bytes, 36, reinterpret_cast<std::uint8_t*>(matrix.data()));
  const std::optional<int> orientation = orientation_of(matrix.data());
  if (!orientation)
    fail(file, Errc::unsupported, "display matrix", "quarter turns and mirrors", "another turn");
  return *orientation;
}

// Decoded frames to RGB, as swscale does it bit-exactly and with full chroma.
class RgbConverter {
 public:
  Image convert(const AVFrame& frame, const std::string& file) {
    const auto format = static_cast<AVPixelFormat>(frame.format);
    constexpr int flags =
        SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_BITEXACT;
    scaler_.reset(sws_getCachedContext(scaler_.release(), frame.width, frame.height, format,
                                       frame.width, frame.height, AV_PIX_FMT_RGB24, flags, nullptr,
                                       nullptr, nullptr));
    if (!scaler_)
      fail(file, Errc::unsupported, "pixel format", "one that swscale reads", "another");
    const bool full = frame.color_range == AVCOL_RANGE_JPEG || format == AV_PIX_FMT_YUVJ420P ||
                      format == AV_PIX_FMT_YUVJ422P || format == AV_PIX_FMT_YUVJ444P ||
                      format == AV_PIX_FMT_YUVJ440P || format == AV_PIX_FMT_YUVJ411P;
    sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(frame.colorspace), full,
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    Image image(frame.height, frame.width);
    const index_t row = image.width * image_channels, stride = (row + 63) / 64 * 64;
    padded_.resize(static_cast<std::size_t>(stride * image.height + 64));  // it writes behind rows
    std::array<std::uint8_t*, 4> planes{padded_.data()};
    const std::array<int, 4> strides{static_cast<int>(stride)};
    if (sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height, planes.data(),
                  strides.data()) != frame.height)
      fail(file, Errc::bad_video, "frame", "pixels that swscale converts", "others");
    for (index_t y = 0; y < image.height; ++y)
      std::copy_n(padded_.data() + y * stride, row, image.row(y));
    return image;
  }

 private:
  Owned<SwsContext> scaler_;
  std::vector<std::uint8_t> padded_;
};

}  // namespace ffmpeg

}  // namespace gov
