// Keys that may be changed after loading, and those that may not.
#include "gov/model/run_time_keys.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "gov/language/gpt_oss_vision.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace run_time_keys_test {

using namespace gov;
using namespace gov::test;

TEST_CASE("a command line's spelling") {
  CHECK(parse_setting("nope_stride=2") == Setting{"nope_stride", "2"});
  CHECK(parse_setting("a=b=c") == Setting{"a", "b=c"});
  CHECK(parse_setting("a=") == Setting{"a", ""});
  for (const char* wrong : {"", "=", "=2", "nope_stride"}) {
    const auto error = error_of([&] { parse_setting(wrong); });
    REQUIRE(error);
    CHECK(error->expected() == "KEY=VALUE");
    CHECK(error->found() == wrong);
  }
}

TEST_CASE("each key that may change takes its values in JSON, and changes nothing else") {
  const GptOssVisionConfig before{.num_hidden_layers = 3};
  auto expected = before;
  CHECK(with_setting(before, {"use_nope", "true"}).use_nope);
  expected.use_nope = true;
  CHECK(with_setting(before, {"use_nope", "true"}) == expected);
  expected = before, expected.nope_stride = 2;
  CHECK(with_setting(before, {"nope_stride", "2"}) == expected);
  expected = before, expected.no_rope_layers = RopeLayers("101");
  CHECK(with_setting(before, {"no_rope_layers", "[1,0,1]"}) == expected);
  CHECK(with_setting(expected, {"no_rope_layers", "null"}) == before);
  expected = before, expected.router_aux_loss_coef = 0.01;
  CHECK(with_setting(before, {"router_aux_loss_coef", "0.01"}) == expected);
}

TEST_CASE("geometry, unknown keys and other families are refused with what is possible") {
  struct Case {
    Setting setting;
    const char *expected, *found;
  };
  const Case cases[] = {
      {{"hidden_size", "64"}, "use_nope, nope_stride, no_rope_layers", "geometry"},
      {{"layer_types", "[]"}, "use_nope, nope_stride, no_rope_layers", "geometry"},
      {{"nope_strid", "2"}, "router_aux_loss_coef", "no such key in gpt_oss_vision"},
      {{"", "2"}, "router_aux_loss_coef", "no such key"}};
  for (const auto& each : cases) {
    const auto error = error_of([&] { with_setting(GptOssVisionConfig{}, each.setting); });
    REQUIRE(error);
    CHECK(error->code() == Errc::bad_argument);
    CHECK(error->field() == each.setting.first);
    CHECK(error->expected().find(each.expected) != std::string::npos);
    CHECK(error->found().find(each.found) != std::string::npos);
  }
  const auto error = error_of([] { with_setting(GptOssConfig{}, {"use_nope", "true"}); });
  REQUIRE(error);
  CHECK(error->expected().find("gpt_oss has no key that can be changed") != std::string::npos);
}

TEST_CASE("values that a key cannot have") {
  for (const auto& setting : {Setting{"use_nope", "1"},
                              {"use_nope", "yes"},
                              {"use_nope", ""},
                              {"use_nope", "true} "},
                              {"nope_stride", "-1"},
                              {"nope_stride", "2.5"},
                              {"nope_stride", "2,\"hidden_size\":3"},
                              {"no_rope_layers", "[1]"},
                              {"no_rope_layers", "3"},
                              {"router_aux_loss_coef", "-0.5"}}) {
    CAPTURE(setting.first);
    CAPTURE(setting.second);
    const auto error = error_of([&] { with_setting(GptOssVisionConfig{}, setting); });
    REQUIRE(error);
    CHECK(std::string(error->what()).find(setting.first) != std::string::npos);
  }
}

TEST_CASE("values that a key cannot have, from a struct") {
  const GptOssVisionConfig compiled{.num_hidden_layers = 3};
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  struct Case {
    GptOssVisionConfig config;
    const char *field, *expected, *found;
  };
  const Case cases[] = {
      {{.nope_stride = -1}, "nope_stride", "[0, 4096]", "-1"},
      {{.use_nope = true, .nope_stride = 4097}, "nope_stride", "[0, 4096]", "4097"},
      {{.no_rope_layers = RopeLayers("1110")}, "no_rope_layers", "[0, 3)", "3"},
      {{.num_hidden_layers = 9, .no_rope_layers = RopeLayers("010110")},
       "no_rope_layers",
       "[0, 3)",
       "5"},
      {{.router_aux_loss_coef = -0.5}, "router_aux_loss_coef", "[0, 1e+06]", "-0.5"},
      {{.router_aux_loss_coef = nan}, "router_aux_loss_coef", "[0, 1e+06]", "nan"}};
  for (const auto& each : cases) {
    CAPTURE(each.found);
    const auto error = error_of([&] { with_run_time(compiled, each.config); });
    REQUIRE(error);
    CHECK(error->code() == Errc::bad_argument);
    CHECK(error->field() == each.field);
    CHECK(error->expected().find(each.expected) != std::string::npos);
    CHECK(error->found() == each.found);
  }
  GptOssVisionConfig beyond{.use_nope = true};
  const index_t layers[] = {0, 255};
  beyond.set_nope(NopeLayers::of(layers));
  const auto error = error_of([&] { with_run_time(compiled, beyond); });
  REQUIRE(error);
  CHECK(error->found() == "255");

  // What is possible is taken, and of the rest nothing is looked at.
  const GptOssVisionConfig good{.num_hidden_layers = -7,
                                .use_nope = true,
                                .nope_stride = 4096,
                                .no_rope_layers = RopeLayers("110"),
                                .router_aux_loss_coef = 1e6};
  auto expected = good;
  expected.num_hidden_layers = 3;
  CHECK(with_run_time(compiled, good) == expected);
  CHECK(with_run_time(GptOssConfig{}, {.hidden_size = 1}) == GptOssConfig{});
}

}  // namespace run_time_keys_test
