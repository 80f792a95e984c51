// gov bench: how fast a model prefills, decodes and sees, beside the limits that the machine shows
// in the same run. Random tokens, as their values change little; greedy decoding through sessions,
// as generation does it. Every measurement is warmed up and repeated. Lists of depths, batches and
// prompt lengths are measured in one run, each list at the first of the others.
#pragma once

#include "gov/infer/generate.hpp"
#include "gov/tool/bench_report.hpp"
#include "gov/tool/interrupt.hpp"
#include "gov/tool/memory.hpp"
#include "gov/tool/progress.hpp"

namespace gov::tool {

template <class Cfg>
class Bench {
 public:
  using Model = GovModel<Cfg>;
  using Item = typename Session<Cfg>::Item;

  Bench(const Model& model, const BenchArguments& arguments, const BenchPoint& point)
      : model_(model),
        arguments_(arguments),
        point_(point),
        session_(model.session(session_options(arguments, point))) {}

  // A session's options, with the positions that the point needs.
  static SessionOptions session_options(const BenchArguments& arguments, const BenchPoint& point) {
    SessionOptions options = arguments.session_options();
    if (options.context <= 0) options.context = arguments.positions(point);
    return options;
  }
  // The longest run of a point does not fit the rings twice, so that its start must be kept.
  static bool keeps_start(const BenchArguments& arguments, const BenchPoint& point) {
    return point.depth > 0 &&
           std::max(std::ranges::max(point.prefill), arguments.decode) > arguments.chunk;
  }
  // Sessions that a point holds at most: those that decode, and those to go back to.
  static index_t sessions(const BenchArguments& arguments, const BenchPoint& point) {
    return std::ranges::max(point.batch) + (keeps_start(arguments, point) ? 2 : 0);
  }

  // Adds a row for each measurement.
  void run(BenchReport& report) {
    fill_depth();
    std::optional<Session<Cfg>> base;  // to return to where the rings no longer can
    if (keeps_start(arguments_, point_)) base = session_.fork();
    for (const index_t tokens : point_.prefill) prefill(report, base, tokens);
    for (const index_t batch : point_.batch) decode(report, base, batch);
    if (point_.vision) {
      const std::vector<index_t> one{Model::multimodal ? 1 : 0};
      for (const index_t tiles : arguments_.tiles.empty() ? one : arguments_.tiles)
        vision(report, tiles);
    }
    report.cache_bytes =
        std::max(report.cache_bytes, std::ranges::max(point_.batch) * session_.cache_bytes());
    if (report.context > 0) return;  // the first point's
    report.context = session_.context();
    report.chunk = std::min(arguments_.chunk, session_.context());
  }

 private:
  std::vector<int> random_tokens(index_t count) {
    std::vector<int> tokens(static_cast<std::size_t>(count));
    for (int& token : tokens)
      token = static_cast<int>(rng_.next() % static_cast<std::uint64_t>(Model::A::vocab_size));
    return tokens;
  }
  ForwardOptions forward_options() const {
    return {.logits_to_keep = 1, .stop = interrupt().get_token(), .hidden_to_keep = -1};
  }
  void show(std::string_view step, index_t done, index_t of) {
    if (progress_) progress_(step, static_cast<double>(done) / static_cast<double>(of));
  }
  template <class Call>
  static double seconds_of(const Call& call) {
    return kernel::limits_detail::seconds_of(call);
  }

  void fill_depth() {
    ForwardOptions silent = forward_options();
    silent.logits_to_keep = -1;
    while (session_.length() < point_.depth) {
      const auto tokens =
          random_tokens(std::min(arguments_.chunk, point_.depth - session_.length()));
      session_.forward({.input_ids = tokens}, silent);
      show("depth", session_.length(), point_.depth);
    }
  }

  void rewind(Session<Cfg>& session, const std::optional<Session<Cfg>>& base) const {
    const index_t depth = point_.depth;
    if (depth == 0 || depth >= session.earliest())
      session.truncate(depth);
    else
      session = base->fork();
  }

