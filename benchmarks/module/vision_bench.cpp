// One encoder layer of InternViT-300M over the 1,025 tokens of a 448 x 448 tile, and the projector
// of InternVL3.5-GPT-OSS over its 256 folded ones.
#include "benchmarks/module/module.hpp"
#include "gov/projector/pixel_shuffle_mlp.hpp"
#include "gov/vision/intern_vit.hpp"

namespace {

using namespace gov;
using namespace gov::bench;
using Tower = InternVit<InternVit300m>;
using Projector = PixelShuffleMlp<Tower::hidden_size, 2880, 2, kernel::Activation::gelu>;

void encoder_layer(benchmark::State& state, Format format, Arithmetic arithmetic) {
  auto& layers =
      weights<Tower::Layer::Params>(std::string(to_string(format)), dense_policy(format));
  Context<float> context = stage().context(arithmetic);
  const RandomRows start(Tower::positions, Tower::hidden_size);
  RandomRows x(Tower::positions, Tower::hidden_size);
  for (auto _ : state) {
    x.values = start.values;  // else the residual stream would grow
    Tower::Layer::forward(context, layers.next(), x.rows);
    benchmark::DoNotOptimize(x.rows.data);
  }
  constexpr auto tokens = static_cast<double>(Tower::positions);
  stage().count(
      state, arithmetic,
      {2 * tokens * layers.numbers + 4 * tokens * tokens * static_cast<double>(Tower::hidden_size),
       layers.bytes});
}

void projector(benchmark::State& state, Format format, Arithmetic arithmetic) {
  auto& layers = weights<Projector::Params>(std::string(to_string(format)), dense_policy(format));
  Context<float> context = stage().context(arithmetic);
  const RandomRows x(Tower::positions - 1, Tower::hidden_size);
  RandomRows y((Tower::positions - 1) / 4, 2880);
  for (auto _ : state) {
    Projector::forward(context, layers.next(), x.rows, y.rows);
    benchmark::DoNotOptimize(y.rows.data);
  }
  stage().count(state, arithmetic,
                {2 * static_cast<double>(y.rows.rows) * layers.numbers, layers.bytes});
}

void add_module(const char* name, void (*run)(benchmark::State&, Format, Arithmetic)) {
  for (const Format format : {Format::f32, Format::bf16})
    for (const Arithmetic arithmetic : arithmetics()) {
      if (arithmetic == Arithmetic::int8) continue;  // is fast, for so many rows
      if (arithmetic == Arithmetic::fast && format == Format::f32) continue;  // is invariant
      add(name, std::string(to_string(format)), arithmetic, "tile",
          [=](benchmark::State& state) { run(state, format, arithmetic); });
    }
}

const bool registered = [] {
  add_module("encoder_layer", encoder_layer);
  add_module("projector", projector);
  return true;
}();

}  // namespace
