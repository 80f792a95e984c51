// The limit probe: how fast this machine reads memory and multiplies, measured with the
// instructions of one backend and all threads of a pool. Nothing runs faster than its limit, so a
// share of it is the measure of a kernel. Data is random, never zeros: power and clock depend on
// it.
#pragma once

#include <chrono>
#include <span>

#include "gov/core/arena.hpp"
#include "gov/core/parallel.hpp"
#include "gov/core/rng.hpp"
#include "gov/kernel/amx/limits.hpp"
#include "gov/kernel/arithmetic.hpp"
#include "gov/kernel/avx2/limits.hpp"
#include "gov/kernel/avx512/limits.hpp"

namespace gov::kernel {

struct ArithmeticLimits {
  double f32_flops_per_s = 0, bf16_flops_per_s = 0, int8_ops_per_s = 0;  // 0: no kernel uses such
  // Of the fastest products that a policy takes.
  double flops_per_s(Arithmetic policy = Arithmetic::fast) const {
    if (policy == Arithmetic::invariant) return f32_flops_per_s;
    const double fast = std::max(f32_flops_per_s, bf16_flops_per_s);
    return policy == Arithmetic::int8 ? std::max(fast, int8_ops_per_s) : fast;
  }
};

// The probe's loops of one tag.
struct LimitKernels {
  std::uint64_t (*read)(ReadPattern, const std::byte*, index_t);
  ProbeResult (*f32)(const float*, index_t);
  ProbeResult (*bf16)(const float*, index_t);
  ProbeResult (*int8)(const float*, index_t);

  template <class Tag>
  static constexpr LimitKernels of() {
    return {[](ReadPattern pattern, const std::byte* data, index_t bytes) {
              return read_memory(Tag{}, pattern, data, bytes);
            },
            [](const float* random, index_t n) { return multiply_add_f32(Tag{}, random, n); },
            [](const float* random, index_t n) { return multiply_add_bf16(Tag{}, random, n); },
            [](const float* random, index_t n) { return multiply_add_int8(Tag{}, random, n); }};
  }
  // Of a backend that this machine runs. What is not named here builds on avx512.
  static LimitKernels by_name(std::string_view backend) {
    if (backend == amx::name) return of<amx>();
    if (backend == avx2::name) return of<avx2>();
    if (backend == scalar::name || backend == eigen::name) return of<scalar>();
    return avx512::available() ? of<avx512>() : avx2::available() ? of<avx2>() : of<scalar>();
  }
};

// Random bytes in huge pages where the system gives them, touched by all threads.
inline AlignedBuffer random_bytes(ThreadPool& pool, index_t bytes, std::uint64_t seed = 1) {
  constexpr index_t piece = index_t{4} << 20;
  AlignedBuffer buffer(round_up(std::max<index_t>(bytes, 1), 8));
  pool.parallel_for((buffer.size() + piece - 1) / piece, [&](index_t i) {
    Rng rng(Rng(seed + static_cast<std::uint64_t>(i)).next());
    const index_t last = std::min(buffer.size(), (i + 1) * piece);
    for (index_t at = i * piece; at < last; at += 8) {
      const std::uint64_t bits = rng.next();
      std::memcpy(buffer.data() + at, &bits, 8);
    }
  });
  return buffer;
}

namespace limits_detail {

template <class Call>
double seconds_of(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A place where results go that nobody reads.
inline void keep(double value) {
  static std::atomic<double> sink;
  sink.store(value, std::memory_order_relaxed);
}

}  // namespace limits_detail

// The best of all patterns over memory that no cache holds: a few GB, each several times.
inline double limit_read_bytes_per_s(ThreadPool& pool, std::string_view backend,
                                     std::span<const std::byte> memory, int repetitions = 3) {
  const LimitKernels kernels = LimitKernels::by_name(backend);
  constexpr index_t piece = index_t{16} << 20, unit = 256;
  const index_t bytes = static_cast<index_t>(memory.size()) / unit * unit;
  double best = 0;
  for (int repetition = 0; repetition < repetitions; ++repetition)
    for (const ReadPattern pattern : read_patterns) {
      const double seconds = limits_detail::seconds_of([&] {
        pool.parallel_for((bytes + piece - 1) / piece, [&](index_t i) {
          const index_t first = i * piece, count = std::min(piece, bytes - first);
          limits_detail::keep(
              static_cast<double>(kernels.read(pattern, memory.data() + first, count)));
        });
      });
      best = std::max(best, static_cast<double>(bytes) / std::max(seconds, 1e-9));
    }
  return best;
}

// The same over memory of its own.
inline double limit_read_bytes_per_s(ThreadPool& pool, std::string_view backend,
                                     index_t bytes = 3'000'000'000, int repetitions = 3) {
  const AlignedBuffer memory = random_bytes(pool, bytes);
  return limit_read_bytes_per_s(pool, backend,
                                std::span(memory.data(), static_cast<std::size_t>(memory.size())),
                                repetitions);
}

// Multiply-adds in registers, each kind for about `seconds`, the best of several runs.
inline ArithmeticLimits limit_arithmetic(ThreadPool& pool, std::string_view backend,
                                         double seconds = 0.1) {
  const LimitKernels kernels = LimitKernels::by_name(backend);
  float random[64];
  Rng rng(7);
  for (float& value : random) value = static_cast<float>(0.5 + 0.49 * rng.uniform());
  const auto measure = [&](ProbeResult (*probe)(const float*, index_t)) {
    constexpr int runs = 5, tasks_per_thread = 8;
    index_t iterations = 1000;
    if (probe(random, iterations).operations == 0) return 0.0;
    const auto run = [&] {
      double operations = 0;
      const index_t tasks = pool.size() * tasks_per_thread;
      const double time = limits_detail::seconds_of([&] {
        pool.parallel_for(tasks,
                          [&](index_t) { limits_detail::keep(probe(random, iterations).sum); });
      });
      operations = probe(random, 1).operations * static_cast<double>(iterations * tasks);
      return std::pair{time, operations};
    };
    while (run().first < seconds / runs / 2 && iterations < (index_t{1} << 40)) iterations *= 2;
    double best = 0;
    for (int i = 0; i < runs; ++i) {
      const auto [time, operations] = run();
      best = std::max(best, operations / std::max(time, 1e-9));
    }
    return best;
  };
  return {measure(kernels.f32), measure(kernels.bf16), measure(kernels.int8)};
}

}  // namespace gov::kernel
