// The limits of the machine beside each row of a Google Benchmark program, measured by the probe of
// kernel/limits.hpp in the same process with the instructions of the best backend, whatever the
// row's own: once for a number of threads, when first asked for. GOV_PROBE_GB is the memory that
// the read probe goes through (0.5).
//
// Counters of a row: GFLOP/s and GB/s that were reached, the limits limit_GFLOP/s and limit_GB/s,
// and share_of_limit, the time that the work takes at least (the longer of its flops at one limit
// and its bytes at the other) over the time that it took.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <typeinfo>

#include "gov/kernel/backend.hpp"
#include "gov/kernel/limits.hpp"

namespace gov::bench {

struct MachineLimits {
  double read_bytes_per_s = 0;
  kernel::ArithmeticLimits arithmetic;

  // Of products whose activations are packed so.
  double flops_per_s(kernel::Packing packing) const {
    using kernel::Packing;
    const auto& a = arithmetic;
    const auto known = [&](double limit) { return limit > 0 ? limit : a.flops_per_s(); };
    switch (packing) {
      case Packing::none: return a.f32_flops_per_s;
      case Packing::int16:
      case Packing::int16_fours: return known(a.int8_ops_per_s / 2);  // two planes of int8
      case Packing::int8:
      case Packing::int8_fours:
      case Packing::int8_quads: return known(a.int8_ops_per_s);
      default: return known(a.bf16_flops_per_s);
    }
  }
};

inline const MachineLimits& machine_limits(int threads) {
  static std::map<int, MachineLimits> known;
  const auto [entry, fresh] = known.try_emplace(threads);
  if (fresh) {
    const char* const text = std::getenv("GOV_PROBE_GB");
    const double gigabytes = text && *text ? std::atof(text) : 0.5;
    const std::string_view backend = kernel::best_kernels<float>().name;
    ThreadPool pool(threads);
    entry->second = {
        kernel::limit_read_bytes_per_s(pool, backend,
                                       std::max<index_t>(1, static_cast<index_t>(gigabytes * 1e9))),
        kernel::limit_arithmetic(pool, backend, 0.05)};
  }
  return entry->second;
}

// What one iteration does.
struct Work {
  double flops = 0, bytes = 0;
  bool from_memory = true;  // or from caches, which the read limit says nothing about
};

// Behind the loop. Rates are by the wall clock where the benchmark says UseRealTime.
inline void set_counters(benchmark::State& state, const Work& work, double read_bytes_per_s,
                         double flops_per_s) {
  const auto calls = static_cast<double>(state.iterations());
  const auto rate = [&](const char* name, double amount) {
    state.counters[name] = benchmark::Counter(calls * amount, benchmark::Counter::kIsRate);
  };
  if (work.bytes > 0) rate("GB/s", work.bytes * 1e-9);
  if (work.flops > 0) {
    rate("GFLOP/s", work.flops * 1e-9);
    state.counters["limit_GFLOP/s"] = flops_per_s * 1e-9;
  }
  if (work.from_memory) state.counters["limit_GB/s"] = read_bytes_per_s * 1e-9;
  const double reading = work.from_memory ? work.bytes / read_bytes_per_s : 0;
  const double computing = work.flops > 0 ? work.flops / flops_per_s : 0;
  rate("share_of_limit", std::max(reading, computing));
}

// A row "limits/threads:2" with nothing but the limits.
inline void register_limits(int threads) {
  benchmark::RegisterBenchmark(
      ("limits/threads:" + std::to_string(threads)).c_str(), [threads](benchmark::State& state) {
        const MachineLimits& limits = machine_limits(threads);
        for (auto _ : state) benchmark::ClobberMemory();
        state.counters["limit_GB/s"] = limits.read_bytes_per_s * 1e-9;
        state.counters["limit_f32_GFLOP/s"] = limits.arithmetic.f32_flops_per_s * 1e-9;
        state.counters["limit_bf16_GFLOP/s"] = limits.arithmetic.bf16_flops_per_s * 1e-9;
        state.counters["limit_int8_GOP/s"] = limits.arithmetic.int8_ops_per_s * 1e-9;
      });
}

// What was made last in a slot, so that the repeated calls of one benchmark share it; the memory of
// the next, of whatever type, takes its place.
struct Kept {
  std::string key{};
  std::shared_ptr<void> value{};
};
template <int slot>
Kept& kept_in() {
  static Kept kept;
  return kept;
}
template <int slot, class Made, class Make>
Made& kept(const std::string& name, const Make& make) {
  Kept& held = kept_in<slot>();
  const std::string key = typeid(Made).name() + (' ' + name);
  if (held.key != key) {
    held = {};
    held.value = std::make_shared<Made>(make());
    held.key = key;
  }
  return *static_cast<Made*>(held.value.get());
}

}  // namespace gov::bench
