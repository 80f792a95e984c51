// What the module benchmarks have in common: the best backend (or GOV_BACKEND's) on all threads (or
// GOV_THREADS), weights of random numbers in enough copies to leave the caches, and rows of a
// product's flops and bytes. A module is measured under each Arithmetic that the backend has.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "benchmarks/limit_counters.hpp"
#include "gov/kernel/backend.hpp"
#include "gov/model/random_weights.hpp"
#include "gov/nn/context.hpp"

namespace gov::bench {

struct Stage {
  const kernel::Kernels<float>& kernels = kernel::default_kernels<float>();
  ThreadPool pool{threads()};
  Arena arena;

  static int threads() {
    const char* const text = std::getenv("GOV_THREADS");
    return text && *text ? std::atoi(text) : 0;
  }
  Context<float> context(Arithmetic arithmetic) { return {kernels, pool, arena, {}, arithmetic}; }
  void count(benchmark::State& state, Arithmetic arithmetic, const Work& work) {
    const MachineLimits& limits = machine_limits(pool.size());
    set_counters(state, work, limits.read_bytes_per_s, limits.arithmetic.flops_per_s(arithmetic));
  }
};

inline Stage& stage() {
  static Stage stage;
  return stage;
}

inline std::vector<Arithmetic> arithmetics() {
  if (!stage().kernels.rounded()) return {Arithmetic::invariant};
  return {Arithmetic::invariant, Arithmetic::fast, Arithmetic::int8};
}

// Numbers in [-1, 1).
struct RandomRows {
  std::vector<float> values;
  Rows<float> rows;

  RandomRows(index_t count, index_t width, std::uint64_t seed = 1)
      : values(static_cast<std::size_t>(count * width)), rows(values.data(), count, width) {
    Rng rng(seed);
    for (float& value : values) value = static_cast<float>(2 * rng.uniform() - 1);
  }
  RandomRows(const RandomRows&) = delete;
  RandomRows& operator=(const RandomRows&) = delete;
};

// A module's parameters, several times over: 256 MB of them or more, so that each call finds the
// next copy in memory, as a model's next layer is.
template <class Params>
struct Copies {
  std::vector<std::unique_ptr<Params>> params;
  std::vector<AlignedBuffer> blocks;
  std::size_t at = 0;
  double numbers = 0, bytes = 0;  // of the matrices; of everything, once

  const Params& next() { return *params[at = (at + 1) % params.size()]; }
};

template <class Params>
Copies<Params>& weights(const std::string& name, const StoragePolicy& policy,
                        index_t least_bytes = index_t{256} << 20) {
  return kept<0, Copies<Params>>(name, [&] {
    Copies<Params> copies;
    for (index_t bytes = 0; bytes < least_bytes;) {
      auto params = std::make_unique<Params>();
      const auto list = parameter_list(*params);
      copies.blocks.push_back(
          fill_random(list, copies.blocks.size() + 1, policy, {.pool = &stage().pool}));
      bytes += copies.blocks.back().size();
      copies.numbers = copies.bytes = 0;
      for (const auto& p : list) {
        const Format format = p.storage->format;
        copies.bytes += static_cast<double>(p.data_bytes(format) + p.scales_bytes(format));
        if (p.is_matrix) copies.numbers += static_cast<double>(p.size());
      }
      copies.params.push_back(std::move(params));
    }
    return copies;
  });
}

inline StoragePolicy dense_policy(Format format) { return {format, Format::mxfp4, false}; }

inline void register_limits_once() {
  static const bool once = (register_limits(stage().pool.size()), true);
  (void)once;
}

// "experts/avx512/mxfp4/fast/64" and the like; wall-clock time.
template <class Call>
void add(const std::string& module, const std::string& variant, Arithmetic arithmetic,
         const std::string& size, Call call) {
  register_limits_once();
  const std::string name = module + "/" + std::string(stage().kernels.name) + "/" + variant + "/" +
                           std::string(to_string(arithmetic)) + "/" + size;
  benchmark::RegisterBenchmark(name.c_str(), call)->Unit(benchmark::kMillisecond)->UseRealTime();
}

}  // namespace gov::bench
