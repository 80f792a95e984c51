// Loading: every layout and every way of loading gives the same bits; everything that does not fit
// is named at once; what fails leaves nothing behind.
#include "gov/model/load.hpp"

#include <doctest/doctest.h>

#include "gov/core/rng.hpp"
#include "gov/io/safetensors_writer.hpp"
#include "gov/language/llama.hpp"
#include "gov/model/model_data.hpp"
#include "tests/io/advice_ops.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/parity/generated_weights.hpp"
#include "tests/support/checkpoint_copy.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/fixtures.hpp"

namespace load_test {

using namespace gov;
using namespace gov::test;

const std::filesystem::path fixtures = "tests/fixtures/parity";

// A Llama of the shapes of mistral-window's tensors, and one of other numbers.
struct LlamaLikeMistral : Llama {
  [[maybe_unused]] static constexpr std::string_view name = "LlamaLikeMistral";
  static constexpr LlamaConfig config{.hidden_size = 32,
                                      .intermediate_size = 48,
                                      .num_hidden_layers = 3,
                                      .num_attention_heads = 6,
                                      .num_key_value_heads = 3,
                                      .head_dim = 12,
                                      .vocab_size = 64};
};
struct OtherLlama : Llama {
  [[maybe_unused]] static constexpr std::string_view name = "OtherLlama";
  static constexpr LlamaConfig config{.hidden_size = 32,
                                      .intermediate_size = 48,
                                      .num_hidden_layers = 2,
                                      .num_attention_heads = 6,
                                      .num_key_value_heads = 6,
                                      .head_dim = 12,
                                      .vocab_size = 64};
};

template <class Cfg>
struct Loaded {
  ModelData<Cfg> data;
  Layout layout{};
  std::map<std::string, kernel::QuantizeError> errors;
  std::vector<std::string> absent;
};

template <class Cfg>
void load_into(Loaded<Cfg>& to, const std::filesystem::path& folder, const LoadOptions& options,
               int threads = 2) {
  CheckpointOptions checkpoint;
  checkpoint.map = options.map, checkpoint.check_finite = options.check_finite;
  auto files =
      std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder.string(), checkpoint));
  Loader loader(std::move(files), parameter_list(to.data.params), naming_of<Cfg>(), options);
  ThreadPool pool(threads);
  auto weights = loader.load(pool);
  CHECK(weights.layout == loader.layout());
  to.data.weights = std::move(weights.block), to.data.maps = std::move(weights.maps);
  to.layout = loader.layout(), to.errors = loader.conversion_errors();
  to.absent = loader.absent();
}

template <class Cfg>
std::unique_ptr<Loaded<Cfg>> load_folder(const std::filesystem::path& folder,
                                         const LoadOptions& options = {}, int threads = 2) {
  auto loaded = std::make_unique<Loaded<Cfg>>();
  load_into(*loaded, folder, options, threads);
  return loaded;
}

LoadOptions stored_as(const char* storage) {
  LoadOptions options;
  options.storage = parse_storage(storage);
  return options;
}

// Names of parameters whose format or bytes differ.
template <class Cfg>
std::string different(Loaded<Cfg>& a, Loaded<Cfg>& b) {
  std::string names;
  const auto ours = parameter_list(a.data.params), theirs = parameter_list(b.data.params);
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const Storage &x = *ours[i].storage, &y = *theirs[i].storage;
    const auto bytes = static_cast<std::size_t>(ours[i].data_bytes(x.format));
    const auto scales = static_cast<std::size_t>(ours[i].scales_bytes(x.format));
    if (x.format != y.format || std::memcmp(x.data, y.data, bytes) != 0 ||
        (scales > 0 && std::memcmp(x.scales, y.scales, scales) != 0))
      names += ours[i].name + " ";
  }
  return names;
}

// A parameter widened, [experts * out, in].
std::vector<float> widened(const ParameterRef& p) {
  std::vector<float> values(static_cast<std::size_t>(p.size()));
  const WeightView view{p.storage->format, p.storage->data, p.storage->scales, p.experts * p.out,
                        p.in};
  for (index_t row = 0; row < view.out; ++row)
    kernel::widen_row(kernel::scalar{}, view, row, values.data() + row * p.in);
  return values;
}

float element(const CheckpointCopy::Tensor& tensor, index_t i) {
  if (tensor.dtype == DType::F32) {
    float value;
    std::memcpy(&value, tensor.bytes.data() + 4 * i, 4);
    return value;
  }
  bf16 value;
  std::memcpy(&value, tensor.bytes.data() + 2 * i, 2);
  return to_float(value);
}

