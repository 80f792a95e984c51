// Reading, checking, writing, comparing and spelling config structs. Every key of every struct is
// given every kind of wrong value.
#include "gov/io/config_json.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <map>

#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace config_json_test {

using namespace gov;
using namespace gov::test;

using Members =
    std::vector<std::pair<std::string, std::string>>;  // keys and the text of their values

std::string object(const Members& members) {
  std::string text = "{";
  for (const auto& [key, value] : members)
    text += (text.size() > 1 ? "," : "") + ("\"" + key + "\":" + value);
  return text + "}";
}

template <class C>
std::string written(const C& config) {
  JsonWriter out;
  out.begin_object();
  C::keys(config, ConfigWriter{out});
  return out.end_object().str();
}

template <class C>
C read(const std::string& text, C defaults = {}) {
  Problems problems("config.json");
  const C config = read_config<C>({parse_json(text, "config.json")}, problems, defaults);
  problems.throw_if_any("good values");
  return config;
}

template <class C>
Members members(const C& config) {
  Members list;
  const Json json = parse_json(written(config), "config.json");
  for (const auto& [key, value] : json.items()) {
    JsonWriter out(-1);
    out.value(value);
    list.emplace_back(key, out.str());
  }
  return list;
}

// Says of a JSON text whether a key of this kind takes it.
struct Kinds {
  std::vector<std::pair<std::string, std::function<bool(const Json&)>>> takes;
  static bool whole(const Json& json, Range range) {
    if (!json.is_integer() || (!json.describe().starts_with("-") && json.as_uint() >> 63))
      return false;
    const auto value = static_cast<double>(json.as_int());
    return range.min <= value && value <= range.max;
  }
  void operator()(std::string_view key, const index_t&, Range range) {
    takes.emplace_back(key, [=](const Json& json) { return whole(json, range); });
  }
  void operator()(std::string_view key, const index_t&, OrNull range) {
    takes.emplace_back(key, [=](const Json& json) {
      return json.is_null() || whole(json, {range.min, range.max});
    });
  }
  void operator()(std::string_view key, const double&, Range range) {
    takes.emplace_back(key, [=](const Json& json) {
      return json.is_number() && range.min <= json.as_double() && json.as_double() <= range.max;
    });
  }
  void operator()(std::string_view key, const double&, OrNull range) {
    takes.emplace_back(key, [=](const Json& json) {
      return json.is_null() ||
             (json.is_number() && range.min <= json.as_double() && json.as_double() <= range.max);
    });
  }
  void operator()(std::string_view key, const bool&, OrNull) {
    takes.emplace_back(key, [](const Json& json) { return json.is_bool() || json.is_null(); });
  }
  void operator()(std::string_view key, const bool&) {
    takes.emplace_back(key, [](const Json& json) { return json.is_bool(); });
  }
  template <class E>
    requires std::is_enum_v<E>
  void operator()(std::string_view key, const E&) {
    takes.emplace_back(key, [](const Json& json) {
      for (const auto& [name, value] : EnumNames<E>::values)
        if (json.is_string() && json.as_string() == name) return true;
      return false;
    });
  }
  void operator()(std::string_view key, const Extent&, Range range) {
    takes.emplace_back(key, [=](const Json& json) {
      return whole(json, range) || (json.is_array() && json.size() == 2 &&
                                    whole(json.at(0), range) && whole(json.at(1), range));
    });
  }
  void operator()(std::string_view key, const LayerTypes& types, const index_t&) {
    const bool by_rule = !types.given;
    takes.emplace_back(key, [=](const Json& json) { return by_rule && json.is_null(); });
  }
  void operator()(std::string_view key, const RopeLayers&, const index_t& layers) {
    const auto count = static_cast<std::size_t>(layers);
    takes.emplace_back(key, [=](const Json& json) {
      if (!json.is_array()) return json.is_null();
      for (const Json& element : json.elements())
        if (!whole(element, {0, 1})) return false;
      return json.size() == count;
    });
  }
  template <ConfigStruct C>
  void operator()(std::string_view key, const C&) {
    takes.emplace_back(key, [](const Json& json) { return json.is_null() || json.is_object(); });
  }
};

