// KvCache: keys and values of one layer of one sequence, held as they are computed (f32, which is
// T) or rounded to bf16 (to nearest, ties to even). In memory: [blocks, 2, kv_heads, run,
// head_dim], so that a head's keys follow each other and memory is used up as the sequence grows.
// A full-attention layer keeps every position up to its capacity; a sliding layer keeps a ring of
// the newest `capacity` positions. Truncating forgets; it never brings back what a ring overwrote.
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "gov/core/arena.hpp"
#include "gov/core/tensor.hpp"

namespace gov {

// Bytes of one number in the caches of a session that computes in T. Formats other than f32 and
// bf16, and bf16 where T is not float, are refused: what is computed in double is there to be
// exact.
template <class T>
index_t cache_number_bytes(Format format) {
  if (format == Format::f32) return index_t{sizeof(T)};
  if (format == Format::bf16 && std::is_same_v<T, float>) return index_t{sizeof(bf16)};
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "cache",
               .expected = std::is_same_v<T, float> ? "f32 or bf16" : "f32; bf16 is for float only",
               .found = std::string(to_string(format))});
}

inline constexpr index_t cache_run = 256;  // positions in one block

// Positions that a cache has memory for. ring: as KvCache's.
constexpr index_t cache_positions(index_t capacity, index_t ring) {
  if (ring > 0 && ring < capacity) return ring;
  return capacity <= cache_run ? capacity : round_up(capacity, cache_run);
}

template <class T>
class KvCache {
 public:
  // Rows [begin, begin + count) of one head's runs.
  struct Piece {
    const std::byte *keys, *values;
    index_t count, begin;
  };

  KvCache() = default;
  // Reserves its memory at once; the system backs it as it is touched. window 0: full attention.
  // ring: positions held by a sliding layer, at least window - 1 + the longest step; 0 keeps all.
  KvCache(index_t heads, index_t head_dim, index_t window, index_t capacity, index_t ring,
          Format format = Format::f32)
      : heads_(heads),
        head_dim_(head_dim),
        window_(window),
        row_(checked_mul(head_dim, cache_number_bytes<T>(format), "cache")),
        format_(format),
        ring_(ring > 0 && ring < capacity),
        capacity_(cache_positions(std::min(capacity, address_space), ring)),
        run_(ring_ ? capacity_ : std::clamp<index_t>(capacity_, 1, cache_run)),
        buffer_(checked_mul(checked_mul(2 * heads, row_, "cache"), capacity_, "cache")) {}

  index_t length() const { return length_; }
  index_t window() const { return window_; }
  index_t bytes() const { return buffer_.size(); }
  Format format() const { return format_; }

  // First position whose key the query at `position` may see.
  index_t first_visible(index_t position) const {
    return window_ ? std::max<index_t>(0, position - window_ + 1) : 0;
  }
  // Lowest length to which truncate() can go back.
  index_t earliest() const { return oldest_ == 0 ? 0 : std::min(length_, oldest_ + window_ - 1); }

  // Takes the keys and values of one position, [kv_heads, head_dim] each.
  void write(index_t position, const T* keys, const T* values) {
    for (index_t head = 0; head < heads_; ++head) {
      store(keys + head * head_dim_, key(position, head));
      store(values + head * head_dim_, value(position, head));
    }
  }

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

  // A head's keys of [first, last) in order; two pieces where a ring wraps.
  std::array<Piece, 2> pieces(index_t head, index_t first, index_t last) const {
    const index_t count = last - first;
    if (count <= 0) return {};
    const index_t begin = slot(first), fits = std::min(count, capacity_ - begin);
    const std::byte* const keys = buffer_.data() + head * run_ * row_;
    const std::byte* const values = keys + heads_ * run_ * row_;
    return {Piece{keys, values, fits, begin}, Piece{keys, values, count - fits, 0}};
  }
  // A head's keys and values of positions [first, first + k.rows), widened; rows of head_dim.
  void copy(index_t head, index_t first, Rows<T> k, Rows<T> v) const {
    for (index_t i = 0; i < k.rows; ++i) {
      load(key(first + i, head), k.row(i));
      load(value(first + i, head), v.row(i));
    }
  }
  // Of a piece: rows in a run, and numbers from one run to the next; rows are head_dim apart.
  index_t run() const { return run_; }
  index_t run_stride() const { return 2 * heads_ * run_ * head_dim_; }

