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
#include "gov/tool/machine.hpp"

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

enum class BenchWork { prefill, decode, vision };

constexpr std::string_view to_string(BenchWork work) {
  return work == BenchWork::prefill ? "prefill" : work == BenchWork::decode ? "decode" : "vision";
}

// One measurement, several times: `tokens` of one prompt, `tokens` steps of `batch` sequences, or
// `tiles` of an image.
struct BenchRow {
  BenchWork work{};
  index_t tokens = 0, depth = 0, batch = 1, tiles = 0;
  std::vector<double> seconds{};  // of each repetition
  double flops = 0, bytes = 0;    // of one repetition, at least
  StepBytes step{};               // of all sequences, in the middle of a run; prefill: of all of it
};

struct BenchReport {
  std::string model, storage, backend, cache;
  Arithmetic arithmetic{};
  int threads = 0;
  index_t context = 0, chunk = 0, tiles = 0;
  index_t weight_bytes = 0, cache_bytes = 0;
  double load_s = 0;
  std::vector<BenchRow> rows;
  std::int64_t peak_rss_bytes = 0;
  Limits before, after;

  // The first of its kind; null if there is none.
  const BenchRow* first(BenchWork work) const {
    for (const BenchRow& row : rows)
      if (row.work == work) return &row;
    return nullptr;
  }
};

// Of two in the middle, their mean.
inline std::optional<double> median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// What a row's median comes to.
struct BenchFigures {
  double seconds = 0, tokens_per_s = 0, ms_per_tile = 0;
  double flops_limit = 0, share_of_read_limit = 0, share_of_flop_limit = 0;

  // The limit is that of the policy's products; a tower's weights are never in blocks.
  BenchFigures(const BenchRow& row, const Limits& limit, Arithmetic policy)
      : seconds(*median(row.seconds)) {
    if (row.work == BenchWork::vision && policy == Arithmetic::int8) policy = Arithmetic::fast;
    flops_limit = limit.arithmetic.flops_per_s(policy);
    tokens_per_s = static_cast<double>(row.tokens * row.batch) / seconds;
    ms_per_tile = row.tiles > 0 ? seconds * 1e3 / static_cast<double>(row.tiles) : 0;
    share_of_read_limit = row.bytes / seconds / limit.read_bytes_per_s;
    share_of_flop_limit = row.flops / seconds / flops_limit;
  }
};

inline void write_limits(JsonWriter& out, const Limits& limit, Arithmetic policy) {
  const auto field = [&](std::string_view key, double value) {
    out.key(key);
    value > 0 ? out.value(value) : out.value(nullptr);
  };
  out.field("limit_read_bytes_per_s", limit.read_bytes_per_s);
  out.field("limit_flops_per_s", limit.arithmetic.flops_per_s(policy));
  out.field("limit_f32_flops_per_s", limit.arithmetic.f32_flops_per_s);
  field("limit_bf16_flops_per_s", limit.arithmetic.bf16_flops_per_s);
  field("limit_int8_ops_per_s", limit.arithmetic.int8_ops_per_s);
}

inline void write_row(JsonWriter& out, const BenchRow& row, const Limits& limit,
                      Arithmetic policy) {
  const BenchFigures figures(row, limit, policy);
  out.begin_object().field("work", to_string(row.work));
  if (row.work == BenchWork::vision)
    out.field("tiles", row.tiles).field("ms_per_tile", figures.ms_per_tile);
  else
    out.field("tokens", row.tokens)
        .field("depth", row.depth)
        .field("batch", row.batch)
        .field("tokens_per_s", figures.tokens_per_s);
  out.field("flops", row.flops).field("bytes", row.bytes);
  out.field("share_of_read_limit", figures.share_of_read_limit)
      .field("share_of_flop_limit", figures.share_of_flop_limit);
  out.field("repetitions_s", row.seconds).end_object();
}

