// A random checkpoint is one that the library loads: every spelling and storage, in any number of
// files, written by any number of threads, holds the same model.
#include "benchmarks/random_checkpoint.hpp"

#include <doctest/doctest.h>

#include "gov/infer/processor.hpp"
#include "gov/model/gov_model.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using gov::test::code_of;

// Every kind of tensor of the real model, and a vocabulary that has room for a tokenizer.
struct Small : InternVl {
  static constexpr std::string_view name = "Small";
  using Vision = TinyInternVit;
  struct Language : GptOss {
    static constexpr GptOssConfig config{.hidden_size = 64,
                                         .intermediate_size = 96,
                                         .num_hidden_layers = 2,
                                         .num_attention_heads = 4,
                                         .num_key_value_heads = 2,
                                         .head_dim = 32,
                                         .num_local_experts = 4,
                                         .num_experts_per_tok = 2,
                                         .vocab_size = 400,
                                         .sliding_window = 8};
  };
  static constexpr InternVlConfig config{};
};

std::vector<float> logits(const std::filesystem::path& folder) {
  ModelOptions options;
  options.threads = 1, options.backend = "scalar";
  const auto model = GovModel<Small>::from_pretrained(folder, options);
  auto session = model.session();
  constexpr auto& vision = Small::Vision::config;
  constexpr index_t height = vision.image_size.height, width = vision.image_size.width;
  std::vector<float> pixels(static_cast<std::size_t>(3 * height * width));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i % 17) / 8 - 1;
  std::vector<int> ids{1, 2, 3};
  ids.insert(ids.end(),
             static_cast<std::size_t>(Architecture<Small>::Images::image_tokens(height, width)),
             model.tokens().image_token_id);
  const auto out =
      session.forward({.input_ids = ids, .pixel_values = {pixels.data(), 1, 3, height, width}});
  return {out.logits.data, out.logits.data + out.logits.rows * out.logits.cols};
}

std::vector<float> write_and_run(const TempFolder& folder,
                                 const bench::RandomCheckpointOptions& options) {
  bench::write_random_checkpoint<Small>(folder.path(), options);
  return logits(folder.path());
}

TEST_CASE("spellings, files and threads make no difference") {
  for (const char* storage : {"mxfp4", "mxfp4-q8", "bf16", "f16", "f32"}) {
    CAPTURE(storage);
    bench::RandomCheckpointOptions options;
    options.storage = storage, options.threads = 1;
    const TempFolder first;
    const std::vector<float> expected = write_and_run(first, options);
    double power = 0;
    for (const float value : expected) power += static_cast<double>(value * value);
    CHECK(power > 0);
    CHECK(std::isfinite(power));
    CHECK(std::filesystem::exists(first / "model.safetensors"));
    for (const Layout layout : {Layout::hf_old, Layout::internvl}) {
      CAPTURE(to_string(layout));
      options.layout = layout, options.threads = 3, options.max_shard_bytes = 100'000;
      const TempFolder other;
      CHECK(write_and_run(other, options) == expected);
      CHECK(std::filesystem::exists(other / "model.safetensors.index.json"));
    }
    options.seed = 2;
    const TempFolder another;
    CHECK(write_and_run(another, options) != expected);
  }
}

TEST_CASE("names, dtypes and shapes of the published files") {
  bench::RandomCheckpointOptions options;
  options.layout = Layout::internvl;
  const TempFolder folder;
  const auto written = bench::write_random_checkpoint<Small>(folder.path(), options);
  const auto files = CheckpointFiles::open(folder.path().string());
  CHECK(files.total_bytes() == written.bytes);
  const auto is = [&](const char* name, DType dtype, const std::vector<index_t>& shape) {
    const TensorEntry& entry = *files.at(name).entry;
    return entry.dtype == dtype && entry.shape == shape;
  };
  const std::string experts = "language_model.model.layers.1.mlp.experts.";
  CHECK(is((experts + "gate_up_proj_blocks").c_str(), DType::U8, {4, 192, 2, 16}));
  CHECK(is((experts + "gate_up_proj_scales").c_str(), DType::U8, {4, 192, 2}));
  CHECK(is((experts + "down_proj_blocks").c_str(), DType::U8, {4, 64, 3, 16}));
  CHECK(is((experts + "down_proj_bias").c_str(), DType::BF16, {4, 64}));
  CHECK(is("language_model.lm_head.weight", DType::BF16, {400, 64}));
  constexpr index_t width = Small::Vision::config.hidden_size;
  CHECK(is("vision_model.encoder.layers.0.attn.qkv.weight", DType::BF16, {3 * width, width}));
  CHECK(
      load_json(folder / "config.json").at("quantization_config").at("quant_method").as_string() ==
      "mxfp4");
}

