// LLaVA with TokenPacker, from pixels to the language model's rows, against PyTorch
// (tests/reference/llava_token_packer.py) and by hand; its two spellings.
#include "gov/model/llava_token_packer.hpp"

#include <doctest/doctest.h>

#include "gov/model/config_output.hpp"
#include "gov/model/load.hpp"
#include "gov/model/presets.hpp"
#include "gov/model/save.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/reference_case.hpp"
#include "tests/support/tiny_model.hpp"

namespace llava_token_packer_test {

using namespace gov;
using namespace gov::test;

constexpr index_t side = 32, width = 16;

struct Clip : ClipVitModules {  // 4 x 4 patches
  static constexpr ClipVitConfig config{.hidden_size = 12,
                                        .intermediate_size = 16,
                                        .num_hidden_layers = 5,
                                        .num_attention_heads = 2,
                                        .image_size = {side, side},
                                        .patch_size = {8, 8}};
};
struct Tiny : LlavaTokenPacker {
  using Vision = Clip;
  struct Language : Llama {
    static constexpr LlamaConfig config{.hidden_size = width,
                                        .intermediate_size = 24,
                                        .num_hidden_layers = 1,
                                        .num_attention_heads = 2,
                                        .num_key_value_heads = 2,
                                        .vocab_size = 32};
  };
  static constexpr LlavaTokenPackerConfig config{
      .mm_packer_layers = {1, 3, 4, 5}, .mm_packer_hidden_size = 8, .mm_packer_num_heads = 2};
};
struct Four : Tiny {
  static constexpr LlavaTokenPackerConfig config{.scale_factor = 4,
                                                 .mm_packer_layers = {0, 4},
                                                 .mm_packer_hidden_size = 8,
                                                 .mm_packer_num_heads = 2};
};

using Large = Architecture<LlavaTokenPacker7b>;
static_assert(Large::Images::image_tokens(336, 336) == 144);
static_assert(Large::Images::image_tokens(308, 336) == 0);  // 22 x 24
static_assert(Large::Images::feature_layers == FeatureLayers{23, 12, 16, 22, 23});
static_assert(Large::Images::deepest == 23);
// LLaVA-1.5-7B's tower and language model, without the tokens that were added for transformers.
static_assert(parameter_count<Large> ==
              parameter_count<Architecture<Llava15_7b>> - 64 * 2 * 4096 - 20'979'712 + 36'722'688);

template <class Cfg>
std::vector<double> features_of(const typename TileFeatures<Cfg>::Params& params,
                                const std::vector<float>& pixels, index_t count = 1) {
  using Images = typename Architecture<Cfg>::Images;
  const Inputs inputs{.pixel_values = {pixels.data(), count, 3, side, side}};
  ThreadPool pool(1);
  Arena arena;
  Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
  NoObserver none;
  std::vector<double> out(static_cast<std::size_t>(Images::rows(inputs) * width));
  Images::forward(context, params, inputs, Rows<double>(out.data(), Images::rows(inputs), width),
                  none);
  return out;
}

template <class Cfg>
void check_reference(const std::string& name) {
  CAPTURE(name);
  const ReferenceFile file("projector/llava_token_packer.safetensors");
  typename TileFeatures<Cfg>::Params params;
  const auto memory = generated_params(name, params);
  const auto pixels = generated(name, "pixel_values", 3 * side * side);
  const auto found = features_of<Cfg>(params, pixels), expected = file.doubles(name);
  REQUIRE(found.size() == expected.size());
  CHECK(relative_gap(found, expected) < 1e-12);
}

TEST_CASE("as CLIPVisionModel and TokenPacker in PyTorch") {
  check_reference<Tiny>("two");
  check_reference<Four>("four");
}

TEST_CASE("the tower's states, one for the coarse tokens and some side by side, by hand") {
  using Images = typename Architecture<Tiny>::Images;
  const auto model = random_model<Tiny>();
  const auto pixels = random_values(2 * 3 * side * side, 5);
  const auto found = features_of<Tiny>(model->params.model, pixels, 2);
  ThreadPool pool(1);
  Arena arena;
  Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
  NoObserver none;
  std::vector<double> expected(found.size());
  for (index_t picture = 0; picture < 2; ++picture) {
    const auto state = [&](index_t layer) {
      std::vector<double> hidden(17 * 12);
      Images::Vision::forward(context, model->params.model.vision_tower,
                              pixels.data() + picture * 3 * side * side, side, side, layer,
                              Rows<double>(hidden.data(), 17, 12), none);
      hidden.erase(hidden.begin(), hidden.begin() + 12);  // the class token
      return hidden;
    };
    const auto x = state(4);  // of 0 to 5 the last but one
    std::vector<double> levels(16 * 48);
    std::size_t place = 0;
    for (const index_t layer : {1, 3, 4, 5}) {
      const auto level = state(layer);
      for (std::size_t i = 0; i < 16; ++i)
        std::copy_n(&level[i * 12], 12, &levels[i * 48 + 12 * place]);
      ++place;
    }
    Images::Projector::forward(context, model->params.model.multi_modal_projector,
                               Rows<const double>(x.data(), 16, 12),
                               Rows<const double>(levels.data(), 16, 48), 4,
                               Rows<double>(expected.data() + picture * 4 * width, 4, width));
  }
  CHECK(same_bits(found, expected));
}

// As the trainer leaves it, with what is fixed in the original's code named.
const std::string flat =
    R"({"model_type":"llava","hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,
    "num_attention_heads":2,"num_key_value_heads":2,"vocab_size":32,"use_mm_proj":true,
    "mm_projector_type":"tokenpacker","scale_factor":2,"mm_vision_select_layer":-2,
    "mm_vision_select_feature":"patch","image_aspect_ratio":"pad","mm_packer_layers":[1,3,4,5],
    "mm_packer_hidden_size":8,"mm_packer_num_heads":2,"vision_config":{"hidden_size":12,
    "intermediate_size":16,"num_hidden_layers":5,"num_attention_heads":2,"image_size":32,
    "patch_size":8}})";