inline void print_bench_json(const BenchReport& report, const BenchArguments& arguments) {
  const Limits limit = report.before.best_with(report.after);
  JsonWriter out;
  const auto field = [&](std::string_view key, std::optional<double> value) {
    out.key(key);
    value ? out.value(*value) : out.value(nullptr);
  };
  // A figure of the first row of its kind, absent where nothing was measured.
  const auto figure = [&](std::string_view key, BenchWork work, double BenchFigures::*member) {
    const BenchRow* const row = report.first(work);
    field(key,
          row ? std::optional(BenchFigures(*row, limit, report.arithmetic).*member) : std::nullopt);
  };
  const auto cost = [&](std::string_view key, BenchWork work, const auto& per_unit) {
    const BenchRow* const row = report.first(work);
    field(key, row ? std::optional<double>(per_unit(*row)) : std::nullopt);
  };
  const Machine machine = this_machine();
  out.begin_object().key("machine").begin_object();
  out.field("processor", machine.processor)
      .field("processors", machine.processors)
      .field("memory_bytes", machine.memory_bytes);
  out.end_object().field("model", report.model).field("storage", report.storage);
  out.field("random_weights", !arguments.preset.empty());
  out.field("backend", report.backend)
      .field("arithmetic", to_string(report.arithmetic))
      .field("cache", report.cache)
      .field("threads", report.threads);
  out.field("prefill", arguments.prefill.front())
      .field("decode", arguments.decode)
      .field("depth", arguments.depth.front())
      .field("batch", arguments.batch.front())
      .field("tiles", report.tiles)
      .field("context", report.context)
      .field("chunk", report.chunk);
  figure("prefill_tokens_per_s", BenchWork::prefill, &BenchFigures::tokens_per_s);
  figure("decode_tokens_per_s", BenchWork::decode, &BenchFigures::tokens_per_s);
  figure("vision_ms_per_tile", BenchWork::vision, &BenchFigures::ms_per_tile);
  cost("weight_bytes_per_token", BenchWork::decode,
       [](const BenchRow& row) { return row.step.weights / static_cast<double>(row.batch); });
  cost("cache_bytes_per_token", BenchWork::decode,
       [](const BenchRow& row) { return row.step.caches / static_cast<double>(row.batch); });
  cost("flops_per_prefill_token", BenchWork::prefill,
       [](const BenchRow& row) { return row.flops / static_cast<double>(row.tokens); });
  cost("flops_per_tile", BenchWork::vision,
       [](const BenchRow& row) { return row.flops / static_cast<double>(row.tiles); });
  out.field("weight_bytes", report.weight_bytes).field("cache_bytes", report.cache_bytes);
  out.field("peak_rss_bytes", report.peak_rss_bytes).field("load_s", report.load_s);
  write_limits(out, limit, report.arithmetic);
  figure("share_of_read_limit", BenchWork::decode, &BenchFigures::share_of_read_limit);
  figure("share_of_flop_limit", BenchWork::prefill, &BenchFigures::share_of_flop_limit);
  figure("vision_share_of_flop_limit", BenchWork::vision, &BenchFigures::share_of_flop_limit);
  out.key("repetitions").begin_object();
  for (const BenchWork work : {BenchWork::prefill, BenchWork::decode, BenchWork::vision}) {
    const BenchRow* const row = report.first(work);
    out.field(std::string(to_string(work)) + "_s", row ? row->seconds : std::vector<double>());
  }
  out.end_object().key("rows").begin_array();
  for (const BenchRow& row : report.rows) write_row(out, row, limit, report.arithmetic);
  out.end_array().key("probes").begin_array();
  for (const Limits* each : {&report.before, &report.after}) {
    out.begin_object();
    write_limits(out, *each, report.arithmetic);
    out.end_object();
  }
  std::cout << out.end_array().end_object().str() << "\n";
}

inline void print_bench(const BenchReport& report) {
  const Limits limit = report.before.best_with(report.after);
  const double gb = limit.read_bytes_per_s / 1e9;
  const auto line = [](const char* format, auto... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    std::cout << text << "\n";
  };
  std::cout << report.model << ", " << report.storage << ", " << report.backend << " ("
            << to_string(report.arithmetic) << ", " << report.cache << " caches), "
            << report.threads << " thread" << (report.threads == 1 ? "" : "s") << "\n";
  std::cout << "  weights " << gigabytes(report.weight_bytes) << ", caches "
            << gigabytes(report.cache_bytes) << ", peak " << gigabytes(report.peak_rss_bytes);
  line(", made or loaded in %.2f s", report.load_s);
  for (const BenchRow& row : report.rows) {
    const BenchFigures figures(row, limit, report.arithmetic);
    const double flop_share = figures.share_of_flop_limit * 100, gflops = figures.flops_limit / 1e9;
    if (row.work == BenchWork::prefill) {
      line("  prefill   %10.2f tokens/s   %4.1f %% of %.1f GFLOP/s   %td tokens behind %td",
           figures.tokens_per_s, flop_share, gflops, row.tokens, row.depth);
    } else if (row.work == BenchWork::decode) {
      line("  decode    %10.2f tokens/s   %4.1f %% of %.1f GB/s   %td tokens x %td behind %td",
           figures.tokens_per_s, figures.share_of_read_limit * 100, gb, row.tokens, row.batch,
           row.depth);
      line("            a step reads %.4f GB of weights and %.4f GB of caches",
           row.step.weights / 1e9, row.step.caches / 1e9);
    } else {
      line("  vision    %10.2f ms/tile    %4.1f %% of %.1f GFLOP/s   %td tile%s",
           figures.ms_per_tile, flop_share, gflops, row.tiles, row.tiles == 1 ? "" : "s");
    }
    std::cout << "            seconds:";
    for (const double each : row.seconds) std::printf(" %.4g", each);
    std::cout << "\n";
  }
  for (const auto& [name, each] :
       {std::pair{"before", &report.before}, std::pair{"after", &report.after}})
    line("  limits %-6s  read %.1f GB/s, f32 %.1f, bf16 %.1f GFLOP/s, int8 %.1f GOP/s", name,
         each->read_bytes_per_s / 1e9, each->arithmetic.f32_flops_per_s / 1e9,
         each->arithmetic.bf16_flops_per_s / 1e9, each->arithmetic.int8_ops_per_s / 1e9);
}

}  // namespace gov::tool
