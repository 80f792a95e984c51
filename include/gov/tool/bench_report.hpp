// What gov bench measured, as a small table or one JSON object. Medians of the repetitions; limits
// are the better of the two probes, one before and one after the measurements.
#pragma once

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>

#include "gov/io/json_writer.hpp"
#include "gov/kernel/limits.hpp"
#include "gov/model/costs.hpp"
#include "gov/model/memory_plan.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

struct Limits {
  double read_bytes_per_s = 0;
  kernel::ArithmeticLimits arithmetic;

  Limits best_with(const Limits& other) const {
    const auto& a = arithmetic;
    const auto& b = other.arithmetic;
    return {std::max(read_bytes_per_s, other.read_bytes_per_s),
            {std::max(a.f32_flops_per_s, b.f32_flops_per_s),
             std::max(a.bf16_flops_per_s, b.bf16_flops_per_s),
             std::max(a.int8_ops_per_s, b.int8_ops_per_s)}};
  }
};

struct BenchReport {
  std::string model, storage, backend, arithmetic, cache;
  int threads = 0;
  index_t context = 0, chunk = 0, tiles = 0;
  index_t weight_bytes = 0, cache_bytes = 0;
  double load_s = 0;
  std::vector<double> prefill_s, decode_s, vision_s;  // of each repetition; empty: not measured
  double prefill_flops = 0, tile_flops = 0;           // of one repetition, of one tile
  StepBytes step;                                     // of all sequences, in the middle of a run
  std::int64_t peak_rss_bytes = 0;
  Limits before, after;
};

// Of two in the middle, their mean.
inline std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The figures of a report, absent where nothing was measured.
struct BenchFigures {
  std::optional<double> prefill_tokens_per_s, decode_tokens_per_s, vision_ms_per_tile;
  std::optional<double> share_of_read_limit, share_of_flop_limit, vision_share_of_flop_limit;
  Limits limit;

  BenchFigures(const BenchReport& report, const BenchArguments& arguments)
      : limit(report.before.best_with(report.after)) {
    const double flops = limit.arithmetic.flops_per_s();
    if (const auto seconds = median(report.prefill_s)) {
      prefill_tokens_per_s = static_cast<double>(arguments.prefill) / *seconds;
      share_of_flop_limit = report.prefill_flops / *seconds / flops;
    }
    if (const auto seconds = median(report.decode_s)) {
      const double steps_per_s = static_cast<double>(arguments.decode) / *seconds;
      decode_tokens_per_s = static_cast<double>(arguments.batch) * steps_per_s;
      share_of_read_limit = report.step.total() * steps_per_s / limit.read_bytes_per_s;
    }
    if (const auto seconds = median(report.vision_s)) {
      const auto tiles = static_cast<double>(report.tiles);
      vision_ms_per_tile = *seconds * 1e3 / tiles;
      vision_share_of_flop_limit = report.tile_flops * tiles / *seconds / flops;
    }
  }
};

