// Rings and growing caches in f32 and bf16: what is kept, in which order, and how far back one may
// go.
#include "gov/nn/kv_cache.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Cache = KvCache<float>;

constexpr Format formats[] = {Format::f32, Format::bf16};

// What a cache holds of a number; a third has no end in bf16 nor f32.
float held(Format format, index_t number, float mark = 0) {
  const float exact = static_cast<float>(number) / 3 + mark;
  return format == Format::bf16 ? to_float(to_bf16(exact)) : exact;
}

// Writes and commits `count` positions; the key of position p is (p * 10 + column) / 3, its value
// negative.
void fill(Cache& cache, index_t count, float mark = 0) {
  const index_t width = cache.run_stride() / (2 * cache.run());
  for (index_t p = cache.length(); p < cache.length() + count; ++p) {
    std::vector<float> keys, values;
    for (index_t c = 0; c < width; ++c) {
      keys.push_back(static_cast<float>(p * 10 + c) / 3 + mark);
      values.push_back(-keys.back());
    }
    cache.write(p, keys.data(), values.data());
  }
  cache.commit(count);
}

// The first column of the keys that the second of two heads has of [first, last); the values and
// the other head must go with them.
std::vector<float> keys(const Cache& cache, index_t first, index_t last) {
  const index_t run = cache.run(), dim = cache.run_stride() / (4 * run);
  const auto number = [&](const std::byte* data, index_t row) {
    const index_t i = row / run * cache.run_stride() + row % run * dim;
    return cache.format() == Format::bf16 ? to_float(reinterpret_cast<const bf16*>(data)[i])
                                          : reinterpret_cast<const float*>(data)[i];
  };
  std::vector<float> heads[2];
  for (const index_t head : {0, 1})
    for (const auto& piece : cache.pieces(head, first, last))
      for (index_t i = 0; i < piece.count; ++i) {
        const float found = number(piece.keys, piece.begin + i);
        CHECK(number(piece.values, piece.begin + i) == -found);
        heads[head].push_back(found);
      }
  REQUIRE(heads[0].size() == heads[1].size());
  for (std::size_t i = 0; i < heads[0].size(); ++i) {
    const float apart = static_cast<float>(dim) / 3, slack = heads[1][i] / 100;  // bf16 has 8 bits
    CHECK(std::abs(heads[1][i] - heads[0][i] - apart) <=
          (cache.format() == Format::bf16 ? slack : slack / 1000));
  }
  return heads[1];
}

std::vector<float> expected(Format format, index_t first, index_t last, index_t dim = 1) {
  std::vector<float> list;
  for (index_t p = first; p < last; ++p) list.push_back(held(format, p * 10 + dim));
  return list;
}

TEST_CASE("a growing cache keeps every position, with or without a window") {
  for (const Format format : formats)
    for (const index_t window : {0, 3}) {
      Cache cache(2, 2, window, 20, 0, format);
      fill(cache, 7), fill(cache, 13);
      CHECK(cache.length() == 20);
      CHECK(cache.earliest() == 0);
      CHECK(cache.format() == format);
      CHECK(cache.bytes() == 2 * 20 * 4 * (format == Format::bf16 ? 2 : 4));
      CHECK(keys(cache, 0, 20) == expected(format, 0, 20, 2));
      CHECK(cache.first_visible(10) == (window ? 8 : 0));
      CHECK(cache.first_visible(1) == 0);
      CHECK(keys(cache, 5, 5).empty());
    }
}

TEST_CASE("a long cache is cut into blocks, and whole blocks are reserved") {
  CHECK(cache_positions(256, 0) == 256);
  CHECK(cache_positions(257, 0) == 512);
  CHECK(cache_positions(8192, 639) == 639);
  CHECK(cache_positions(600, 639) == 768);
  for (const Format format : formats) {
    Cache cache(2, 3, 0, 600, 0, format);
    CHECK(cache.bytes() == 2 * 768 * 6 * (format == Format::bf16 ? 2 : 4));
    fill(cache, 600);
    for (const index_t first : {0, 1, 255, 256, 300, 599})
      for (const index_t last : {1, 256, 257, 512, 600})
        if (first < last) CHECK(keys(cache, first, last) == expected(format, first, last, 3));
    Cache copy = cache.fork();
    fill(cache, 0), cache.truncate(250), fill(cache, 20, 0.5f);
    CHECK(copy.bytes() == cache.bytes());
    CHECK(keys(copy, 0, 600) == expected(format, 0, 600, 3));
    CHECK(keys(cache, 0, 250) == expected(format, 0, 250, 3));
    CHECK(keys(cache, 250, 270) != expected(format, 250, 270, 3));
  }
}

TEST_CASE("a ring shows every window it must, in order, wherever it wraps") {
  for (const Format format : formats)
    for (const index_t window : {1, 2, 5})
      for (const index_t chunk : {1, 3, 4}) {
        CAPTURE(window);
        CAPTURE(chunk);
        Cache cache(2, 1, window, 100, window - 1 + chunk, format);
        CHECK(cache.bytes() == 2 * (window - 1 + chunk) * 2 * (format == Format::bf16 ? 2 : 4));
        while (cache.length() + chunk <= 40) {
          const index_t begin = cache.length();
          fill(cache, chunk);  // as a step does: all of its keys first, then each token looks back
          for (index_t p = begin; p < begin + chunk; ++p)
            CHECK(keys(cache, cache.first_visible(p), p + 1) ==
                  expected(format, std::max<index_t>(0, p - window + 1), p + 1));
        }
        CHECK(cache.earliest() == cache.length() - chunk);  // one step back, not more
      }
}

