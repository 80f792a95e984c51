// What a config.json says, in every spelling, and everything that it may say wrongly.
#include "gov/model/description.hpp"

#include <doctest/doctest.h>

#include <map>

#include "gov/io/safetensors_writer.hpp"
#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/fixtures.hpp"

namespace description_test {

using namespace gov;
using namespace gov::test;

const std::filesystem::path fixtures = "tests/fixtures/parity";

ModelDescription of_text(const std::string& text) {
  return describe_config(parse_json(text, "config.json"));
}

// A config.json of a small model with other members for the top, the language and the tower; a
// later member of one name replaces the earlier.
std::string config(const std::string& top, const std::string& language = "",
                   const std::string& vision = "") {
  std::map<std::string, std::string> texts[3];
  const auto add = [](std::map<std::string, std::string>& to, const std::string& members) {
    const Json json = parse_json("{" + members + "}", "members");
    for (const auto& [key, value] : json.items()) {
      JsonWriter out(-1);
      out.value(value);
      to[std::string(key)] = out.str();
    }
  };
  add(texts[0], R"("model_type":"internvl","image_token_id":9,"tie_word_embeddings":false)"),
      add(texts[0], top);
  add(texts[1],
      R"("model_type":"gpt_oss","hidden_size":64,"num_hidden_layers":2,"vocab_size":100,"num_local_experts":8)");
  add(texts[1], language);
  add(texts[2],
      R"("hidden_size":32,"num_attention_heads":2,"num_hidden_layers":3,"image_size":28)"),
      add(texts[2], vision);
  const auto join = [](const std::map<std::string, std::string>& members) {
    std::string text;
    for (const auto& [key, value] : members)
      text += (text.empty() ? "\"" : ",\"") + key + "\":" + value;
    return text;
  };
  return "{" + join(texts[0]) + ",\"text_config\":{" + join(texts[1]) + "},\"vision_config\":{" +
         join(texts[2]) + "}}";
}

TEST_CASE("the fixtures fit their compiled types in every spelling") {
  for (const char* folder :
       {"vlm-bf16", "vlm-bf16-hf-new", "vlm-bf16-hf-old", "vlm-bf16-internvl"}) {
    CAPTURE(std::string(folder));
    const auto found = describe(fixtures / folder);
    CHECK(differences(found, ModelDescription::of<VlmBf16>()).empty());
    REQUIRE(found.composition);
    CHECK(found.composition->vision.as<InternVitConfig>() == VlmBf16::Vision::config);
    CHECK(found.composition->config.as<InternVlConfig>() == VlmBf16::config);
    CHECK(found.language == VlmBf16::Language::config);
    CHECK(found.tokens.image_token_id ==
          (std::string_view(folder).ends_with("internvl") ? -1 : 127));
  }
  CHECK(differences(describe(fixtures / "vlm-tiny-sharded"), ModelDescription::of<VlmTiny>())
            .empty());
  const auto hf = describe(fixtures / "text-mxfp4"),
             openai = describe(fixtures / "text-mxfp4-openai");
  for (const auto& found : {hf, openai}) {
    CHECK_FALSE(found.composition);
    CHECK(differences(found, ModelDescription::of<TextMxfp4>()).empty());
  }
  CHECK(hf.language == TextMxfp4::config);
  CHECK(openai.language.max_position_embeddings() == 131072);  // which is not geometry
  CHECK(openai.tokens.eos_token_id == std::vector<int>{200002, 200012});
}

TEST_CASE("a compiled type describes itself; the top level decides on tying") {
  const auto real = ModelDescription::of<InternVl35GptOss20b>();
  CHECK(real.language.geometry().vocab_size == 200028);
  CHECK(real.composition->vision.as<InternVitConfig>().attention_bias);
  CHECK_FALSE(real.tied());
  auto text = ModelDescription::of<GptOss20b>();
  CHECK_FALSE(text.composition);
  text.set_tied(true);
  CHECK(text.language.tied());
  const auto tied =
      of_text(config(R"("tie_word_embeddings":true)", R"("tie_word_embeddings":false)"));
  CHECK(tied.tied());
  CHECK(tied.language.tied());
}

TEST_CASE("defaults where config.json is silent") {
  auto text = config("", R"("vocab_size":200000)");
  const auto without = [&](std::string_view part) {
    std::string copy = text;
    const auto at = copy.find(part);
    REQUIRE(at != copy.npos);
    return copy.erase(at, part.size());
  };
  CHECK(of_text(without("\"image_token_id\":9,")).tokens.image_token_id == 151667);
  CHECK(of_text(without("\"tie_word_embeddings\":false,")).tied());  // as the class in transformers
  // OpenGVLab's spelling: untied, pixel shuffle v1, no id.
  std::string original =
      config(R"("model_type":"internvl_chat","select_layer":-2,"ps_version":null)");
  original.replace(original.find("\"text_config\""), 13, "\"llm_config\"");
  for (const std::string_view key :
       {"\"image_token_id\":9,", "\"tie_word_embeddings\":false,", "\"ps_version\":null,"})
    original.erase(original.find(key), key.size());
  const auto found = of_text(original);
  CHECK_FALSE(found.tied());
  CHECK(found.composition->config.as<InternVlConfig>().ps_version == PsVersion::v1);
  CHECK(found.composition->config.as<InternVlConfig>().vision_feature_layer == -2);
  CHECK(found.tokens.image_token_id == -1);
  CHECK(of_text(R"({"model_type":"gpt_oss"})").language == GptOssConfig{});
}

TEST_CASE("OpenGVLab's names of the tower's keys") {
  const auto found = of_text(config("", "", R"("qkv_bias":true,"qk_normalization":true)"));
  CHECK(found.composition->vision.as<InternVitConfig>().attention_bias);
  CHECK(found.composition->vision.as<InternVitConfig>().use_qk_norm);
}

TEST_CASE("every family by its model_type, with its class's defaults") {
  CHECK(of_text(R"({"model_type":"llama"})").language == AnyLanguage(LlamaConfig{}));
  CHECK(of_text(R"({"model_type":"mistral"})").language == AnyLanguage(MistralConfig{}));
  CHECK(of_text(R"({"model_type":"qwen2"})").language == AnyLanguage(Qwen2Config{}));
  CHECK(of_text(R"({"model_type":"qwen3"})").language == AnyLanguage(Qwen3Config{}));
  CHECK(of_text(R"({"model_type":"gemma"})").language == AnyLanguage(GemmaConfig{}));
  CHECK(of_text(R"({"model_type":"mixtral"})").language == AnyLanguage(MixtralConfig{}));
  CHECK(of_text(R"({"model_type":"gpt2"})").language == AnyLanguage(Gpt2Config{}));
  CHECK(of_text(R"({"model_type":"gpt2","hidden_size":24,"num_hidden_layers":3})").language ==
        AnyLanguage(Gpt2Config{.n_embd = 24, .n_layer = 3}));
  CHECK(of_text(R"({"model_type":"mpt"})").language == AnyLanguage(MptConfig{}));
  CHECK(of_text(R"({"model_type":"mpt","attn_config":{"clip_qkv":6,"softmax_scale":null}})")
            .language == AnyLanguage(MptConfig{.attn_config = {.clip_qkv = 6}}));
  CHECK(of_text(R"({"model_type":"gemma"})").tied());
  CHECK(of_text(R"({"model_type":"gemma","hidden_act":"gelu","use_bidirectional_attention":null})")
            .language == AnyLanguage(GemmaConfig{}));
  CHECK(code_of([] { of_text(R"({"model_type":"gemma","use_bidirectional_attention":true})"); }) ==
        "bad_config");
  // null is not the same as absent
  const auto window = [](const std::string& members) {
    return of_text(R"({"model_type":"mistral")" + members + "}")
        .language.as<MistralConfig>()
        .window(0);
  };
  CHECK(window("") == 4096);
  CHECK(window(R"(,"sliding_window":null)") == 0);
  // A text_config that does not say what it is, is Qwen2's (transformers: InternVLConfig).
  CHECK(of_text(config("", R"("model_type":"qwen2")")).language.model_type() == "qwen2");
  CHECK(of_text(R"({"model_type":"internvl","text_config":{"vocab_size":200000},
                    "vision_config":{}})")
            .language.is<Qwen2Config>());
}

