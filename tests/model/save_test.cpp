// What was loaded is saved as the same bits, in every layout, format and number of files; a save
// that fails leaves the checkpoint that was there.
#include "gov/model/save.hpp"

#include <doctest/doctest.h>

#include "gov/model/model_data.hpp"
#include "tests/io/faulty_file_ops.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/checkpoint_copy.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/fixtures.hpp"

namespace save_test {

using namespace gov;
using namespace gov::test;
namespace fs = std::filesystem;

const std::string parity = "tests/fixtures/parity/";

template <class Cfg>
struct Loaded {
  ModelData<Cfg> data;
  LoadedWeights weights;
  std::vector<ParameterRef> parameters;

  explicit Loaded(const std::string& folder, const char* storage = "as-stored")
      : parameters(parameter_list(data.params)) {
    LoadOptions options;
    options.storage = parse_storage(storage);
    Loader loader(std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder)), parameters,
                  naming_of<Cfg>(), options);
    ThreadPool pool(2);
    weights = loader.load(pool);
  }
  std::vector<std::string> save(const std::string& folder, Layout layout,
                                const CheckpointWriteOptions& options = {}) const {
    fs::create_directories(folder);
    const Saver saver(parameters, layout, naming_of<Cfg>());
    return write_checkpoint(
        folder, saver.specs(),
        [&](const TensorSpec& spec, const ByteSink& sink) { saver.supply(spec, sink); }, options);
  }
};

// Names of parameters whose format, origin or bytes differ.
template <class Cfg>
std::string different(const Loaded<Cfg>& a, const Loaded<Cfg>& b) {
  std::string names;
  for (std::size_t i = 0; i < a.parameters.size(); ++i) {
    const ParameterRef& p = a.parameters[i];
    const Storage &x = *p.storage, &y = *b.parameters[i].storage;
    const auto bytes = static_cast<std::size_t>(p.data_bytes(x.format)),
               scales = static_cast<std::size_t>(p.scales_bytes(x.format));
    if (x.format != y.format || std::memcmp(x.data, y.data, bytes) != 0 ||
        (scales > 0 && std::memcmp(x.scales, y.scales, scales) != 0))
      names += p.name + " ";
  }
  return names;
}

// "" when both folders hold the same tensors.
std::string different_files(const std::string& a, const std::string& b) {
  const auto tensors = [](const std::string& folder) {
    std::map<std::string, std::pair<std::string, std::string>> all;
    const auto files = CheckpointFiles::open(folder);
    for (const auto& [file, entry] : files.tensors()) {
      std::string bytes(static_cast<std::size_t>(entry->bytes), '\0'),
          type(to_string(entry->dtype));
      file->read(*entry, std::as_writable_bytes(std::span(bytes)));
      for (const index_t extent : entry->shape) type += " " + std::to_string(extent);
      all[entry->name] = {type, bytes};
    }
    return all;
  };
  const auto ours = tensors(a), theirs = tensors(b);
  for (const auto& [name, tensor] : theirs)
    if (!ours.contains(name) || ours.at(name) != tensor) return name;
  return ours.size() == theirs.size() ? "" : "a tensor too many";
}

template <class Cfg>
void check_round_trips(const std::string& source,
                       const std::vector<std::pair<Layout, std::string>>& layouts) {
  const Loaded<Cfg> loaded(parity + source);
  for (const auto& [layout, fixture] : layouts) {
    const auto shown_fixture = fixture;  // clang 14: no capture of bindings
    CAPTURE(shown_fixture);
    const TempFolder folder;
    CHECK(loaded.save(folder.path().string(), layout) ==
          std::vector<std::string>{"model.safetensors"});
    CHECK(different_files(folder.path().string(), parity + fixture) == "");
    CHECK(different(Loaded<Cfg>(folder.path().string()), loaded) == "");
  }
}