const char* const values[] = {"null",
                              "\"x\"",
                              "true",
                              "[]",
                              "{}",
                              "[1]",
                              "[1,2,3]",
                              "[16,\"a\"]",
                              "0",
                              "-1",
                              "-0",
                              "2147483648",
                              "9223372036854775807",
                              "9223372036854775808",
                              "-9223372036854775808",
                              "1e308",
                              "0.5",
                              "1e-30",
                              "[{}]",
                              "\"\"",
                              "{\"a\":1}"};

template <class C>
void check_every_key(const C& config, bool nulls_are_defaults = false) {
  Kinds kinds;
  C::keys(config, kinds);
  const Members good = members(config);
  for (const auto& [key, takes] : kinds.takes)
    for (const char* value : values) {
      const auto shown_key = key;  // clang 14: no capture of bindings
      CAPTURE(shown_key);
      CAPTURE(std::string(value));
      Members changed = good;
      bool found = false;
      for (auto& [name, text] : changed)
        if (name == key) text = value, found = true;
      if (!found) changed.emplace_back(key, value);
      const auto error = error_of([&] { read<C>(object(changed)); });
      const Json json = parse_json(value, "");
      const bool accepted = takes(json) || (nulls_are_defaults && json.is_null());
      if (!accepted) {
        REQUIRE(error);
        const std::string what = error->what();
        CHECK(what.find(key) != what.npos);
        CHECK(what.find("config.json") != what.npos);
        const bool typed = error->code() == Errc::bad_type || error->code() == Errc::bad_number ||
                           error->code() == Errc::bad_config ||
                           error->code() == Errc::unsupported ||
                           error->code() == Errc::checkpoint_mismatch;  // several of those
        CHECK(typed);
      } else if (error) {
        CHECK(error->code() == Errc::bad_config);  // alone it is fine, but not with the others
        CHECK(error->found() == "values that do not");
      }
    }
}

// RopeConfig on its own has no cross-check.
struct Rope : RopeConfig {
  constexpr std::string_view problem() const { return ""; }
  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    RopeConfig::keys(self, v);
  }
};

TEST_CASE("every key of every struct against every kind of value") {
  check_every_key(GptOss20b::config);
  check_every_key(TinyGptOss::config);
  check_every_key(GptOssVision20b::config);
  check_every_key(GptOssVisionConfig{.num_hidden_layers = 1, .no_rope_layers = RopeLayers("0")});
  check_every_key(Llama3_1_8b::config);
  check_every_key(resolved(Mistral7b::config));
  check_every_key(Gemma2b::config);
  check_every_key(resolved(Mixtral8x7b::config));
  check_every_key(Gpt2Small::config);
  check_every_key(Mpt7b::config);
  check_every_key(Qwen2_0_5b::config);
  check_every_key(Qwen3_0_6b::config);
  check_every_key(InternVit300m::config);
  check_every_key(InternVit6b::config);
  check_every_key(InternVlConfig{});
  Rope rope;
  static_cast<RopeConfig&>(rope) = GptOss20b::config.rope_parameters;
  check_every_key(rope);
}

TEST_CASE("an absent key keeps the default, an unknown one is passed over") {
  CHECK(read<GptOssConfig>("{}") == GptOssConfig{});
  CHECK(read<InternVitConfig>("{}") == InternVitConfig{});
  CHECK(read<InternVlConfig>("{}") == InternVlConfig{});
  CHECK(read<GptOssConfig>(R"({"hidden_act":"silu","use_cache":[1]})") == GptOssConfig{});
  Members all = members(GptOssConfig{});
  for (std::size_t i = 0; i < all.size(); ++i) {
    CAPTURE(all[i].first);
    Members rest = all;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(read<GptOssConfig>(object(rest)) == GptOssConfig{});
  }
}

template <class C>
void check_round_trip(const C& config) {
  const std::string text = written(config);
  CAPTURE(text);
  CHECK(read<C>(text) == config);
  CHECK(config_differences(read<C>(text), config).empty());
}