TEST_CASE("numbers have the deviation that they should") {
  for (const char* storage : {"bf16", "mxfp4-q8"}) {
    CAPTURE(storage);
    bench::RandomCheckpointOptions options;
    options.storage = storage;
    const TempFolder folder;
    bench::write_random_checkpoint<Small>(folder.path(), options);
    ModelOptions load;
    load.load.storage = parse_storage("f32");
    auto model = GovModel<Small>::from_pretrained(folder.path(), load);
    auto params = model.params();
    for (const auto& p : parameter_list(params)) {
      CAPTURE(p.name);
      if (!p.is_matrix || p.size() < 4000) continue;
      double sum = 0, squares = 0;
      for (index_t i = 0; i < p.size(); ++i) {
        const auto value = static_cast<double>(reinterpret_cast<const float*>(p.storage->data)[i]);
        sum += value, squares += value * value;
      }
      const auto count = static_cast<double>(p.size());
      CHECK(std::abs(sum / count) < 0.002);
      CHECK(std::sqrt(squares / count) == doctest::Approx(0.02).epsilon(0.15));
    }
  }
}

TEST_CASE("the made-up tokenizer serves the processor") {
  const TempFolder folder;
  bench::write_random_checkpoint<Small>(folder.path());
  const Tokenizer tokenizer = Tokenizer::load(folder.path().string());
  CHECK(tokenizer.decode(tokenizer.encode("any text, \u00e9\n")) == "any text, \u00e9\n");
  const auto model = GovModel<Small>::from_pretrained(folder.path());
  CHECK(tokenizer.token_to_id("<IMG_CONTEXT>") == model.tokens().image_token_id);
  CHECK(tokenizer.token_to_id("<|return|>") == model.tokens().eos_token_id.front());
  CHECK(Processor(folder.path(), tile_rules(4)).format() == ChatFormat::internvl_gpt_oss);
  CHECK(find_image_config(folder.path())->height == Small::Vision::config.image_size.height);
}

TEST_CASE("a tokenizer that is copied gets InternVL's tokens behind its own") {
  const TempFolder from, folder;
  from.write("tokenizer.json", bench::made_up_tokenizer(390, false));
  from.write("tokenizer_config.json", R"({"model_max_length": 77})");
  bench::RandomCheckpointOptions options;
  options.tokenizer = from.path();
  bench::write_random_checkpoint<Small>(folder.path(), options);
  const Tokenizer tokenizer = Tokenizer::load(folder.path().string());
  CHECK(tokenizer.token_to_id("<|call|>") == 389);
  CHECK(tokenizer.token_to_id("<img>") == 390);
  CHECK(tokenizer.token_to_id("</box>") == 398);
  CHECK(load_json(folder / "tokenizer_config.json").at("model_max_length").as_int() == 77);
  from.write("tokenizer.json", bench::made_up_tokenizer(399, false));  // no room for nine more
  options.overwrite = true;
  CHECK(code_of([&] { bench::write_random_checkpoint<Small>(folder.path(), options); }) ==
        "bad_tokenizer");
}

TEST_CASE("a checkpoint that is there stays, and progress rises to 1") {
  const TempFolder folder;
  std::vector<double> shares;
  bench::RandomCheckpointOptions options;
  options.progress = [&](std::string_view, double share) { shares.push_back(share); };
  bench::write_random_checkpoint<Small>(folder.path(), options);
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.back() == 1);
  CHECK(code_of([&] { bench::write_random_checkpoint<Small>(folder.path(), options); }) ==
        "io_error");
}

}  // namespace
