#include "gov/model/architecture.hpp"

#include <doctest/doctest.h>

#include "gov/model/presets.hpp"

namespace {

struct Variant : gov::InternVl {
  [[maybe_unused]] static constexpr std::string_view name = "Variant";
  using Vision = gov::TinyInternVit;  // 32x32 pixels, patches of 8
  using Language = gov::TinyGptOss;
  static constexpr gov::InternVlConfig config{
      .vision_feature_layer = -2,
      .vision_feature_select_strategy = gov::FeatureSelect::full,
      .tie_word_embeddings = true};
};

using Tiny = gov::Architecture<gov::TinyGov>;
using Other = gov::Architecture<Variant>;

}  // namespace

static_assert(Tiny::Images::feature_layers == gov::FeatureLayers(-1));
static_assert(Other::Images::feature_layers == gov::FeatureLayers(1));
static_assert(!Tiny::tied && Other::tied);
static_assert(gov::parameter_count<Tiny> - gov::parameter_count<Other> == 256 * 64);

TEST_CASE("which tile sizes fold, and into how many tokens") {
  const auto tokens = Tiny::Images::image_tokens;
  CHECK(tokens(32, 32) == 4);
  CHECK(tokens(64, 64) == 16);
  CHECK(tokens(16, 64) == 4);  // 2 x 8 patches are read as 4 x 4, as in transformers
  CHECK(tokens(24, 24) == 0);  // 3 x 3: odd
  CHECK(tokens(32, 40) == 0);  // 20 patches: no square
  CHECK(tokens(4, 4) == 0);    // none
  CHECK(Other::Images::selected_tokens(24, 40) == 16);  // 15 patches and the class token
  CHECK(Other::Images::image_tokens(24, 40) == 4);
  CHECK(Other::Images::image_tokens(32, 32) == 0);
}
