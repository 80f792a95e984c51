// The output head of gpt-oss-20b over 1 and 8 rows: 201,088 x 2,880 in 8-bit blocks, and half of it
// in bf16, so that the program needs less than 1 GB.
#include "benchmarks/module/module.hpp"
#include "gov/language/gpt_oss.hpp"
#include "gov/nn/linear.hpp"

namespace {

using namespace gov;
using namespace gov::bench;
constexpr auto& config = GptOss20b::config;

template <index_t Out>
void head(benchmark::State& state, Format format, index_t rows, Arithmetic arithmetic) {
  using Head = Linear<config.hidden_size, Out, false>;
  auto& layers =
      weights<typename Head::Params>(std::string(to_string(format)), dense_policy(format), 1);
  Context<float> context = stage().context(arithmetic);
  const RandomRows x(rows, config.hidden_size);
  RandomRows y(rows, Out);
  for (auto _ : state) {
    Head::forward(context, layers.next(), x.rows, y.rows);
    benchmark::DoNotOptimize(y.rows.data);
  }
  stage().count(state, arithmetic, {2 * layers.numbers * static_cast<double>(rows), layers.bytes});
}

template <index_t Out>
void add_head(const char* name, Format format) {
  for (const Arithmetic arithmetic : arithmetics())
    for (const index_t rows : {1, 8})
      if (arithmetic != Arithmetic::int8 || is_blocked(format))  // it is fast on other weights
        add(name, std::string(to_string(format)), arithmetic, std::to_string(rows),
            [=](benchmark::State& state) { head<Out>(state, format, rows, arithmetic); });
}

const bool registered = [] {
  add_head<config.vocab_size>("lm_head", Format::q8);
  add_head<config.vocab_size / 2>("lm_head_half", Format::bf16);
  return true;
}();

}  // namespace
