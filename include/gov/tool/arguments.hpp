// What the command line of the tool can say, one struct a command.
#pragma once

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
    return options;
  }
};

struct PromptArguments : RunArguments {
  std::vector<std::string> images, videos;
  std::string prompt, system, chat_format;
  int video_frames = 8;  // taken from a folder of frames
};

struct GenerateArguments : PromptArguments {
  std::optional<index_t> max_new_tokens;
  bool greedy = false;
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
  std::uint64_t seed = 0;
  std::vector<std::string> stop;
  int logprobs = -1;
  bool json = false;
};

struct DumpArguments : PromptArguments {
  std::vector<int> token_ids;
  std::string pixel_values, output;
};

struct BenchArguments : RunArguments {
  std::string preset;  // or model
  bool random_weights = false;
  index_t prefill = 512, decode = 64, depth = 0, batch = 1, repetitions = 3;
  std::optional<index_t> tiles;  // default: 1 where there is a tower
  double probe_gb = 3;
  bool json = false;

  // Positions that one sequence takes.
  index_t positions() const {
    return std::max<index_t>(1, depth + std::max<index_t>(prefill, decode));
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

struct TokenizeArguments {
  std::string model, text, file;
  bool has_text = false, decode = false, no_special = false, json = false;
};

}  // namespace gov::tool
