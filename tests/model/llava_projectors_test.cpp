// Each of LLaVA's projectors, chosen by mm_projector_type of a folder in LLaVA's own spelling: what
// its file names them, the config that comes of it, and features against a composition by hand.
#include <doctest/doctest.h>

#include <map>
#include <span>

#include "gov/model/config_output.hpp"
#include "gov/model/llava.hpp"
#include "gov/model/llava_next.hpp"
#include "gov/model/load.hpp"
#include "gov/model/model_data.hpp"
#include "gov/model/registry.hpp"
#include "gov/model/save.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace llava_projectors_test {

using namespace gov;
using namespace gov::test;

constexpr index_t width = 16, patches = 9, side = 24;  // of the language model, of a picture

template <index_t VisionWidth>
struct Clip : ClipVitModules {
  static constexpr ClipVitConfig config{.hidden_size = VisionWidth,
                                        .intermediate_size = 16,
                                        .num_hidden_layers = 3,
                                        .num_attention_heads = 2,
                                        .image_size = {side, side},
                                        .patch_size = {8, 8}};
};
struct Text : Llama {
  static constexpr LlamaConfig config{.hidden_size = width,
                                      .intermediate_size = 24,
                                      .num_hidden_layers = 1,
                                      .num_attention_heads = 2,
                                      .num_key_value_heads = 2,
                                      .vocab_size = 32};
};

template <index_t Depth, index_t Residuals = 0, bool Sequential = true, index_t VisionWidth = 12>
struct Kind : Llava {
  static constexpr std::string_view name = "Kind";
  using Vision = Clip<VisionWidth>;
  using Language = Text;
  static constexpr LlavaConfig config{.mm_projector_type = {Depth, Residuals, Sequential}};
};

// config.json as LLaVA's trainer leaves it, but for the tower, which has no published name.
std::string config_text(const std::string& projector, index_t vision_width) {
  const std::string key = projector.empty() ? "" : R"("mm_projector_type":")" + projector + "\",";
  return R"({"architectures":["LlavaLlamaForCausalLM"],"model_type":"llava_llama",
      "hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,
      "num_key_value_heads":2,"vocab_size":32,"use_mm_proj":true,"mm_vision_select_layer":-2,)" +
         key + R"("vision_config":{"hidden_size":)" + std::to_string(vision_width) +
         R"(,"intermediate_size":16,"num_hidden_layers":3,"num_attention_heads":2,
      "image_size":24,"patch_size":8}})";
}

// The projector's tensors in the file, without "model.mm_projector.".
using Tensors = std::map<std::string, std::vector<index_t>>;

// A step of the projector: a layer, an activation or a residual block, by the place in the file.
struct Step {
  enum { linear, gelu, residual } what;
  std::string place{};
};

// A folder of random weights, whose names of the projector are given, not taken from the library.
template <class Cfg>
struct Setup {
  TempFolder folder;
  ModelData<Cfg> data, loaded;
  LoadedWeights weights;

  Setup(const std::string& config, const Tensors& projector) {
    data.weights = random_params(data.params);
    const Saver saver(parameter_list(data.params), Layout::llava, naming_of<Cfg>());
    Tensors found;
    constexpr std::string_view prefix = "model.mm_projector.";
    for (const TensorSpec& spec : saver.specs())
      if (spec.name.starts_with(prefix)) found[spec.name.substr(prefix.size())] = spec.shape;
    CHECK(found == projector);
    write_safetensors(
        folder / "model.safetensors", saver.specs(),
        [&](const TensorSpec& spec, const ByteSink& sink) { saver.supply(spec, sink); });
    folder.write("config.json", config);
    const auto files =
        std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder.path().string()));
    Loader loader(files, parameter_list(loaded.params), naming_of<Cfg>(), {});
    CHECK(loader.layout() == Layout::llava);
    ThreadPool pool(1);
    weights = loader.load(pool);
  }

  std::vector<float> tensor(const std::string& name) const {
    const auto file = SafeTensors::open(folder / "model.safetensors");
    const auto& entry = file.at("model.mm_projector." + name);
    std::vector<float> values(static_cast<std::size_t>(entry.bytes) / sizeof(float));
    file.read(entry, std::as_writable_bytes(std::span(values)));
    return values;
  }
};