TEST_CASE("InternVL3-1B as OpenGVLab spells it fits its preset") {
  const auto found = of_text(R"({"model_type":"internvl_chat","select_layer":-1,"ps_version":"v2",
      "downsample_ratio":0.5,"tie_word_embeddings":false,
      "llm_config":{"model_type":"qwen2","attn_implementation":"flash_attention_2","hidden_act":"silu",
        "hidden_size":896,"intermediate_size":4864,"max_position_embeddings":32768,"max_window_layers":70,
        "num_attention_heads":14,"num_hidden_layers":24,"num_key_value_heads":2,"rms_norm_eps":1e-06,
        "rope_scaling":{"factor":2.0,"rope_type":"dynamic","type":"dynamic"},"rope_theta":1000000.0,
        "sliding_window":null,"tie_word_embeddings":false,"use_sliding_window":false,"vocab_size":151674},
      "vision_config":{"hidden_size":1024,"image_size":448,"intermediate_size":4096,"num_attention_heads":16,
        "num_hidden_layers":24,"patch_size":14,"qkv_bias":true,"qk_normalization":false}})");
  CHECK(differences(found, ModelDescription::of<InternVl3_1b>()).empty());
}

TEST_CASE("token ids: the top level over the language's, one or several ends") {
  const auto found = of_text(config(R"("eos_token_id":[7,8])",
                                    R"("bos_token_id":1,"pad_token_id":null,"eos_token_id":3)"));
  CHECK(found.tokens.bos_token_id == 1);
  CHECK(found.tokens.pad_token_id == -1);
  CHECK(found.tokens.eos_token_id == std::vector<int>{7, 8});
  CHECK(of_text(config("", R"("eos_token_id":3)")).tokens.eos_token_id == std::vector<int>{3});
}