TEST_CASE("what is written is read back the same") {
  check_round_trip(GptOssConfig{});
  check_round_trip(GptOss20b::config);
  check_round_trip(TinyGptOss::config);
  check_round_trip(InternVl35GptOss20b::Language::config);
  check_round_trip(GptOssVisionConfig{});
  check_round_trip(GptOssVisionConfig{.num_hidden_layers = 3,
                                      .use_nope = true,
                                      .nope_stride = 0,
                                      .no_rope_layers = RopeLayers("101"),
                                      .router_aux_loss_coef = 0.125});
  check_round_trip(GovNotes::Language::config);
  check_round_trip(LlamaConfig{});
  check_round_trip(Llama3_1_8b::config);
  check_round_trip(Mistral7b::config);
  check_round_trip(MistralConfig{.num_key_value_heads = 0, .sliding_window = 0});
  check_round_trip(Qwen2_0_5b::config);
  check_round_trip(Qwen2Config{.num_hidden_layers = 2,
                               .use_sliding_window = true,
                               .layer_types = LayerTypes("fs"),
                               .rope_parameters = {.rope_type = RopeType::dynamic, .factor = 2}});
  check_round_trip(resolved(Qwen3_0_6b::config));
  check_round_trip(Gpt2Config{.n_inner = 7});
  check_round_trip(MptConfig{.attn_config = {.clip_qkv = 0.5, .softmax_scale = 2}});
  check_round_trip(InternVit300m::config);
  check_round_trip(InternVit6b::config);
  check_round_trip(TinyInternVit::config);
  check_round_trip(InternVlConfig{});
  check_round_trip(InternVlConfig{.downsample_ratio = 0.25,
                                  .projector_hidden_act = kernel::Activation::silu,
                                  .vision_feature_layer = -2,
                                  .vision_feature_select_strategy = FeatureSelect::full,
                                  .ps_version = PsVersion::v1,
                                  .tie_word_embeddings = true});
  check_round_trip(InternVitConfig{.image_size = {28, 56},
                                   .patch_size = {14, 7},
                                   .norm_type = NormType::rms_norm,
                                   .layer_norm_eps = 0.1,
                                   .hidden_act = kernel::Activation::quick_gelu,
                                   .use_qk_norm = true,
                                   .use_mask_token = true,
                                   .use_absolute_position_embeddings = false,
                                   .use_mean_pooling = false});
  check_round_trip(GptOssConfig{.num_hidden_layers = 5,
                                .sliding_window = 7,
                                .attention_bias = false,
                                .rope_parameters = {},
                                .layer_types = LayerTypes("ffsfs")});
  check_round_trip(
      GptOssConfig{.num_hidden_layers = 2, .sliding_window = 0, .layer_types = LayerTypes("ff")});
  check_round_trip(GptOssConfig{
      .rope_parameters = {.rope_type = RopeType::linear, .rope_theta = 1e6, .factor = 2.5}});
  check_round_trip(GptOssConfig{.rope_parameters = {.rope_type = RopeType::yarn,
                                                    .rope_theta = 123456.75,
                                                    .factor = 40,
                                                    .beta_fast = 16,
                                                    .beta_slow = 2,
                                                    .truncate = true,
                                                    .original_max_position_embeddings = 77,
                                                    .attention_factor = 1.1,
                                                    .mscale = 0.7,
                                                    .mscale_all_dim = 0.3}});
}