TEST_CASE("every layout holds the same tensors as the one that the fixtures' script wrote") {
  check_round_trips<VlmBf16>("vlm-bf16", {{Layout::hf, "vlm-bf16-hf-new"},
                                          {Layout::hf_old, "vlm-bf16-hf-old"},
                                          {Layout::internvl, "vlm-bf16-internvl"}});
  check_round_trips<VlmTiny>("vlm-tiny", {{Layout::hf_old, "vlm-tiny"}});
  check_round_trips<TextMxfp4>("text-mxfp4",
                               {{Layout::hf, "text-mxfp4"}, {Layout::openai, "text-mxfp4-openai"}});
}

TEST_CASE("experts in tensors of their own, under their family's names, dense and in blocks") {
  check_round_trips<MixtralBf16>("mixtral-bf16", {{Layout::hf, "mixtral-bf16"}});
  check_round_trips<MixtralBf16>("mixtral-bf16-memory", {{Layout::hf, "mixtral-bf16"}});
  const TempFolder folder;
  const Loaded<MixtralBf16> loaded(parity + "mixtral-bf16", "mxfp4-q8");
  for (const auto& p : loaded.parameters)
    if (p.is_matrix)
      CHECK(p.storage->format == (p.is_expert                            ? Format::mxfp4
                                  : p.name.find("router") != p.name.npos ? Format::bf16
                                                                         : Format::q8));
  loaded.save(folder.path().string(), Layout::hf);
  CHECK(different(Loaded<MixtralBf16>(folder.path().string()), loaded) == "");
  const auto files = CheckpointFiles::open(folder.path().string());
  CHECK(files.contains("model.layers.1.block_sparse_moe.experts.3.w2.weight_blocks"));
  CHECK(files.contains("model.layers.1.block_sparse_moe.gate.weight"));
}

TEST_CASE("weights that a checkpoint holds the other way round, dense and in blocks") {
  check_round_trips<Gpt2Bf16>("gpt2-bf16", {{Layout::hf, "gpt2-bf16"}});
  const TempFolder folder;
  const Loaded<Gpt2Bf16> loaded(parity + "gpt2-bf16", "mxfp4-q8");
  loaded.save(folder.path().string(), Layout::hf);
  CHECK(different(Loaded<Gpt2Bf16>(folder.path().string()), loaded) == "");
  LoadOptions options;
  CheckpointOptions checkpoint;
  options.map = checkpoint.map = true;
  ModelData<Gpt2Bf16> data;
  const auto files =
      std::make_shared<CheckpointFiles>(CheckpointFiles::open(parity + "gpt2-bf16", checkpoint));
  const auto error =
      error_of([&] { Loader(files, parameter_list(data.params), naming_of<Gpt2Bf16>(), options); });
  REQUIRE(error);
  CHECK(std::string(error->what()).find("to be mapped") != std::string::npos);
}

TEST_CASE("a language model of another family, tied, in bf16") {
  check_round_trips<MistralFullBf16>("mistral-full-bf16", {{Layout::hf, "mistral-full-bf16"},
                                                           {Layout::hf_old, "mistral-full-bf16"}});
}

TEST_CASE("formats that the file did not have: blocks with scales, f16, f32") {
  for (const char* storage : {"mxfp4", "mxfp4-q8", "f16", "f32"})
    for (const Layout layout : {Layout::hf, Layout::hf_old, Layout::internvl}) {
      CAPTURE(std::string(storage));
      const auto shown_to_string_layout =
          std::string(to_string(layout));  // clang 14: no capture of bindings
      CAPTURE(shown_to_string_layout);
      const TempFolder folder;
      const Loaded<VlmBf16> loaded(parity + "vlm-bf16", storage);
      loaded.save(folder.path().string(), layout);
      CHECK(different(Loaded<VlmBf16>(folder.path().string()), loaded) == "");
    }
  const TempFolder folder;
  Loaded<TextMxfp4>(parity + "text-mxfp4", "f32").save(folder.path().string(), Layout::openai);
  CHECK(different(Loaded<TextMxfp4>(folder.path().string()),
                  Loaded<TextMxfp4>(parity + "text-mxfp4", "f32")) == "");
}

