// VideoBytes and video_container: what a video file is, told by its first bytes and never by its
// name, and whether it is whole. MP4 (ISO 14496-12) is a list of boxes, Matroska and WebM (RFC
// 9559) an EBML header and a segment; both say how long their parts are, so a cut file shows before
// anything is decoded. A recording of unknown length (live WebM), or fragments that end with a
// whole one, cannot show it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/image/decode.hpp"
#include "gov/io/file.hpp"

namespace gov {

// A video's bytes: a file, read as needed, or memory that must stay put.
class VideoBytes {
 public:
  explicit VideoBytes(const std::string& path)
      : name_(path), file_(std::in_place, path), size_(file_->size()) {}
  VideoBytes(std::span<const std::byte> memory, std::string_view name)
      : name_(name), memory_(memory), size_(memory.size()) {}

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  // As many bytes as there are at `offset`, at most `to.size()`.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> to) const {
    if (offset >= size_) return 0;
    to = to.first(static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), size_ - offset)));
    if (file_)
      file_->read_at(offset, to);
    else
      std::copy_n(memory_.begin() + static_cast<index_t>(offset), to.size(), to.begin());
    return to.size();
  }

 private:
  std::string name_;
  std::optional<File> file_;
  std::span<const std::byte> memory_;
  std::uint64_t size_;
};

enum class VideoContainer { mp4, matroska };

namespace detail {

[[noreturn]] inline void throw_bad_container(const VideoBytes& bytes, Errc code,
                                             std::string_view field, std::string expected,
                                             std::string found) {
  throw Error({.code = code,
               .file = bytes.name(),
               .field = std::string(field),
               .expected = std::move(expected),
               .found = std::move(found)});
}

// `length` bytes at `begin` must lie in the file.
inline void check_part(const VideoBytes& bytes, std::string_view field, std::uint64_t begin,
                       std::uint64_t length) {
  if (begin > bytes.size() || length > bytes.size() - begin)
    throw_bad_container(
        bytes, Errc::file_truncated, field,
        std::to_string(length) + " bytes at byte " + std::to_string(begin),
        std::to_string(bytes.size() - std::min(begin, bytes.size())) + " (is the file cut?)");
}

inline std::uint64_t big_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (const std::byte byte : bytes) value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

constexpr std::uint64_t four_letters(const char (&letters)[5]) {
  std::uint64_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(letters[i]);
  return value;
}

inline void check_mp4(const VideoBytes& bytes) {
  constexpr index_t most_boxes = index_t{1} << 20;
  bool movie = false;
  std::uint64_t kind = 0;
  index_t boxes = 0;
  for (std::uint64_t at = 0; at < bytes.size();) {
    if (++boxes > most_boxes)
      throw_bad_container(bytes, Errc::limit_exceeded, "boxes",
                          "at most " + std::to_string(most_boxes), "more");
    check_part(bytes, "box", at, 8);
    std::array<std::byte, 16> header{};
    const std::size_t read = bytes.read_at(at, header);
    kind = big_endian(std::span(header).subspan(4, 4));
    std::uint64_t size = big_endian(std::span(header).first(4));
    if (size == 1) {
      check_part(bytes, "box", at, 16);
      if (read == 16) size = big_endian(std::span(header).subspan(8, 8));
      if (size < 16)
        throw_bad_container(bytes, Errc::bad_video, "box", "at least 16 bytes", "less");
    } else if (size == 0) {  // to the end of the file
      size = bytes.size() - at;
    } else if (size < 8) {
      throw_bad_container(bytes, Errc::bad_video, "box", "at least 8 bytes", std::to_string(size));
    }
    check_part(bytes, "box", at, size);
    movie = movie || kind == four_letters("moov");
    at += size;
  }
  if (!movie)
    throw_bad_container(bytes, Errc::bad_video, "boxes", "a moov box (is the file cut?)", "none");
  if (kind == four_letters("moof"))
    throw_bad_container(bytes, Errc::file_truncated, "boxes", "data behind the last moof box",
                        "the end of the file (is it cut?)");
}

// A number of 1 to 8 bytes whose leading zero bits say how many; the value of all ones is
// "unknown".
struct EbmlSize {
  std::uint64_t value = 0, bytes = 0;
  bool unknown = false;
};
inline EbmlSize ebml_size(const VideoBytes& bytes, std::uint64_t at) {
  check_part(bytes, "element", at, 1);
  std::array<std::byte, 8> field{};
  const std::size_t read = bytes.read_at(at, field);
  const auto first = std::to_integer<unsigned>(field[0]);
  if (first == 0)
    throw_bad_container(bytes, Errc::bad_video, "element", "a size of at most 8 bytes", "more");
  std::size_t length = 1;
  while (!(first & (0x80u >> (length - 1)))) ++length;
  if (length > read) check_part(bytes, "element", at, length);
  const std::uint64_t ones = (std::uint64_t{1} << (7 * length)) - 1;
  const std::uint64_t value = big_endian(std::span(field).first(length)) & ones;
  return {value, length, value == ones};
}

inline void check_matroska(const VideoBytes& bytes) {
  const EbmlSize header = ebml_size(bytes, 4);
  std::uint64_t at = 4 + header.bytes;
  check_part(bytes, "EBML header", at, header.value);
  at += header.value;
  check_part(bytes, "segment", at, 4);
  std::array<std::byte, 4> id{};
  bytes.read_at(at, id);
  if (big_endian(id) != 0x18538067u)
    throw_bad_container(bytes, Errc::bad_video, "segment", "bytes 18 53 80 67", first_bytes(id));
  const EbmlSize segment = ebml_size(bytes, at + 4);
  if (!segment.unknown) check_part(bytes, "segment", at + 4 + segment.bytes, segment.value);
}

}  // namespace detail

// Throws unless the bytes are a whole MP4, QuickTime, Matroska or WebM file.
inline VideoContainer video_container(const VideoBytes& bytes) {
  std::array<std::byte, 8> start{};
  const std::size_t read = bytes.read_at(0, start);
  const auto first = std::span<const std::byte>(start).first(read);
  if (read >= 4 && detail::big_endian(first.first(4)) == 0x1A45DFA3u) {
    detail::check_matroska(bytes);
    return VideoContainer::matroska;
  }
  const std::uint64_t kind = read == 8 ? detail::big_endian(first.subspan(4)) : 0;
  for (const std::uint64_t box :
       {detail::four_letters("ftyp"), detail::four_letters("moov"), detail::four_letters("mdat"),
        detail::four_letters("wide"), detail::four_letters("free"), detail::four_letters("skip")})
    if (kind == box) {
      detail::check_mp4(bytes);
      return VideoContainer::mp4;
    }
  detail::throw_bad_container(bytes, Errc::bad_video, "video", "MP4, QuickTime, Matroska or WebM",
                              detail::first_bytes(first));
}

}  // namespace gov
