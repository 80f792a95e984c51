// Parity with transformers' SiglipVisionModel.
#include "gov/vision/siglip_vit.hpp"

#include "tests/vision/tower_cases.hpp"

namespace {

using namespace gov;
using namespace gov::test;

struct Even : SiglipVitModules {
  static constexpr SiglipVitConfig config{.hidden_size = 16,
                                          .intermediate_size = 24,
                                          .num_hidden_layers = 2,
                                          .num_attention_heads = 2,
                                          .image_size = {32, 32},
                                          .patch_size = {8, 8}};
};
struct Ragged : SiglipVitModules {  // an odd number of heads, one channel
  static constexpr SiglipVitConfig config{.hidden_size = 24,
                                          .intermediate_size = 44,
                                          .num_hidden_layers = 3,
                                          .num_attention_heads = 3,
                                          .num_channels = 1,
                                          .image_size = {17, 17},
                                          .patch_size = {5, 5},
                                          .hidden_act = kernel::Activation::gelu,
                                          .layer_norm_eps = 1e-3};
};

TEST_CASE("parity: its own size, several images, larger, smaller, oblong") {
  CHECK(check_tower<Even>("siglip") == 5);
}
TEST_CASE("parity: gelu, three heads, one channel, a ragged border") {
  CHECK(check_tower<Ragged>("siglip-ragged") == 2);
}

TEST_CASE("counts and what does not hold together") {
  // 428,225,600 with the head, of which LLaVA reads nothing.
  static_assert(parameter_count<SiglipVit<SiglipSo400m384>> == 428'225'600 - 15'238'352);
  static_assert(parameter_count<SiglipVit<SiglipSo400m384OfLlava>> == 412'987'248 - 15'239'504);
  static_assert(SiglipVit<SiglipSo400m384>::tokens(384, 384) == 729);
  CHECK(SiglipVitConfig{}.problem() == "");
  CHECK(SiglipVitConfig{.hidden_size = 100}.problem() ==
        "hidden_size must be a multiple of num_attention_heads");
  CHECK(SiglipVitConfig{.image_size = {224, 208}}.problem() ==
        "image_size and patch_size must be square");
  CHECK(SiglipVitConfig{.image_size = {8, 8}}.problem() == "image_size must hold a patch");
}

TEST_CASE("no prefix: every token is a patch") {
  static_assert(SiglipVit<Even>::prefix_tokens == 0);
  CHECK(SiglipVit<Even>::positions == SiglipVit<Even>::tokens(32, 32));
  SiglipVit<Even>::Params params;
  const auto names = parameter_list(params);
  CHECK(names.front().name == "embeddings.patch_embedding.weight");
  CHECK(names.back().name == "post_layernorm.bias");
}

}  // namespace