TEST_CASE("the layout of blocks is the documented one") {
  const Loaded<VlmBf16> loaded(parity + "vlm-bf16", "mxfp4-q8");
  std::map<std::string, TensorSpec> specs;
  for (const auto& spec : Saver(loaded.parameters, Layout::hf, true).specs())
    specs[spec.name] = spec;
  const std::string layer = "model.language_model.layers.0.";
  const auto check = [&](const std::string& name, DType dtype, const std::vector<index_t>& shape) {
    CAPTURE(name);
    REQUIRE(specs.contains(name));
    CHECK(specs.at(name).dtype == dtype);
    CHECK(specs.at(name).shape == shape);
  };
  check(layer + "mlp.experts.gate_up_proj_blocks", DType::U8, {4, 64, 2, 16});
  check(layer + "mlp.experts.gate_up_proj_scales", DType::U8, {4, 64, 2});
  check(layer + "self_attn.q_proj.weight_blocks", DType::U8, {64, 64});
  check(layer + "self_attn.q_proj.weight_scales", DType::BF16, {64, 2});
  CHECK(!specs.contains(layer + "self_attn.q_proj.weight"));
}

TEST_CASE("a layout that joins tensors refuses those it cannot join") {
  const Loaded<TextMxfp4> loaded(parity + "text-mxfp4", "mxfp4-q8");
  const auto error = error_of([&] { Saver(loaded.parameters, Layout::openai, false); });
  REQUIRE(error);
  CHECK(error->code() == Errc::unsupported);
  CHECK(error->field().find("attn.qkv.weight") != std::string::npos);
}

TEST_CASE("shards of a given size, with their index") {
  const Loaded<VlmBf16> loaded(parity + "vlm-bf16");
  const TempFolder folder;
  CheckpointWriteOptions options;
  options.max_shard_bytes = 50'000;
  const auto written = loaded.save(folder.path().string(), Layout::hf, options);
  CHECK(written.size() > 4);
  CHECK(written.back() == "model.safetensors.index.json");
  for (const auto& name : written) CHECK(fs::file_size(folder / name) < 70'000);
  CHECK(different_files(folder.path().string(), parity + "vlm-bf16-hf-new") == "");
  // One file in their place: the shards go.
  options.max_shard_bytes = 0, options.overwrite = true;
  loaded.save(folder.path().string(), Layout::hf, options);
  CHECK(folder.file_count() == 1);
  CHECK(different(Loaded<VlmBf16>(folder.path().string()), loaded) == "");
}

TEST_CASE("a system call that fails, whichever: the checkpoint that was there stays whole") {
  const Loaded<VlmBf16> before(parity + "vlm-bf16"), after(parity + "vlm-bf16", "mxfp4");
  const TempFolder folder;
  const std::string path = folder.path().string();
  before.save(path, Layout::hf);
  const std::string old = file_bytes(folder / "model.safetensors");
  CheckpointWriteOptions options;
  options.ops = &faulty_file_ops, options.overwrite = true;
  CHECK(code_of([&] { after.save(path, Layout::hf); }) == "io_error");  // not asked to overwrite
  int failures = 0;
  for (int call = 1;; ++call) {
    CAPTURE(call);
    Faults::set(Faults::Kind::error, ENOSPC, call, false);
    const bool failed = code_of([&] { after.save(path, Layout::hf, options); }) == "io_error";
    Faults::set(Faults::Kind::error, 0, 0, false);
    CHECK(folder.file_count() == 1);  // nothing half-written beside it
    const std::string now = file_bytes(folder / "model.safetensors");
    if (now != old) break;  // from the rename on the new one is there, whole
    CHECK(failed);
    ++failures;
    REQUIRE(call < 10'000);
  }
  CHECK(failures > 5);
  CHECK(different(Loaded<VlmBf16>(path), after) == "");
}

}  // namespace save_test
