// GuardedBuffer<T>: n values that end exactly at a page nobody may touch, so that reading or
// writing one past the end is SIGSEGV at once, masked vector stores included. The bytes before the
// first value are filled with a pattern that intact() checks.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace gov::test {

template <class T>
class GuardedBuffer {
 public:
  // `shift` elements are left free between the last value and the guard page, to misalign the data.
  explicit GuardedBuffer(std::ptrdiff_t count, std::ptrdiff_t shift = 0) : count_(count) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto bytes = static_cast<std::size_t>(count + shift) * sizeof(T);
    front_ = (bytes + page - 1) / page * page + page;
    map_ = static_cast<std::byte*>(
        ::mmap(nullptr, front_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    total_ = front_ + page;
    ::mprotect(map_ + front_, page, PROT_NONE);
    std::memset(map_, pattern, front_);
    data_ = reinterpret_cast<T*>(map_ + front_ - bytes);
  }
  GuardedBuffer(const std::vector<T>& values, std::ptrdiff_t shift = 0)
      : GuardedBuffer(static_cast<std::ptrdiff_t>(values.size()), shift) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept
      : map_(std::exchange(other.map_, nullptr)),
        total_(other.total_),
        front_(other.front_),
        data_(other.data_),
        count_(other.count_) {}
  GuardedBuffer& operator=(GuardedBuffer&&) = delete;
  ~GuardedBuffer() {
    if (map_) ::munmap(map_, total_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::ptrdiff_t size() const { return count_; }
  T& operator[](std::ptrdiff_t i) { return data_[i]; }
  const T& operator[](std::ptrdiff_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + count_; }

  // Nothing was written around the values.
  bool intact() const {
    const auto* const values = reinterpret_cast<const std::byte*>(data_);
    for (const std::byte* p = map_; p != map_ + front_; ++p)
      if ((p < values || p >= values + static_cast<std::size_t>(count_) * sizeof(T)) &&
          *p != std::byte{pattern})
        return false;
    return true;
  }

 private:
  static constexpr unsigned char pattern = 0xa5;
  std::byte* map_ = nullptr;
  std::size_t total_ = 0, front_ = 0;
  T* data_ = nullptr;
  std::ptrdiff_t count_ = 0;
};

}  // namespace gov::test