TEST_CASE("both spellings of the rope, and what fills its gaps") {
  const auto rope = [](const std::string& text) {
    return read<GptOssConfig>(text).rope_parameters;
  };
  const RopeConfig yarn{.rope_type = RopeType::yarn,
                        .rope_theta = 10000,
                        .factor = 8,
                        .truncate = true,
                        .original_max_position_embeddings = 64};
  CHECK(
      rope(
          R"({"rope_parameters":{"rope_type":"yarn","rope_theta":10000,"factor":8,"original_max_position_embeddings":64}})") ==
      yarn);
  CHECK(
      rope(
          R"({"rope_theta":10000,"rope_scaling":{"rope_type":"yarn","factor":8,"original_max_position_embeddings":64}})") ==
      yarn);
  CHECK(
      rope(
          R"({"rope_theta":10000,"rope_scaling":{"type":"yarn","factor":8,"original_max_position_embeddings":64}})") ==
      yarn);
  // The older spelling wins where it says anything; its own theta over the one at the top.
  CHECK(
      rope(
          R"({"rope_parameters":{"rope_type":"linear"},"rope_theta":5,"rope_scaling":{"type":"yarn","rope_theta":10000,
                 "factor":8,"original_max_position_embeddings":64}})") == yarn);
  CHECK(
      rope(
          R"({"rope_scaling":{},"rope_parameters":{"rope_type":"yarn","rope_theta":10000,"factor":8,
                 "original_max_position_embeddings":64}})") == yarn);
  CHECK(
      rope(
          R"({"rope_scaling":null,"rope_theta":10000,"rope_parameters":{"rope_type":"yarn","factor":8,
                 "original_max_position_embeddings":64}})") == yarn);
  // The original length: at the top, in the dictionary, else the longest there is.
  CHECK(rope(R"({"original_max_position_embeddings":64,"rope_theta":10000,
                 "rope_scaling":{"type":"yarn","factor":8,"original_max_position_embeddings":32}})") ==
        yarn);
  CHECK(
      rope(
          R"({"max_position_embeddings":64,"rope_theta":10000,"rope_scaling":{"type":"yarn","factor":8}})") ==
      yarn);
  CHECK(rope(R"({"rope_theta":10000,"rope_scaling":{"type":"yarn","factor":8}})")
            .original_max_position_embeddings == 131072);
  // factor null is the ratio of the lengths; other nulls are the defaults.
  CHECK(
      rope(
          R"({"max_position_embeddings":512,"rope_theta":10000,"rope_scaling":{"type":"yarn","factor":null,
                 "original_max_position_embeddings":64,"beta_fast":null,"attention_factor":null,"mscale":null}})") ==
      yarn);
  // Nothing said: the class's own; an empty dictionary likewise, with the top's theta.
  CHECK(rope("{}") == GptOssConfig{}.rope_parameters);
  CHECK(rope(R"({"rope_theta":10000,"rope_parameters":{}})").rope_theta == 10000);
  CHECK(rope(R"({"rope_theta":10000,"rope_parameters":{"rope_type":"default"}})") == RopeConfig{});
  CHECK(rope(R"({"rope_parameters":{"rope_theta":77}})") == RopeConfig{.rope_theta = 77});
}

TEST_CASE("a rope that is wrong is refused by its path") {
  struct Case {
    const char *text, *field;
  };
  const Case cases[] = {
      {R"({"rope_theta":0})", "rope_theta"},
      {R"({"rope_theta":1})", "rope_theta"},
      {R"({"rope_theta":-10000})", "rope_theta"},
      {R"({"rope_theta":1e308})", "rope_theta"},
      {R"({"rope_theta":"10000"})", "rope_theta"},
      {R"({"rope_scaling":{"rope_theta":0}})", "rope_scaling.rope_theta"},
      {R"({"rope_scaling":3})", "rope_scaling"},
      {R"({"rope_parameters":"yarn"})", "rope_parameters"},
      {R"({"rope_parameters":[1,2]})", "rope_parameters"},
      {R"({"rope_parameters":{"rope_type":"longrope"}})", "rope_parameters.rope_type"},
      {R"({"rope_scaling":{"type":"su","factor":2}})", "rope_scaling.type"},
      {R"({"rope_scaling":{"type":"yarn","factor":0}})", "rope_scaling.factor"},
      {R"({"rope_scaling":{"type":"yarn","factor":-3}})", "rope_scaling.factor"},
      {R"({"rope_scaling":{"type":"yarn","factor":8,"original_max_position_embeddings":0}})",
       "rope_scaling.original_max_position_embeddings"},
      {R"({"original_max_position_embeddings":-5,"rope_scaling":{"type":"yarn","factor":8}})",
       "original_max_position_embeddings"},
      {R"({"rope_scaling":{"type":"yarn","factor":8,"truncate":1}})", "rope_scaling.truncate"},
  };
  for (const auto& each : cases) {
    CAPTURE(std::string(each.text));
    const auto error = error_of([&] { read<GptOssConfig>(each.text); });
    REQUIRE(error);
    CHECK(error->field() == each.field);
    CHECK(error->file() == "config.json");
  }
  CHECK(error_of([] {
          read<GptOssConfig>(R"({"rope_parameters":{"rope_type":"longrope"}})");
        })->expected() == "one of default, linear, yarn, llama3, dynamic");
}