  void prefill(BenchReport& report, const std::optional<Session<Cfg>>& base, index_t count) {
    if (count == 0) return;
    const auto tokens = random_tokens(count);
    BenchRow row{.work = BenchWork::prefill, .tokens = count, .depth = point_.depth};
    for (index_t i = -1; i < arguments_.repetitions; ++i) {
      std::span<const int> input = tokens;
      if (i < 0) input = input.first(static_cast<std::size_t>(std::min(count, arguments_.chunk)));
      const double seconds =
          seconds_of([&] { session_.forward({.input_ids = input}, forward_options()); });
      if (i >= 0) row.seconds.push_back(seconds);
      rewind(session_, base);
      show("prefill", i + 1, arguments_.repetitions);
    }
    report.rows.push_back(std::move(row));
  }

  void decode(BenchReport& report, const std::optional<Session<Cfg>>& base, index_t sequences) {
    if (arguments_.decode == 0) return;
    const auto batch = static_cast<std::size_t>(sequences);
    BenchRow row{.work = BenchWork::decode,
                 .tokens = arguments_.decode,
                 .depth = point_.depth,
                 .batch = sequences};
    std::vector<Session<Cfg>> others;
    for (std::size_t i = 1; i < batch; ++i) others.push_back(session_.fork());
    std::vector<Item> items;
    std::vector<int> tokens = random_tokens(sequences);
    for (std::size_t i = 0; i < batch; ++i)
      items.push_back({i == 0 ? &session_ : &others[i - 1], {.input_ids = {&tokens[i], 1}}});
    std::vector<Sampler> samplers(batch);
    const index_t warm = std::min<index_t>(arguments_.decode, 2), steps = arguments_.decode,
                  all = warm + steps * arguments_.repetitions;
    index_t done = 0;
    for (index_t i = -1; i < arguments_.repetitions; ++i) {
      const index_t length = i < 0 ? warm : steps;
      double seconds = 0;
      for (index_t step = 0; step < length; ++step) {
        seconds += seconds_of([&] {
          Session<Cfg>::forward_batch(std::span<const Item>(items), forward_options());
          for (std::size_t k = 0; k < batch; ++k) {
            const auto logits = items[k].session->outputs().logits;
            tokens[k] =
                samplers[k].next({logits.row(0), static_cast<std::size_t>(logits.cols)}, {});
          }
        });
        show("decode", ++done, all);
      }
      if (i >= 0) row.seconds.push_back(seconds);
      for (const auto& item : items) rewind(*item.session, base);
      std::ranges::copy(random_tokens(sequences), tokens.begin());  // items point there
    }
    report.rows.push_back(std::move(row));
  }

  void vision(BenchReport& report, index_t tiles) {
    if (tiles == 0) return;
    if constexpr (Model::multimodal) {
      using Vision = typename Model::A::Vision;
      constexpr Extent size = Model::A::picture_size;
      if (report.tiles == 0) report.tiles = tiles;
      BenchRow row{.work = BenchWork::vision, .tiles = tiles};
      std::vector<float> pixels(static_cast<std::size_t>(
          checked_mul(tiles, Vision::num_channels * size.height * size.width, "tiles")));
      for (float& pixel : pixels) pixel = static_cast<float>(4 * rng_.uniform() - 2);
      PixelView view{pixels.data(), 1, Vision::num_channels, size.height, size.width};
      for (index_t i = -1; i < arguments_.repetitions; ++i) {
        view.count = i < 0 ? 1 : tiles;
        const double seconds = seconds_of(
            [&] { session_.get_image_features({.pixel_values = view}, interrupt().get_token()); });
        if (i >= 0) row.seconds.push_back(seconds);
        show("vision", i + 1, arguments_.repetitions);
      }
      report.rows.push_back(std::move(row));
    } else {
      (void)report;
      throw Error({.code = Errc::bad_argument,
                   .file = std::string(Cfg::name),
                   .field = "--tiles",
                   .expected = "0, for a model without a vision tower",
                   .found = std::to_string(tiles)});
    }
  }

