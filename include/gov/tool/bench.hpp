// gov bench: how fast a model prefills, decodes and sees, beside the limits that the machine shows
// in the same run. Random tokens, as their values change little; greedy decoding through sessions,
// as generation does it. Every measurement is warmed up and repeated.
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

  Bench(const Model& model, const BenchArguments& arguments)
      : model_(model), arguments_(arguments), session_(model.session(options())) {}

  // Fills the report's timings.
  void run(BenchReport& report) {
    fill_depth();
    std::optional<Session<Cfg>> base;  // to return to where the rings no longer can
    const index_t longest = std::max<index_t>(arguments_.prefill, arguments_.decode);
    if (arguments_.depth > 0 && longest > arguments_.chunk) base = session_.fork();
    prefill(report, base);
    decode(report, base);
    vision(report);
    report.context = session_.context();
    report.chunk = std::min(arguments_.chunk, session_.context());
    report.cache_bytes = arguments_.batch * session_.cache_bytes();
  }

 private:
  SessionOptions options() const {
    SessionOptions options = arguments_.session_options();
    if (options.context <= 0) options.context = arguments_.positions();
    return options;
  }
  std::vector<int> random_tokens(index_t count) {
    std::vector<int> tokens(static_cast<std::size_t>(count));
    for (int& token : tokens)
      token = static_cast<int>(rng_.next() % static_cast<std::uint64_t>(Model::A::vocab_size));
    return tokens;
  }
  ForwardOptions forward_options() const {
    return {.logits_to_keep = 1, .stop = interrupt().get_token()};
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
    while (session_.length() < arguments_.depth) {
      const auto tokens =
          random_tokens(std::min(arguments_.chunk, arguments_.depth - session_.length()));
      session_.forward({.input_ids = tokens}, silent);
      show("depth", session_.length(), arguments_.depth);
    }
  }

  void rewind(Session<Cfg>& session, const std::optional<Session<Cfg>>& base) const {
    const index_t depth = arguments_.depth;
    if (depth == 0 || depth >= session.earliest())
      session.truncate(depth);
    else
      session = base->fork();
  }

  void prefill(BenchReport& report, const std::optional<Session<Cfg>>& base) {
    if (arguments_.prefill == 0) return;
    const auto tokens = random_tokens(arguments_.prefill);
    for (index_t i = -1; i < arguments_.repetitions; ++i) {
      std::span<const int> input = tokens;
      if (i < 0)
        input =
            input.first(static_cast<std::size_t>(std::min(arguments_.prefill, arguments_.chunk)));
      const double seconds =
          seconds_of([&] { session_.forward({.input_ids = input}, forward_options()); });
      if (i >= 0) report.prefill_s.push_back(seconds);
      rewind(session_, base);
      show("prefill", i + 1, arguments_.repetitions);
    }
  }

  void decode(BenchReport& report, const std::optional<Session<Cfg>>& base) {
    if (arguments_.decode == 0) return;
    const auto batch = static_cast<std::size_t>(arguments_.batch);
    std::vector<Session<Cfg>> others;
    for (std::size_t i = 1; i < batch; ++i) others.push_back(session_.fork());
    std::vector<Item> items;
    std::vector<int> tokens = random_tokens(arguments_.batch);
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
      if (i >= 0) report.decode_s.push_back(seconds);
      for (const auto& item : items) rewind(*item.session, base);
      std::ranges::copy(random_tokens(arguments_.batch), tokens.begin());  // items point there
    }
  }

  void vision(BenchReport& report) {
    if constexpr (Model::multimodal) {
      constexpr auto& v = Model::A::VisionConfig::config;
      report.tiles = arguments_.tiles.value_or(1);
      if (report.tiles == 0) return;
      std::vector<float> pixels(static_cast<std::size_t>(checked_mul(
          report.tiles, v.num_channels * v.image_size.height * v.image_size.width, "tiles")));
      for (float& pixel : pixels) pixel = static_cast<float>(4 * rng_.uniform() - 2);
      PixelView view{pixels.data(), 1, v.num_channels, v.image_size.height, v.image_size.width};
      for (index_t i = -1; i < arguments_.repetitions; ++i) {
        view.count = i < 0 ? 1 : report.tiles;
        const double seconds =
            seconds_of([&] { session_.get_image_features(view, interrupt().get_token()); });
        if (i >= 0) report.vision_s.push_back(seconds);
        show("vision", i + 1, arguments_.repetitions);
      }
    } else {
      if (arguments_.tiles.value_or(0) > 0)
        throw Error({.code = Errc::bad_argument,
                     .file = std::string(Cfg::name),
                     .field = "--tiles",
                     .expected = "0, for a model without a vision tower",
                     .found = std::to_string(*arguments_.tiles)});
      (void)report;
    }
  }

  const Model& model_;
  const BenchArguments& arguments_;
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

template <class Cfg>
int bench_command(BenchArguments arguments) {
  stop_on_interrupt();
  const bool fresh = !arguments.preset.empty();
  if constexpr (!requires { Cfg::storage; })
    if (fresh && arguments.storage.empty()) arguments.storage = "mxfp4-bf16";  // as gpt-oss is
  RunArguments planned = arguments;
  if (planned.context <= 0) planned.context = arguments.positions();
  const index_t sessions =
      arguments.batch + (arguments.depth > 0 ? 2 : 0);  // and those to go back to
  if (fresh)
    check_fresh_memory<Cfg>(storage_of<Cfg>(arguments), planned.session_options(),
                            available_memory(), sessions, team_size(arguments.threads));
  else
    require_room<Cfg>(planned, sessions);
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
  report.arithmetic = std::string(to_string(arguments.session_options().arithmetic));
  report.cache = std::string(to_string(arguments.session_options().cache));
  report.backend = model->backend(), report.threads = model->threads();
  const std::int64_t loading_peak = peak_rss_bytes();
  report.before = probe_limits(*model, arguments.probe_gb);
  forget_peak();
  Bench<Cfg>(*model, arguments).run(report);
  report.peak_rss_bytes = std::max(loading_peak, peak_rss_bytes());
  report.after = probe_limits(*model, arguments.probe_gb);

  typename Architecture<Cfg>::Params params = model->params();
  const auto parameters = parameter_list(params);
  for (const auto& p : parameters)
    report.weight_bytes += p.data_bytes(p.storage->format) + p.scales_bytes(p.storage->format);
  report.prefill_flops = prefill_flops<Cfg>(parameters, arguments.depth, arguments.prefill);
  report.tile_flops = tile_flops<Cfg>(parameters);
  report.step =
      decode_bytes<Cfg>(parameters, arguments.depth + arguments.decode / 2, arguments.batch,
                        cache_number_bytes<float>(arguments.session_options().cache));
  arguments.json ? print_bench_json(report, arguments) : print_bench(report, arguments);
  return 0;
}

}  // namespace gov::tool