  // What the next `count` positions would overwrite in a ring, so that a failed call can be undone.
  struct Journal {
    index_t length = 0, oldest = 0;
    std::vector<std::byte> rows;
  };
  void save(Journal& journal, index_t count) {
    journal.length = length_, journal.oldest = oldest_;
    journal.rows.clear();
    if (!ring_ || length_ + count <= capacity_) return;
    for (index_t i = 0; i < std::min(count, capacity_); ++i)
      for (index_t head = 0; head < heads_; ++head)
        for (const std::byte* const row : {key(length_ + i, head), value(length_ + i, head)})
          journal.rows.insert(journal.rows.end(), row, row + row_);
  }
  void restore(const Journal& journal) {
    length_ = journal.length, oldest_ = journal.oldest;
    const std::byte* from = journal.rows.data();
    const std::byte* const end = from + journal.rows.size();
    for (index_t position = length_; from != end; ++position)
      for (index_t head = 0; head < heads_; ++head)
        for (std::byte* const row : {key(position, head), value(position, head)})
          std::copy_n(from, row_, row), from += row_;
  }

  // A deep copy of what is held.
  KvCache fork() const {
    KvCache copy(heads_, head_dim_, window_, capacity_ + ring_, ring_ ? capacity_ : 0, format_);
    copy.length_ = length_, copy.oldest_ = oldest_;
    const index_t blocks = run_ == 0 ? 0 : (std::min(length_, capacity_) + run_ - 1) / run_;
    std::copy_n(buffer_.data(), blocks * 2 * heads_ * run_ * row_, copy.buffer_.data());
    return copy;
  }

 private:
  std::byte* key(index_t position, index_t head) {
    const index_t at = slot(position);
    return buffer_.data() + ((at / run_ * 2 * heads_ + head) * run_ + at % run_) * row_;
  }
  std::byte* value(index_t position, index_t head) { return key(position, head + heads_); }
  const std::byte* key(index_t position, index_t head) const {
    return const_cast<KvCache*>(this)->key(position, head);
  }
  const std::byte* value(index_t position, index_t head) const {
    return key(position, head + heads_);
  }
  index_t slot(index_t position) const { return ring_ ? position % capacity_ : position; }

  void store(const T* from, std::byte* to) const {
    if constexpr (std::is_same_v<T, float>)
      if (format_ == Format::bf16) {
        auto* const rounded = reinterpret_cast<bf16*>(to);
        for (index_t i = 0; i < head_dim_; ++i) rounded[i] = to_bf16(from[i]);
        return;
      }
    std::copy_n(from, head_dim_, reinterpret_cast<T*>(to));
  }
  void load(const std::byte* from, T* to) const {
    if constexpr (std::is_same_v<T, float>)
      if (format_ == Format::bf16) {
        const auto* const rounded = reinterpret_cast<const bf16*>(from);
        for (index_t i = 0; i < head_dim_; ++i) to[i] = to_float(rounded[i]);
        return;
      }
    std::copy_n(reinterpret_cast<const T*>(from), head_dim_, to);
  }

  index_t heads_ = 0, head_dim_ = 0, window_ = 0;
  index_t row_ = 0;  // bytes of one head's key, or value
  Format format_ = Format::f32;
  bool ring_ = false;
  index_t capacity_ = 0, run_ = 0, length_ = 0;
  index_t oldest_ = 0;  // lowest position still in a ring
  AlignedBuffer buffer_;
};

}  // namespace gov