TEST_CASE("absurd configs are refused, naming file and field") {
  struct Case {
    std::string text, field;
  };
  const Case cases[] = {
      {"{}", "model_type"},
      {"[]", "model_type"},
      {R"({"model_type":"bert"})", "model_type"},
      {R"({"model_type":7})", "model_type"},
      {R"({"model_type":"internvl"})", "text_config"},
      {R"({"model_type":"internvl","text_config":{"model_type":"gpt_oss"}})", "vision_config"},
      {config("", R"("model_type":"bert")"), "text_config.model_type"},
      {config("", R"("num_attention_heads":0)"), "text_config.num_attention_heads"},
      {config("", R"("num_key_value_heads":0)"), "text_config.num_key_value_heads"},
      {config("", R"("num_hidden_layers":2147483648)"), "text_config.num_hidden_layers"},
      {config("", R"("num_hidden_layers":0)"), "text_config.num_hidden_layers"},
      {config("", R"("sliding_window":-1)"), "text_config.sliding_window"},
      {config("", R"("hidden_size":18446744073709551616)"), "text_config.hidden_size"},
      {config("", R"("vocab_size":-5)"), "text_config.vocab_size"},
      {config("", R"("num_local_experts":1e3)"), "text_config.num_local_experts"},
      {config("", R"("rms_norm_eps":1e308)"), "text_config.rms_norm_eps"},
      {config("", R"("rope_theta":0)"), "text_config.rope_theta"},
      {config("", R"("num_local_experts":2)"), "text_config"},
      {config("", R"("eos_token_id":[1,"x"])"), "text_config.eos_token_id[1]"},
      {config("", R"("bos_token_id":4294967296)"), "text_config.bos_token_id"},
      {config("", "", R"("patch_size":0)"), "vision_config.patch_size"},
      {config("", "", R"("image_size":[28,27])"), "vision_config"},
      {config("", "", R"("num_attention_heads":3)"), "vision_config"},
      {config("", "", R"("hidden_act":"mish")"), "vision_config.hidden_act"},
      {config("", "", R"("num_hidden_layers":-1)"), "vision_config.num_hidden_layers"},
      {config(R"("downsample_ratio":0)"), "downsample_ratio"},
      {config(R"("downsample_ratio":0.7)"), ""},
      {config(R"("vision_feature_layer":[-1,-2])"), "vision_feature_layer"},
      {config(R"("vision_feature_layer":4)"), "vision_feature_layer"},
      {config(R"("vision_feature_layer":-5)"), "vision_feature_layer"},
      {config(R"("vision_feature_select_strategy":"cls")"), "vision_feature_select_strategy"},
      {config(R"("image_token_id":100)"), "image_token_id"},
      {config(R"("image_token_id":"x")"), "image_token_id"},
      {config(R"("image_token_id":99999999999)"), "image_token_id"},
      {R"({"rope_scaling_factor":0})", "rope_scaling_factor"},
      {R"({"rope_scaling_factor":32,"rope_theta":-1})", "rope_theta"},
      {R"({"rope_scaling_factor":32,"rope_ntk_alpha":0})", "rope_ntk_alpha"},
      {R"({"rope_scaling_factor":32,"rope_ntk_beta":"x"})", "rope_ntk_beta"},
      {R"({"rope_scaling_factor":32,"initial_context_length":-1})", "initial_context_length"},
      {R"({"rope_scaling_factor":32,"num_experts":0})", "num_experts"},
      {R"({"rope_scaling_factor":32,"experts_per_token":65})", "experts_per_token"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.text);
    const auto error = error_of([&] { of_text(each.text); });
    REQUIRE(error);
    CHECK(error->file() == "config.json");
    CHECK(error->field() == each.field);
    CHECK_FALSE(error->expected().empty());
    CHECK_FALSE(error->found().empty());
  }
  CHECK(of_text(config(R"("vision_feature_layer":-4)"))
            .composition->config.as<InternVlConfig>()
            .vision_feature_layer == -4);
}

