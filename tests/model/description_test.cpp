// What a config.json says, in every spelling, and everything that it may say wrongly.
#include "gov/model/description.hpp"

#include <doctest/doctest.h>

#include <map>

#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/models/fixtures.hpp"

namespace {

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
    CHECK(found.composition->vision == VlmBf16::Vision::config);
    CHECK(found.composition->internvl == VlmBf16::config);
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

TEST_CASE("what differs is said key by key, with its section") {
  const auto compiled = ModelDescription::of<VlmBf16>();
  auto wanted = describe(fixtures / "vlm-bf16");
  wanted.language.set_max_position_embeddings(7);
  CHECK(differences(wanted, compiled).empty());
  wanted.language.as<GptOssConfig>().num_local_experts = 5;
  wanted.composition->vision.use_qk_norm = true;
  wanted.composition->internvl.vision_feature_layer = -2;
  CHECK(differences(wanted, compiled) ==
        std::vector<std::string>{"vision_feature_layer=-2 (compiled -1)",
                                 "vision_config.use_qk_norm=true (compiled false)",
                                 "text_config.num_local_experts=5 (compiled 4)"});
  CHECK(differences(describe(fixtures / "text-mxfp4"), compiled) ==
        std::vector<std::string>{"has no vision tower (compiled with one)"});
  CHECK(differences(wanted, ModelDescription::of<TextMxfp4>()) ==
        std::vector<std::string>{"has a vision tower (compiled without)"});
}

TEST_CASE("a compiled type describes itself; the top level decides on tying") {
  const auto real = ModelDescription::of<InternVl35GptOss20b>();
  CHECK(real.language.geometry().vocab_size == 200028);
  CHECK(real.composition->vision.attention_bias);
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
  CHECK(found.composition->internvl.ps_version == PsVersion::v1);
  CHECK(found.composition->internvl.vision_feature_layer == -2);
  CHECK(found.tokens.image_token_id == -1);
  CHECK(of_text(R"({"model_type":"gpt_oss"})").language == GptOssConfig{});
}

TEST_CASE("OpenGVLab's names of the tower's keys") {
  const auto found = of_text(config("", "", R"("qkv_bias":true,"qk_normalization":true)"));
  CHECK(found.composition->vision.attention_bias);
  CHECK(found.composition->vision.use_qk_norm);
}

TEST_CASE("every family by its model_type, with its class's defaults") {
  CHECK(of_text(R"({"model_type":"llama"})").language == AnyLanguage(LlamaConfig{}));
  CHECK(of_text(R"({"model_type":"mistral"})").language == AnyLanguage(MistralConfig{}));
  CHECK(of_text(R"({"model_type":"qwen2"})").language == AnyLanguage(Qwen2Config{}));
  CHECK(of_text(R"({"model_type":"qwen3"})").language == AnyLanguage(Qwen3Config{}));
  CHECK(of_text(R"({"model_type":"gemma"})").language == AnyLanguage(GemmaConfig{}));
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

TEST_CASE("what differs between families, and when the number of positions counts") {
  using Lines = std::vector<std::string>;
  const auto of = [](const auto& config) {
    ModelDescription description;
    description.language = config;
    return description;
  };
  CHECK(differences(of(MistralConfig{}), of(LlamaConfig{})) ==
        Lines{"model_type=mistral (compiled llama)"});
  CHECK(differences(of(LlamaConfig{.max_position_embeddings = 7}), of(LlamaConfig{})).empty());
  Qwen2Config dynamic{.rope_parameters = {.rope_type = RopeType::dynamic, .factor = 2}};
  Qwen2Config shorter = dynamic;
  shorter.max_position_embeddings = 16;
  CHECK(differences(of(shorter), of(dynamic)) ==
        Lines{"max_position_embeddings=16 (compiled 32768)"});
  // Keys that decide nothing are not compared.
  CHECK(differences(of(Qwen2Config{.sliding_window = 7, .max_window_layers = 3}), of(Qwen2Config{}))
            .empty());
  CHECK(differences(of(LlamaConfig{.num_key_value_heads = 32, .head_dim = 128}), of(LlamaConfig{}))
            .empty());
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
  CHECK(
      of_text(config(R"("vision_feature_layer":-4)")).composition->internvl.vision_feature_layer ==
      -4);
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
  CHECK(find_image_token(folder.path()) == -1);
  folder.write(
      "tokenizer_config.json",
      R"({"added_tokens_decoder":{"5":{"content":"<img>"},"17":{"content":"<IMG_CONTEXT>"},"x":{"content":"y"}}})");
  CHECK(find_image_token(folder.path()) == 17);
  folder.write("added_tokens.json", R"({"<IMG_CONTEXT>":23,"<img>":5})");
  CHECK(find_image_token(folder.path()) == 23);
  CHECK(find_image_token(folder.path(), "<img>") == 5);
  folder.write("added_tokens.json", R"({"<IMG_CONTEXT>":"x"})");
  CHECK(code_of([&] { find_image_token(folder.path()); }) == "bad_type");
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

}  // namespace
