#include "gov/text/bpe.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/support/errors.hpp"

namespace bpe_test {

using namespace gov;

using Ids = std::vector<int>;

// Bytes a..z are ids 0..25.
Bpe letters(std::vector<Bpe::Merge> merges) {
  Bpe bpe;
  for (int i = 0; i < 26; ++i) bpe.set_byte(static_cast<unsigned char>('a' + i), i);
  const std::size_t count = merges.size();
  REQUIRE(bpe.set_merges(std::move(merges)) == count);
  return bpe;
}

Ids encode(const Bpe& bpe, std::string_view piece) {
  Ids ids;
  BpeScratch scratch;
  bpe.encode(piece, ids, scratch);
  return ids;
}

// The definition: look at all pairs, merge the one of lowest rank, leftmost first, again and again.
Ids slow_encode(const Bpe& bpe, const std::vector<Bpe::Merge>& merges, std::string_view piece) {
  Ids ids;
  for (const char c : piece) ids.push_back(bpe.byte_id(static_cast<unsigned char>(c)));
  for (;;) {
    std::size_t best = ids.size();
    std::uint32_t best_rank = Bpe::no_rank;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      if (const auto rank = bpe.rank(ids[i], ids[i + 1]); rank < best_rank)
        best = i, best_rank = rank;
    if (best_rank == Bpe::no_rank) return ids;
    ids[best] = merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST_CASE("lowest rank first, leftmost on a tie, whatever the result's id") {
  const Bpe bpe = letters({{1, 2, 99}, {0, 1, 26}, {0, 0, 27}, {27, 27, 28}});
  CHECK(encode(bpe, "") == Ids{});
  CHECK(encode(bpe, "z") == Ids{25});
  CHECK(encode(bpe, "abc") == Ids{0, 99});  // bc stands first in the list
  CHECK(encode(bpe, "abab") == Ids{26, 26});
  CHECK(encode(bpe, "aaa") == Ids{27, 0});
  CHECK(encode(bpe, "aaaaaaa") == Ids{28, 27, 0});
  CHECK(bpe.rank(1, 2) == 0);
  CHECK(bpe.rank(2, 1) == Bpe::no_rank);
  CHECK(bpe.rank(1000, 1) == Bpe::no_rank);
}

TEST_CASE("a token may be made in several ways") {
  const Bpe bpe = letters({{1, 2, 26}, {26, 3, 28}, {2, 3, 27}, {1, 27, 28}});
  CHECK(encode(bpe, "bcd") == Ids{28});
  CHECK(encode(bpe, "cd") == Ids{27});
}

TEST_CASE("a pair that stands twice is reported") {
  Bpe bpe;
  CHECK(bpe.set_merges({{0, 1, 26}, {1, 2, 27}, {0, 1, 28}}) == 2);
}

TEST_CASE("a byte without a token is an error, not a gap") {
  const Bpe bpe = letters({});
  const Error error = test::thrown([&] { encode(bpe, "a!"); });
  CHECK(error.code() == Errc::bad_prompt);
  CHECK(error.found() == "byte 33");
}

TEST_CASE("random merges: the heap does what the definition says") {
  std::mt19937 random(5);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 300; ++round) {
    std::vector<Bpe::Merge> merges;
    Bpe probe;
    int next = 26;
    for (int i = 0, count = 1 + below(30); i < count; ++i) {
      const int left = below(4) ? below(4) : below(next), right = below(4) ? below(4) : below(next);
      bool known = false;
      for (const auto& merge : merges)
        known = known || (merge.left == left && merge.right == right);
      if (known) continue;
      merges.push_back({left, right, below(5) || next == 26 ? next : 26 + below(next - 26)});
      next = std::max(next, merges.back().result + 1);
    }
    std::shuffle(merges.begin(), merges.end(), random);
    const Bpe bpe = letters(merges);
    for (int text = 0; text < 20; ++text) {
      std::string piece;
      for (int i = 0, size = below(40); i < size; ++i) piece += static_cast<char>('a' + below(4));
      CHECK(encode(bpe, piece) == slow_encode(bpe, merges, piece));
    }
  }
}

TEST_CASE("the work grows with the piece, not with its square") {
  std::vector<Bpe::Merge> merges;
  for (int i = 0, id = 0; i < 12; ++i, id = 25 + i) merges.push_back({id, id, 26 + i});
  const Bpe bpe = letters(merges);
  const auto operations = [&](std::size_t size) {
    Ids ids;
    BpeScratch scratch;
    bpe.encode(std::string(size, 'a'), ids, scratch);
    return scratch.heap_operations;
  };
  const std::size_t small = operations(1 << 14), large = operations(1 << 20);
  CHECK(large < 64 * small * 11 / 10);
  CHECK(large < std::size_t{6} << 20);
}

}  // namespace bpe_test
