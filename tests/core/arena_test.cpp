#include "gov/core/arena.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "tests/support/errors.hpp"

using namespace gov;

namespace {
bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % cache_line == 0; }
}  // namespace

static_assert(round_up(0, 64) == 0 && round_up(1, 64) == 64 && round_up(64, 64) == 64);

TEST_CASE("an aligned buffer owns its block and moves") {
  AlignedBuffer a(1000);
  CHECK(aligned(a.data()));
  CHECK(a.size() == 1000);
  std::memset(a.data(), 1, 1000);
  std::byte* const before = a.data();
  AlignedBuffer b(std::move(a));
  CHECK(b.data() == before);
  CHECK(a.data() == nullptr);
  CHECK(a.size() == 0);
  a = std::move(b);
  CHECK(a.data() == before);
  const AlignedBuffer none(0);
  CHECK(none.data() == nullptr);
  AlignedBuffer large(index_t{9} << 20);
  CHECK(reinterpret_cast<std::uintptr_t>(large.data()) % (2 << 20) == 0);
  large.data()[large.size() - 1] = std::byte{1};
}

TEST_CASE("memory that is not to be had is an error that says how much") {
  for (const index_t bytes :
       {index_t{1} << 60, std::numeric_limits<index_t>::max() - 1, index_t{-1}}) {
    const Error error = test::thrown([&] { const AlignedBuffer buffer(bytes); });
    CHECK(error.code() == Errc::out_of_memory);
    CHECK(error.expected().find(std::to_string(bytes)) != std::string::npos);
  }
  Arena arena;
  CHECK_THROWS_AS(arena.allocate<double>(index_t{1} << 61), Error);
  CHECK_THROWS_AS(arena.allocate<char>(std::numeric_limits<index_t>::max()), Error);
  CHECK_THROWS_AS(arena.allocate<char>(-1), Error);
  CHECK(arena.allocate<float>(16) != nullptr);  // still of use
}

TEST_CASE("an arena gives aligned memory that does not overlap") {
  Arena arena;
  std::vector<std::pair<unsigned char*, index_t>> given;
  for (const index_t size : {1, 63, 64, 65, 100000, 7, 300000, 12}) {
    unsigned char* const p = arena.allocate<unsigned char>(size);
    REQUIRE(aligned(p));
    std::memset(p, static_cast<int>(given.size()), static_cast<std::size_t>(size));
    given.emplace_back(p, size);
  }
  for (std::size_t i = 0; i < given.size(); ++i)
    for (index_t j = 0; j < given[i].second; ++j) REQUIRE(given[i].first[j] == i);
}

TEST_CASE("a step that repeats gets the same memory and allocates nothing") {
  Arena arena;
  const auto step = [&arena] {
    const ArenaScope scope(arena);
    float* const first = arena.allocate<float>(5000);
    {
      const ArenaScope inner(arena);
      arena.allocate<float>(100000);
    }
    arena.allocate<float>(77);
    return first;
  };
  float* const first = step();
  const index_t capacity = arena.capacity();
  for (int i = 0; i < 100; ++i) REQUIRE(step() == first);
  CHECK(arena.capacity() == capacity);
}

TEST_CASE("what was taken before a mark outlives its release") {
  Arena arena;
  int* const kept = arena.allocate<int>(10);
  kept[9] = 42;
  const Arena::Mark mark = arena.mark();
  int* const dropped = arena.allocate<int>(1000000);
  arena.release(mark);
  CHECK(kept[9] == 42);
  CHECK(arena.allocate<int>(10) != kept);
  (void)dropped;
}

TEST_CASE("touching pages changes nothing that can be read, errno included") {
  AlignedBuffer buffer(index_t{3} << 20);
  std::memset(buffer.data(), 7, static_cast<std::size_t>(buffer.size()));
  errno = 42;
  touch_pages(buffer.data(), buffer.size());
  touch_pages(buffer.data() + 1, 4096);  // no whole page
  touch_pages(buffer.data() + 5, 0);
  CHECK(errno == 42);
  bool same = true;
  for (index_t i = 0; i < buffer.size(); ++i) same = same && buffer.data()[i] == std::byte{7};
  CHECK(same);
}