std::vector<double> linear(const std::vector<double>& x, const std::vector<float>& weight,
                           const std::vector<float>& bias) {
  const auto out = static_cast<index_t>(bias.size());
  const WeightView view{Format::f32, reinterpret_cast<const std::byte*>(weight.data()), nullptr,
                        out, static_cast<index_t>(weight.size()) / out};
  return naive_linear(x, view, bias.data());
}

std::vector<double> gelu(std::vector<double> x) {
  for (double& value : x) value = naive_activation(kernel::Activation::gelu, value);
  return x;
}

// What the file's tensors make of the tower's features.
template <class Cfg>
std::vector<double> by_hand(const Setup<Cfg>& setup, std::vector<double> x,
                            const std::vector<Step>& steps) {
  const auto through = [&](const std::string& place, const std::vector<double>& in) {
    return linear(in, setup.tensor(place + "weight"), setup.tensor(place + "bias"));
  };
  for (const Step& step : steps) {
    if (step.what == Step::gelu) {
      x = gelu(x);
    } else if (step.what == Step::linear) {
      x = through(step.place, x);
    } else {
      const auto weight = setup.tensor(step.place + "pre_norm.weight"),
                 bias = setup.tensor(step.place + "pre_norm.bias");
      x = naive_norm(x, width, weight.data(), bias.data(), 1e-5, true);
      const auto inner = through(step.place + "proj.2.", gelu(through(step.place + "proj.0.", x)));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += inner[i];
    }
  }
  return x;
}

// A picture's features: of the loaded model, and of the tower alone with the steps by hand.
template <class Cfg>
void check_features(const Setup<Cfg>& setup, const std::vector<Step>& steps) {
  using Images = typename Architecture<Cfg>::Images;
  using Tower = typename Images::Vision;
  const auto pixels = random_values(3 * side * side, 5);
  const Inputs inputs{.pixel_values = {pixels.data(), 1, 3, side, side}};
  REQUIRE(Images::rows(inputs) == patches);
  ThreadPool pool(1);
  Arena arena;
  Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
  NoObserver none;
  std::vector<double> found(patches * width), hidden((patches + 1) * Tower::hidden_size);
  Images::forward(context, setup.loaded.params.model, inputs,
                  Rows<double>(found.data(), patches, width), none);
  Tower::forward(context, setup.data.params.model.vision_tower, pixels.data(), side, side, 2,
                 Rows<double>(hidden.data(), patches + 1, Tower::hidden_size), none);
  hidden.erase(hidden.begin(), hidden.begin() + Tower::hidden_size);  // the class token
  const auto expected = by_hand(setup, hidden, steps);
  CHECK(relative_gap(found, expected) < 1e-13);
}

template <class Cfg>
struct Other : Cfg {
  static constexpr std::string_view name = "Other";
  static constexpr LlavaConfig config{.mm_projector_type = {8, 1, true}};
};