TEST_CASE("a ring as large as the context is no ring") {
  Cache cache(2, 1, 5, 10, 12);
  fill(cache, 10);
  CHECK(cache.earliest() == 0);
  CHECK(keys(cache, 0, 10) == expected(Format::f32, 0, 10));
}

TEST_CASE("truncating forgets, and to nothing forgets everything") {
  for (const Format format : formats) {
    Cache cache(2, 1, 3, 100, 6, format);
    fill(cache, 4);
    CHECK(cache.earliest() == 0);
    fill(cache, 4);  // positions 2..7 are left; the query at 4 sees 2, 3, 4
    CHECK(cache.earliest() == 4);
    cache.truncate(4);
    CHECK(cache.length() == 4);
    CHECK(cache.earliest() == 4);
    CHECK(keys(cache, cache.first_visible(4), 4) == expected(format, 2, 4));
    fill(cache, 4);
    CHECK(cache.earliest() == 4);
    cache.truncate(0);
    CHECK(cache.earliest() == 0);
    fill(cache, 5);
    CHECK(cache.earliest() == 0);
    CHECK(keys(cache, 0, 5) == expected(format, 0, 5));
  }
}

TEST_CASE("a journal undoes any number of steps, bit for bit") {
  for (const Format format : formats)
    for (const index_t ring : {0, 6})
      for (const index_t before : {0, 2, 6, 17})
        for (const index_t count : {1, 4, 6, 20}) {
          CAPTURE(ring);
          CAPTURE(before);
          CAPTURE(count);
          Cache cache(2, 1, ring ? 3 : 0, 64, ring, format),
              twin(2, 1, ring ? 3 : 0, 64, ring, format);
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
          CHECK(keys(cache, oldest, before) == expected(format, oldest, before));
        }
}

TEST_CASE("a fork holds the same and lives alone") {
  for (const Format format : formats)
    for (const index_t ring : {0, 6})
      for (const index_t length : {0, 3, 6, 11}) {
        Cache cache(2, 1, ring ? 3 : 0, 64, ring, format);
        fill(cache, length);
        Cache copy = cache.fork();
        CHECK(copy.length() == cache.length());
        CHECK(copy.earliest() == cache.earliest());
        CHECK(copy.bytes() == cache.bytes());
        CHECK(copy.format() == format);
        fill(copy, 5, 0.5f);
        const index_t oldest = ring ? std::max<index_t>(0, length - ring) : 0;
        CHECK(keys(cache, oldest, length) == expected(format, oldest, length));
        copy = cache.fork();
        CHECK(keys(copy, oldest, length) == expected(format, oldest, length));
      }
}

TEST_CASE("bf16 rounds to nearest, ties to even, and keeps infinities and NaN") {
  const float in[] = {1.00390625f, 1.01171875f, 0x1.010002p0f, -3e38f, INFINITY, NAN, 1e-40f, -0.f};
  KvCache<float> cache(1, 8, 0, 3, 0, Format::bf16);
  cache.write(1, in, in);
  const auto piece = cache.pieces(0, 1, 2)[0];
  REQUIRE(piece.count == 1);
  REQUIRE(piece.begin == 1);
  for (const std::byte* data : {piece.keys, piece.values}) {
    std::uint16_t bits[8];
    std::memcpy(bits, data + sizeof bits, sizeof bits);
    CHECK(bits[0] == 0x3f80);  // 1 + 1/256: a tie, down to even
    CHECK(bits[1] == 0x3f82);  // 1 + 3/256: a tie, up to even
    CHECK(bits[2] == 0x3f81);  // above a tie
    CHECK(bits[3] == 0xff62);
    CHECK(bits[4] == 0x7f80);
    CHECK(is_nan(to_float(bf16{bits[5]})));
    CHECK(bits[6] == 0x0001);  // subnormal: 0x000116c2
    CHECK(bits[7] == 0x8000);
  }
}

TEST_CASE("formats: f32 is what is computed in, bf16 is for float alone, others are refused") {
  CHECK(cache_number_bytes<float>(Format::f32) == 4);
  CHECK(cache_number_bytes<float>(Format::bf16) == 2);
  CHECK(cache_number_bytes<double>(Format::f32) == 8);
  CHECK(code_of([] { KvCache<double>(1, 2, 0, 4, 0, Format::bf16); }) == "bad_argument");
  for (const Format format : {Format::f16, Format::q8, Format::mxfp4})
    CHECK(code_of([&] { Cache(1, 2, 0, 4, 0, format); }) == "bad_argument");
  KvCache<double> exact(1, 2, 0, 4, 0);
  const double keys[] = {1. / 3, 2. / 3}, values[] = {4. / 3, 5. / 3};
  exact.write(3, keys, values);
  const auto piece = exact.pieces(0, 3, 4)[0];
  CHECK(std::memcmp(piece.keys + 3 * sizeof keys, keys, sizeof keys) == 0);
  CHECK(std::memcmp(piece.values + 3 * sizeof keys, values, sizeof values) == 0);
}

TEST_CASE("absurd sizes are errors") {
  CHECK(code_of([] { Cache(1, index_t{1} << 40, 0, index_t{1} << 40, 0); }) == "overflow");
  CHECK(code_of([] { Cache(8, index_t{1} << 17, 0, index_t{1} << 38, 0); }) == "out_of_memory");
}

}  // namespace
