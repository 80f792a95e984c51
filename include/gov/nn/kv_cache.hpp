// KvCache: keys and values of one layer of one sequence, [positions, kv_heads * head_dim] each.
// A full-attention layer keeps every position up to its capacity; a sliding layer keeps a ring of
// the newest `capacity` positions. Truncating forgets; it never brings back what a ring overwrote.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "gov/core/arena.hpp"

namespace gov {

template <class T>
class KvCache {
 public:
  struct Piece {
    const T *keys, *values;
    index_t count;
  };

  KvCache() = default;
  // Reserves its memory at once; the system backs it as it is touched. window 0: full attention.
  // ring: positions held by a sliding layer, at least window - 1 + the longest step; 0 keeps all.
  KvCache(index_t width, index_t window, index_t capacity, index_t ring)
      : width_(width),
        window_(window),
        ring_(ring > 0 && ring < capacity),
        capacity_(ring_ ? ring : capacity),
        buffer_(
            checked_mul(2 * width, checked_mul(capacity_, index_t{sizeof(T)}, "cache"), "cache")) {}

  index_t length() const { return length_; }
  index_t width() const { return width_; }
  index_t window() const { return window_; }
  index_t bytes() const { return buffer_.size(); }

  // First position whose key the query at `position` may see.
  index_t first_visible(index_t position) const {
    return window_ ? std::max<index_t>(0, position - window_ + 1) : 0;
  }
  // Lowest length to which truncate() can go back.
  index_t earliest() const { return oldest_ == 0 ? 0 : std::min(length_, oldest_ + window_ - 1); }

  T* key(index_t position) { return data() + slot(position) * width_; }
  T* value(index_t position) { return data() + (capacity_ + slot(position)) * width_; }

  // Positions up to length() + count now hold keys and values.
  void commit(index_t count) {
    length_ += count;
    if (ring_) oldest_ = std::max(oldest_, length_ - capacity_);
  }
  // The caller has checked length >= earliest().
  void truncate(index_t length) {
    length_ = length;
    if (length == 0) oldest_ = 0;
  }

  // Keys of [first, last) in order; two pieces where a ring wraps.
  std::array<Piece, 2> pieces(index_t first, index_t last) {
    const index_t count = last - first;
    if (count <= 0) return {};
    const index_t begin = slot(first), head = std::min(count, capacity_ - begin);
    return {Piece{key(first), value(first), head},
            Piece{data(), data() + capacity_ * width_, count - head}};
  }

  // What the next `count` positions would overwrite in a ring, so that a failed call can be undone.
  struct Journal {
    index_t length = 0, oldest = 0;
    std::vector<T> rows;
  };
  void save(Journal& journal, index_t count) {
    journal.length = length_, journal.oldest = oldest_;
    journal.rows.clear();
    if (!ring_ || length_ + count <= capacity_) return;
    for (index_t i = 0; i < std::min(count, capacity_); ++i) {
      journal.rows.insert(journal.rows.end(), key(length_ + i), key(length_ + i) + width_);
      journal.rows.insert(journal.rows.end(), value(length_ + i), value(length_ + i) + width_);
    }
  }
  void restore(const Journal& journal) {
    length_ = journal.length, oldest_ = journal.oldest;
    const T* from = journal.rows.data();
    const auto rows = static_cast<index_t>(journal.rows.size()) / std::max<index_t>(1, 2 * width_);
    for (index_t i = 0; i < rows; ++i, from += 2 * width_) {
      std::copy_n(from, width_, key(length_ + i));
      std::copy_n(from + width_, width_, value(length_ + i));
    }
  }

  // A deep copy of what is held.
  KvCache fork() const {
    KvCache copy(width_, window_, capacity_, 0);
    copy.ring_ = ring_, copy.length_ = length_, copy.oldest_ = oldest_;
    const index_t used = std::min(length_, capacity_) * width_;
    std::copy_n(data(), used, copy.data());
    std::copy_n(data() + capacity_ * width_, used, copy.data() + capacity_ * width_);
    return copy;
  }

 private:
  T* data() { return reinterpret_cast<T*>(buffer_.data()); }
  const T* data() const { return reinterpret_cast<const T*>(buffer_.data()); }
  index_t slot(index_t position) const { return ring_ ? position % capacity_ : position; }

  index_t width_ = 0, window_ = 0;
  bool ring_ = false;
  index_t capacity_ = 0, length_ = 0;
  index_t oldest_ = 0;  // lowest position still in a ring
  AlignedBuffer buffer_;
};

}  // namespace gov