TEST_CASE("all problems of all sections in one error") {
  const auto error = error_of([] {
    of_text(config(R"("image_token_id":"x","downsample_ratio":5)",
                   R"("head_dim":[],"vocab_size":0)", R"("image_size":null)"));
  });
  REQUIRE(error);
  const std::string what = error->what();
  for (const char* part :
       {"5 problems", "image_token_id", "downsample_ratio", "text_config.head_dim",
        "text_config.vocab_size", "vision_config.image_size"}) {
    CAPTURE(std::string(part));
    CHECK(what.find(part) != what.npos);
  }
}

TEST_CASE("the image token of a folder whose config.json does not say it") {
  const TempFolder folder;
  std::filesystem::copy_file(fixtures / "vlm-bf16-internvl" / "config.json",
                             folder.path() / "config.json");
  folder.write("added_tokens.json", R"({"<IMG_CONTEXT>":42})");
  CHECK(describe(folder.path()).tokens.image_token_id == 42);
}

TEST_CASE("weights with a head of their own are not tied, whatever the file says") {
  const TempFolder folder;
  std::string text = file_bytes((fixtures / "vlm-bf16" / "config.json").string());
  const std::string untied = "\"tie_word_embeddings\": false,\n  \"transformers_version\"";
  REQUIRE(text.find(untied) != text.npos);
  text.replace(text.find(untied) + 23, 5, "true");
  const std::string path = folder.write("config.json", text);
  CHECK(describe(path).tied());  // the file alone
  std::filesystem::copy_file(fixtures / "vlm-bf16" / "model.safetensors",
                             folder.path() / "model.safetensors");
  CHECK_FALSE(describe(folder.path()).tied());
  CHECK(describe(fixtures / "vlm-tied").tied());
}

TEST_CASE("a folder without a config.json") {
  const TempFolder folder;
  CHECK(code_of([&] { describe(folder.path()); }) == "io_error");
  CHECK(code_of([&] { describe(folder.path() / "absent"); }) == "io_error");
}

TEST_CASE("keys that may change after loading are no difference, and are kept") {
  const auto read = [](const char* text) {
    return describe_config(parse_json(text, "config.json"));
  };
  const auto compiled = ModelDescription::of<GptOssVision120b>();
  const auto wanted = read(R"({"model_type":"gpt_oss_vision","use_nope":true,"nope_stride":2,
      "router_aux_loss_coef":0.1})");
  CHECK(differences(wanted, compiled).empty());
  CHECK(wanted.language.as<GptOssVisionConfig>().nope() ==
        NopeLayers{.use_nope = true, .nope_stride = 2});
  const auto found = differences(
      read(R"({"model_type":"gpt_oss_vision","use_nope":true,"sliding_window":64})"), compiled);
  CHECK(found == std::vector<std::string>{"sliding_window=64 (compiled 128)"});
  CHECK(differences(read(R"({"model_type":"gpt_oss"})"), compiled).size() == 1);
}

