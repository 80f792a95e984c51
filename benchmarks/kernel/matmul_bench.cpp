// matmul per backend, format, arithmetic and number of rows (rounding included): multiply-adds as
// GFLOP/s, stored weight bytes read as GB/s, and the share of the limit of
// benchmarks/limit_counters. One thread. The weights of the many-row cases (2880 x 2880 experts,
// 256 x 1024) are read again and again; `cold` cycles through enough copies to leave the last-level
// cache.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "benchmarks/limit_counters.hpp"
#include "gov/core/arena.hpp"
#include "gov/core/rng.hpp"
#include "gov/kernel/backend.hpp"

namespace {

using namespace gov;

constexpr Format formats[] = {Format::f32, Format::bf16, Format::f16, Format::q8, Format::mxfp4};

constexpr index_t cold_bytes = index_t{256} << 20;

// Copies of one weight matrix: random bits that are finite numbers in every format.
struct Weights {
  index_t bytes, scale_size, copies;
  AlignedBuffer data, scales;

  Weights(Format format, index_t out, index_t in, bool cold)
      : bytes(out * row_bytes(format, in)),
        scale_size(out * scale_bytes(format, in)),
        copies(cold ? std::max<index_t>(1, cold_bytes / bytes) : 1),
        data(bytes * copies),
        scales(scale_size * copies) {
    Rng rng(1);
    for (index_t i = 0; i < data.size(); i += 8) {
      const std::uint64_t bits = format == Format::f32 || format == Format::bf16
                                     ? (rng.next() & 0xbfffbfffbfffbfffu) & 0xbf7fbf7fbf7fbf7fu
                                 : format == Format::f16 ? rng.next() & 0xbbffbbffbbffbbffu
                                                         : rng.next();
      std::memcpy(data.data() + i, &bits,
                  static_cast<std::size_t>(std::min<index_t>(8, data.size() - i)));
    }
    for (index_t i = 0; i < scales.size(); ++i) scales.data()[i] = std::byte{0x3c};
  }
};

void matmul(benchmark::State& state, const kernel::Kernels<float>* kernels, Format format,
            index_t out, index_t in, bool cold, Arithmetic arithmetic) {
  const index_t rows = state.range(0);
  const auto* const rounded = kernels->rounded();
  const auto packing = rounded ? rounded->packing(arithmetic, format, rows) : kernel::Packing::none;
  AlignedBuffer packed(packing == kernel::Packing::none ? 0
                                                        : rounded->packed_bytes(packing, rows, in));
  const std::string key = std::string(to_string(format)) + " " + std::to_string(out) + " " +
                          std::to_string(in) + (cold ? " cold" : "");
  const Weights& weights =
      bench::kept<0, Weights>(key, [&] { return Weights(format, out, in, cold); });
  Rng rng(2);
  std::vector<float> x(static_cast<std::size_t>(rows * in)),
      y(static_cast<std::size_t>(rows * out));
  for (float& value : x) value = static_cast<float>(rng.uniform() - 0.5);
  index_t copy = 0;
  for (auto _ : state) {
    const WeightView w{format, weights.data.data() + copy * weights.bytes,
                       weights.scales.data() + copy * weights.scale_size, out, in};
    const Rows<float> output(y.data(), rows, out);
    if (packing == kernel::Packing::none) {
      kernels->matmul({.x = {x.data(), rows, in}, .w = w, .y = output, .first = 0, .last = out});
    } else {
      rounded->pack({{x.data(), rows, in}, packing, nullptr, 0, rows, packed.data()});
      rounded->matmul({packing, packed.data(), w, nullptr, output, 0, out, false});
    }
    benchmark::DoNotOptimize(y.data());
    copy = (copy + 1) % weights.copies;
  }
  const bench::MachineLimits& limits = bench::machine_limits(1);
  bench::set_counters(state,
                      {2 * static_cast<double>(rows * out * in),
                       static_cast<double>(weights.bytes + weights.scale_size), cold},
                      limits.read_bytes_per_s, limits.flops_per_s(packing));
}

const bool registered = [] {
  bench::register_limits(1);
  for (const auto& entry : kernel::Tags::entries) {
    const auto* const kernels = kernel::find_kernels<float>(entry.name);
    if (!kernels) continue;
    for (const Format format : formats) {
      const std::string name = std::string(entry.name) + "/" + std::string(to_string(format));
      const auto add = [&](const char* shape, index_t out, index_t in, bool cold,
                           std::vector<std::int64_t> row_counts) {
        for (const Arithmetic arithmetic :
             {Arithmetic::invariant, Arithmetic::fast, Arithmetic::int8})
          for (const std::int64_t rows : row_counts) {
            const auto* const rounded = kernels->rounded();
            if (arithmetic != Arithmetic::invariant &&
                (!rounded || rounded->packing(arithmetic, format, rows) == kernel::Packing::none))
              continue;
            const std::string suffix =
                arithmetic == Arithmetic::invariant ? "" : "/" + std::string(to_string(arithmetic));
            benchmark::RegisterBenchmark(("matmul/" + name + suffix + shape).c_str(), matmul,
                                         kernels, format, out, in, cold, arithmetic)
                ->Arg(rows)
                ->Unit(benchmark::kMicrosecond);
          }
      };
      if (entry.name == "scalar") {
        add("/256x1024", 256, 1024, false, {1, 8});
        continue;
      }
      add("/2880x2880/cold", 2880, 2880, true, {1});
      add("/256x1024", 256, 1024, false, {1, 2, 3, 4, 8, 16, 64, 512});
      add("/2880x2880", 2880, 2880, false, {8, 64, 512});
    }
  }
  return true;
}();

}  // namespace
