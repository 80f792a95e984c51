// Byte-pair encoding of one piece of text, given as bytes or as symbols (char_symbols.hpp): the
// adjacent pair whose merge stands first in the list is merged, the leftmost on a tie, until no
// pair has a merge. Linked list and heap: O(n log n) for any piece. A merge's rank is its place in
// the list, not the id of what it makes. Not here: the file format (tokenizer_json.hpp), dropout.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"

namespace gov {

// Buffers of one call, to be kept between calls; not to be shared between threads.
struct BpeScratch {
  struct Symbol {
    int id;
    std::int32_t previous, next;  // -1: none
  };
  void add(int id) {
    const auto place = static_cast<std::int32_t>(symbols.size());
    if (place > 0) symbols.back().next = place;
    symbols.push_back({id, place - 1, -1});
  }

  std::vector<Symbol> symbols;
  std::vector<std::uint64_t> heap;  // rank << 32 | position of the left symbol
  std::size_t heap_operations = 0;  // pushes and pops so far, for tests of the cost
};

class Bpe {
 public:
  struct Merge {
    int left, right, result;
  };
  static constexpr std::uint32_t no_rank = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_piece_bytes = std::numeric_limits<std::int32_t>::max();

  Bpe() { byte_ids_.fill(-1); }

  void set_byte(unsigned char byte, int id) { byte_ids_[byte] = id; }
  int byte_id(unsigned char byte) const { return byte_ids_[byte]; }

  // The list of merges in order of rank, ids >= 0. Returns the rank of a merge whose pair stands in
  // the list before it as well, or merges.size() when all is well.
  std::size_t set_merges(std::vector<Merge> merges) {
    merges_ = std::move(merges);
    int largest = -1;
    for (const Merge& merge : merges_) largest = std::max(largest, merge.left);
    // Counting sort by left id, then each list by right id: no hashing, so no file can spoil it.
    begin_.assign(static_cast<std::size_t>(largest) + 2, 0);
    for (const Merge& merge : merges_) ++begin_[static_cast<std::size_t>(merge.left) + 1];
    for (std::size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
    rights_.resize(merges_.size());
    auto place = begin_;
    for (std::size_t rank = 0; rank < merges_.size(); ++rank)
      rights_[place[static_cast<std::size_t>(merges_[rank].left)]++] = {
          merges_[rank].right, static_cast<std::uint32_t>(rank)};
    std::size_t repeated = merges_.size();
    for (std::size_t left = 0; left + 1 < begin_.size(); ++left) {
      const auto first = rights_.begin() + begin_[left], last = rights_.begin() + begin_[left + 1];
      std::sort(first, last, [](const Right& a, const Right& b) {
        return a.id != b.id ? a.id < b.id : a.rank < b.rank;
      });
      const auto twice = std::adjacent_find(
          first, last, [](const Right& a, const Right& b) { return a.id == b.id; });
      if (twice != last) repeated = std::min<std::size_t>(repeated, (twice + 1)->rank);
    }
    return repeated;
  }
  std::size_t merge_count() const { return merges_.size(); }

  std::uint32_t rank(int left, int right) const {
    const auto list = static_cast<std::size_t>(left);
    if (list + 1 >= begin_.size()) return no_rank;
    std::uint32_t low = begin_[list], size = begin_[list + 1] - low;
    while (size > 0) {
      const std::uint32_t half = size / 2;
      const Right& middle = rights_[low + half];
      if (middle.id == right) return middle.rank;
      if (middle.id < right)
        low += half + 1, size -= half + 1;
      else
        size = half;
    }
    return no_rank;
  }

  // Appends the ids of a piece of bytes.
  void encode(std::string_view piece, std::vector<int>& ids, BpeScratch& scratch) const {
    check_length(piece);
    scratch.symbols.clear();
    scratch.symbols.reserve(piece.size());
    for (const char c : piece) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte_ids_[byte] < 0)
        throw Error({.code = Errc::bad_prompt,
                     .file = {},
                     .field = "text",
                     .expected = "bytes that the vocabulary has a token for",
                     .found = "byte " + std::to_string(byte)});
      scratch.add(byte_ids_[byte]);
    }
    merge(ids, scratch);
  }

  static void check_length(std::string_view piece) {
    if (piece.size() > max_piece_bytes)
      throw Error({.code = Errc::limit_exceeded,
                   .file = {},
                   .field = "text",
                   .expected = "pieces below 2 GiB",
                   .found = std::to_string(piece.size()) + " bytes"});
  }

  // Appends what becomes of the symbols that lie in the scratch.
  void merge(std::vector<int>& ids, BpeScratch& scratch) const {
    auto& symbols = scratch.symbols;
    auto& heap = scratch.heap;
    heap.clear();
    const auto consider = [&](std::int32_t position) {
      const auto& left = symbols[static_cast<std::size_t>(position)];
      if (left.next < 0) return no_rank;
      return rank(left.id, symbols[static_cast<std::size_t>(left.next)].id);
    };
    const auto entry = [](std::uint32_t rank, std::int32_t position) {
      return std::uint64_t{rank} << 32 | static_cast<std::uint32_t>(position);
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto position = static_cast<std::int32_t>(i);
      if (const auto found = consider(position); found != no_rank)
        heap.push_back(entry(found, position));
    }
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    scratch.heap_operations += heap.size();
    const auto push = [&](std::int32_t position) {
      if (const auto found = consider(position); found != no_rank) {
        heap.push_back(entry(found, position));
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
        ++scratch.heap_operations;
      }
    };
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      const std::uint64_t top = heap.back();
      heap.pop_back();
      ++scratch.heap_operations;
      auto& left = symbols[static_cast<std::uint32_t>(top)];
      const Merge& merge = merges_[top >> 32];
      // Stale entries: the symbol is gone (id -1) or one of the two has grown since.
      if (left.id != merge.left || left.next < 0) continue;
      auto& right = symbols[static_cast<std::size_t>(left.next)];
      if (right.id != merge.right) continue;
      left.id = merge.result;
      right.id = -1;
      left.next = right.next;
      const auto position = static_cast<std::int32_t>(static_cast<std::uint32_t>(top));
      if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = position;
      if (left.previous >= 0) push(left.previous);
      push(position);
    }
    if (symbols.empty()) return;
    for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next)
      ids.push_back(symbols[static_cast<std::size_t>(i)].id);
  }

 private:
  struct Right {
    int id;
    std::uint32_t rank;
  };

  std::array<int, 256> byte_ids_;
  std::vector<Merge> merges_;         // by rank
  std::vector<Right> rights_;         // all merges by (left id, right id)
  std::vector<std::uint32_t> begin_;  // by left id: where its part of rights_ begins
};

}  // namespace gov
