// attention per backend: decode (one token, a long cache) and prefill-like calls. GB/s counts keys
// and values once, as stored; GFLOP/s counts the two products. One thread, but for decode, which is
// a layer's causal attention over its cache on a pool; tower is a vision layer's whole attention.
#include <string>
#include <vector>

#include "benchmarks/limit_counters.hpp"
#include "gov/core/rng.hpp"
#include "gov/kernel/backend.hpp"
#include "gov/nn/attention.hpp"

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
  const auto pairs = static_cast<double>(shape.keys * shape.head_dim);
  const bench::MachineLimits& limits = bench::machine_limits(1);
  bench::set_counters(state, {4 * pairs * static_cast<double>(shape.group), 8 * pairs, false},
                      limits.read_bytes_per_s, limits.arithmetic.f32_flops_per_s);
}

// One token of GPT-OSS with `depth` positions in the cache; 8 units of work over the threads.
void decode(benchmark::State& state, const kernel::Kernels<float>* kernels, Format format,
            index_t depth, int threads) {
  constexpr AttentionShape shape{64, 8, 64};
  Rng rng(1);
  std::vector<float> row(shape.heads * shape.head_dim), out(row.size());
  for (float& value : row) value = static_cast<float>(rng.uniform() - 0.5);
  KvCache<float> cache(shape.kv_heads, shape.head_dim, 0, depth, 0, format);
  for (index_t position = 0; position < depth; ++position)
    cache.write(position, row.data() + position % 64, row.data() + position % 32);
  ThreadPool pool(threads);
  Arena arena;
  Context<float> context{*kernels, pool, arena};
  NoObserver none;
  for (auto _ : state) {
    causal_attention(context, shape, Rows<float>(row.data(), 1, shape.heads * shape.head_dim),
                     cache, depth - 1, nullptr,
                     Rows<float>(out.data(), 1, shape.heads * shape.head_dim), none, 0);
    benchmark::DoNotOptimize(out.data());
  }
  const bench::MachineLimits& limits = bench::machine_limits(threads);
  bench::set_counters(state,
                      {4.0 * static_cast<double>(shape.heads * shape.head_dim * depth),
                       static_cast<double>(cache.bytes())},
                      limits.read_bytes_per_s, limits.arithmetic.f32_flops_per_s);
}

// The 1,025 tokens of a tile, 16 heads of 64; queries, keys and values are rounded if the policy
// and the backend have it so.
void tower(benchmark::State& state, const kernel::Kernels<float>* kernels, Arithmetic arithmetic) {
  constexpr AttentionShape shape{16, 16, 64};
  constexpr index_t tokens = 1025, width = shape.heads * shape.head_dim;
  Rng rng(1);
  std::vector<float> values(4 * tokens * width);
  for (float& value : values) value = static_cast<float>(rng.uniform() - 0.5);
  const auto part = [&](index_t i) {
    return Rows<float>(values.data() + i * tokens * width, tokens, width);
  };
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernels, pool, arena, {}, arithmetic};
  for (auto _ : state) {
    full_attention(context, shape, part(0), part(1), part(2), part(3), true);
    benchmark::DoNotOptimize(values.data());
  }
  const bench::MachineLimits& limits = bench::machine_limits(1);
  bench::set_counters(state,
                      {4.0 * static_cast<double>(tokens * tokens * width),
                       3.0 * static_cast<double>(tokens * width) * 4, false},
                      limits.read_bytes_per_s, limits.arithmetic.flops_per_s(arithmetic));
}

void softmax(benchmark::State& state, const kernel::Kernels<float>* kernels) {
  std::vector<float> x(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17);
  for (auto _ : state) {
    kernels->softmax(x.data(), state.range(0));
    benchmark::DoNotOptimize(x.data());
  }
  const double values = static_cast<double>(state.iterations() * state.range(0));
  state.counters["values/s"] = benchmark::Counter(values, benchmark::Counter::kIsRate);
  state.counters["GB/s"] = benchmark::Counter(values * 8e-9, benchmark::Counter::kIsRate);
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
    for (const Format format : {Format::f32, Format::bf16})
      for (const int threads : {1, 2})
        benchmark::RegisterBenchmark(("decode/" + name + "/" + std::string(to_string(format)) +
                                      "/32768/threads:" + std::to_string(threads))
                                         .c_str(),
                                     decode, kernels, format, 32768, threads)
            ->Unit(benchmark::kMicrosecond)
            ->UseRealTime();
    for (const Arithmetic arithmetic : {Arithmetic::invariant, Arithmetic::fast}) {
      const auto* const rounded = kernels->rounded();
      if (arithmetic == Arithmetic::fast && !(rounded && rounded->attention.serves(64))) continue;
      benchmark::RegisterBenchmark(
          ("tower/" + name + "/" + std::string(to_string(arithmetic))).c_str(), tower, kernels,
          arithmetic)
          ->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark(("softmax/" + name).c_str(), softmax, kernels)
        ->Arg(128)
        ->Arg(4096);
  }
  return true;
}();

}  // namespace
