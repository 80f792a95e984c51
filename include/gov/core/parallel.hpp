// ThreadPool: a fixed team that shares out a loop's chunks by an atomic counter. Workers spin for a
// moment, then park. Chunks are fixed by the caller and each reduction stays inside one, so results
// do not depend on the number of threads. The first exception of a loop is rethrown to its caller.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include "gov/core/checked.hpp"

namespace gov {

// The number of threads that is meant; 0 means one per hardware thread.
inline int team_size(int threads) {
  return threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

class ThreadPool {
 public:
  // threads: team_size of the team, the caller included.
  explicit ThreadPool(int threads = 0) {
    threads = team_size(threads);
    try {
      for (int worker = 1; worker < threads; ++worker)
        team_.emplace_back([this, worker] { work(worker); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() { stop(); }

  int size() const { return static_cast<int>(team_.size()) + 1; }

  // Calls body(i) or body(i, worker) for i in [0, count), each once, in any order; worker is in
  // [0, size()). A loop inside a loop, or from a second thread at the same time, runs in place.
  template <class Body>
  void parallel_for(index_t count, Body&& body) {
    if (count <= 0) return;
    const auto call = [&body](index_t i, int worker) {
      if constexpr (std::is_invocable_v<Body&, index_t, int>)
        body(i, worker);
      else
        (void)worker, body(i);
    };
    const bool alone = team_.empty() || count == 1 || inside_ == this ||
                       taken_.exchange(true, std::memory_order_acquire);
    if (alone) {
      for (index_t i = 0; i < count; ++i) call(i, inside_ == this ? worker_ : 0);
      return;
    }
    const Release release{taken_};
    run(count, &invoke<decltype(call)>, &call);
  }

 private:
  // Lets the next loop have the team.
  struct Release {
    std::atomic<bool>& taken;
    ~Release() { taken.store(false, std::memory_order_release); }
  };
  using Task = void (*)(const void* body, index_t i, int worker);
  template <class Call>
  static void invoke(const void* body, index_t i, int worker) {
    (*static_cast<const Call*>(body))(i, worker);
  }

  void run(index_t count, Task task, const void* body) {
    task_ = task, body_ = body, count_ = count;
    error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(team_.size()), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_seq_cst);
    if (parked_.load(std::memory_order_seq_cst) > 0) {
      const std::lock_guard<std::mutex> lock(park_);
      wake_.notify_all();
    }
    take_chunks(0);
    for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins)
      spins < 4096 ? _mm_pause() : std::this_thread::yield();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  void take_chunks(int worker) {
    const ThreadPool* const outer = std::exchange(inside_, this);
    const int outer_worker = std::exchange(worker_, worker);
    try {
      for (index_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;)
        task_(body_, i, worker);
    } catch (...) {
      next_.store(count_, std::memory_order_relaxed);
      const std::lock_guard<std::mutex> lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
    inside_ = outer, worker_ = outer_worker;
  }

  void work(int worker) {
    for (unsigned seen = 0;;) {
      const auto spin_until = std::chrono::steady_clock::now() + std::chrono::microseconds(80);
      while (generation_.load(std::memory_order_acquire) == seen &&
             std::chrono::steady_clock::now() < spin_until)
        for (int i = 0; i < 64; ++i) _mm_pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(park_);
        parked_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_seq_cst) != seen; });
        parked_.fetch_sub(1, std::memory_order_relaxed);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stopping_.load(std::memory_order_acquire)) return;
      take_chunks(worker);
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  void stop() {
    stopping_.store(true, std::memory_order_release);
    {
      const std::lock_guard<std::mutex> lock(park_);
      generation_.fetch_add(1, std::memory_order_seq_cst);
      wake_.notify_all();
    }
    for (auto& thread : team_) thread.join();
  }

  // One loop at a time; its description is written before the generation moves on.
  Task task_ = nullptr;
  const void* body_ = nullptr;
  index_t count_ = 0;
  alignas(64) std::atomic<index_t> next_{0};
  alignas(64) std::atomic<int> busy_{0};
  alignas(64) std::atomic<unsigned> generation_{0};
  std::atomic<int> parked_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> taken_{false};  // a flag: a thread that holds it may ask again
  std::mutex park_, error_mutex_;
  std::condition_variable wake_;
  std::exception_ptr error_;
  std::vector<std::thread> team_;
  inline static thread_local const ThreadPool* inside_ = nullptr;
  inline static thread_local int worker_ = 0;
};

}  // namespace gov
