// LLaVA's wrappers by name and by path, and what a config.json of its repositories says.
#include "gov/model/llava_registry.hpp"

#include <doctest/doctest.h>

#include <set>

#include "gov/io/safetensors_writer.hpp"
#include "gov/model/description.hpp"
#include "gov/model/load.hpp"
#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/tiny_model.hpp"

namespace llava_registry_test {

using namespace gov;
using namespace gov::test;

TEST_CASE("the seven wrappers, each around a language model that is known") {
  std::set<std::string_view> languages;
  for (const LlavaWrapper& wrapper : available_models) {
    CHECK(find_llava_wrapper(wrapper.model_type) == &wrapper);
    CHECK(AnyLanguage::with_model_type(wrapper.language, [](const auto&) {}));
    languages.insert(wrapper.language);
  }
  CHECK(languages.size() == 7);
  CHECK(available_model_types() ==
        "llava_llama, llava_mistral, llava_mixtral, llava_qwen, llava_gemma, llava_mpt, "
        "llava_gpt2");
  CHECK(find_llava_wrapper("llava") == &available_models[0]);
  CHECK(find_llava_wrapper("llava_opt") == nullptr);
  CHECK(find_llava_wrapper("llava_gpt2")->architecture == LlavaGpt2Config::architecture);
}

TEST_CASE("a wrapper is told by the model's name, the first rule that fits") {
  const auto detected = [](const char* path) { return detect_llava_wrapper(path).model_type; };
  CHECK(detected("llava-mixtral-8x7b-mistral") == "llava_mixtral");
  CHECK(detected("liuhaotian/llava-v1.6-mistral-7b") == "llava_mistral");
  CHECK(detected("llava-zephyr") == "llava_mistral");
  CHECK(detected("liuhaotian/llava-v1.5-7b") == "llava_llama");
  CHECK(detected("llava-v1.6-VICUNA-7b") == "llava_llama");
  CHECK(detected("llama3-llava-next-8b") == "llava_llama");
  CHECK(detected("llava-llama-qwen") == "llava_llama");
  CHECK(detected("models/llava-onevision-qwen2-7b/") == "llava_qwen");
  CHECK(detected("llava-gemma-2b") == "llava_gemma");
  CHECK(detected("llava-gpt2-it") == "llava_gpt2");
  CHECK(detected("llava_bambi") == "llava_gpt2");
  CHECK(detected("llava-MPT-7b") == "llava_mpt");
  // Only the name counts, but for a checkpoint's folder.
  CHECK(detected("/data/llama/llava-gpt2") == "llava_gpt2");
  CHECK(detected("/data/llava-gpt2/checkpoint-600") == "llava_gpt2");
  CHECK(llava_model_name("/data/llava-gpt2/checkpoint-600/") == "llava-gpt2_checkpoint-600");
  for (const char* path :
       {"llava-opt", "", "/", "llava-prompted", "llava-qwen1.5-moe-a2.7b", "checkpoint-6"}) {
    CAPTURE(std::string(path));
    CHECK(code_of([&] { detected(path); }) == "unsupported");
  }
}

TEST_CASE("towers by their published names, or by folders of these names") {
  std::set<std::string_view> names;
  for (const LlavaTower& tower : llava_towers()) {
    CHECK(find_llava_tower(tower.name) == &tower);
    names.insert(tower.name);
  }
  CHECK(names.size() == llava_towers().size());
  CHECK(find_llava_tower("checkpoints/clip-vit-large-patch14-336/")->config ==
        AnyTower(ClipVitLarge336::config));
  CHECK(find_llava_tower("dinov2-large")->config == AnyTower(Dinov2Large::config));
  CHECK(find_llava_tower("google/siglip-so400m-patch14-384")->config ==
        AnyTower(SiglipSo400m384OfLlava::config));
  CHECK(find_llava_tower("google/siglip-base-patch16-224") == nullptr);
}

ModelDescription of_text(const std::string& text) {
  return describe_config(parse_json(text, "config.json"));
}

const std::string llava_v15 =
    R"("model_type":"llava_llama","hidden_size":4096,"intermediate_size":11008,
    "num_hidden_layers":32,"num_attention_heads":32,"vocab_size":32000,"rms_norm_eps":1e-5,
    "max_position_embeddings":4096,"tie_word_embeddings":false,"eos_token_id":2,
    "mm_hidden_size":1024,"mm_projector_type":"mlp2x_gelu","mm_vision_select_feature":"patch",
    "mm_vision_select_layer":-2,"mm_vision_tower":"openai/clip-vit-large-patch14-336")";

const std::string any_resolution = llava_v15 + R"(,"mm_patch_merge_type":"spatial_unpad")";