// The folder is of this type and spelled again as it is; any other type is a typed error.
template <class Cfg>
void check_config(const Setup<Cfg>& setup, const std::string& spelled) {
  const ModelDescription wanted = describe(setup.folder.path());
  CHECK(differences(wanted, ModelDescription::of<Cfg>()).empty());
  const std::string text = config_json(wanted, Layout::llava, "float32");
  const Json again = parse_json(text, "again");
  CHECK(again.at("mm_projector_type").as_string() == spelled);
  CHECK(again.at("model_type").as_string() == "llava_llama");
  CHECK_FALSE(again.contains("text_config"));
  CHECK(differences(describe_config(again), wanted).empty());
  const auto refused =
      error_of([&] { auto_model<Other<Cfg>>::select(wanted, setup.folder.path()); });
  REQUIRE(refused);
  CHECK(refused->code() == Errc::no_matching_model);
  CHECK(refused->found().find("mm_projector_type=\"" + spelled +
                              "\" (compiled \"mlp8x_res1x_gelu\")") != std::string::npos);
  // transformers' class has one kind, and an image token in the place of -200.
  ModelDescription nested = wanted;
  const auto hf_error = [&] {
    return error_of([&] { config_json(nested, Layout::hf, "float32"); });
  };
  REQUIRE(hf_error());
  nested.tokens.image_token_id = 7;
  const auto hf = hf_error();
  CHECK(hf.has_value() == (spelled != "mlp2x_gelu"));
  if (hf) CHECK(hf->code() == Errc::unsupported);
}

template <class Cfg>
void check(const std::string& spelled, const Tensors& tensors, const std::vector<Step>& steps) {
  CAPTURE(spelled);
  const Setup<Cfg> setup(config_text(spelled, Cfg::Vision::config.hidden_size), tensors);
  check_config(setup, spelled);
  check_features(setup, steps);
}

const std::vector<index_t> first{width, 12}, square{width, width}, vector{width};

TEST_CASE("linear, the original's default") {
  const Tensors tensors{{"weight", first}, {"bias", vector}};
  check<Kind<1, 0, false>>("linear", tensors, {{Step::linear}});
  const Setup<Kind<1, 0, false>> unsaid(config_text("", 12), tensors);
  check_config(unsaid, "linear");
}

TEST_CASE("mlpNx_gelu: layers and activations share a count") {
  check<Kind<1>>("mlp1x_gelu", {{"0.weight", first}, {"0.bias", vector}}, {{Step::linear, "0."}});
  check<Kind<2>>(
      "mlp2x_gelu",
      {{"0.weight", first}, {"0.bias", vector}, {"2.weight", square}, {"2.bias", vector}},
      {{Step::linear, "0."}, {Step::gelu}, {Step::linear, "2."}});
  check<Kind<3>>("mlp3x_gelu",
                 {{"0.weight", first},
                  {"0.bias", vector},
                  {"2.weight", square},
                  {"2.bias", vector},
                  {"4.weight", square},
                  {"4.bias", vector}},
                 {{Step::linear, "0."},
                  {Step::gelu},
                  {Step::linear, "2."},
                  {Step::gelu},
                  {Step::linear, "4."}});
}

TEST_CASE("mlpNx_resMx_gelu: residual blocks behind the layers") {
  Tensors tensors{
      {"0.weight", first}, {"0.bias", vector}, {"2.weight", square}, {"2.bias", vector}};
  for (const std::string block : {"3.", "4."}) {
    tensors[block + "pre_norm.weight"] = tensors[block + "pre_norm.bias"] = vector;
    tensors[block + "proj.0.weight"] = tensors[block + "proj.2.weight"] = square;
    tensors[block + "proj.0.bias"] = tensors[block + "proj.2.bias"] = vector;
  }
  check<Kind<2, 2>>("mlp2x_res2x_gelu", tensors,
                    {{Step::linear, "0."},
                     {Step::gelu},
                     {Step::linear, "2."},
                     {Step::residual, "3."},
                     {Step::residual, "4."}});
}

TEST_CASE("identity: the tower's features, if they are as wide as the language model") {
  check<Kind<0, 0, false, width>>("identity", {}, {});
  const auto wide =
      error_of([] { describe_config(parse_json(config_text("identity", 12), "config.json")); });
  REQUIRE(wide);
  CHECK(wide->code() == Errc::bad_config);
  CHECK(wide->field() == "mm_projector_type");
  CHECK(wide->expected().find("16") != std::string::npos);
  CHECK(wide->found() == "12");
}