ModelDescription of_text(const std::string& text) {
  return describe_config(parse_json(text, "config.json"));
}

TEST_CASE("a folder in LLaVA's spelling: its names, and a prompt's tokens around the features") {
  const auto model = random_model<Tiny>();
  const Saver saver(parameter_list(model->params), Layout::llava, naming_of<Tiny>());
  std::map<std::string, std::vector<index_t>> found;
  constexpr std::string_view prefix = "model.mm_projector.";
  for (const TensorSpec& spec : saver.specs())
    if (spec.name.starts_with(prefix)) found[spec.name.substr(prefix.size())] = spec.shape;
  CHECK(found == std::map<std::string, std::vector<index_t>>{{"q_proj_1.weight", {8, 12}},
                                                             {"k_proj_1.0.weight", {8, 48}},
                                                             {"k_proj_1.0.bias", {8}},
                                                             {"k_proj_1.2.weight", {8, 8}},
                                                             {"k_proj_1.2.bias", {8}},
                                                             {"v_proj_1.0.weight", {8, 48}},
                                                             {"v_proj_1.0.bias", {8}},
                                                             {"v_proj_1.2.weight", {8, 8}},
                                                             {"v_proj_1.2.bias", {8}},
                                                             {"ln_q_1.weight", {8}},
                                                             {"ln_q_1.bias", {8}},
                                                             {"ln_k_1.weight", {8}},
                                                             {"ln_k_1.bias", {8}},
                                                             {"ln_v_1.weight", {8}},
                                                             {"ln_v_1.bias", {8}},
                                                             {"clip_attn.in_proj_weight", {24, 8}},
                                                             {"clip_attn.in_proj_bias", {24}},
                                                             {"clip_attn.out_proj.weight", {8, 8}},
                                                             {"clip_attn.out_proj.bias", {8}},
                                                             {"mlp.0.weight", {16, 8}},
                                                             {"mlp.0.bias", {16}},
                                                             {"mlp.2.weight", {16, 16}},
                                                             {"mlp.2.bias", {16}}});
  const TempFolder folder;
  write_safetensors(
      folder / "model.safetensors", saver.specs(),
      [&](const TensorSpec& spec, const ByteSink& sink) { saver.supply(spec, sink); });
  folder.write("config.json", flat);
  const ModelDescription wanted = describe(folder.path());
  CHECK(differences(wanted, ModelDescription::of<Tiny>()).empty());
  auto loaded = std::make_shared<ModelData<Tiny>>();
  const auto files =
      std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder.path().string()));
  Loader loader(files, parameter_list(loaded->params), naming_of<Tiny>(), {});
  CHECK(loader.layout() == Layout::llava);
  const auto pool = std::make_shared<ThreadPool>(1);
  const auto weights = loader.load(*pool);
  loaded->tokens = wanted.tokens;

  const auto pixels = random_values(3 * side * side, 5);
  const auto expected = features_of<Tiny>(model->params.model, pixels);
  CHECK(same_bits(features_of<Tiny>(loaded->params.model, pixels), expected));
  Session<Tiny> session(loaded, pool, kernel::kernels_of<kernel::scalar, float>, {});
  const int image = image_token_index;
  const std::vector<int> ids{1, image, image, image, image, 7, 9};
  Recorder<float> seen;
  session.forward({.input_ids = ids, .pixel_values = {pixels.data(), 1, 3, side, side}}, {}, seen);
  const auto& embeds = seen.rows.at("inputs_embeds");
  REQUIRE(embeds.size() == 7 * width);
  const std::vector<float> rows(embeds.begin() + width, embeds.begin() + 5 * width);
  CHECK(relative_gap(rows, expected) < 1e-5);
}

