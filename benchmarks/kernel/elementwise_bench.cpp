// Norms, activations, clamped SwiGLU, rope, axpy and layer scale per backend, on rows that stay in
// the L1 or L2 cache. values/s counts outputs; GB/s counts what is read and written, 4 bytes a
// value.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "gov/kernel/backend.hpp"

namespace {

using namespace gov;
using Kernels = kernel::Kernels<float>;

constexpr index_t width = 2880;

struct Operands {
  std::vector<float> x, y, weight, bias;
  Operands() : x(2 * width), y(2 * width), weight(2 * width, 1.01f), bias(2 * width, .01f) {
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 10;
  }
};

// `traffic`: values read and written for each output.
template <class Body>
void measure(benchmark::State& state, double traffic, Body body) {
  Operands operands;
  for (auto _ : state) {
    body(operands);
    benchmark::DoNotOptimize(operands.y.data());
  }
  const double outputs = static_cast<double>(state.iterations()) * static_cast<double>(width);
  state.counters["values/s"] = benchmark::Counter(outputs, benchmark::Counter::kIsRate);
  state.counters["GB/s"] =
      benchmark::Counter(outputs * traffic * 4e-9, benchmark::Counter::kIsRate);
}

template <class Body>
void add(const std::string& name, double traffic, Body body) {
  benchmark::RegisterBenchmark(
      name.c_str(), [traffic, body](benchmark::State& state) { measure(state, traffic, body); });
}

const bool registered = [] {
  for (const auto& entry : kernel::Tags::entries) {
    const Kernels* const k = kernel::find_kernels<float>(entry.name);
    if (!k || entry.name == "eigen") continue;  // eigen's are scalar's
    const std::string tag = "/" + std::string(entry.name);
    add("rms_norm" + tag, 4,
        [k](Operands& o) { k->rms_norm(o.x.data(), o.weight.data(), width, 1e-5, o.y.data()); });
    add("layer_norm" + tag, 6, [k](Operands& o) {
      k->layer_norm(o.x.data(), o.weight.data(), o.bias.data(), width, 1e-5, o.y.data());
    });
    constexpr std::pair<kernel::Activation, const char*> activations[] = {
        {kernel::Activation::gelu, "gelu"},
        {kernel::Activation::gelu_tanh, "gelu_tanh"},
        {kernel::Activation::silu, "silu"}};
    for (const auto& [activation, name] : activations)
      add(name + tag, 4, [k, activation = activation](Operands& o) {
        std::copy_n(o.x.data(), width, o.y.data());
        k->activate(activation, o.y.data(), width);
      });
    add("swiglu_clamped" + tag, 3,
        [k](Operands& o) { k->swiglu_clamped(o.x.data(), width, 7, 1.702, o.y.data()); });
    add("rope" + tag, 2,
        [k](Operands& o) { k->rope(o.y.data(), width / 64, 64, o.weight.data(), o.bias.data()); });
    add("axpy" + tag, 3, [k](Operands& o) { k->axpy(1e-9f, o.x.data(), o.y.data(), width); });
    add("scale_add" + tag, 4,
        [k](Operands& o) { k->scale_add(o.bias.data(), o.x.data(), o.y.data(), width); });
  }
  return true;
}();

}  // namespace
