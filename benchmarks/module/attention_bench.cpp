// The attention part of one layer of gpt-oss-20b (projections, rope, attention over the cache with
// sinks, output): a prompt of 512 tokens, and one token behind 512, 4,096 and 32,768 positions, or
// in a sliding layer. Flops and bytes are the least that the work needs.
#include "benchmarks/module/module.hpp"
#include "gov/language/gpt_oss.hpp"

namespace {

using namespace gov;
using namespace gov::bench;
using Module = SelfAttention<GptOss20b>;
constexpr auto& config = GptOss20b::config;
constexpr index_t kv_width = Module::kv_width;

struct Step {
  KvCache<float>* held;
  index_t rows;
  KvCache<float>& cache(index_t) const { return *held; }
};

// A cache with `depth` random positions, and room for `more`.
KvCache<float> filled_cache(index_t depth, index_t more, index_t window, Format format) {
  KvCache<float> cache(config.num_key_value_heads, config.head_dim, window, depth + more,
                       window ? window - 1 + more : 0, format);
  const RandomRows random(1, 2 * kv_width + 4096);
  for (index_t position = 0; position < depth; ++position) {
    const float* const row = random.rows.data + position * 7 % 4096;
    cache.write(position, row, row + kv_width);
    cache.commit(1);
  }
  return cache;
}

struct Case {
  const char* name;
  index_t rows, depth, window;
};
constexpr Case cases[] = {{"prefill_512", 512, 0, 0},
                          {"decode_behind_512", 1, 512, 0},
                          {"decode_behind_4096", 1, 4096, 0},
                          {"decode_behind_32768", 1, 32768, 0},
                          {"decode_sliding", 1, 4096, config.sliding_window}};

void attention(benchmark::State& state, const Case& c, Format dense, Format cache_format,
               Arithmetic arithmetic) {
  auto& layers = weights<Module::Params>(std::string(to_string(dense)), dense_policy(dense));
  auto& cache = kept<1, KvCache<float>>(
      std::string(c.name) + std::string(to_string(cache_format)),
      [&] { return filled_cache(c.depth, c.rows, c.window, cache_format); });
  Context<float> context = stage().context(arithmetic);
  constexpr index_t half = config.head_dim / 2;
  const RandomRows x(c.rows, config.hidden_size), angles(c.rows, half);
  RandomRows y(c.rows, config.hidden_size);
  const Step steps[]{{&cache, c.rows}};
  NoObserver none;
  for (auto _ : state) {
    const RotaryAngles<float> turned{angles.rows, angles.rows};
    Module::forward(context, layers.next(), steps, turned, x.rows, y.rows, none, 0);
    benchmark::DoNotOptimize(y.rows.data);
  }
  double pairs = 0;  // of query and key
  for (index_t row = 0; row < c.rows; ++row) {
    const index_t seen = c.depth + row + 1;
    pairs += static_cast<double>(c.window ? std::min(seen, c.window) : seen);
  }
  const index_t all = c.depth + c.rows,
                keys = c.window ? std::min(all, c.window - 1 + c.rows) : all;
  stage().count(state, arithmetic,
                {2 * layers.numbers * static_cast<double>(c.rows) +
                     4 * static_cast<double>(Module::q_width) * pairs,
                 layers.bytes + static_cast<double>(2 * kv_width * keys *
                                                    cache_number_bytes<float>(cache_format))});
}

const bool registered = [] {
  for (const Format dense : {Format::bf16, Format::q8})
    for (const Arithmetic arithmetic : arithmetics())
      for (const Case& c : cases)
        for (const Format cache : {Format::f32, Format::bf16}) {
          if (arithmetic == Arithmetic::int8 && dense != Format::q8) continue;
          const std::string variant =
              std::string(to_string(dense)) + "/cache_" + std::string(to_string(cache));
          add("attention_layer", variant, arithmetic, c.name,
              [=](benchmark::State& state) { attention(state, c, dense, cache, arithmetic); });
        }
  return true;
}();

}  // namespace
