// Rings and growing caches: what is kept, in which order, and how far back one may go.
#include "gov/nn/kv_cache.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"

namespace {

using namespace gov;
using Cache = KvCache<float>;

// Writes and commits `count` positions; the key of position p is p * 10 + column, its value
// negative.
void fill(Cache& cache, index_t count, float mark = 0) {
  for (index_t p = cache.length(); p < cache.length() + count; ++p)
    for (index_t c = 0; c < cache.width(); ++c) {
      cache.key(p)[c] = static_cast<float>(p * 10 + c) + mark;
      cache.value(p)[c] = -static_cast<float>(p * 10 + c) - mark;
    }
  cache.commit(count);
}

// The first column of the keys of [first, last), and whether the values go with them.
std::vector<float> keys(Cache& cache, index_t first, index_t last) {
  std::vector<float> found;
  for (const auto& piece : cache.pieces(first, last))
    for (index_t i = 0; i < piece.count; ++i) {
      CHECK(piece.values[i * cache.width()] == -piece.keys[i * cache.width()]);
      found.push_back(piece.keys[i * cache.width()]);
    }
  return found;
}

std::vector<float> expected(index_t first, index_t last) {
  std::vector<float> list;
  for (index_t p = first; p < last; ++p) list.push_back(static_cast<float>(p * 10));
  return list;
}

TEST_CASE("a growing cache keeps every position, with or without a window") {
  for (const index_t window : {0, 3}) {
    Cache cache(4, window, 20, 0);
    fill(cache, 7), fill(cache, 13);
    CHECK(cache.length() == 20);
    CHECK(cache.earliest() == 0);
    CHECK(cache.bytes() == 2 * 20 * 4 * 4);
    CHECK(keys(cache, 0, 20) == expected(0, 20));
    CHECK(cache.first_visible(10) == (window ? 8 : 0));
    CHECK(cache.first_visible(1) == 0);
    CHECK(keys(cache, 5, 5).empty());
  }
}

TEST_CASE("a ring shows every window it must, in order, wherever it wraps") {
  for (const index_t window : {1, 2, 5})
    for (const index_t chunk : {1, 3, 4}) {
      CAPTURE(window);
      CAPTURE(chunk);
      Cache cache(2, window, 100, window - 1 + chunk);
      CHECK(cache.bytes() == 2 * (window - 1 + chunk) * 2 * 4);
      while (cache.length() + chunk <= 40) {
        const index_t begin = cache.length();
        fill(cache, chunk);  // as a step does: all of its keys first, then each token looks back
        for (index_t p = begin; p < begin + chunk; ++p)
          CHECK(keys(cache, cache.first_visible(p), p + 1) ==
                expected(std::max<index_t>(0, p - window + 1), p + 1));
      }
      CHECK(cache.earliest() == cache.length() - chunk);  // one step back, not more
    }
}

TEST_CASE("a ring as large as the context is no ring") {
  Cache cache(2, 5, 10, 12);
  fill(cache, 10);
  CHECK(cache.earliest() == 0);
  CHECK(keys(cache, 0, 10) == expected(0, 10));
}

TEST_CASE("truncating forgets, and to nothing forgets everything") {
  Cache cache(2, 3, 100, 6);
  fill(cache, 4);
  CHECK(cache.earliest() == 0);
  fill(cache, 4);  // positions 2..7 are left; the query at 4 sees 2, 3, 4
  CHECK(cache.earliest() == 4);
  cache.truncate(4);
  CHECK(cache.length() == 4);
  CHECK(cache.earliest() == 4);
  CHECK(keys(cache, cache.first_visible(4), 4) == expected(2, 4));
  fill(cache, 4);
  CHECK(cache.earliest() == 4);
  cache.truncate(0);
  CHECK(cache.earliest() == 0);
  fill(cache, 5);
  CHECK(cache.earliest() == 0);
  CHECK(keys(cache, 0, 5) == expected(0, 5));
}

TEST_CASE("a journal undoes any number of steps, bit for bit") {
  for (const index_t ring : {0, 6})
    for (const index_t before : {0, 2, 6, 17})
      for (const index_t count : {1, 4, 6, 20}) {
        CAPTURE(ring);
        CAPTURE(before);
        CAPTURE(count);
        Cache cache(2, ring ? 3 : 0, 64, ring), twin(2, ring ? 3 : 0, 64, ring);
        fill(cache, before), fill(twin, before);
        Cache::Journal journal;
        cache.save(journal, count);
        for (index_t done = 0; done < count; done += 2)
          fill(cache, std::min<index_t>(2, count - done), 0.5f);
        cache.restore(journal);
        CHECK(cache.length() == twin.length());
        CHECK(cache.earliest() == twin.earliest());
        const index_t oldest = ring ? std::max<index_t>(0, before - ring) : 0;
        CHECK(keys(cache, oldest, before) == keys(twin, oldest, before));
        CHECK(keys(cache, oldest, before) == expected(oldest, before));
      }
}

TEST_CASE("a fork holds the same and lives alone") {
  for (const index_t ring : {0, 6})
    for (const index_t length : {0, 3, 6, 11}) {
      Cache cache(2, ring ? 3 : 0, 64, ring);
      fill(cache, length);
      Cache copy = cache.fork();
      CHECK(copy.length() == cache.length());
      CHECK(copy.earliest() == cache.earliest());
      CHECK(copy.bytes() == cache.bytes());
      fill(copy, 5, 0.5f);
      const index_t oldest = ring ? std::max<index_t>(0, length - ring) : 0;
      CHECK(keys(cache, oldest, length) == expected(oldest, length));
      copy = cache.fork();
      CHECK(keys(copy, oldest, length) == expected(oldest, length));
    }
}

TEST_CASE("absurd sizes are errors") {
  CHECK(code_of([] { Cache(index_t{1} << 40, 0, index_t{1} << 40, 0); }) == "overflow");
  CHECK(code_of([] { Cache(index_t{1} << 20, 0, index_t{1} << 38, 0); }) == "out_of_memory");
}

}  // namespace
