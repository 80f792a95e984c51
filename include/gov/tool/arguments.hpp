// What the command line of the tool can say, one struct a command.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "gov/infer/chat.hpp"

namespace gov::tool {

struct RunArguments {
  std::string model;
  int threads = 0;
  std::string backend;
  std::string storage;  // "": what the checkpoint holds
  bool map = false;
  int image_token_id = -1;
  index_t context = 0, chunk = 512;
  std::string arithmetic, cache;  // "": the defaults of SessionOptions
  std::vector<std::string> set;   // KEY=VALUE

  SessionOptions session_options() const {
    SessionOptions options{.context = context, .chunk = chunk};
    if (!arithmetic.empty()) options.arithmetic = parse_arithmetic(arithmetic);
    if (cache == "bf16") options.cache = Format::bf16;
    if (cache == "f32") options.cache = Format::f32;
    return options;
  }
  ModelOptions model_options(Progress progress, std::stop_token stop = {}) const {
    ModelOptions options{.threads = threads, .backend = backend};
    options.image_token_id = image_token_id;
    options.load.map = map;
    options.load.progress = std::move(progress);
    options.load.stop = std::move(stop);
    if (!storage.empty()) options.load.storage = parse_storage(storage);
    for (const auto& setting : set) options.set.push_back(parse_setting(setting));
    return options;
  }
};

struct PromptArguments : RunArguments {
  std::vector<std::string> images, videos;
  std::string prompt, system, chat_format;
  std::optional<int> video_frames;  // taken from each video; none: the model's, or 8
  std::string video_rule;           // "": the model's
};

struct GenerateArguments : PromptArguments {
  std::optional<index_t> max_new_tokens;
  bool greedy = false;
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
  std::uint64_t seed = 0;
  std::vector<std::string> stop;
  int logprobs = -1;
  bool router_stats = false;
  index_t latents = 0;
  std::vector<std::string> latent_tokens;  // start, latent, end; empty: the usual names
  int thoughts = -1;
  bool json = false;
};

struct DumpArguments : PromptArguments {
  std::vector<int> token_ids;
  std::string pixel_values, output;
};

// One session of gov bench: what is measured behind `depth` tokens.
struct BenchPoint {
  index_t depth = 0;
  std::vector<index_t> prefill, batch;
  bool vision = false;
};

// The first number of each list is where the other lists are measured.
struct BenchArguments : RunArguments {
  std::string preset;  // or model
  bool random_weights = false;
  std::vector<index_t> prefill{512}, depth{0}, batch{1};
  index_t decode = 64, repetitions = 3;
  std::vector<index_t> tiles{};  // empty: 1 where there is a tower
  double probe_gb = 3;
  bool json = false;

  // Every length and batch at the first depth; at the others the first of each.
  std::vector<BenchPoint> points() const {
    std::vector<BenchPoint> points{{depth.front(), prefill, batch, true}};
    for (std::size_t i = 1; i < depth.size(); ++i)
      points.push_back({depth[i], {prefill.front()}, {batch.front()}, false});
    return points;
  }
  // Positions that one sequence of a point takes, and of any.
  index_t positions(const BenchPoint& point) const {
    return std::max<index_t>(1, point.depth + std::max(decode, std::ranges::max(point.prefill)));
  }
  index_t positions() const {
    index_t most = 1;
    for (const BenchPoint& point : points()) most = std::max(most, positions(point));
    return most;
  }
};

struct InspectArguments {
  std::string path;
  bool json = false;
};

struct ConvertArguments {
  std::string model, output, storage, layout;
  int threads = 0;
  bool overwrite = false;
  double max_shard_gb = 5;
};

struct AddTokensArguments {
  std::string model, output, init, head_init;  // "": ResizeOptions' default
  std::vector<std::string> tokens;
  bool special = false, overwrite = false;
  double max_shard_gb = 5;
};

struct TokenizeArguments {
  std::string model, text, file;
  bool has_text = false, decode = false, no_special = false, json = false;
};

}  // namespace gov::tool
