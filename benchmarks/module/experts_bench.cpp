// The mixture of experts of one layer of gpt-oss-20b (router, top-4 of 32, clamped SwiGLU) at 1, 8,
// 64 and 512 tokens; experts in MXFP4, as they are published. Bytes: the experts that so many
// tokens choose by even chance, once each; the tokens differ from call to call.
#include "benchmarks/module/module.hpp"
#include "gov/language/gpt_oss.hpp"
#include "gov/model/costs.hpp"

namespace {

using namespace gov;
using namespace gov::bench;
using Module = GptOss20b::FeedForward<GptOss20b>;
constexpr auto& config = GptOss20b::config;

void experts(benchmark::State& state, index_t rows, Format format, Arithmetic arithmetic) {
  auto& layers = weights<Module::Params>(std::string(to_string(format)), {Format::bf16, format});
  Context<float> context = stage().context(arithmetic);
  const index_t sets = std::max<index_t>(1, 64 / rows);
  const RandomRows x(sets * rows, config.hidden_size);
  RandomRows y(rows, config.hidden_size);
  const SwiGlu glu = GptOss20b::feed_forward(config);
  NoObserver none;
  index_t set = 0;
  for (auto _ : state) {
    Module::forward(context, layers.next(), glu, x.rows.slice(set * rows, rows), y.rows, none, 0);
    benchmark::DoNotOptimize(y.rows.data);
    set = (set + 1) % sets;
  }
  constexpr auto router = static_cast<double>(config.hidden_size * config.num_local_experts);
  const auto tokens = static_cast<double>(rows);
  stage().count(
      state, arithmetic,
      {2 * tokens *
           (router + (layers.numbers - router) * costs_detail::chosen_share(geometry_of(config))),
       layers.bytes * costs_detail::share_of_any(geometry_of(config), tokens)});
}

const bool registered = [] {
  for (const Arithmetic arithmetic : arithmetics())
    for (const index_t rows : {1, 8, 64, 512})
      add("experts", "mxfp4", arithmetic, std::to_string(rows),
          [=](benchmark::State& state) { experts(state, rows, Format::mxfp4, arithmetic); });
  return true;
}();

}  // namespace
