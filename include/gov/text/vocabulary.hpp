// The tokens of a tokenizer: id -> bytes and bytes -> id. Ids may have gaps, but not so wide that a
// small file makes a large table. Model tokens are bytes (byte-level spelling undone, where there
// is one); added tokens, and model tokens that are no such spelling, are taken as they are written
// ("verbatim"): BPE never makes them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"

namespace gov {

class Vocabulary {
 public:
  struct Token {
    std::uint32_t offset = 0, length = 0;
    bool present = false;
    bool added = false;     // listed under added_tokens
    bool special = false;   // added and flagged special
    bool verbatim = false;  // its bytes are its spelling
  };
  static constexpr std::size_t max_tokens = 10'000'000;
  static constexpr int max_id = static_cast<int>(max_tokens) - 1;

  // What can be wrong with a new token.
  enum class Added { ok, id_taken, token_taken, too_many_collisions };

  // Room for `count` tokens with ids up to `largest`. False if the ids lie too far apart.
  bool reserve(std::size_t count, int largest) {
    if (static_cast<std::size_t>(largest) > 64 * count + 65536) return false;
    if (static_cast<std::size_t>(largest) >= tokens_.size())
      tokens_.resize(static_cast<std::size_t>(largest) + 1);
    rehash(std::bit_ceil(std::max<std::size_t>(64, 2 * (count_ + count))));
    return true;
  }

  // After reserve(). The id is within what was reserved.
  Added add(int id, std::string_view bytes, bool verbatim) {
    Token& token = tokens_[static_cast<std::size_t>(id)];
    if (token.present) return Added::id_taken;
    const std::size_t slot = find_slot(bytes, verbatim);
    if (slot == no_slot) return Added::too_many_collisions;
    if (slots_[slot] >= 0) return Added::token_taken;
    token = {static_cast<std::uint32_t>(bytes_.size()),
             static_cast<std::uint32_t>(bytes.size()),
             true,
             false,
             false,
             verbatim};
    bytes_ += bytes;
    slots_[slot] = id;
    ++count_;
    return Added::ok;
  }
  void mark_added(int id, bool special) {
    tokens_[static_cast<std::size_t>(id)].added = true;
    tokens_[static_cast<std::size_t>(id)].special = special;
  }

  // The id, or -1.
  int find(std::string_view bytes, bool verbatim) const {
    if (slots_.empty()) return -1;
    const std::size_t slot = find_slot(bytes, verbatim);
    return slot == no_slot ? -1 : slots_[slot];
  }
  // Null for an id that no token has.
  const Token* get(int id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return nullptr;
    const Token& token = tokens_[static_cast<std::size_t>(id)];
    return token.present ? &token : nullptr;
  }
  std::string_view bytes(const Token& token) const {
    return std::string_view(bytes_).substr(token.offset, token.length);
  }
  std::size_t count() const { return count_; }
  int id_end() const { return static_cast<int>(tokens_.size()); }  // one past the largest id

 private:
  static constexpr std::size_t no_slot = ~std::size_t{0};
  // Chains this long do not happen by chance at half load; a file made for it is refused.
  static constexpr std::size_t max_probes = 512;

  static std::uint64_t hash(std::string_view bytes, bool verbatim) {
    std::uint64_t h = 0x9E3779B97F4A7C15u + verbatim;
    for (const char c : bytes)
      h = (std::rotl(h, 5) ^ static_cast<unsigned char>(c)) * 0x517CC1B727220A95u;
    return h ^ h >> 32;
  }

  // The slot of the token, or the empty one where it would stand, or no_slot.
  std::size_t find_slot(std::string_view wanted, bool verbatim) const {
    std::size_t slot = hash(wanted, verbatim) & (slots_.size() - 1);
    for (std::size_t probe = 0; probe < max_probes; ++probe) {
      if (slots_[slot] < 0) return slot;
      const Token& token = tokens_[static_cast<std::size_t>(slots_[slot])];
      if (token.verbatim == verbatim && bytes(token) == wanted) return slot;
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return no_slot;
  }

  void rehash(std::size_t capacity) {
    if (capacity <= slots_.size()) return;
    slots_.assign(capacity, -1);
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
      const Token& token = tokens_[id];
      if (!token.present) continue;
      const std::size_t slot = find_slot(bytes(token), token.verbatim);
      if (slot != no_slot) slots_[slot] = static_cast<int>(id);
    }
  }

  std::vector<Token> tokens_;
  std::string bytes_;
  std::vector<int> slots_;  // open addressing, a power of two; -1: empty
  std::size_t count_ = 0;
};

}  // namespace gov
