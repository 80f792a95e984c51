// SafeTensors: an open safetensors file whose header was found good (safetensors_header.hpp); reads
// tensors by pread into the caller's memory, or shows them in place when mapped. Values are looked
// at only when check_finite is asked for.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/dtype.hpp"
#include "gov/core/error.hpp"
#include "gov/io/file.hpp"
#include "gov/io/safetensors_header.hpp"

namespace gov {

struct SafeTensorsOptions {
  bool map = false;           // views instead of copies; see MappedFile for what that risks
  bool check_finite = false;  // read every float once and refuse NaN and infinities
};

class SafeTensors {
 public:
  static SafeTensors open(const std::string& path, SafeTensorsOptions options = {},
                          const FileOps& ops = system_file_ops) {
    File file(path, ops);
    std::array<std::byte, 8> first{};
    if (file.size() >= 8) file.read_at(0, first);
    const std::uint64_t length = SafeTensorsHeader::json_bytes(first, file.size(), path);
    std::vector<std::byte> start(static_cast<std::size_t>(8 + length));
    file.read_at(0, start);
    SafeTensorsHeader header = SafeTensorsHeader::parse(start, file.size(), path);
    start = {};
    SafeTensors tensors(std::move(file), std::move(header));
    if (options.map) tensors.map_.emplace(tensors.file_, ops);
    if (options.check_finite)
      for (const TensorEntry& entry : tensors.entries()) tensors.check_finite(entry);
    return tensors;
  }

  const std::string& path() const { return file_.path(); }
  const SafeTensorsHeader& header() const { return header_; }
  const std::vector<TensorEntry>& entries() const { return header_.entries(); }
  const TensorEntry* find(std::string_view name) const { return header_.find(name); }
  const TensorEntry& at(std::string_view name) const {
    if (const TensorEntry* entry = find(name)) return *entry;
    safetensors_detail::fail(Errc::checkpoint_mismatch, path(), std::string(name), "this tensor",
                             "nothing of this name");
  }

  // Copies a whole tensor; destination must have its size. Safe from many threads, and when the
  // file shrinks.
  void read(const TensorEntry& entry, std::span<std::byte> destination) const {
    if (destination.size() != entry.bytes)
      safetensors_detail::fail(Errc::size_mismatch, path(), entry.name,
                               std::to_string(entry.bytes) + " bytes of room",
                               std::to_string(destination.size()));
    read_part(entry, 0, destination);
  }
  // Copies destination.size() bytes from `skip` on, for loads in pieces.
  void read_part(const TensorEntry& entry, std::uint64_t skip,
                 std::span<std::byte> destination) const {
    if (skip > entry.bytes || destination.size() > entry.bytes - skip)
      safetensors_detail::fail(Errc::bad_argument, path(), entry.name, "a part of the tensor", {});
    file_.read_at(header_.data_start() + entry.offset + skip, destination);
  }

  // Hints for a part of a tensor (File::will_need, File::drop_pages).
  void will_need(const TensorEntry& entry, std::uint64_t skip, std::uint64_t bytes) const {
    file_.will_need(header_.data_start() + entry.offset + skip, bytes);
  }
  void drop_pages(const TensorEntry& entry, std::uint64_t skip, std::uint64_t bytes) const {
    file_.drop_pages(header_.data_start() + entry.offset + skip, bytes);
  }
  void drop_pages() const { file_.drop_pages(0, file_.size()); }  // of the whole file

  bool is_mapped() const { return map_.has_value(); }
  // The tensor's bytes in place, at whatever alignment the file gave them. Only when opened with
  // `map`.
  std::span<const std::byte> view(const TensorEntry& entry) const {
    if (!map_)
      safetensors_detail::fail(Errc::bad_argument, path(), entry.name, "a file opened with map",
                               {});
    return map_->bytes().subspan(static_cast<std::size_t>(header_.data_start() + entry.offset),
                                 static_cast<std::size_t>(entry.bytes));
  }

  // Throws not_finite with the index of the first NaN or infinity of an F64, F32, BF16, F16 or C64
  // tensor.
  void check_finite(const TensorEntry& entry) const {
    const bool is_half = entry.dtype == DType::F16 || entry.dtype == DType::BF16;
    const bool is_single = entry.dtype == DType::F32 || entry.dtype == DType::C64;
    if (!is_half && !is_single && entry.dtype != DType::F64) return;
    const std::size_t width = is_half ? 2 : is_single ? 4 : 8;
    const std::uint64_t exponent = entry.dtype == DType::F16    ? 0x7c00u
                                   : entry.dtype == DType::BF16 ? 0x7f80u
                                   : is_single                  ? 0x7f800000u
                                                                : std::uint64_t{0x7ff} << 52;
    std::vector<std::byte> part(
        static_cast<std::size_t>(std::min<std::uint64_t>(entry.bytes, std::uint64_t{1} << 20)));
    for (std::uint64_t done = 0; done < entry.bytes; done += part.size()) {
      part.resize(
          static_cast<std::size_t>(std::min<std::uint64_t>(entry.bytes - done, part.size())));
      read_part(entry, done, part);
      for (std::size_t i = 0; i < part.size(); i += width) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, part.data() + i, width);  // little-endian, as the file
        if ((bits & exponent) == exponent)
          safetensors_detail::fail(
              Errc::not_finite, path(), entry.name, "finite values",
              "NaN or infinity at index " +
                  std::to_string((done + i) / (entry.dtype == DType::C64 ? 8 : width)));
      }
    }
  }

 private:
  SafeTensors(File file, SafeTensorsHeader header)
      : file_(std::move(file)), header_(std::move(header)) {}

  File file_;
  SafeTensorsHeader header_;
  std::optional<MappedFile> map_;
};

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

}  // namespace gov