TEST_CASE("layer types: as many as layers, of two kinds") {
  const auto types = [](const std::string& list) {
    return read<GptOssConfig>(R"({"num_hidden_layers":3,"layer_types":)" + list + "}").layer_types;
  };
  CHECK(types(R"(["full_attention","sliding_attention","full_attention"])") == LayerTypes("fsf"));
  struct Case {
    const char *list, *field;
  };
  const Case cases[] = {
      {R"(["full_attention"])", "layer_types"},
      {R"(["full_attention","chunked_attention","full_attention"])", "layer_types[1]"},
      {R"(["full_attention",3,"full_attention"])", "layer_types[1]"},
      {R"("full_attention")", "layer_types"},
      {"null", "layer_types"}};
  for (const auto& each : cases) {
    CAPTURE(each.list);
    CHECK(error_of([&] { types(each.list); })->field() == each.field);
  }
}

TEST_CASE("layers without rotation: a number for each layer, or null") {
  const auto layers = [](const std::string& list) {
    return read<GptOssVisionConfig>(R"({"num_hidden_layers":3,"no_rope_layers":)" + list + "}")
        .no_rope_layers;
  };
  CHECK(layers("[1,0,1]") == RopeLayers("101"));
  CHECK(layers("null") == RopeLayers());
  const std::pair<const char*, const char*> cases[] = {{"[1,0]", "no_rope_layers"},
                                                       {"[1,0,2]", "no_rope_layers[2]"},
                                                       {"[1,0,true]", "no_rope_layers[2]"},
                                                       {"[1,-1,0]", "no_rope_layers[1]"},
                                                       {"3", "no_rope_layers"},
                                                       {"{}", "no_rope_layers"}};
  for (const auto& [list, field] : cases) {
    const std::string shown = list, expected = field;
    CAPTURE(shown);
    CHECK(error_of([&] { layers(shown); })->field() == expected);
  }
}

TEST_CASE("extents: one number or two") {
  const auto size = [](const std::string& text) {
    return read<InternVitConfig>(R"({"image_size":)" + text + "}").image_size;
  };
  CHECK(size("28") == Extent{28, 28});
  CHECK(size("[28,56]") == Extent{28, 56});
  CHECK(size("[28,56]") != Extent{56, 28});
}

TEST_CASE("aliases serve where our own key is absent") {
  Problems problems("f");
  const auto read_alias = [&](const std::string& text) {
    return read_config<GptOssConfig>(
               {parse_json(text, "f"), {{"num_local_experts", "num_experts"}}}, problems)
        .num_local_experts;
  };
  CHECK(read_alias(R"({"num_experts":8})") == 8);
  CHECK(read_alias(R"({"num_experts":8,"num_local_experts":16})") == 16);
  CHECK(problems.empty());
}

TEST_CASE("all problems are told at once; the cross-checks come when every value is good") {
  const auto error = error_of([] {
    read<GptOssConfig>(
        R"({"hidden_size":0,"head_dim":"x","rms_norm_eps":-1,"rope_scaling":{"type":"yarn","factor":[]}})");
  });
  REQUIRE(error);
  const std::string what = error->what();
  for (const char* part :
       {"4 problems", "hidden_size", "head_dim", "rms_norm_eps", "rope_scaling.factor"}) {
    CAPTURE(part);
    CHECK(what.find(part) != what.npos);
  }
  struct Case {
    const char *text, *expected;
  };
  const Case cases[] = {
      {R"({"num_attention_heads":6,"num_key_value_heads":4})",
       "num_attention_heads must be a multiple of num_key_value_heads"},
      {R"({"head_dim":33})", "head_dim must be even"},
      {R"({"num_local_experts":2})", "num_experts_per_tok must be at most num_local_experts"},
      {R"({"sliding_window":0})",
       "sliding_window must be at least 1 where layer_types has sliding layers"},
      {R"({"sliding_window":null})",
       "sliding_window must be at least 1 where layer_types has sliding layers"}};
  for (const auto& each : cases) {
    CAPTURE(each.text);
    const auto found = error_of([&] { read<GptOssConfig>(each.text); });
    REQUIRE(found);
    CHECK(found->expected() == each.expected);
    CHECK(found->code() == Errc::bad_config);
    CHECK(found->file() == "config.json");
  }
  CHECK(error_of([] { read<InternVlConfig>(R"({"downsample_ratio":0.3})"); })->expected() ==
        "downsample_ratio must be 1 over a whole number");
}