TEST_CASE("weights of one kind are not another's") {
  const Setup<Kind<1>> setup(config_text("mlp1x_gelu", 12),
                             {{"0.weight", first}, {"0.bias", vector}});
  const auto load = [&]<class Cfg>(const Cfg&) {
    const auto files =
        std::make_shared<CheckpointFiles>(CheckpointFiles::open(setup.folder.path().string()));
    ModelData<Cfg> data;
    Loader(files, parameter_list(data.params), naming_of<Cfg>(), {});
  };
  for (const auto& error :
       {error_of([&] { load(Kind<1, 0, false>{}); }), error_of([&] { load(Kind<2>{}); })}) {
    REQUIRE(error);
    CHECK(error->code() == Errc::checkpoint_mismatch);
    CHECK(std::string(error->what()).find("model.mm_projector.") != std::string::npos);
  }
}

struct Next : LlavaNext {
  using Vision = Clip<12>;
  using Language = Text;
  static constexpr LlavaNextConfig config{.mm_projector_type = {3, 0, true},
                                          .image_grid_pinpoints = {{48, 24}, {48, 48}}};
};

TEST_CASE("LLaVA-NeXT has the same choice") {
  std::string text = config_text("mlp3x_gelu", 12);
  text.insert(1, R"("mm_patch_merge_type":"spatial_unpad","image_aspect_ratio":"anyres",
      "image_grid_pinpoints":[[24,48],[48,48]],)");
  const auto found = describe_config(parse_json(text, "config.json"));
  CHECK(differences(found, ModelDescription::of<Next>()).empty());
  const Json again = parse_json(config_json(found, Layout::llava, "float32"), "again");
  CHECK(again.at("image_aspect_ratio").as_string() == "anyres");
  CHECK(again.at("image_grid_pinpoints").at(0).as_vector<int>() == std::vector<int>{24, 48});
  CHECK(differences(describe_config(again), found).empty());
  CHECK(naming_of<Next>().projector("linear_3.bias") == "4.bias");
}

TEST_CASE("what LLaVA's spelling cannot say") {
  const auto refused = [](const LlavaConfig& config, AnyLanguage language) {
    ModelDescription description = ModelDescription::of<Kind<2>>();
    description.composition->config = config;
    description.language = language;
    const auto error = error_of([&] { config_json(description, Layout::llava, "float32"); });
    return error ? error->expected() : "";
  };
  CHECK(refused({}, Text::config) == "");
  CHECK(refused({.vision_feature_layer = {-2, 1}}, Text::config) == "one vision_feature_layer");
  CHECK(refused({.multimodal_projector_bias = false}, Text::config).find("biases") !=
        std::string::npos);
  CHECK(refused({}, Gpt2Config{}).find("llama, mistral") != std::string::npos);
}

TEST_CASE("a tower with a published name goes by it") {
  const auto spelled = [](const AnyTower& tower) {
    ModelDescription description = ModelDescription::of<Llava15_7b>();
    description.composition->vision = tower;
    const std::string text = config_json(description, Layout::llava, "float16");
    CHECK(differences(describe_config(parse_json(text, "f")), description).empty());
    return text;
  };
  const Json clip = parse_json(spelled(ClipVitLarge336::config), "f");
  CHECK(clip.at("mm_vision_tower").as_string() == "openai/clip-vit-large-patch14-336");
  CHECK(clip.at("mm_hidden_size").as_int() == 1024);
  CHECK_FALSE(clip.contains("vision_config"));
  // LLaVA reads all of SigLIP's last state, whatever is selected, so that this is said beside it.
  const Json siglip = parse_json(spelled(SiglipSo400m384OfLlava::config), "f");
  CHECK(siglip.at("mm_vision_tower").as_string() == "google/siglip-so400m-patch14-384");
  CHECK(siglip.contains("vision_config"));
}

}  // namespace llava_projectors_test