TEST_CASE("each number lands where it belongs, dense experts turned to [out, in]") {
  const auto folder = fixtures / "vlm-bf16-hf-new";  // our own names
  const CheckpointCopy file(folder);
  const auto loaded = load_folder<VlmBf16>(folder);
  const auto list = parameter_list(loaded->data.params);
  CHECK(list.size() == file.tensors.size());
  for (const auto& p : list) {
    CAPTURE(p.name);
    const auto& tensor = file.tensors.at(p.name);
    CHECK(p.storage->format == (p.is_matrix ? Format::bf16 : Format::f32));
    CHECK(p.storage->stored_as == DType::BF16);
    CHECK(reinterpret_cast<std::uintptr_t>(p.storage->data) % 64 == 0);
    const auto values = widened(p);
    bool equal = true;
    for (index_t e = 0; e < p.experts; ++e)
      for (index_t o = 0; o < p.out; ++o)
        for (index_t i = 0; i < p.in; ++i) {
          const index_t ours = (e * p.out + o) * p.in + i;
          const index_t theirs = p.is_expert ? (e * p.in + i) * p.out + o : ours;
          equal = equal && values[static_cast<std::size_t>(ours)] == element(tensor, theirs);
        }
    CHECK(equal);
  }
}

template <class Cfg>
void check_layouts(const std::vector<std::pair<const char*, Layout>>& folders) {
  const auto first = load_folder<Cfg>(fixtures / folders.front().first);
  for (const auto& [folder, layout] : folders) {
    const auto shown_folder = folder;  // clang 14: no capture of bindings
    CAPTURE(shown_folder);
    const auto loaded = load_folder<Cfg>(fixtures / folder);
    CHECK(loaded->layout == layout);
    CHECK(different(*loaded, *first) == "");
  }
}

TEST_CASE("every spelling of a checkpoint gives the same bits") {
  check_layouts<VlmBf16>({{"vlm-bf16", Layout::hf_old},
                          {"vlm-bf16-hf-new", Layout::hf},
                          {"vlm-bf16-hf-old", Layout::hf_old},
                          {"vlm-bf16-internvl", Layout::internvl}});
  check_layouts<TextMxfp4>({{"text-mxfp4", Layout::hf}, {"text-mxfp4-openai", Layout::openai}});
  check_layouts<VlmTiny>({{"vlm-tiny", Layout::hf_old}, {"vlm-tiny-sharded", Layout::hf_old}});
  check_layouts<MixtralBf16>({{"mixtral-bf16", Layout::hf}, {"mixtral-bf16-memory", Layout::hf}});
}

TEST_CASE("any number of threads loads the same bits") {
  for (const char* storage : {"as-stored", "mxfp4-q8"}) {
    const auto one = load_folder<VlmBf16>(fixtures / "vlm-bf16", stored_as(storage), 1);
    const auto three = load_folder<VlmBf16>(fixtures / "vlm-bf16", stored_as(storage), 3);
    CHECK(different(*one, *three) == "");
  }
}

TEST_CASE("mapped equals copied, and takes less memory") {
  for (const char* folder : {"text-mxfp4", "text-mxfp4-openai"}) {
    const auto shown_folder = folder;  // clang 14: no capture of bindings
    CAPTURE(shown_folder);
    const auto copied = load_folder<TextMxfp4>(fixtures / folder);
    LoadOptions options;
    options.map = true;
    const auto mapped = load_folder<TextMxfp4>(fixtures / folder, options);
    CHECK(different(*mapped, *copied) == "");
    CHECK(copied->data.maps.empty());
    CHECK(mapped->data.maps.size() == 1);
    CHECK(mapped->data.weights.size() <
          copied->data.weights.size() / 4);  // the widened vectors alone
  }
}

TEST_CASE("a mapped file whose tensors lie at odd addresses is copied where it must be") {
  const TempFolder folder;
  std::string bytes = file_bytes((fixtures / "text-mxfp4" / "model.safetensors").string());
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  bytes.insert(8 + static_cast<std::size_t>(length), " ");
  ++length;
  std::memcpy(bytes.data(), &length, 8);
  folder.write("model.safetensors", bytes);
  LoadOptions options;
  options.map = true;
  const auto mapped = load_folder<TextMxfp4>(folder.path(), options);
  for (const auto& p : parameter_list(mapped->data.params))
    if (p.storage->format == Format::bf16)
      CHECK(reinterpret_cast<std::uintptr_t>(p.storage->data) % 2 == 0);
  CHECK(different(*mapped, *load_folder<TextMxfp4>(fixtures / "text-mxfp4")) == "");
}