TEST_CASE("differences: key, the file's value, the compiled one") {
  GptOssConfig wanted = TinyGptOss::config;
  CHECK(config_differences(wanted, TinyGptOss::config).empty());
  wanted.num_hidden_layers = 3, wanted.layer_types = LayerTypes("sff");
  wanted.rope_parameters.factor = 4;
  wanted.attention_bias = false;
  const std::vector<std::string> expected{"text_config.num_hidden_layers=3 (compiled 2)",
                                          "text_config.attention_bias=false (compiled true)",
                                          "text_config.rope_parameters.factor=4.0 (compiled 32.0)",
                                          "text_config.layer_types=[\"sliding_attention\", "
                                          "\"full_attention\", \"full_attention\"] (compiled "
                                          "[\"sliding_attention\", \"full_attention\"])"};
  const auto found = config_differences(wanted, TinyGptOss::config, "text_config.");
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == expected[i]);
  GptOssConfig plain = TinyGptOss::config;
  plain.rope_parameters = {.rope_theta = 150000};
  CHECK(config_differences(plain, TinyGptOss::config) ==
        std::vector<std::string>{"rope_parameters.rope_type=\"default\" (compiled \"yarn\")"});
}

std::string squeezed(std::string text) {
  std::erase(text, ' ');
  std::erase(text, '\n');
  return text;
}

