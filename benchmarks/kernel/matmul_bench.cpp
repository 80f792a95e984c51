// matmul per backend, format, arithmetic and number of rows (rounding included): multiply-adds as
// GFLOP/s, stored weight bytes read as GB/s. One thread. The weights of the many-row cases (2880 x
// 2880 experts, 1024 x 1024) are read again and again; `cold` cycles through enough copies to leave
// the last-level cache.
//
// fma_peak and read_limit measure what the core could do: independent FMA chains in registers, and
// a plain read of a large block.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "gov/core/arena.hpp"
#include "gov/core/rng.hpp"
#include "gov/kernel/backend.hpp"

namespace {

using namespace gov;

constexpr Format formats[] = {Format::f32, Format::bf16, Format::f16, Format::q8, Format::mxfp4};

GOV_TARGET_AVX512 void chains_avx512(float* out, index_t steps) {
  using namespace kernel::on_avx512;
  Vec sum[12], a = load(out), b = load(out + lanes);
  GOV_UNROLL for (int i = 0; i < 12; ++i) sum[i] = load(out + i);
  for (index_t s = 0; s < steps; ++s)
    GOV_UNROLL for (int i = 0; i < 12; ++i) sum[i] = _mm512_fmadd_ps(a, b, sum[i]);
  GOV_UNROLL for (int i = 0; i < 12; ++i) a = _mm512_add_ps(a, sum[i]);
  _mm512_storeu_ps(out, a);
}

GOV_TARGET_AVX2 void chains_avx2(float* out, index_t steps) {
  using namespace kernel::on_avx2;
  Vec sum[12], a = load(out), b = load(out + lanes);
  GOV_UNROLL for (int i = 0; i < 12; ++i) sum[i] = load(out + i);
  for (index_t s = 0; s < steps; ++s)
    GOV_UNROLL for (int i = 0; i < 12; ++i) sum[i] = _mm256_fmadd_ps(a, b, sum[i]);
  GOV_UNROLL for (int i = 0; i < 12; ++i) a = _mm256_add_ps(a, sum[i]);
  _mm256_storeu_ps(out, a);
}

void fma_peak(benchmark::State& state, bool wide) {
  std::vector<float> data(64, 0.999f);
  data[40] = 0.5f;  // so that no two chains are the same expression
  constexpr index_t steps = 100000;
  for (auto _ : state) {
    wide ? chains_avx512(data.data(), steps) : chains_avx2(data.data(), steps);
    benchmark::DoNotOptimize(data.data());
  }
  const double flops = static_cast<double>(state.iterations()) * steps * 12 * 2 * (wide ? 16 : 8);
  state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsRate);
}

GOV_TARGET_AVX2 float read_all(const std::byte* data, index_t bytes) {
  __m256i sum[8] = {};
  for (index_t i = 0; i < bytes; i += 256) {
    _mm_prefetch(reinterpret_cast<const char*>(data + i + 2048), _MM_HINT_T0);
    GOV_UNROLL for (int j = 0; j < 8; ++j) {
      const auto* const at = reinterpret_cast<const __m256i*>(data + i + j * 32);
      sum[j] = _mm256_xor_si256(sum[j], _mm256_load_si256(at));
    }
  }
  GOV_UNROLL for (int j = 1; j < 8; ++j) sum[0] = _mm256_xor_si256(sum[0], sum[j]);
  return static_cast<float>(_mm256_extract_epi32(sum[0], 0));
}

constexpr index_t cold_bytes = index_t{256} << 20;

void read_limit(benchmark::State& state) {
  AlignedBuffer block(cold_bytes);
  std::memset(block.data(), 1, static_cast<std::size_t>(cold_bytes));
  for (auto _ : state) benchmark::DoNotOptimize(read_all(block.data(), cold_bytes));
  state.counters["GB/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(cold_bytes) * 1e-9,
      benchmark::Counter::kIsRate);
}

void matmul(benchmark::State& state, const kernel::Kernels<float>* kernels, Format format,
            index_t out, index_t in, bool cold, Arithmetic arithmetic) {
  const index_t rows = state.range(0);
  const auto* const rounded = kernels->rounded();
  const auto packing = rounded ? rounded->packing(arithmetic, format, rows) : kernel::Packing::none;
  AlignedBuffer packed(packing == kernel::Packing::none ? 0
                                                        : rounded->row_bytes(packing, in) * rows);
  const index_t bytes = out * row_bytes(format, in), scale_size = out * scale_bytes(format, in);
  const index_t copies = cold ? std::max<index_t>(1, cold_bytes / bytes) : 1;
  AlignedBuffer data(bytes * copies), scales(scale_size * copies);
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
  std::vector<float> x(static_cast<std::size_t>(rows * in)),
      y(static_cast<std::size_t>(rows * out));
  for (float& value : x) value = static_cast<float>(rng.uniform() - 0.5);
  index_t copy = 0;
  for (auto _ : state) {
    const WeightView w{format, data.data() + copy * bytes, scales.data() + copy * scale_size, out,
                       in};
    const Rows<float> output(y.data(), rows, out);
    if (packing == kernel::Packing::none) {
      kernels->matmul({.x = {x.data(), rows, in}, .w = w, .y = output, .first = 0, .last = out});
    } else {
      rounded->pack({{x.data(), rows, in}, packing, nullptr, 0, rows, packed.data()});
      rounded->matmul({packing, packed.data(), w, nullptr, output, 0, out, false});
    }
    benchmark::DoNotOptimize(y.data());
    copy = (copy + 1) % copies;
  }
  const auto calls = static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(
      calls * 2e-9 * static_cast<double>(rows * out * in), benchmark::Counter::kIsRate);
  state.counters["GB/s"] = benchmark::Counter(
      calls * 1e-9 * static_cast<double>(bytes + scale_size), benchmark::Counter::kIsRate);
}

const bool registered = [] {
  if (kernel::avx512::available()) benchmark::RegisterBenchmark("fma_peak/avx512", fma_peak, true);
  if (kernel::avx2::available()) {
    benchmark::RegisterBenchmark("fma_peak/avx2", fma_peak, false);
    benchmark::RegisterBenchmark("read_limit", read_limit);
  }
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
