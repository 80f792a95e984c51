// random_checkpoint: writes a checkpoint of random weights with a model's true geometry.
//
//   random_checkpoint --preset InternVl35GptOss20b --storage mxfp4 --layout internvl --output DIR
//
// 13 GB with MXFP4 experts, 42 GB in bf16; memory stays at a few hundred MB.
#include "benchmarks/random_checkpoint.hpp"

#include <chrono>
#include <cstdio>
#include <CLI/CLI.hpp>

#include "benchmarks/random_checkpoint_presets.hpp"

namespace {

using namespace gov;
using Clock = std::chrono::steady_clock;

int run(int argc, char** argv) {
  bench::RandomCheckpointOptions options;
  std::string preset(InternVl35GptOss20b::name), layout = "hf", output, tokenizer;
  double shard_gb = 5;
  CLI::App app("Writes a checkpoint of random weights with a model's true geometry.");
  app.add_option("--output", output, "folder to write to")->required();
  app.add_option("--preset", preset, bench::Presets::names())->capture_default_str();
  app.add_option("--layout", layout, "hf, hf-old or internvl")->capture_default_str();
  app.add_option("--storage", options.storage, "bf16, f16, f32, mxfp4 or mxfp4-q8")
      ->capture_default_str();
  app.add_option("--tokenizer", tokenizer, "folder with tokenizer.json (default: a made-up one)");
  app.add_option("--max-shard-gb", shard_gb, "size of a file")->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_option("--threads", options.threads, "default: one per hardware thread");
  app.add_flag("--overwrite", options.overwrite, "replace a checkpoint that is there");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.layout = parse_layout(layout), options.tokenizer = tokenizer;
  options.max_shard_bytes = static_cast<std::uint64_t>(shard_gb * 1e9);
  const auto start = Clock::now();
  options.progress = [shown = start](std::string_view step, double share) mutable {
    const auto now = Clock::now();
    if (share < 1 && now - shown < std::chrono::seconds(1)) return;
    shown = now;
    std::fprintf(stderr, "%.*s: %5.1f %%\n", static_cast<int>(step.size()), step.data(),
                 100 * share);
  };
  bench::WrittenCheckpoint written;
  bench::Presets::visit(preset, [&]<class Cfg>(std::type_identity<Cfg>) {
    written = bench::write_random_checkpoint<Cfg>(output, options);
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%s: %zu files, %.3f GB in %.1f s (%.2f GB/s)\n", output.c_str(),
              written.files.size(), static_cast<double>(written.bytes) / 1e9, seconds,
              static_cast<double>(written.bytes) / 1e9 / seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "random_checkpoint: error: %s\n", error.what());
    return 1;
  }
}