// The initialiser is compiled, equals the config, and is what config_code writes for it.
#define GOV_CHECK_CODE(Type, config, ...)                           \
  {                                                                 \
    constexpr Type compiled __VA_ARGS__;                            \
    static_assert(compiled == config);                              \
    CHECK(squeezed(config_code(config)) == squeezed(#__VA_ARGS__)); \
  }

TEST_CASE("the C++ of a config compiles to that config") {
  GOV_CHECK_CODE(GptOssConfig, GptOssConfig{}, {})
  GOV_CHECK_CODE(GptOssConfig, GptOss120b::config, {})
  GOV_CHECK_CODE(GptOssConfig, GptOss20b::config,
                 {.num_hidden_layers = 24,
                  .num_local_experts = 32,
                  .layer_types = gov::LayerTypes("sfsfsfsfsfsfsfsfsfsfsfsf")})
  GOV_CHECK_CODE(GptOssConfig, InternVl35GptOss20b::Language::config,
                 {.num_hidden_layers = 24,
                  .num_local_experts = 32,
                  .vocab_size = 200028,
                  .layer_types = gov::LayerTypes("sfsfsfsfsfsfsfsfsfsfsfsf")})
  GOV_CHECK_CODE(GptOssConfig, TinyGptOss::config,
                 {.hidden_size = 64,
                  .intermediate_size = 64,
                  .num_hidden_layers = 2,
                  .num_attention_heads = 4,
                  .num_key_value_heads = 2,
                  .head_dim = 32,
                  .num_local_experts = 4,
                  .num_experts_per_tok = 2,
                  .vocab_size = 256,
                  .sliding_window = 8,
                  .max_position_embeddings = 2048,
                  .rope_parameters = {.rope_type = gov::RopeType::yarn,
                                      .rope_theta = 150000.0,
                                      .factor = 32.0,
                                      .beta_fast = 32.0,
                                      .beta_slow = 1.0,
                                      .truncate = false,
                                      .original_max_position_embeddings = 64},
                  .layer_types = gov::LayerTypes("sf")})
  constexpr GptOssConfig plain{.num_hidden_layers = 3,
                               .rope_parameters = {.rope_theta = 500000},
                               .layer_types = LayerTypes("ffs")};
  GOV_CHECK_CODE(GptOssConfig, plain,
                 {.num_hidden_layers = 3,
                  .rope_parameters = {.rope_theta = 5e+05},
                  .layer_types = gov::LayerTypes("ffs")})
  constexpr GptOssVisionConfig vision{
      .num_hidden_layers = 2, .use_nope = true, .no_rope_layers = RopeLayers("10")};
  GOV_CHECK_CODE(GptOssVisionConfig, vision,
                 {.num_hidden_layers = 2,
                  .layer_types = gov::LayerTypes("sf"),
                  .use_nope = true,
                  .no_rope_layers = gov::RopeLayers("10")})
  GOV_CHECK_CODE(InternVitConfig, InternVit300m::config, {.attention_bias = true})
  GOV_CHECK_CODE(InternVitConfig, InternVit6b::config,
                 {.hidden_size = 3200,
                  .intermediate_size = 12800,
                  .num_hidden_layers = 45,
                  .num_attention_heads = 25,
                  .norm_type = gov::NormType::rms_norm,
                  .use_qk_norm = true})
  GOV_CHECK_CODE(InternVitConfig, TinyInternVit::config,
                 {.hidden_size = 64,
                  .intermediate_size = 128,
                  .num_hidden_layers = 2,
                  .num_attention_heads = 2,
                  .image_size = {32, 32},
                  .patch_size = {8, 8},
                  .attention_bias = true})
  GOV_CHECK_CODE(LlavaConfig, LlavaConfig(), {})
  constexpr LlavaConfig residual{.mm_projector_type = {2, 4, true}, .vision_feature_layer = -3};
  GOV_CHECK_CODE(
      LlavaConfig, residual,
      {.mm_projector_type = gov::MmProjectorType{2, 4, true}, .vision_feature_layer = {-3}})
  GOV_CHECK_CODE(InternVlConfig, TinyGov::config, {})
  constexpr InternVlConfig other{.downsample_ratio = 0.25,
                                 .projector_hidden_act = kernel::Activation::gelu_tanh,
                                 .vision_feature_layer = -3,
                                 .vision_feature_select_strategy = FeatureSelect::full,
                                 .ps_version = PsVersion::v1,
                                 .tie_word_embeddings = true};
  GOV_CHECK_CODE(InternVlConfig, other,
                 {.downsample_ratio = 0.25,
                  .projector_hidden_act = gov::kernel::Activation::gelu_tanh,
                  .vision_feature_layer = -3,
                  .vision_feature_select_strategy = gov::FeatureSelect::full,
                  .ps_version = gov::PsVersion::v1,
                  .tie_word_embeddings = true})
}

TEST_CASE("enumerations: every spelling is read, the first is written") {
  for (const auto& [name, value] : EnumNames<kernel::Activation>::values)
    CHECK(read<InternVlConfig>(R"({"projector_hidden_act":")" + std::string(name) + "\"}")
              .projector_hidden_act == value);
  CHECK(spelled(kernel::Activation::gelu_tanh) == "gelu_pytorch_tanh");
  CHECK(spelled(FeatureSelect::default_) == "default");
  const auto error = error_of([] { read<InternVlConfig>(R"({"projector_hidden_act":"mish"})"); });
  REQUIRE(error);
  CHECK(error->code() == Errc::unsupported);
  CHECK(error->expected().starts_with("one of gelu, "));
  CHECK(error->found() == "\"mish\"");
}

TEST_CASE("words with a grammar of their own") {
  CHECK(read<LlavaConfig>(R"({"mm_projector_type":"mlp3x_res2x_gelu"})").mm_projector_type ==
        MmProjectorType{3, 2, true});
  for (const auto& [text, code] :
       std::map<std::string, Errc>{{R"({"mm_projector_type":"mlp0x_gelu"})", Errc::bad_config},
                                   {R"({"mm_projector_type":"pooler"})", Errc::unsupported},
                                   {R"({"mm_projector_type":2})", Errc::bad_type}}) {
    const auto error = error_of([&text = text] { read<LlavaConfig>(text); });
    REQUIRE(error);
    CHECK(error->code() == code);
    CHECK(error->field() == "mm_projector_type");
  }
}

}  // namespace config_json_test