  const Model& model_;
  const BenchArguments& arguments_;
  const BenchPoint& point_;
  Session<Cfg> session_;
  Rng rng_{3};
  Progress progress_ = progress_bar();
};

// Reads the model's own weights where they are large enough, else memory made for it.
template <class Cfg>
Limits probe_limits(const GovModel<Cfg>& model, double gigabytes) {
  auto bytes = static_cast<index_t>(gigabytes * 1e9);
  if (const auto available = available_memory()) bytes = std::min(bytes, *available / 2);
  const AlignedBuffer& weights = model.data()->weights;
  ThreadPool& pool = *model.pool();
  Limits limits;
  limits.read_bytes_per_s =
      weights.size() >= bytes
          ? kernel::limit_read_bytes_per_s(
                pool, model.backend(),
                std::span<const std::byte>(weights.data(), static_cast<std::size_t>(bytes)))
          : kernel::limit_read_bytes_per_s(pool, model.backend(), bytes);
  limits.arithmetic = kernel::limit_arithmetic(pool, model.backend());
  return limits;
}

// What a row's work is at least: see model/costs.hpp.
template <class Cfg>
void count_costs(BenchRow& row, const std::vector<ParameterRef>& parameters, index_t chunk,
                 index_t cache_number_bytes) {
  const auto tokens = static_cast<double>(row.tokens), tiles = static_cast<double>(row.tiles);
  switch (row.work) {
    case BenchWork::prefill:
      row.flops = prefill_flops<Cfg>(parameters, row.depth, row.tokens);
      row.step = prefill_bytes<Cfg>(parameters, row.depth, row.tokens, chunk, cache_number_bytes);
      row.bytes = row.step.total();
      break;
    case BenchWork::decode: {  // every step as the one in the middle
      const index_t position = row.depth + row.tokens / 2;
      row.flops =
          prefill_flops<Cfg>(parameters, position, 1) * tokens * static_cast<double>(row.batch);
      row.step = decode_bytes<Cfg>(parameters, position, row.batch, cache_number_bytes);
      row.bytes = row.step.total() * tokens;
      break;
    }
    case BenchWork::vision:
      row.flops = tile_flops<Cfg>(parameters) * tiles;
      row.bytes = tile_bytes(parameters) * tiles;
      break;
  }
}

template <class Cfg>
int bench_command(BenchArguments arguments) {
  stop_on_interrupt();
  const bool fresh = !arguments.preset.empty();
  if constexpr (!requires { Cfg::storage; })
    if (fresh && arguments.storage.empty()) arguments.storage = "mxfp4-bf16";  // as gpt-oss is
  const auto points = arguments.points();
  for (const BenchPoint& point : points) {
    RunArguments planned = arguments;
    planned.context = Bench<Cfg>::session_options(arguments, point).context;
    if (fresh)
      check_fresh_memory<Cfg>(storage_of<Cfg>(arguments), planned.session_options(),
                              available_memory(), Bench<Cfg>::sessions(arguments, point),
                              team_size(arguments.threads));
    else
      require_room<Cfg>(planned, Bench<Cfg>::sessions(arguments, point));
  }
  BenchReport report;
  std::optional<GovModel<Cfg>> model;
  report.load_s = kernel::limits_detail::seconds_of([&] {
    ModelOptions options = arguments.model_options(progress_bar(), interrupt().get_token());
    options.load.storage = storage_of<Cfg>(arguments);
    if (fresh)
      model.emplace(GovModel<Cfg>::random(1, options));
    else
      model.emplace(GovModel<Cfg>::from_pretrained(arguments.model, options));
  });
  report.model = std::string(Cfg::name);
  report.storage = arguments.storage.empty() ? "as-stored" : arguments.storage;
  if constexpr (requires { Cfg::storage; })
    if (arguments.storage.empty()) report.storage = std::string(Cfg::storage);
  report.arithmetic = arguments.session_options().arithmetic;
  report.cache = std::string(to_string(arguments.session_options().cache));
  report.backend = model->backend(), report.threads = model->threads();
  const std::int64_t loading_peak = peak_rss_bytes();
  report.before = probe_limits(*model, arguments.probe_gb);
  forget_peak();
  for (const BenchPoint& point : points) Bench<Cfg>(*model, arguments, point).run(report);
  report.peak_rss_bytes = std::max(loading_peak, peak_rss_bytes());
  report.after = probe_limits(*model, arguments.probe_gb);

  typename Architecture<Cfg>::Params params = model->params();
  const auto parameters = parameter_list(params);
  for (const auto& p : parameters)
    report.weight_bytes += p.data_bytes(p.storage->format) + p.scales_bytes(p.storage->format);
  const index_t number = cache_number_bytes<float>(arguments.session_options().cache);
  for (BenchRow& row : report.rows) count_costs<Cfg>(row, parameters, report.chunk, number);
  arguments.json ? print_bench_json(report, arguments) : print_bench(report);
  return 0;
}

}  // namespace gov::tool
