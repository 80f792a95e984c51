// Parity with torch's Conv2d.
#include "gov/vision/conv_patch.hpp"

#include "tests/vision/tower_cases.hpp"

namespace {

using namespace gov;
using namespace gov::test;

struct Oblong : ConvPatchModules {
  static constexpr ConvPatchConfig config{
      .hidden_size = 16, .image_size = {24, 24}, .patch_size = {8, 4}};
};

TEST_CASE("parity: its own size, several images, oblong, a ragged border") {
  CHECK(check_tower<Oblong>("conv-patch") == 4);
}

TEST_CASE("counts and what does not hold together") {
  static_assert(parameter_count<ConvPatch<ConvPatch14>> == 603'136);
  static_assert(ConvPatch<ConvPatch14>::tokens(224, 224) == 256);
  CHECK(ConvPatchConfig{}.problem() == "");
  CHECK(ConvPatchConfig{.image_size = {8, 8}}.problem() == "image_size must hold a patch");
}

}  // namespace
