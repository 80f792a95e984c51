// A checkpoint folder becomes a model, or an error that names what does not fit.
#include "gov/model/gov_model.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "tests/io/temp_folder.hpp"
#include "tests/support/checkpoint_copy.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/models/fixtures.hpp"
#include "tests/support/models/tiny.hpp"
#include "tests/support/models/zoo.hpp"

namespace gov_model_test {

using namespace gov;
using namespace gov::test;

const std::filesystem::path fixtures = "tests/fixtures/parity";
const std::vector<int> ids{5, 127, 127, 127, 127, 9, 10, 11, 12, 13, 14, 15};

template <class Model>
std::vector<float> logits(const Model& model) {
  const auto pixels = random_values(3 * 32 * 32, 1);
  auto session = model.session({.context = 32, .arithmetic = Arithmetic::invariant});
  return Kept<float>(
             session.forward({.input_ids = ids, .pixel_values = {pixels.data(), 1, 3, 32, 32}}))
      .logits;
}

struct Quantised : VlmBf16 {
  static constexpr std::string_view storage = "mxfp4-q8";
};
struct TiedGov : InternVl {
  [[maybe_unused]] static constexpr std::string_view name = "TiedGov";
  using Vision = TinyInternVit;
  using Language = TinyGptOss;
  static constexpr InternVlConfig config{.tie_word_embeddings = true};
};

TEST_CASE("every spelling of a checkpoint runs to the same logits") {
  ModelOptions options;
  options.threads = 2;
  const auto model = GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16", options);
  CHECK(model.threads() == 2);
  CHECK(model.folder() == fixtures / "vlm-bf16");
  CHECK(model.tokens().image_token_id == 127);
  const auto first = logits(model);
  CHECK(all_finite(first));
  for (const char* folder : {"vlm-bf16-hf-new", "vlm-bf16-hf-old", "vlm-bf16-internvl"}) {
    CAPTURE(std::string(folder));
    options.image_token_id = std::string_view(folder).ends_with("internvl") ? 127 : -1;
    CHECK(same_bits(logits(GovModel<VlmBf16>::from_pretrained(fixtures / folder, options)), first));
  }
}

TEST_CASE("the image token's id must come from somewhere, and lie in the vocabulary") {
  const auto error =
      error_of([] { GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16-internvl"); });
  REQUIRE(error);
  CHECK(error->code() == Errc::missing_field);
  CHECK(error->field() == "image_token_id");
  ModelOptions options;
  options.image_token_id = 128;
  const auto beyond =
      error_of([&] { GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16", options); });
  REQUIRE(beyond);
  CHECK(beyond->field() == "image_token_id");
  CHECK(beyond->found() == "128");
}

TEST_CASE("parts of the model have names") {
  const auto model = GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16");
  CHECK(&model.vision_tower() == &model.params().model.vision_tower);
  CHECK(&model.projector() == &model.params().model.multi_modal_projector);
  CHECK(&model.language_model() == &model.params().model.language_model);
  CHECK(&model.embed_tokens() == &model.params().model.language_model.embed_tokens);
  CHECK(&model.lm_head() == &model.params().lm_head);
  const GovModel<TiedGov> tied(tiny_model<TiedGov>());
  CHECK(&tied.lm_head() == &tied.embed_tokens());
  const GovModel<TinyGptOss> text(tiny_model<TinyGptOss>());
  CHECK(&text.language_model() == &text.params().model);
  CHECK(differences(model.description(), ModelDescription::of<VlmBf16>()).empty());
  CHECK(model.description().language.max_position_embeddings() == 512);
}

// A model of which only the type and the places of its parts are looked at.
template <class Cfg>
GovModel<Cfg> empty_model() {
  ModelOptions options;
  options.threads = 1;
  return GovModel<Cfg>(std::make_shared<ModelData<Cfg>>(), options);
}

// What knows one set of names works on every model: each name of a part is the same part.
template <class Model>
void check_names(const Model& model) {
  CHECK(&model.model() == &model.params().model);
  CHECK(&model.transformer() == &model.model());
  CHECK(&model.get_model() == &model.model());
  const auto& embeddings = model.language_model().embed_tokens;
  CHECK(&model.embed_tokens() == &embeddings);
  CHECK(&model.wte() == &embeddings);
  CHECK(&model.get_input_embeddings() == &embeddings);
  using C = typename Model::A::LanguageConfig;
  constexpr LanguageGeometry geometry = geometry_of(C::config);
  CHECK(Model::hidden_size() == geometry.hidden_size);
  CHECK(Model::n_embd() == geometry.hidden_size);
  CHECK(Model::num_hidden_layers() == std::ssize(model.language_model().layers));
  CHECK(Model::n_layer() == Model::num_hidden_layers());
  CHECK(model.max_position_embeddings() == geometry.max_position_embeddings);
  CHECK(model.n_positions() == model.max_position_embeddings());
}

// One vision part, whatever the language model.
template <class Text>
struct LlavaOver : Llava {
  [[maybe_unused]] static constexpr std::string_view name = "LlavaOver";
  using Vision = zoo::ClipVit4;
  using Language = Text;
  static constexpr LlavaConfig config{.tie_word_embeddings = true};
};
template <class Text>
void check_names_alone_and_behind_a_tower() {
  const auto text = empty_model<Text>();
  check_names(text);
  CHECK(&text.model() == &text.language_model());
  const auto llava = empty_model<LlavaOver<Text>>();
  check_names(llava);
  CHECK(&llava.get_model().language_model == &llava.language_model());
  CHECK(&llava.get_model().vision_tower == &llava.vision_tower());
  CHECK(&llava.get_model().multi_modal_projector == &llava.projector());
}

TEST_CASE("the names that GPT-2, MPT, Llama and LLaVA have for a part are every model's") {
  check_names_alone_and_behind_a_tower<zoo::ZooGpt2>();
  check_names_alone_and_behind_a_tower<zoo::ZooMpt>();
  check_names_alone_and_behind_a_tower<zoo::ZooLlama>();
  CHECK(GovModel<zoo::ZooGpt2>::n_embd() == zoo::ZooGpt2::config.n_embd);
  CHECK(GovModel<zoo::ZooGpt2>::n_layer() == zoo::ZooGpt2::config.n_layer);
  CHECK(empty_model<zoo::ZooGpt2>().n_positions() == zoo::ZooGpt2::config.n_positions);
  CHECK(GovModel<zoo::ZooMpt>::hidden_size() == zoo::ZooMpt::config.d_model);
  CHECK(GovModel<zoo::ZooLlama>::hidden_size() == zoo::ZooLlama::config.hidden_size);

  const auto videos = empty_model<zoo::ZooLlavaGpt2>();
  check_names(videos);
  CHECK(&videos.transformer().vision_tower == &videos.vision_tower());
  CHECK(&videos.transformer().projector == &videos.projector());
}

TEST_CASE("image features without a session") {
  const auto model = GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16");
  const auto pixels = random_values(3 * 32 * 32, 1);
  const PixelView view{pixels.data(), 1, 3, 32, 32};
  auto session = model.session({.context = 32});
  CHECK(same_bits(model.get_image_features({.pixel_values = view}),
                  Kept<float>(session.forward({.input_ids = ids, .pixel_values = view})).features));
}

TEST_CASE("a checkpoint of another geometry is refused with what differs") {
  const auto error = error_of([] { GovModel<VlmTiny>::from_pretrained(fixtures / "vlm-bf16"); });
  REQUIRE(error);
  CHECK(error->code() == Errc::no_matching_model);
  CHECK(error->file() == (fixtures / "vlm-bf16" / "config.json").string());
  CHECK(error->expected() == "the geometry of VlmTiny");
  CHECK(error->found().find("text_config.hidden_size=64 (compiled 48)") != std::string::npos);
  CHECK(error->found().find("text_config.sliding_window=8 (compiled 5)") != std::string::npos);
  CHECK(code_of([] { GovModel<TextMxfp4>::from_pretrained(fixtures / "vlm-bf16"); }) ==
        "no_matching_model");
}

TEST_CASE("another vocabulary is refused, whether config.json or a tensor says it") {
  const TempFolder folder;
  CheckpointCopy copy(fixtures / "vlm-bf16");
  const auto error = [&] {
    copy.write(folder.path());
    return error_of([&] { GovModel<VlmBf16>::from_pretrained(folder.path()); });
  };
  CHECK_FALSE(error());
  const std::string config = copy.config, key = "\"vocab_size\": 128";
  REQUIRE(config.find(key) != config.npos);
  copy.config.replace(config.find(key), key.size(), "\"vocab_size\": 129");
  const auto by_config = error();
  REQUIRE(by_config);
  CHECK(by_config->code() == Errc::no_matching_model);
  CHECK(by_config->found().find("text_config.vocab_size=129 (compiled 128)") != std::string::npos);
  copy.config = config;
  for (const char* name :
       {"language_model.model.embed_tokens.weight", "language_model.lm_head.weight"}) {
    const auto whole = copy.tensors.at(name);
    auto& tensor = copy.tensors.at(name);
    tensor.bytes.resize(tensor.bytes.size() / 128 * 127), tensor.shape[0] = 127;
    const auto by_tensor = error();
    REQUIRE(by_tensor);
    CHECK(by_tensor->code() == Errc::checkpoint_mismatch);
    CHECK(by_tensor->field() == name);
    CHECK(by_tensor->expected() == "[128, 64]");
    CHECK(by_tensor->found() == "[127, 64]");
    tensor = whole;
  }
}

TEST_CASE("a file that is cut or lacks tensors is refused") {
  const TempFolder folder;
  const CheckpointCopy copy(fixtures / "vlm-bf16");
  copy.write(folder.path());
  const std::string path = folder / "model.safetensors";
  const std::string whole = file_bytes(path);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    CAPTURE(size);
    folder.write("model.safetensors", std::string_view(whole).substr(0, size));
    const auto error = error_of([&] { GovModel<VlmBf16>::from_pretrained(folder.path()); });
    REQUIRE(error);
    CHECK(error->file() == path);
  }
  folder.write("model.safetensors", whole);
  CHECK_NOTHROW(GovModel<VlmBf16>::from_pretrained(folder.path()));
  CheckpointCopy lacking = copy;
  lacking.tensors.erase("language_model.model.norm.weight");
  lacking.write(folder.path());
  const auto error = error_of([&] { GovModel<VlmBf16>::from_pretrained(folder.path()); });
  REQUIRE(error);
  CHECK(error->field() == "language_model.model.norm.weight");
  std::filesystem::remove(path);
  CHECK(code_of([&] { GovModel<VlmBf16>::from_pretrained(folder.path()); }) == "io_error");
  CHECK(code_of([&] { GovModel<VlmBf16>::from_pretrained(folder.path() / "absent"); }) ==
        "io_error");
}

TEST_CASE("storage: what the caller says, else what the type says, else as stored") {
  const auto format = [](const auto& model) {
    return model.params().model.language_model.layers[0].mlp.down_proj.format;
  };
  ModelOptions options;
  CHECK(format(GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16")) == Format::bf16);
  const auto quantised = GovModel<Quantised>::from_pretrained(fixtures / "vlm-bf16");
  CHECK(format(quantised) == Format::mxfp4);
  const auto& lost =
      quantised.conversion_errors().at("model.language_model.layers.0.mlp.experts.down_proj");
  CHECK(lost.nmse() > 1e-3);
  CHECK(lost.nmse() < 5e-2);
  options.load.storage = parse_storage("f32");
  CHECK(format(GovModel<Quantised>::from_pretrained(fixtures / "vlm-bf16", options)) ==
        Format::f32);
  // f32 holds bf16's numbers exactly, so the logits are the same bits.
  CHECK(same_bits(logits(GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16", options)),
                  logits(GovModel<VlmBf16>::from_pretrained(fixtures / "vlm-bf16"))));
}

TEST_CASE("a backend by name, by tag, by default; a name that does not exist") {
  const auto data = tiny_model<TinyGov>();
  ModelOptions options;
  options.backend = "scalar";
  const GovModel<TinyGov> model(data, options);
  CHECK(model.backend() == "scalar");
  CHECK(kernel::find_kernels<float>(GovModel<TinyGov>(data).backend()) != nullptr);
  auto named = model.session({.context = 32}),
       by_tag = model.session<float, kernel::scalar>({.context = 32});
  const Inputs inputs{.input_ids = ids};
  CHECK(same_bits(Kept<float>(named.forward(inputs)), Kept<float>(by_tag.forward(inputs))));
  auto truth = model.session<double>({.context = 32});
  CHECK(nmse(Kept<double>(truth.forward(inputs)).logits, Kept<float>(named.outputs()).logits) <
        1e-11);
  options.backend = "gpu";
  const auto error = error_of([&] { const GovModel<TinyGov> none(data, options); });
  REQUIRE(error);
  CHECK(error->field() == "backend");
}

TEST_CASE("two threads with a session each, on one model, do not disturb each other") {
  ModelOptions options;
  options.threads = 2;
  const GovModel<TinyGov> model(tiny_model<TinyGov>(), options);
  const auto run = [&](int seed) {
    auto session = model.session({.context = 64});
    const auto prompt = random_ids(20, static_cast<std::uint64_t>(seed));
    Kept<float> all(session.forward({.input_ids = prompt}));
    for (int i = 3; i < 20; ++i) all.append(session.forward({.input_ids = {&i, 1}}));
    return all;
  };
  const auto one = run(1), two = run(2);
  Kept<float> first, second;
  std::thread other([&] { second = run(2); });
  first = run(1);
  other.join();
  CHECK(same_bits(first, one));
  CHECK(same_bits(second, two));
}

TEST_CASE("fresh random weights: the same for a seed, finite, in any storage") {
  ModelOptions options;
  for (const char* storage : {"as-stored", "mxfp4-q8"}) {
    options.load.storage = parse_storage(storage);
    const auto run = [&](std::uint64_t seed) {
      const auto model = GovModel<TinyGov>::random(seed, options);
      auto session = model.session({.context = 32});
      return Kept<float>(session.forward({.input_ids = ids}));
    };
    const auto a = run(1);
    CHECK(all_finite(a.logits));
    CHECK(same_bits(a, run(1)));
    CHECK_FALSE(same_bits(a, run(2)));
  }
}

}  // namespace gov_model_test