TEST_CASE("dense experts cannot be mapped, and the error says why") {
  LoadOptions options;
  options.map = true;
  const auto error = error_of([&] { load_folder<VlmBf16>(fixtures / "vlm-bf16", options); });
  REQUIRE(error);
  const std::string what = error->what();
  CHECK(what.find("4 problems") != what.npos);  // two layers, two matrices
  CHECK(what.find("[experts, in, out]") != what.npos);
  CHECK(what.find("load without map") != what.npos);
  options.storage =
      parse_storage("mxfp4");  // they are converted on the way, so nothing is to be viewed
  const auto mapped = load_folder<VlmBf16>(fixtures / "vlm-bf16", options);
  CHECK(different(*mapped, *load_folder<VlmBf16>(fixtures / "vlm-bf16", stored_as("mxfp4"))) == "");
}

TEST_CASE("storage policies: formats and how near the numbers stay") {
  const auto exact = load_folder<VlmBf16>(fixtures / "vlm-bf16");
  struct Case {
    const char* storage;
    Format experts, language, vision;
    double experts_nmse, language_nmse;
  };
  const Case cases[] = {{"as-stored", Format::bf16, Format::bf16, Format::bf16, 0, 0},
                        {"f32", Format::f32, Format::f32, Format::f32, 0, 0},
                        {"f16", Format::f16, Format::f16, Format::f16, 1e-7, 1e-7},
                        {"mxfp4", Format::mxfp4, Format::bf16, Format::bf16, 0.03, 0},
                        {"mxfp4-q8", Format::mxfp4, Format::q8, Format::bf16, 0.03, 1e-4}};
  for (const auto& each : cases) {
    CAPTURE(each.storage);
    const auto loaded = load_folder<VlmBf16>(fixtures / "vlm-bf16", stored_as(each.storage));
    const auto ours = parameter_list(loaded->data.params),
               truth = parameter_list(exact->data.params);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const auto& p = ours[i];
      CAPTURE(p.name);
      const bool vision =
          p.name.find("vision_tower") != p.name.npos || p.name.find("projector") != p.name.npos;
      const bool router = p.name.find("router") != p.name.npos;
      const Format expected = !p.is_matrix                            ? Format::f32
                              : p.is_expert                           ? each.experts
                              : vision                                ? each.vision
                              : router && each.language == Format::q8 ? Format::bf16
                                                                      : each.language;
      CHECK(p.storage->format == expected);
      const auto a = widened(p), b = widened(truth[i]);
      double error = 0, power = 0;
      for (std::size_t j = 0; j < a.size(); ++j) {
        const double gap = static_cast<double>(a[j]) - static_cast<double>(b[j]);
        error += gap * gap, power += static_cast<double>(b[j]) * static_cast<double>(b[j]);
      }
      CHECK(error <= power * (p.is_expert              ? each.experts_nmse
                              : vision || !p.is_matrix ? std::min(1e-7, each.language_nmse)
                                                       : each.language_nmse));
      if (is_blocked(expected)) CHECK(error > 0);
    }
  }
}

TEST_CASE("MXFP4 experts widen exactly") {
  const auto stored = load_folder<TextMxfp4>(fixtures / "text-mxfp4");
  const auto wide = load_folder<TextMxfp4>(fixtures / "text-mxfp4", stored_as("f32"));
  const auto a = parameter_list(stored->data.params), b = parameter_list(wide->data.params);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(a[i].name);
    CHECK(a[i].storage->format == (a[i].is_expert   ? Format::mxfp4
                                   : a[i].is_matrix ? Format::bf16
                                                    : Format::f32));
    CHECK(a[i].storage->stored_as == (a[i].is_expert ? DType::U8 : DType::BF16));
    CHECK(b[i].storage->format == Format::f32);
    CHECK(widened(a[i]) == widened(b[i]));
  }
}

