// Memory: AlignedBuffer owns one 64-byte aligned block (huge pages asked for when it is large);
// Arena hands out scratch from such blocks and takes it back by mark, so a step that repeats
// allocates nothing.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"

namespace gov {

inline constexpr index_t cache_line = 64;

constexpr index_t round_up(index_t value, index_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

[[noreturn]] inline void throw_out_of_memory(index_t bytes) {
  throw Error({.code = Errc::out_of_memory,
               .file = {},
               .field = "allocation",
               .expected = std::to_string(bytes) + " bytes",
               .found = "not enough memory"});
}

// What no process can have; sizes above it would wrap when they are rounded up.
inline constexpr index_t address_space = index_t{1} << 47;

inline constexpr index_t huge_page = index_t{2} << 20;

// Asks for the pages of [data, data + bytes) at once, so that writing to them does not stop at each
// for the first time. Nothing is written; where the system cannot do it, nothing happens.
inline void touch_pages(std::byte* data, index_t bytes) {
#ifdef MADV_POPULATE_WRITE
  constexpr int populate_write = MADV_POPULATE_WRITE;
#else
  constexpr int populate_write = 23;  // Linux 5.14, in glibc's headers since 2.35
#endif
  constexpr std::uintptr_t page = 4096;
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
  const auto end =
      (reinterpret_cast<std::uintptr_t>(data) + static_cast<std::uintptr_t>(bytes)) / page * page;
  const int before = errno;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, populate_write);
  errno = before;
}

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(index_t bytes) : size_(bytes) {
    if (bytes == 0) return;
    if (bytes < 0 || bytes >= address_space) throw_out_of_memory(bytes);
    const index_t alignment = bytes >= 4 * huge_page ? huge_page : cache_line;
    data_ = static_cast<std::byte*>(std::aligned_alloc(
        static_cast<std::size_t>(alignment), static_cast<std::size_t>(round_up(bytes, alignment))));
    if (!data_) throw_out_of_memory(bytes);
    if (alignment == huge_page)
      ::madvise(data_, static_cast<std::size_t>(round_up(bytes, alignment)), MADV_HUGEPAGE);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { std::free(data_); }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  index_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  index_t size_ = 0;
};

class Arena {
 public:
  struct Mark {
    std::size_t block;
    index_t used;
  };

  // Uninitialised memory for `count` values, 64-byte aligned, valid until its mark is released.
  template <class T>
    requires std::is_trivially_destructible_v<T>
  T* allocate(index_t count) {
    const index_t size = checked_mul(count, static_cast<index_t>(sizeof(T)), "arena");
    if (size < 0 || size >= address_space) throw_out_of_memory(size);
    const index_t bytes = round_up(size, cache_line);
    while (current_ < blocks_.size() && blocks_[current_].size() - used_ < bytes)
      ++current_, used_ = 0;
    if (current_ == blocks_.size()) {
      const index_t last = blocks_.empty() ? index_t{1} << 16 : blocks_.back().size();
      blocks_.emplace_back(std::max(bytes, 2 * last));
      used_ = 0;
    }
    std::byte* const result = blocks_[current_].data() + used_;
    used_ += bytes;
    return reinterpret_cast<T*>(result);
  }

  Mark mark() const { return {current_, used_}; }
  void release(Mark mark) { current_ = mark.block, used_ = mark.used; }
  index_t capacity() const {
    index_t bytes = 0;
    for (const auto& block : blocks_) bytes += block.size();
    return bytes;
  }

 private:
  std::vector<AlignedBuffer> blocks_;
  std::size_t current_ = 0;
  index_t used_ = 0;
};

// Releases, at the end of a scope, what the scope took from an arena.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace gov