// The text with another value for one of its keys.
std::string with(std::string text, const std::string& key, const std::string& value) {
  const std::size_t at = text.find("\"" + key + "\":");
  if (at == text.npos) return "{" + text + ",\"" + key + "\":" + value + "}";
  const std::size_t from = at + key.size() + 3;
  text.replace(from, text.find_first_of(",\n", from) - from, value);
  return "{" + text + "}";
}

struct Original : Llava15_7b {
  struct Language : Llava15_7b::Language {
    static constexpr LlamaConfig config = [] {
      LlamaConfig smaller = Llava15_7b::Language::config;
      smaller.vocab_size = 32000;
      return smaller;
    }();
  };
};

TEST_CASE("LLaVA 1.5's flat config.json is transformers' nested one") {
  const auto found = of_text("{" + llava_v15 + "}");
  CHECK(differences(found, ModelDescription::of<Original>()).empty());
  CHECK(found.tokens.image_token_id == image_token_index);
  CHECK(found.tokens.eos_token_id == std::vector<int>{2});
  CHECK(differences(of_text(with(llava_v15, "model_type", "\"llava\"")),
                    ModelDescription::of<Original>())
            .empty());

  const auto full = of_text(with(llava_v15, "mm_vision_select_feature", "\"cls_patch\""));
  CHECK(full.composition->config.as<LlavaConfig>().vision_feature_select_strategy ==
        FeatureSelect::full);
  const auto other = of_text(with(llava_v15, "mm_vision_select_layer", "-1"));
  CHECK(other.composition->config.as<LlavaConfig>().vision_feature_layer == FeatureLayers(-1));
  const auto next = of_text("{" + any_resolution + "}");
  CHECK(next.composition->config.is<LlavaNextConfig>());
  // Pairs of (width, height); a list that holds each both ways is transformers' list.
  const auto pinpoints = [](const std::string& pairs) {
    return of_text(with(any_resolution, "image_grid_pinpoints", pairs))
        .composition->config.as<LlavaNextConfig>()
        .image_grid_pinpoints;
  };
  CHECK(pinpoints("[[336, 672], [1008, 336]]") ==
        GridPinpoints{Extent{672, 336}, Extent{336, 1008}});
  CHECK(pinpoints("[[336, 672], [672, 336], [672, 672]]") ==
        GridPinpoints{Extent{336, 672}, Extent{672, 336}, Extent{672, 672}});
  const auto own = of_text(with(llava_v15, "vision_config", R"({"model_type":"dinov2"})"));
  CHECK(own.composition->vision == AnyTower(Dinov2Config{}));
}

TEST_CASE("SigLIP is read without its last layer, all tokens, whatever is selected") {
  for (const char* selected :
       {R"("mm_vision_select_layer":-2,"mm_vision_select_feature":"patch")",
        R"("mm_vision_select_layer":-1,"mm_vision_select_feature":"cls_patch")"}) {
    const auto found = of_text(
        R"({"model_type":"llava_qwen","mm_vision_tower":"google/siglip-so400m-patch14-384",
            "mm_projector_type":"mlp2x_gelu",)" +
        std::string(selected) + "}");
    CHECK(found.composition->vision == AnyTower(SiglipSo400m384OfLlava::config));
    const auto& between = found.composition->config.as<LlavaConfig>();
    CHECK(between.vision_feature_layer == FeatureLayers(-1));
    CHECK(between.vision_feature_select_strategy == FeatureSelect::full);
  }
  const auto videos = of_text(
      R"({"model_type":"llava_gpt2","mm_vision_tower":"google/siglip-so400m-patch14-384"})");
  CHECK(videos.composition->config.as<LlavaGpt2Config>().vision_feature_layer == 26);
}

TEST_CASE("every wrapper's config.json is read") {
  for (const LlavaWrapper& wrapper : available_models) {
    CAPTURE(std::string(wrapper.model_type));
    const auto found = of_text(R"({"model_type":")" + std::string(wrapper.model_type) +
                               R"(","mm_vision_tower":"facebook/dinov2-base",)" +
                               R"("mm_projector_type":"mlp2x_gelu"})");
    REQUIRE(found.composition);
    CHECK(found.language.model_type() == wrapper.language);
    CHECK(found.composition->vision.model_type() == "dinov2");
    CHECK(found.tied() == found.language.tied());
  }
}