TEST_CASE("everything that does not fit is named in one error, before anything is loaded") {
  const std::string layer = "model.layers.1.";
  CheckpointCopy copy(fixtures / "text-mxfp4");
  copy.tensors.erase(layer + "self_attn.sinks");
  copy.tensors.erase(layer + "mlp.experts.down_proj_scales");
  copy.rename(layer + "self_attn.q_proj.weight", layer + "self_attn.query.weight");
  auto& shape = copy.tensors.at("lm_head.weight").shape;
  std::swap(shape[0], shape[1]);
  auto& norm = copy.tensors.at("model.norm.weight");
  norm.dtype = DType::I16;
  auto& blocks = copy.tensors.at(layer + "mlp.experts.gate_up_proj_blocks");
  std::swap(blocks.shape[2], blocks.shape[3]);
  const TempFolder folder;
  copy.write(folder.path());

  Loaded<TextMxfp4> loaded;
  const auto error = error_of([&] { load_into(loaded, folder.path(), {}); });
  REQUIRE(error);
  CHECK(error->code() == Errc::checkpoint_mismatch);
  CHECK(error->file() == folder.path().string());
  const std::string what = error->what();
  for (const std::string& part : std::vector<std::string>{
           layer + "self_attn.sinks: expected a tensor [4], found nothing",
           layer + "mlp.experts.down_proj_scales: expected the scales of its blocks, found nothing",
           layer + "self_attn.q_proj.weight: expected a tensor [64, 64], found nothing",
           layer +
               "self_attn.query.weight: expected no such tensor in this model, found it is there",
           std::string("lm_head.weight: expected [112, 64], found [64, 112]"),
           std::string("model.norm.weight: expected F32, BF16 or F16, found I16 [64]"),
           layer + "mlp.experts.gate_up_proj_blocks: expected U8 [4, 192, 2, 16], found U8 [4, "
                   "192, 16, 2]"}) {
    CAPTURE(part);
    CHECK(what.find(part) != what.npos);
  }
  CHECK(what.find("7 problems") != what.npos);
  for (const auto& p : parameter_list(loaded.data.params)) CHECK(p.storage->data == nullptr);
}

TEST_CASE("weights of a Mistral under a Llama's type: refused where the shapes tell them apart") {
  const TempFolder folder;
  write_generated(fixtures / "mistral-window", folder.path());
  Loaded<OtherLlama> other;
  const auto error = error_of([&] { load_into(other, folder.path(), {}); });
  REQUIRE(error);
  CHECK(error->code() == Errc::checkpoint_mismatch);
  CHECK(error->file() == folder.path().string());
  const std::string what = error->what();
  CHECK(what.find("model.layers.0.self_attn.k_proj.weight: expected [72, 32], found [36, 32]") !=
        what.npos);
  CHECK(what.find("model.layers.2.") != what.npos);  // a layer that this Llama lacks
  for (const auto& p : parameter_list(other.data.params)) CHECK(p.storage->data == nullptr);
  // Names and shapes are all that there is to tell by: README says so.
  load_folder<LlamaLikeMistral>(folder.path());
}

TEST_CASE("one problem is the error itself") {
  CheckpointCopy copy(fixtures / "vlm-bf16-internvl");
  auto& qkv = copy.tensors.at("vision_model.encoder.layers.1.attn.qkv.weight");
  qkv.shape[0] -= 1, qkv.bytes.resize(qkv.bytes.size() - 64);
  const TempFolder folder;
  copy.write(folder.path());
  const auto error = error_of([&] { load_folder<VlmBf16>(folder.path()); });
  REQUIRE(error);
  CHECK(error->field() == "vision_model.encoder.layers.1.attn.qkv.weight");
  CHECK(error->file() == folder / "model.safetensors");
  CHECK(error->expected() == "[96, 32]");
  CHECK(error->found() == "[95, 32]");
}

TEST_CASE("a fused tensor that is missing or of another type is named once") {
  CheckpointCopy copy(fixtures / "vlm-bf16-internvl");
  copy.tensors.erase("vision_model.encoder.layers.0.attn.qkv.bias");
  auto& weight = copy.tensors.at("vision_model.encoder.layers.0.attn.qkv.weight");
  weight.dtype = DType::I16;
  const TempFolder folder;
  copy.write(folder.path());
  const auto error = error_of([&] { load_folder<VlmBf16>(folder.path()); });
  REQUIRE(error);
  const std::string what = error->what();
  CHECK(what.find("2 problems") != what.npos);
  CHECK(what.find("attn.qkv.bias: expected a tensor, found nothing") != what.npos);
  CHECK(what.find("attn.qkv.weight: expected F32, BF16 or F16, found I16 [96, 32]") != what.npos);
}

