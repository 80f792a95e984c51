// Parity with transformers' ViTModel without its pooler.
#include "gov/vision/vit.hpp"

#include "tests/vision/tower_cases.hpp"

namespace vit_test {

using namespace gov;
using namespace gov::test;

struct Square : VitModules {
  static constexpr VitConfig config{.hidden_size = 16,
                                    .intermediate_size = 24,
                                    .num_hidden_layers = 2,
                                    .num_attention_heads = 2,
                                    .image_size = {32, 32},
                                    .patch_size = {8, 8},
                                    .layer_norm_eps = 1e-6};
};
struct Oblong : VitModules {  // its own size is not square: positions as they are there alone
  static constexpr VitConfig config{.hidden_size = 18,
                                    .intermediate_size = 28,
                                    .num_hidden_layers = 3,
                                    .num_attention_heads = 3,
                                    .num_channels = 2,
                                    .image_size = {10, 40},
                                    .patch_size = {5, 5},
                                    .hidden_act = kernel::Activation::gelu_tanh,
                                    .qkv_bias = false};
};

TEST_CASE("parity: its own size, several images, larger, oblong") {
  CHECK(check_tower<Square>("vit") == 4);
}
TEST_CASE("parity: an oblong tower, three heads, tanh, no q, k, v biases, eps 1e-12") {
  CHECK(check_tower<Oblong>("vit-oblong") == 3);
}

TEST_CASE("counts and what does not hold together") {
  static_assert(parameter_count<Vit<VitLarge14>> == 303'178'752);
  static_assert(Vit<VitLarge14>::tokens(224, 224) == 257);
  CHECK(VitConfig{}.problem() == "");
  CHECK(VitConfig{.hidden_size = 100}.problem() ==
        "hidden_size must be a multiple of num_attention_heads");
  CHECK(VitConfig{.image_size = {224, 15}}.problem() == "image_size must hold a patch");
}

}  // namespace vit_test