TEST_CASE("a config.json without model_type is told by its folder's name") {
  const std::string text = R"({"mm_vision_tower":"facebook/dinov2-base",)"
                           R"("mm_projector_type":"mlp2x_gelu"})";
  const auto at = [&](const std::string& folder) {
    return describe_config(parse_json(text, folder + "/config.json"));
  };
  CHECK(at("models/llava-v1.5-mistral").language.model_type() == "mistral");
  CHECK(at("models/llava-qwen1.5").language.model_type() == "qwen2");
  CHECK(at("models/llava-qwen1.5").composition->vision.model_type() == "dinov2");
  const auto error = error_of([&] { at("models/mine"); });
  REQUIRE(error);
  CHECK(error->code() == Errc::unsupported);
  CHECK(error->field() == "model name");
}

TEST_CASE("what this library does not have is named") {
  const auto error = [](const std::string& text) {
    const auto thrown = error_of([&] { of_text(text); });
    return thrown ? std::string(to_string(thrown->code())) + " " + thrown->what() : "none";
  };
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"mm_vision_tower", "\"google/siglip-base-patch16-224\""},
                                          {"mm_projector_type", "\"pooler\""},
                                          {"mm_vision_select_feature", "\"slicefour_patch\""},
                                          {"mm_patch_merge_type", "\"spatial\""},
                                          {"image_aspect_ratio", "\"anyres\""}}) {
    const std::string found = error(with(llava_v15, key, value));
    CHECK(found.starts_with("unsupported"));
    CHECK(found.find(key) != found.npos);
    CHECK(found.find(value.substr(1, value.size() - 2)) != found.npos);
  }
  CHECK(error(with(any_resolution, "image_aspect_ratio", "\"anyres_max_9\""))
            .find("image_aspect_ratio") != std::string::npos);
  CHECK(error(with(any_resolution, "image_aspect_ratio", "\"anyres\"")) == "none");
  CHECK(error(with(llava_v15, "mm_vision_tower", "\"siglip\"")).find("facebook/dinov2-giant") !=
        std::string::npos);
  CHECK(error(with(llava_v15, "mm_vision_select_layer", "-40")).starts_with("bad_config"));
  const std::string unknown = error(with(llava_v15, "model_type", "\"llava_opt\""));
  CHECK(unknown.starts_with("unsupported"));
  CHECK(unknown.find("llava_mpt") != unknown.npos);
  std::string without = llava_v15;
  without.resize(without.find(",\"mm_vision_tower\"") == without.npos
                     ? without.rfind(',')
                     : without.find(",\"mm_vision_tower\""));
  CHECK(error("{" + without + "}").starts_with("missing_field"));
}

// A tiny LLaVA; its checkpoint is written under the original names below.
struct Tiny : Llava {
  using Vision = TinyClipVit;
  struct Language : Llama {
    static constexpr LlamaConfig config{.hidden_size = 16,
                                        .intermediate_size = 24,
                                        .num_hidden_layers = 1,
                                        .num_attention_heads = 2,
                                        .num_key_value_heads = 2,
                                        .vocab_size = 32};
  };
  static constexpr LlavaConfig config{};
};

TEST_CASE("weights under the original names") {
  ModelData<Tiny> data, again;
  data.weights = random_params(data.params);
  const auto parameters = parameter_list(data.params);
  const auto original = [](std::string name) {
    const auto replace = [&name](const std::string& from, const std::string& to) {
      if (name.starts_with(from)) name = to + name.substr(from.size());
    };
    replace("model.language_model.", "model.");
    replace("model.vision_tower.", "model.vision_tower.vision_tower.vision_model.");
    replace("model.multi_modal_projector.linear_1.", "model.mm_projector.0.");
    replace("model.multi_modal_projector.linear_2.", "model.mm_projector.2.");
    return name;
  };
  TempFolder folder;
  std::vector<TensorSpec> specs;
  std::map<std::string, const ParameterRef*> by_name;
  for (const auto& p : parameters) {
    specs.push_back({original(p.name), DType::F32, p.shape});
    by_name[specs.back().name] = &p;
  }
  CHECK(by_name.contains("model.layers.0.self_attn.q_proj.weight"));
  write_safetensors(folder / "model.safetensors", specs,
                    [&](const TensorSpec& spec, const ByteSink& sink) {
                      const ParameterRef& p = *by_name.at(spec.name);
                      sink({p.storage->data, static_cast<std::size_t>(4 * p.size())});
                    });
  const auto files =
      std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder.path().string()));
  Loader loader(files, parameter_list(again.params), naming_of<Tiny>(), {});
  CHECK(loader.layout() == Layout::llava);
  ThreadPool pool(1);
  auto weights = loader.load(pool);
  const auto loaded = parameter_list(again.params);
  REQUIRE(loaded.size() == parameters.size());
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    CAPTURE(loaded[i].name);
    CHECK(std::memcmp(loaded[i].storage->data, parameters[i].storage->data,
                      static_cast<std::size_t>(4 * loaded[i].size())) == 0);
  }
}

}  // namespace llava_registry_test
