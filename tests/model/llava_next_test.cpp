// LLaVA-NeXT's config.json, and which pictures fit which pixels. What it computes is held against
// transformers in tests/parity.
#include "gov/model/llava_next.hpp"

#include <doctest/doctest.h>

#include "gov/model/config_output.hpp"
#include "tests/support/errors.hpp"

namespace llava_next_test {

using namespace gov;

struct TinyNext : LlavaNext {
  struct Vision : ClipVitModules {
    static constexpr ClipVitConfig config{.hidden_size = 16,
                                          .intermediate_size = 16,
                                          .num_hidden_layers = 2,
                                          .num_attention_heads = 2,
                                          .image_size = {28, 28},
                                          .patch_size = {7, 7}};
  };
  struct Language : Llama {
    static constexpr LlamaConfig config{.hidden_size = 16,
                                        .intermediate_size = 16,
                                        .num_hidden_layers = 1,
                                        .num_attention_heads = 2,
                                        .vocab_size = 32};
  };
  static constexpr LlavaNextConfig config{
      .image_grid_pinpoints = {Extent{28, 56}, Extent{56, 28}, Extent{56, 56}}};
};
using Images = AnyresImages<TinyNext>;

std::string refused(index_t views, std::vector<Extent> pictures, index_t side = 28) {
  const auto error = test::error_of([&] {
    Images::rows({.pixel_values = {nullptr, views, 3, side, side}, .image_sizes = pictures});
  });
  return error ? std::string(error->field()) : "";
}

TEST_CASE("a picture's size says how many views and tokens it has") {
  const AnyresLayout wide = Images::layout({20, 41});
  CHECK(wide.view_count() == 3);
  // The whole picture's 16, and 4 rows of 8 with a newline each.
  CHECK(wide.tokens() == 16 + 4 * 9);
  const AnyresLayout flat = Images::layout({10, 60});
  CHECK(flat.tokens() < wide.tokens());
  const std::vector<Extent> both{{20, 41}, {10, 60}};
  CHECK(Images::rows({.pixel_values = {nullptr, 6, 3, 28, 28}, .image_sizes = both}) ==
        wide.tokens() + flat.tokens());
  CHECK(Images::rows({}) == 0);
}

TEST_CASE("pixels and sizes must belong together") {
  CHECK(refused(3, {{20, 41}}).empty());
  CHECK(refused(3, {}) == "image_sizes");
  CHECK(refused(0, {{20, 41}}) == "image_sizes");
  CHECK(refused(4, {{20, 41}}) == "image_sizes");
  CHECK(refused(3, {{20, 41}}, 35) == "pixel_values");
  CHECK_FALSE(refused(3, {{0, 41}}).empty());
}

ModelDescription of_text(const std::string& more) {
  return describe_config(parse_json(
      R"({"model_type":"llava_next","text_config":{"vocab_size":32064},"vision_config":{"image_size":56})" +
          more + "}",
      "config.json"));
}

TEST_CASE("the top level alone decides on tying, unlike LLaVA's") {
  const auto tied = [](const char* top) {
    const std::string json = std::string(R"({"model_type":"llava_next",)") + top +
                             R"("text_config":{"model_type":"gpt2"},"image_token_index":5,
        "vision_config":{"model_type":"clip_vision_model"}})";
    return describe_config(parse_json(json, "config.json")).tied();
  };
  CHECK_FALSE(tied(""));
  CHECK_FALSE(tied(R"("tie_word_embeddings":false,)"));
  CHECK(tied(R"("tie_word_embeddings":true,)"));
}

TEST_CASE("config.json") {
  const auto plain = of_text("");
  const auto& config = plain.composition->config.as<LlavaNextConfig>();
  CHECK(config.image_grid_pinpoints.size() == 5);
  CHECK(config.image_grid_pinpoints[3] == Extent{1008, 336});
  const auto own = of_text(R"(,"image_grid_pinpoints":[[56,112],[112,56]])");
  const auto& chosen = own.composition->config.as<LlavaNextConfig>();
  CHECK(chosen.image_grid_pinpoints == GridPinpoints{Extent{56, 112}, Extent{112, 56}});
  CHECK(config_code(chosen) ==
        "{.image_grid_pinpoints = {gov::Extent{56, 112}, gov::Extent{112, 56}}}");
  const std::string again = config_json(own, Layout::hf, "float32");
  CHECK(differences(describe_config(parse_json(again, "f")), own).empty());
  CHECK_FALSE(differences(own, plain).empty());
  CHECK_THROWS_AS(of_text(R"(,"vision_feature_select_strategy":"full")"), Error);
  CHECK_THROWS_AS(of_text(R"(,"image_grid_pinpoints":[])"), Error);
  CHECK_THROWS_AS(of_text(R"(,"image_grid_pinpoints":[[56,112],[112]])"), Error);
  CHECK_THROWS_AS(of_text(R"(,"image_grid_pinpoints":[[0,112]])"), Error);
}

}  // namespace llava_next_test