TEST_CASE(
    "experts of a layer in one tensor: mapped, converted, and refused where they do not fit") {
  const std::string source = "mixtral-bf16-memory";
  LoadOptions options;
  const auto copied = load_folder<MixtralBf16>(fixtures / source);
  options.map = true;
  const auto mapped = load_folder<MixtralBf16>(fixtures / source, options);
  CHECK(different(*copied, *mapped) == "");
  CHECK(mapped->data.weights.size() == 5 * 32 * 4);  // the norms alone, which become f32
  const auto blocks = load_folder<MixtralBf16>(fixtures / source, stored_as("mxfp4-q8")),
             same = load_folder<MixtralBf16>(fixtures / "mixtral-bf16", stored_as("mxfp4-q8"));
  CHECK(different(*blocks, *same) == "");

  const std::string experts = "model.layers.1.mlp.experts.";
  const auto problem = [&](const auto& change) {
    CheckpointCopy copy(fixtures / source);
    change(copy);
    const TempFolder folder;
    copy.write(folder.path());
    const auto error = error_of([&] { load_folder<MixtralBf16>(folder.path()); });
    REQUIRE(error);
    CHECK(error->code() == Errc::checkpoint_mismatch);
    return std::string(error->what());
  };
  const auto reshaped = [&](const char* name, std::vector<index_t> shape) {
    const std::string what =
        problem([&](CheckpointCopy& copy) { copy.tensors.at(experts + name).shape = shape; });
    return what.substr(what.find(experts));
  };
  CHECK(reshaped("gate_up_proj", {256, 32}).find("expected [4, 64, 32], found [256, 32]") !=
        std::string::npos);
  CHECK(reshaped("gate_up_proj", {2, 128, 32}).find("found [2, 128, 32]") != std::string::npos);
  CHECK(reshaped("down_proj", {4, 16, 64}).find("expected [4, 32, 32]") != std::string::npos);
  const std::string absent =
      problem([&](CheckpointCopy& copy) { copy.tensors.erase(experts + "down_proj"); });
  CHECK(absent.find(experts + "down_proj: expected a tensor, found nothing") != absent.npos);
  CHECK(absent.find("problems") == absent.npos);  // said once, not for every expert
  const std::string router = problem([&](CheckpointCopy& copy) {
    copy.rename("model.layers.0.mlp.gate.weight", "model.layers.0.block_sparse_moe.gate.weight");
  });
  CHECK(router.find("model.layers.0.mlp.gate.weight: expected a tensor [4, 32], found nothing") !=
        router.npos);
}

TEST_CASE("a scale of 255 is NaN and refused, kept or converted") {
  CheckpointCopy copy(fixtures / "text-mxfp4");
  copy.tensors.at("model.layers.0.mlp.experts.down_proj_scales").bytes[100] = std::byte{255};
  const TempFolder folder;
  copy.write(folder.path());
  for (const char* storage : {"as-stored", "f32"}) {
    CAPTURE(storage);
    Loaded<TextMxfp4> loaded;
    const auto error = error_of([&] { load_into(loaded, folder.path(), stored_as(storage)); });
    REQUIRE(error);
    CHECK(error->code() == Errc::not_finite);
    CHECK(error->field() == "model.layers.0.mlp.experts.down_proj_scales");
    for (const auto& p : parameter_list(loaded.data.params)) CHECK(p.storage->data == nullptr);
  }
}

TEST_CASE("NaN in weights: loaded unless asked about") {
  CheckpointCopy copy(fixtures / "text-mxfp4");
  auto& bytes = copy.tensors.at("model.embed_tokens.weight").bytes;
  bytes[40] = std::byte{0xc0}, bytes[41] = std::byte{0x7f};
  const TempFolder folder;
  copy.write(folder.path());
  CHECK_NOTHROW(load_folder<TextMxfp4>(folder.path()));
  LoadOptions options;
  options.check_finite = true;
  const auto error = error_of([&] { load_folder<TextMxfp4>(folder.path(), options); });
  REQUIRE(error);
  CHECK(error->code() == Errc::not_finite);
  CHECK(error->field() == "model.embed_tokens.weight");
  // A format without a code for it refuses it as well.
  CHECK(code_of([&] { load_folder<TextMxfp4>(folder.path(), stored_as("mxfp4-q8")); }) ==
        "not_finite");
}

TEST_CASE("leftovers of older files and names without the base model's prefix are accepted") {
  CheckpointCopy copy(fixtures / "text-mxfp4");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : copy.tensors) names.push_back(name);
  for (const auto& name : names)
    if (name.starts_with("model.")) copy.rename(name, name.substr(6));
  copy.tensors["layers.0.self_attn.rotary_emb.inv_freq"] = copy.tensors.at("norm.weight");
  const TempFolder folder;
  copy.write(folder.path());
  CHECK(different(*load_folder<TextMxfp4>(folder.path()),
                  *load_folder<TextMxfp4>(fixtures / "text-mxfp4")) == "");
}

