// load_bench: how long a checkpoint takes to load, held against a memcpy into freshly mapped memory
// by as many threads in the same run; and how soon its first token comes.
//
//   random_checkpoint --preset InternVl35GptOssSlice --output DIR && load_bench --model DIR
//
// The memcpy runs before and after the load and its faster time counts; --memcpy-gb bounds it where
// memory does not hold the checkpoint twice, and rates are compared then.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <CLI/CLI.hpp>

#include "benchmarks/random_checkpoint_presets.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/registry.hpp"

namespace {

using namespace gov;
using Clock = std::chrono::steady_clock;

struct Settings {
  std::string model, storage;
  bool map = false, warm = false, cold = false, keep = false, drop = false, json = false;
  int threads = 0, prompt = 1, decode = 8;
  double memcpy_gb = 4;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A line of /proc/self/status, in bytes.
double status(std::string_view key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size() + 1, nullptr) * 1024;
  return 0;
}
void reset_peak() { std::ofstream("/proc/self/clear_refs") << '5'; }

// Seconds to copy `bytes` into memory that was never touched, in huge pages or in plain ones.
double time_memcpy(index_t bytes, ThreadPool& pool, bool huge) {
  constexpr index_t piece = 4 * huge_page;
  AlignedBuffer from(bytes);
  const index_t count = (bytes + piece - 1) / piece;
  const auto part = [&](index_t i) {
    return static_cast<std::size_t>(std::min(piece, bytes - i * piece));
  };
  pool.parallel_for(count, [&](index_t i) {
    std::memset(from.data() + i * piece, static_cast<int>(1 + i % 250), part(i));
  });
  const auto size = static_cast<std::size_t>(bytes);
  void* const mapping =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw_out_of_memory(bytes);
  ::madvise(mapping, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  auto* const to = static_cast<std::byte*>(mapping);
  const auto start = Clock::now();
  pool.parallel_for(
      count, [&](index_t i) { std::memcpy(to + i * piece, from.data() + i * piece, part(i)); });
  const double seconds = seconds_since(start);
  ::munmap(mapping, size);
  return seconds;
}

// Drops what the system keeps of the files; then, if `warm`, reads them afresh.
void prepare_pages(const CheckpointFiles& files, bool warm) {
  std::vector<std::byte> part(std::size_t{8} << 20);
  for (const auto& file : files.files()) {
    file->drop_pages();
    for (const TensorEntry& entry : file->entries())
      for (std::uint64_t at = 0; warm && at < entry.bytes; at += part.size())
        file->read_part(entry, at,
                        std::span(part).first(static_cast<std::size_t>(
                            std::min<std::uint64_t>(part.size(), entry.bytes - at))));
  }
}

template <class Cfg>
int time_load(const Settings& settings) {
  ModelOptions options;
  options.threads = settings.threads, options.load.map = settings.map;
  if (!settings.storage.empty()) options.load.storage = parse_storage(settings.storage);
  if (settings.keep || settings.drop) options.load.drop_pages = settings.drop;
  index_t block_bytes = 0;
  double file_bytes = 0;
  {
    CheckpointOptions checkpoint;
    checkpoint.map = settings.map;
    const auto files =
        std::make_shared<CheckpointFiles>(CheckpointFiles::open(settings.model, checkpoint));
    const auto params = std::make_unique<typename Architecture<Cfg>::Params>();
    block_bytes =
        Loader(files, parameter_list(*params), Multimodal<Cfg>, options.load).block_bytes();
    file_bytes = static_cast<double>(files->total_bytes());
    if (settings.warm || settings.cold) prepare_pages(*files, settings.warm);
  }
  ThreadPool pool(settings.threads);
  const auto bound = static_cast<index_t>(settings.memcpy_gb * 1e9);
  const index_t copied = std::min(settings.map ? index_t{0} : block_bytes, bound);
  double best = copied > 0 ? time_memcpy(copied, pool, true) : 0,
         plain = copied > 0 ? time_memcpy(copied, pool, false) : 0;

  reset_peak();
  const double before = status("VmRSS:");
  const auto start = Clock::now();
  double load_s = 0, first_token_s = 0, decode_s = 0, peak = 0;
  {
    const auto model = GovModel<Cfg>::from_pretrained(settings.model, options);
    load_s = seconds_since(start);
    peak = status("VmHWM:") - before;
    auto session = model.session({.context = 512 + settings.prompt, .chunk = 512});
    std::vector<int> ids(static_cast<std::size_t>(settings.prompt), 1);
    session.forward({.input_ids = ids}, {.logits_to_keep = 1});
    first_token_s = seconds_since(start);
    const auto decoding = Clock::now();
    for (int i = 0; i < settings.decode; ++i) {
      const int id = 2 + i;
      session.forward({.input_ids = {&id, 1}}, {.logits_to_keep = 1});
    }
    decode_s = seconds_since(decoding);
  }
  if (copied > 0) {
    best = std::min(best, time_memcpy(copied, pool, true));
    plain = std::min(plain, time_memcpy(copied, pool, false));
  }

  const auto weights = static_cast<double>(block_bytes);
  const double load_rate = file_bytes / load_s,
               memcpy_rate = best > 0 ? static_cast<double>(copied) / best : 0,
               plain_rate = best > 0 ? static_cast<double>(copied) / plain : 0;
  if (settings.json) {
    JsonWriter out;
    out.begin_object().field("model", settings.model).field("map", settings.map);
    out.field("file_bytes", file_bytes).field("weight_bytes", weights).field("load_s", load_s);
    out.field("load_bytes_per_s", load_rate).field("memcpy_bytes_per_s", memcpy_rate);
    out.field("memcpy_plain_pages_bytes_per_s", plain_rate);
    if (best > 0) out.field("load_over_memcpy", memcpy_rate / load_rate);
    if (best > 0) out.field("load_over_memcpy_plain_pages", plain_rate / load_rate);
    out.field("load_peak_rss_bytes", peak).field("first_token_s", first_token_s);
    out.field("decode_tokens_per_s", settings.decode / decode_s).field("threads", pool.size());
    std::cout << out.end_object().str() << "\n";
    return 0;
  }
  std::printf("%s: %.3f GB in files, %.3f GB copied\n", settings.model.c_str(), file_bytes / 1e9,
              weights / 1e9);
  std::printf("load         %8.3f s  %6.2f GB/s%s\n", load_s, load_rate / 1e9,
              settings.map ? " (mapped)" : "");
  const auto show = [&](const char* pages, double seconds, double rate) {
    std::printf("memcpy       %8.3f s  %6.2f GB/s  into new %s pages: load takes %.2f times it\n",
                seconds, rate / 1e9, pages, rate / load_rate);
  };
  if (best > 0) show("plain", plain, plain_rate), show("huge", best, memcpy_rate);
  std::printf("peak memory  %8.3f GB over what was there, weights x 1.08 + 0.3 GB = %.3f GB\n",
              peak / 1e9, weights * 1.08 / 1e9 + 0.3);
  std::printf("first token  %8.3f s after the start, prompt of %d\n", first_token_s,
              settings.prompt);
  std::printf("decode       %8.3f tokens/s\n", settings.decode / decode_s);
  return 0;
}

int run(int argc, char** argv) {
  Settings settings;
  CLI::App app("Times the loading of a checkpoint.");
  app.add_option("--model", settings.model, "checkpoint folder")->required();
  app.add_option("--storage", settings.storage, "convert while loading");
  app.add_flag("--map", settings.map, "view the files in place");
  app.add_flag("--warm", settings.warm,
               "drop the system's pages of them before, and read them afresh");
  app.add_flag("--cold", settings.cold, "drop the system's pages of them before");
  app.add_flag("--keep-pages", settings.keep, "keep the system's pages of the files");
  app.add_flag("--drop-pages", settings.drop, "drop them as they are read");
  app.add_flag("--json", settings.json);
  app.add_option("--threads", settings.threads, "default: one per hardware thread");
  app.add_option("--prompt", settings.prompt, "tokens of it")->capture_default_str();
  app.add_option("--decode", settings.decode, "tokens to time")->capture_default_str();
  app.add_option("--memcpy-gb", settings.memcpy_gb, "at most so much; 0: none")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  using Models = auto_model<InternVl35GptOss20b, bench::InternVl35GptOssSlice, TinyGov>;
  return Models::visit(
      settings.model, [&]<class Cfg>(std::type_identity<Cfg>) { return time_load<Cfg>(settings); });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load_bench: error: %s\n", error.what());
    return 1;
  }
}