inline void print_bench_json(const BenchReport& report, const BenchArguments& arguments) {
  const BenchFigures figures(report, arguments);
  JsonWriter out;
  const auto field = [&](std::string_view key, std::optional<double> value) {
    out.key(key);
    value ? out.value(*value) : out.value(nullptr);
  };
  const auto positive = [](double value) {
    return value > 0 ? std::optional<double>(value) : std::nullopt;
  };
  out.begin_object().field("model", report.model).field("storage", report.storage);
  out.field("random_weights", !arguments.preset.empty());
  out.field("backend", report.backend)
      .field("arithmetic", report.arithmetic)
      .field("cache", report.cache)
      .field("threads", report.threads);
  out.field("prefill", arguments.prefill)
      .field("decode", arguments.decode)
      .field("depth", arguments.depth)
      .field("batch", arguments.batch)
      .field("tiles", report.tiles)
      .field("context", report.context)
      .field("chunk", report.chunk);
  field("prefill_tokens_per_s", figures.prefill_tokens_per_s);
  field("decode_tokens_per_s", figures.decode_tokens_per_s);
  field("vision_ms_per_tile", figures.vision_ms_per_tile);
  const auto batch = static_cast<double>(arguments.batch);
  field("weight_bytes_per_token", positive(report.step.weights / batch));
  field("cache_bytes_per_token", positive(report.step.caches / batch));
  field("flops_per_prefill_token",
        positive(report.prefill_flops /
                 static_cast<double>(std::max<index_t>(1, arguments.prefill))));
  field("flops_per_tile", positive(report.tile_flops));
  out.field("weight_bytes", report.weight_bytes).field("cache_bytes", report.cache_bytes);
  out.field("peak_rss_bytes", report.peak_rss_bytes).field("load_s", report.load_s);
  const auto limits = [&](const Limits& limit) {
    out.field("limit_read_bytes_per_s", limit.read_bytes_per_s);
    out.field("limit_flops_per_s", limit.arithmetic.flops_per_s());
    out.field("limit_f32_flops_per_s", limit.arithmetic.f32_flops_per_s);
    field("limit_bf16_flops_per_s", positive(limit.arithmetic.bf16_flops_per_s));
    field("limit_int8_ops_per_s", positive(limit.arithmetic.int8_ops_per_s));
  };
  limits(figures.limit);
  field("share_of_read_limit", figures.share_of_read_limit);
  field("share_of_flop_limit", figures.share_of_flop_limit);
  field("vision_share_of_flop_limit", figures.vision_share_of_flop_limit);
  out.key("repetitions").begin_object();
  out.field("prefill_s", report.prefill_s)
      .field("decode_s", report.decode_s)
      .field("vision_s", report.vision_s);
  out.end_object().key("probes").begin_array();
  for (const Limits* limit : {&report.before, &report.after}) {
    out.begin_object();
    limits(*limit);
    out.end_object();
  }
  std::cout << out.end_array().end_object().str() << "\n";
}

inline void print_bench(const BenchReport& report, const BenchArguments& arguments) {
  const BenchFigures figures(report, arguments);
  const auto line = [](const char* format, auto... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    std::cout << text << "\n";
  };
  std::cout << report.model << ", " << report.storage << ", " << report.backend << " ("
            << report.arithmetic << ", " << report.cache << " caches), " << report.threads
            << " thread" << (report.threads == 1 ? "" : "s") << "\n";
  std::cout << "  weights " << gigabytes(report.weight_bytes) << ", caches "
            << gigabytes(report.cache_bytes) << ", peak " << gigabytes(report.peak_rss_bytes);
  line(", made or loaded in %.2f s", report.load_s);
  const auto runs = [&](const std::vector<double>& seconds) {
    std::cout << "            seconds:";
    for (const double each : seconds) std::printf(" %.4g", each);
    std::cout << "\n";
  };
  if (figures.prefill_tokens_per_s) {
    line("  prefill   %10.2f tokens/s   %4.1f %% of %.1f GFLOP/s   %td tokens behind %td",
         *figures.prefill_tokens_per_s, *figures.share_of_flop_limit * 100,
         figures.limit.arithmetic.flops_per_s() / 1e9, arguments.prefill, arguments.depth);
    runs(report.prefill_s);
  }
  if (figures.decode_tokens_per_s) {
    line("  decode    %10.2f tokens/s   %4.1f %% of %.1f GB/s   %td tokens x %td behind %td",
         *figures.decode_tokens_per_s, *figures.share_of_read_limit * 100,
         figures.limit.read_bytes_per_s / 1e9, arguments.decode, arguments.batch, arguments.depth);
    line("            a step reads %.4f GB of weights and %.4f GB of caches",
         report.step.weights / 1e9, report.step.caches / 1e9);
    runs(report.decode_s);
  }
  if (figures.vision_ms_per_tile) {
    line("  vision    %10.2f ms/tile    %4.1f %% of %.1f GFLOP/s   %td tile%s",
         *figures.vision_ms_per_tile, *figures.vision_share_of_flop_limit * 100,
         figures.limit.arithmetic.flops_per_s() / 1e9, report.tiles, report.tiles == 1 ? "" : "s");
    runs(report.vision_s);
  }
  for (const auto& [name, limit] :
       {std::pair{"before", &report.before}, std::pair{"after", &report.after}})
    line("  limits %-6s  read %.1f GB/s, f32 %.1f, bf16 %.1f GFLOP/s, int8 %.1f GOP/s", name,
         limit->read_bytes_per_s / 1e9, limit->arithmetic.f32_flops_per_s / 1e9,
         limit->arithmetic.bf16_flops_per_s / 1e9, limit->arithmetic.int8_ops_per_s / 1e9);
}

}  // namespace gov::tool