// VlmBf16 with a router bias that its checkpoint does not have.
struct VlmBiased : VlmBf16 {
  [[maybe_unused]] static constexpr std::string_view name = "VlmBiased";
  struct Language : VlmBf16::Language {
    template <class C>
    using FeedForward =
        MixtureOfExperts<C::config.hidden_size, C::config.intermediate_size,
                         C::config.num_local_experts, C::config.num_experts_per_tok, true>;
  };
};

TEST_CASE("what a model adds to another's checkpoint is 0, copied and mapped; the rest is there") {
  const auto plain = load_folder<VlmBf16>(fixtures / "vlm-bf16", stored_as("f32"));
  CHECK(plain->absent.empty());
  for (const bool map : {false, true}) {
    auto options = stored_as("f32");
    options.map = map;
    const auto loaded = load_folder<VlmBiased>(fixtures / "vlm-bf16", options);
    CHECK(loaded->absent ==
          std::vector<std::string>{"language_model.model.layers.0.mlp.router.vision_bias",
                                   "language_model.model.layers.1.mlp.router.vision_bias"});
    const auto& ours = loaded->data.params.language_model().layers;
    const auto& theirs = plain->data.params.language_model().layers;
    for (std::size_t layer = 0; layer < ours.size(); ++layer) {
      const float* const bias = ours[layer].mlp.vision_bias.values();
      CHECK(std::vector<float>(bias, bias + 4) == std::vector<float>(4));
      const auto& down = ours[layer].mlp.down_proj;
      CHECK(std::memcmp(down.data, theirs[layer].mlp.down_proj.data,
                        static_cast<std::size_t>(down.size) * 4) == 0);
    }
  }
  CheckpointCopy copy(fixtures / "vlm-bf16");
  const std::string router = "language_model.model.layers.1.mlp.router.";
  auto given = copy.tensors.at(router + "bias");
  copy.tensors.emplace(router + "vision_bias", given);
  const TempFolder folder;
  copy.write(folder.path());
  const auto loaded = load_folder<VlmBiased>(folder.path(), stored_as("f32"));
  const auto& layers = loaded->data.params.language_model().layers;
  CHECK(loaded->absent ==
        std::vector<std::string>{"language_model.model.layers.0.mlp.router.vision_bias"});
  CHECK(layers[0].mlp.vision_bias.values()[1] == 0);
  for (index_t e = 0; e < 4; ++e) CHECK(layers[1].mlp.vision_bias.values()[e] == element(given, e));
  given.shape = {2}, given.bytes.resize(4);
  copy.tensors.insert_or_assign(router + "vision_bias", given);
  copy.write(folder.path());
  const auto error = error_of([&] { load_folder<VlmBiased>(folder.path()); });
  REQUIRE(error);
  CHECK(error->field() == router + "vision_bias");
}

TEST_CASE("progress rises to 1") {
  for (const int threads : {1, 4}) {
    std::vector<double> shares;
    LoadOptions options;
    options.progress = [&](std::string_view step, double share) {
      CHECK(step == "loading");
      shares.push_back(share);
    };
    load_folder<VlmBf16>(fixtures / "vlm-bf16", options, threads);
    REQUIRE(shares.size() > 2);
    CHECK(std::is_sorted(shares.begin(), shares.end()));
    CHECK(shares.back() == 1);
    CHECK(shares.front() < 1);
  }
}

TEST_CASE("cancelled or interrupted loads leave the parameters empty") {
  for (const bool by_token : {true, false}) {
    std::stop_source source;
    LoadOptions options;
    options.stop = source.get_token();
    options.progress = [&](std::string_view, double) {
      if (!by_token) throw std::runtime_error("from the callback");
      source.request_stop();
    };
    Loaded<VlmBf16> loaded;
    if (by_token)
      CHECK(code_of([&] { load_into(loaded, fixtures / "vlm-bf16", options); }) == "cancelled");
    else
      CHECK_THROWS_WITH(load_into(loaded, fixtures / "vlm-bf16", options), "from the callback");
    for (const auto& p : parameter_list(loaded.data.params)) CHECK(p.storage->data == nullptr);
    CHECK(loaded.data.weights.size() == 0);
  }
}