TEST_CASE("config.json in both spellings") {
  const auto wanted = of_text(flat);
  const Json again = parse_json(config_json(wanted, Layout::llava, "float32"), "again");
  CHECK(again.at("model_type").as_string() == "llava_llama");
  CHECK(again.at("mm_projector_type").as_string() == "tokenpacker");
  CHECK(again.at("scale_factor").as_int() == 2);
  CHECK(again.at("mm_vision_select_layer").as_int() == -2);
  CHECK(differences(describe_config(again), wanted).empty());
  ModelDescription nested = wanted;
  nested.tokens.image_token_id = 5;
  const Json own = parse_json(config_json(nested, Layout::hf, "float32"), "own");
  CHECK(own.at("model_type").as_string() == "llava_token_packer");
  const auto read = describe_config(own);
  CHECK(differences(read, nested).empty());
  CHECK(read.tokens.image_token_id == 5);
  CHECK(config_code(wanted.composition->config.as<LlavaTokenPackerConfig>()) ==
        "{.mm_packer_layers = {1, 3, 4, 5}, .mm_packer_hidden_size = 8, .mm_packer_num_heads = 2}");
  const auto real = of_text(
      R"({"model_type":"llava","hidden_size":4096,"intermediate_size":11008,
      "num_hidden_layers":32,"num_attention_heads":32,"vocab_size":32000,"rms_norm_eps":1e-5,
      "max_position_embeddings":4096,"mm_projector_type":"tokenpacker","scale_factor":2,
      "mm_vision_select_layer":-2,"mm_vision_tower":"openai/clip-vit-large-patch14-336"})");
  CHECK(differences(real, ModelDescription::of<LlavaTokenPacker7b>()).empty());
  CHECK(differences(real, ModelDescription::of<Llava15_7b>()).front() ==
        "model_type=llava_token_packer (compiled llava)");
}

TEST_CASE("what does not hold together names its key") {
  const auto error = [](const std::string& from, const std::string& to) {
    std::string text = flat;
    text.replace(text.find(from), from.size(), to);
    const auto found = error_of([&] { of_text(text); });
    return found ? std::string(to_string(found->code())) + " " + found->field() : "none";
  };
  CHECK(error("\"scale_factor\":2", "\"scale_factor\":4") == "none");
  CHECK(error("\"scale_factor\":2", "\"scale_factor\":3") == "bad_config scale_factor");
  CHECK(error("[1,3,4,5]", "[1,3,4,6]") == "bad_config vision_feature_layer");
  CHECK(error("[1,3,4,5]", "[0,1,2,3,4,5,1,2]") != "none");
  CHECK(error("mm_packer_num_heads\":2", "mm_packer_num_heads\":3") != "none");
  CHECK(error("\"pad\"", "\"slice\"") == "unsupported image_aspect_ratio");
  CHECK(error("\"patch\"", "\"cls_patch\"") == "unsupported mm_vision_select_feature");
  CHECK(error("\"use_mm_proj\":true", R"("mm_patch_merge_type":"spatial_unpad")") ==
        "unsupported mm_patch_merge_type");
}

}  // namespace llava_token_packer_test