TEST_CASE("GPT-OSS-Vision: flat keys, an adapter only if use_vision, a fallback by its weights") {
  const auto read = [](std::string more) {
    return describe_config(
        parse_json("{\"model_type\":\"gpt_oss_vision\"" + more + "}", "config.json"));
  };
  const std::string on = ",\"use_vision\":true";
  for (const char* off : {"", ",\"use_vision\":false", ",\"use_vision\":null",
                          ",\"vision_embed_dim\":0,\"vision_pool_token\":false"}) {
    CHECK_FALSE(read(off).composition);
    CHECK(differences(read(off), ModelDescription::of<GptOssVision120b>()).empty());
  }
  const auto whole = read(on);
  REQUIRE(whole.composition);
  CHECK(differences(whole, ModelDescription::of<GptOssVisionVit120b>()).empty());
  CHECK(whole.tokens.image_token_id == -1);
  CHECK(differences(read(on + ",\"num_hidden_layers\":24,\"num_local_experts\":32"),
                    ModelDescription::of<GptOssVisionVit20b>())
            .empty());
  CHECK(differences(whole, ModelDescription::of<GptOssVision120b>()) ==
        std::vector<std::string>{"has a vision tower (compiled without)"});
  CHECK(differences(read(on + ",\"vision_pool_token\":false"),
                    ModelDescription::of<GptOssVisionVit120b>()) ==
        std::vector<std::string>{"vision_pool_token=false (compiled true)"});

  const auto other = read(on +
                          R"(,"vision_embed_dim":32,"vision_num_layers":2,"vision_num_heads":4,
      "vision_patch_size":8,"vision_image_size":[16,24],"vision_num_channels":1,"hidden_size":64)");
  const VitConfig expected{.hidden_size = 32,
                           .intermediate_size = 128,
                           .num_hidden_layers = 2,
                           .num_attention_heads = 4,
                           .num_channels = 1,
                           .image_size = {16, 24},
                           .patch_size = {8, 8},
                           .layer_norm_eps = 1e-6};
  CHECK(other.composition->vision.as<VitConfig>() == expected);
  CHECK(other.language.as<GptOssVisionConfig>().hidden_size == 64);
  const auto narrow = read(on + ",\"vision_intermediate_size\":40,\"vision_layer_norm_eps\":0.5");
  CHECK(narrow.composition->vision.as<VitConfig>().intermediate_size == 40);
  CHECK(narrow.composition->vision.as<VitConfig>().layer_norm_eps == 0.5);
  const auto fallback = read(on + ",\"vision_model_type\":\"conv_patch\",\"vision_patch_size\":8");
  CHECK(fallback.composition->vision.as<ConvPatchConfig>() ==
        ConvPatchConfig{.patch_size = {8, 8}});

  for (const char* wrong :
       {",\"use_vision\":1", ",\"vision_embed_dim\":0", ",\"vision_num_heads\":7",
        ",\"vision_image_size\":8", ",\"vision_pool_token\":2", ",\"vision_model_type\":\"sam\""}) {
    CAPTURE(wrong);
    CHECK(code_of([&] { read((wrong[2] == 'u' ? "" : on) + wrong); }) != "none");
  }

  // A published config.json does not say which tower there is.
  const TempFolder folder;
  folder.write("config.json", R"({"model_type":"gpt_oss_vision","use_vision":true})");
  CHECK(describe(folder.path()).composition->vision.is<VitConfig>());  // nothing says otherwise
  const auto write = [&](const char* tensor) {
    write_safetensors(folder / "model.safetensors", {{tensor, DType::F32, {1}}},
                      [](const TensorSpec&, const ByteSink& sink) {
                        const float zero = 0;
                        sink(std::as_bytes(std::span(&zero, 1)));
                      });
  };
  write("model.vision_adapter.patch_embed.weight");
  CHECK(describe(folder.path()).composition->vision.as<ConvPatchConfig>() == ConvPatch14::config);
  CHECK(differences(describe(folder.path()), ModelDescription::of<GptOssVisionVit120b>()).size() ==
        1);
  write("vision_adapter.patch_embed.weight");
  CHECK(describe(folder.path()).composition->vision.is<ConvPatchConfig>());
  write("model.vision_adapter.proj.weight");
  CHECK(describe(folder.path()).composition->vision.is<VitConfig>());
}

}  // namespace description_test