// A checkpoint whose tensors are larger than the pieces that are read at a time: bf16 experts that
// lie [experts, in, out], a bf16 matrix, MXFP4 experts and a vector.
struct LargeCheckpoint {
  static constexpr index_t experts = 3, out = 3000, in = 800, rows = 5000, wide = 768;
  TempFolder folder;
  std::vector<TensorSpec> specs;
  std::map<std::string, std::vector<std::byte>> bytes;
  std::vector<ParameterRef> parameters;
  std::array<Storage, 4> storage{};

  LargeCheckpoint() {
    const auto add = [this](std::string name, DType dtype, std::vector<index_t> shape) {
      index_t count = bits_of(dtype) / 8;
      for (const index_t extent : shape) count *= extent;
      auto& data = bytes[name];
      data.resize(static_cast<std::size_t>(count));
      Rng rng(specs.size());
      for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
        const bf16 value = to_bf16(static_cast<float>(rng.uniform() - 0.5));
        std::memcpy(data.data() + i, &value, 2);
        if (dtype == DType::U8) data[i] &= std::byte{127}, data[i + 1] &= std::byte{127};
      }
      specs.push_back({std::move(name), dtype, std::move(shape)});
    };
    add("a.experts.gate_up_proj", DType::BF16, {experts, in, out});
    add("a.experts.down_proj_blocks", DType::U8, {experts, out, in / 32, 16});
    add("a.experts.down_proj_scales", DType::U8, {experts, out, in / 32});
    add("a.q_proj.weight", DType::BF16, {rows, wide});
    add("a.norm.weight", DType::BF16, {rows});
    parameters = {
        {"a.experts.gate_up_proj", &storage[0], {experts, in, out}, experts, out, in, true, true},
        {"a.experts.down_proj", &storage[1], {experts, in, out}, experts, out, in, true, true},
        {"a.q_proj.weight", &storage[2], {rows, wide}, 1, rows, wide, true, false},
        {"a.norm.weight", &storage[3], {rows}, 1, 1, rows, false, false}};
    CheckpointWriteOptions options;
    options.max_shard_bytes = std::uint64_t{16} << 20;  // several files
    write_checkpoint(
        folder.path().string(), specs,
        [this](const TensorSpec& spec, const ByteSink& sink) { sink(bytes.at(spec.name)); },
        options);
  }

  LoadedWeights load(const LoadOptions& options, int threads) {
    CheckpointOptions checkpoint;
    checkpoint.map = options.map;
    auto files = std::make_shared<CheckpointFiles>(
        CheckpointFiles::open(folder.path().string(), checkpoint, advice_ops));
    ThreadPool pool(threads);
    return Loader(std::move(files), parameters, false, options).load(pool);
  }
  // What an expert matrix's row is in the file, widened.
  std::vector<float> row(index_t e, index_t o) const {
    const auto& data = bytes.at("a.experts.gate_up_proj");
    std::vector<float> values;
    for (index_t i = 0; i < in; ++i)
      values.push_back(to_float(kernel::load_as<bf16>(data.data() + ((e * in + i) * out + o) * 2)));
    return values;
  }
  bool holds(std::size_t parameter, std::string_view tensor, bool scales = false) const {
    const auto& expected = bytes.at(std::string(tensor));
    const std::byte* const found = scales ? storage[parameter].scales : storage[parameter].data;
    return std::memcmp(found, expected.data(), expected.size()) == 0;
  }
};

