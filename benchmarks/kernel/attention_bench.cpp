// attention per backend: decode (one token, a long cache) and prefill-like calls. GB/s counts keys
// and values once, as stored; GFLOP/s counts the two products. One thread.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "gov/core/rng.hpp"
#include "gov/kernel/backend.hpp"

namespace {

using namespace gov;

// `group` heads of head_dim over `keys` keys that lie key_stride apart.
struct Shape {
  const char* name;
  index_t group, head_dim, keys, key_stride;
};

constexpr Shape shapes[] = {
    {"gpt_oss_decode_4096", 8, 64, 4096, 512},  // one of 8 key heads, all in one cache row
    {"gpt_oss_window_128", 8, 64, 128, 512},   {"qwen2_decode_4096", 7, 64, 4096, 128},
    {"llama_decode_4096", 1, 128, 4096, 4096},  // no sharing
    {"vit_1025", 1025, 64, 1025, 1024},         // every token of a tower as one group of queries
    {"vit_1025_by_16", 16, 64, 1025, 1024},    {"vit_1025_by_1", 1, 64, 1025, 1024},
};

void attention(benchmark::State& state, const kernel::Kernels<float>* kernels, Shape shape) {
  Rng rng(1);
  const auto fill = [&rng](index_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = static_cast<float>(rng.uniform() - 0.5);
    return values;
  };
  const auto query = fill(shape.group * shape.head_dim), keys = fill(shape.keys * shape.key_stride),
             values = fill(shape.keys * shape.key_stride), sinks = fill(shape.group);
  std::vector<float> out(query.size()), scores(static_cast<std::size_t>(shape.group * shape.keys));
  kernel::AttentionArgs<float> args;
  args.query = query.data(), args.out = out.data(), args.query_stride = shape.head_dim;
  args.group = shape.group, args.head_dim = shape.head_dim;
  args.pieces[0] = {keys.data(), values.data(), shape.keys};
  args.key_stride = shape.key_stride, args.sinks = sinks.data();
  args.scale = 0.125, args.scores = scores.data();
  for (auto _ : state) {
    kernels->attention(args);
    benchmark::DoNotOptimize(out.data());
  }
  const double pairs =
      static_cast<double>(shape.keys * shape.head_dim) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(pairs * 8e-9, benchmark::Counter::kIsRate);
  state.counters["GFLOP/s"] = benchmark::Counter(pairs * 4e-9 * static_cast<double>(shape.group),
                                                 benchmark::Counter::kIsRate);
}

void softmax(benchmark::State& state, const kernel::Kernels<float>* kernels) {
  std::vector<float> x(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17);
  for (auto _ : state) {
    kernels->softmax(x.data(), state.range(0));
    benchmark::DoNotOptimize(x.data());
  }
  state.counters["values/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0)), benchmark::Counter::kIsRate);
}

const bool registered = [] {
  for (const auto& entry : kernel::Tags::entries) {
    const auto* const kernels = kernel::find_kernels<float>(entry.name);
    if (!kernels || entry.name == "eigen") continue;  // eigen's attention is scalar's
    const std::string name(entry.name);
    for (const Shape& shape : shapes)
      benchmark::RegisterBenchmark(("attention/" + name + "/" + shape.name).c_str(), attention,
                                   kernels, shape)
          ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark(("softmax/" + name).c_str(), softmax, kernels)
        ->Arg(128)
        ->Arg(4096);
  }
  return true;
}();

}  // namespace
