#include "gov/core/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

using namespace gov;

TEST_CASE("every index is visited once, by a worker of the team") {
  for (const int threads : {1, 2, 3, 7}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    CHECK(pool.size() == threads);
    for (const index_t count : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
      std::atomic<bool> workers_fit{true};
      pool.parallel_for(count, [&](index_t i, int worker) {
        ++visits[static_cast<std::size_t>(i)];
        if (worker < 0 || worker >= threads) workers_fit = false;
      });
      CHECK(workers_fit);
      for (const auto& visit : visits) REQUIRE(visit == 1);
    }
    pool.parallel_for(-5, [](index_t) { FAIL("a negative count"); });
  }
  CHECK(ThreadPool(0).size() >= 1);
}

TEST_CASE("two bodies with the same worker number never run at the same time") {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> clash{false};
  for (int round = 0; round < 50; ++round)
    pool.parallel_for(64, [&](index_t, int worker) {
      auto& mine = inside[static_cast<std::size_t>(worker)];
      if (mine.fetch_add(1) != 0) clash = true;
      mine.fetch_sub(1);
    });
  CHECK(!clash);
}

TEST_CASE("an exception of a worker reaches the caller, and the pool is fit for the next loop") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 200; ++round) {
      const index_t bad = round % 40;
      std::string message;
      try {
        pool.parallel_for(40, [bad](index_t i) {
          if (i == bad) throw std::runtime_error("chunk " + std::to_string(i));
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      REQUIRE(message == "chunk " + std::to_string(bad));
      std::atomic<index_t> sum{0};
      pool.parallel_for(10, [&](index_t i) { sum += i; });
      REQUIRE(sum == 45);
    }
    CHECK_THROWS_AS(pool.parallel_for(8, [](index_t) { throw 1; }), int);  // all of them at once
  }
}

TEST_CASE("a loop inside a loop runs in place, with the worker's own number") {
  ThreadPool pool(3);
  std::vector<std::vector<int>> seen(20, std::vector<int>(30));
  std::atomic<bool> same_worker{true};
  pool.parallel_for(20, [&](index_t i, int outer) {
    pool.parallel_for(30, [&](index_t j, int inner) {
      ++seen[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)];
      if (inner != outer) same_worker = false;
    });
  });
  CHECK(same_worker);
  CHECK(seen == std::vector<std::vector<int>>(20, std::vector<int>(30, 1)));
}

TEST_CASE("an exception of an inner loop passes through both") {
  ThreadPool pool(3);
  CHECK_THROWS_AS(pool.parallel_for(5,
                                    [&](index_t) {
                                      pool.parallel_for(5, [](index_t j) {
                                        if (j == 3) throw std::logic_error("inner");
                                      });
                                    }),
                  std::logic_error);
}

TEST_CASE("loops of one pool inside loops of another") {
  ThreadPool outer(2), inner(3);
  std::atomic<int> visits{0};
  outer.parallel_for(8, [&](index_t) { inner.parallel_for(50, [&](index_t) { ++visits; }); });
  CHECK(visits == 400);
}

TEST_CASE("several threads may use one pool at the same time") {
  ThreadPool pool(3);
  constexpr int callers = 4, rounds = 300, count = 17;
  std::vector<std::thread> threads;
  std::vector<index_t> sums(callers, 0);
  for (int c = 0; c < callers; ++c)
    threads.emplace_back([&, c] {
      for (int round = 0; round < rounds; ++round) {
        std::vector<index_t> values(count);
        pool.parallel_for(count, [&](index_t i) { values[static_cast<std::size_t>(i)] = i + c; });
        for (const index_t value : values) sums[static_cast<std::size_t>(c)] += value;
      }
    });
  for (auto& thread : threads) thread.join();
  for (int c = 0; c < callers; ++c)
    CHECK(sums[static_cast<std::size_t>(c)] == rounds * (count * (count - 1) / 2 + count * c));
}

TEST_CASE("results do not depend on the size of the team") {
  // Chunks are fixed by the caller and each sum stays inside one: not a bit may differ.
  const auto run = [](int threads) {
    ThreadPool pool(threads);
    std::vector<float> result(97);
    for (int round = 0; round < 20; ++round)
      pool.parallel_for(97, [&](index_t i) {
        float& sum = result[static_cast<std::size_t>(i)];
        for (index_t k = 0; k < 1000; ++k) sum += 1.f / static_cast<float>(1 + i * 31 + k);
      });
    return result;
  };
  const auto expected = run(1);
  for (const int threads : {2, 3, 7, 16}) CHECK(run(threads) == expected);
}

TEST_CASE("workers that parked wake up again; pools start and stop without work") {
  ThreadPool pool(4);
  for (int round = 0; round < 10; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than they spin
    std::atomic<int> visits{0};
    pool.parallel_for(100, [&](index_t) { ++visits; });
    REQUIRE(visits == 100);
  }
  for (int i = 0; i < 50; ++i) ThreadPool idle(1 + i % 5);
}

TEST_CASE("plain writes of a loop are seen after it, and those before it inside") {
  ThreadPool pool(3);
  std::vector<int> values(64);
  int offset = 0;
  for (int round = 0; round < 500; ++round) {
    offset = round;
    pool.parallel_for(64, [&](index_t i) { values[static_cast<std::size_t>(i)] += offset; });
  }
  CHECK(values == std::vector<int>(64, 499 * 500 / 2));
}