TEST_CASE("tensors larger than a piece are loaded whole, turned and converted") {
  LargeCheckpoint checkpoint;
  for (const int threads : {1, 3}) {
    LoadOptions options;
    const auto kept = checkpoint.load(options, threads);
    CHECK(kept.conversion_errors.size() == 1);  // the vector, to f32
    CHECK(checkpoint.holds(1, "a.experts.down_proj_blocks"));
    CHECK(checkpoint.holds(1, "a.experts.down_proj_scales", true));
    CHECK(checkpoint.holds(2, "a.q_proj.weight"));
    bool turned = true;
    for (index_t e = 0; e < checkpoint.experts; ++e)
      for (index_t o = 0; o < checkpoint.out; o += 7) {
        const auto expected = checkpoint.row(e, o);
        for (index_t i = 0; i < checkpoint.in; ++i)
          turned =
              turned &&
              to_float(kernel::load_as<bf16>(checkpoint.storage[0].data +
                                             ((e * checkpoint.out + o) * checkpoint.in + i) * 2)) ==
                  expected[static_cast<std::size_t>(i)];
      }
    CHECK(turned);

    options.storage = parse_storage("mxfp4-q8");
    const auto packed = checkpoint.load(options, threads);
    CHECK(packed.conversion_errors.at("a.experts.gate_up_proj").nmse() > 1e-3);
    CHECK(packed.conversion_errors.at("a.experts.gate_up_proj").nmse() < 3e-2);
    CHECK(packed.conversion_errors.at("a.q_proj.weight").nmse() < 1e-4);
    CHECK(packed.conversion_errors.at("a.norm.weight").nmse() == 0);
    const index_t width = checkpoint.in / 2, fine = checkpoint.in / 32;
    bool equal = true;
    for (index_t e = 0; e < checkpoint.experts; ++e)
      for (index_t o = 0; o < checkpoint.out; o += 11) {
        const auto values = checkpoint.row(e, o);
        std::vector<std::byte> data(static_cast<std::size_t>(width)),
            scales(static_cast<std::size_t>(fine));
        kernel::quantize_row(kernel::scalar{}, Format::mxfp4, values.data(), checkpoint.in,
                             data.data(), scales.data());
        const index_t n = e * checkpoint.out + o;
        equal = equal &&
                std::memcmp(data.data(), checkpoint.storage[0].data + n * width, data.size()) == 0;
        equal = equal && std::memcmp(scales.data(), checkpoint.storage[0].scales + n * fine,
                                     scales.size()) == 0;
      }
    CHECK(equal);
  }
}

TEST_CASE("the errors of conversions are the same bits for any number of threads") {
  LargeCheckpoint checkpoint;
  LoadOptions options;
  options.storage = parse_storage("mxfp4-q8");
  const auto one = checkpoint.load(options, 1).conversion_errors;
  const auto four = checkpoint.load(options, 4).conversion_errors;
  REQUIRE(one.size() == four.size());
  for (const auto& [name, error] : one) {
    CHECK(error.error == four.at(name).error);
    CHECK(error.size == four.at(name).size);
  }
}

TEST_CASE("pages of the files are dropped when asked, each of them, and not when not") {
  LargeCheckpoint checkpoint;
  off_t total = 0;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint.folder.path()))
    if (entry.path().extension() == ".safetensors") total += static_cast<off_t>(entry.file_size());
  const auto advised = [&](int kind) {
    off_t sum = 0;
    for (const Advice& advice : given_advice) sum += advice.kind == kind ? advice.bytes : 0;
    return sum;
  };
  LoadOptions options;
  for (const char* storage : {"as-stored", "mxfp4-q8"}) {
    options.storage = parse_storage(storage);
    given_advice.clear();
    options.drop_pages = true;
    checkpoint.load(options, 2);
    CHECK(advised(POSIX_FADV_DONTNEED) > 2 * total - 10000);  // piece by piece, then whole files
    CHECK(advised(POSIX_FADV_WILLNEED) > total - 10000);
    given_advice.clear();
    options.drop_pages = false;
    checkpoint.load(options, 2);
    CHECK(advised(POSIX_FADV_DONTNEED) == 0);
  }
  given_advice.clear();
  options.drop_pages.reset();  // this is small: both fit
  checkpoint.load(options, 2);
  CHECK(advised(POSIX_FADV_DONTNEED) == 0);
  options.drop_pages = true, options.map = true, options.storage = parse_storage("mxfp4");
  checkpoint.load(options, 2);
  CHECK(advised(POSIX_FADV_DONTNEED) == 0);  // views stay in use
}

TEST_CASE("a number without a code names its file and tensor") {
  const std::uint16_t nan = 0x7fc0;
  for (const char* name : {"a.experts.gate_up_proj", "a.q_proj.weight"}) {
    LargeCheckpoint broken;
    std::memcpy(broken.bytes.at(name).data() + 4'000'000, &nan, 2);
    CheckpointWriteOptions write;
    write.overwrite = true;
    write_checkpoint(
        broken.folder.path().string(), broken.specs,
        [&](const TensorSpec& spec, const ByteSink& sink) { sink(broken.bytes.at(spec.name)); },
        write);
    LoadOptions options;
    options.storage = parse_storage("mxfp4-q8");
    const auto error = error_of([&] { broken.load(options, 2); });
    REQUIRE(error);
    CHECK(error->code() == Errc::not_finite);
    CHECK(error->info().field == name);
    CHECK(error->info().file.find(".safetensors") != std::string::npos);
  }
}

}  // namespace load_test
