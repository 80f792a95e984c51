// Parity with transformers' Dinov2Model and Dinov2WithRegistersModel.
#include "gov/vision/dinov2.hpp"

#include "tests/vision/tower_cases.hpp"

namespace {

using namespace gov;
using namespace gov::test;

struct Plain : Dinov2Modules {
  static constexpr Dinov2Config config{.hidden_size = 16,
                                       .num_hidden_layers = 2,
                                       .num_attention_heads = 2,
                                       .image_size = {40, 40},
                                       .patch_size = {8, 8}};
};
struct Swiglu : Dinov2Modules {  // 80 * 2 / 3 = 53 becomes 56
  static constexpr Dinov2Config config{.hidden_size = 20,
                                       .num_hidden_layers = 2,
                                       .num_attention_heads = 5,
                                       .image_size = {20, 20},
                                       .patch_size = {5, 5},
                                       .layer_norm_eps = 1e-3,
                                       .qkv_bias = false,
                                       .use_swiglu_ffn = true,
                                       .use_mask_token = false};
};
struct WithRegisters : Dinov2Modules {
  static constexpr Dinov2WithRegistersConfig config{.hidden_size = 16,
                                                    .num_hidden_layers = 2,
                                                    .num_attention_heads = 2,
                                                    .image_size = {40, 40},
                                                    .patch_size = {8, 8}};
};
struct OneRegister : Dinov2Modules {
  static constexpr Dinov2WithRegistersConfig config{.hidden_size = 24,
                                                    .num_hidden_layers = 2,
                                                    .num_attention_heads = 3,
                                                    .mlp_ratio = 2,
                                                    .num_channels = 1,
                                                    .image_size = {25, 25},
                                                    .patch_size = {5, 5},
                                                    .use_swiglu_ffn = true,
                                                    .num_register_tokens = 1};
};

TEST_CASE("parity: its own size, smaller, larger, oblong") {
  CHECK(check_tower<Plain>("dinov2-mlp") == 4);
}
TEST_CASE("parity: SwiGLU of rounded width, five heads, no q, k, v biases, a ragged border") {
  CHECK(check_tower<Swiglu>("dinov2-swiglu") == 2);
}
TEST_CASE("parity: registers, positions antialiased both ways") {
  CHECK(check_tower<WithRegisters>("dinov2-registers") == 5);
}
TEST_CASE("parity: one register and SwiGLU") {
  CHECK(check_tower<OneRegister>("dinov2-registers-swiglu") == 2);
}

TEST_CASE("the patches alone") {
  std::vector<float> values(static_cast<std::size_t>(Dinov2<WithRegisters>::tokens(16, 24) * 16));
  const Rows<float> all(values.data(), 11, 16);
  const auto patches = Dinov2<WithRegisters>::drop_prefix(all);
  CHECK(patches.rows == 6);
  CHECK(patches.data == all.row(5));
  CHECK(Dinov2<Plain>::drop_prefix(all).data == all.row(1));
}

TEST_CASE("counts of the published sizes") {
  static_assert(parameter_count<Dinov2<Dinov2Small>> == 22'056'576);
  static_assert(parameter_count<Dinov2<Dinov2Base>> == 86'580'480);
  static_assert(parameter_count<Dinov2<Dinov2Large>> == 304'368'640);
  static_assert(parameter_count<Dinov2<Dinov2Giant>> == 1'136'480'768);
  static_assert(parameter_count<Dinov2<Dinov2WithRegisters<Dinov2Small>>> == 22'058'112);
  static_assert(parameter_count<Dinov2<Dinov2WithRegisters<Dinov2Base>>> == 86'583'552);
  static_assert(parameter_count<Dinov2<Dinov2WithRegisters<Dinov2Large>>> == 304'372'736);
  static_assert(parameter_count<Dinov2<Dinov2WithRegisters<Dinov2Giant>>> == 1'136'486'912);
  static_assert(Dinov2<Dinov2Large>::tokens(224, 224) == 257);
  static_assert(Dinov2<Dinov2WithRegisters<Dinov2Large>>::tokens(224, 224) == 261);
  CHECK(Dinov2Giant::config.intermediate_size() == 4096);
}

TEST_CASE("what does not hold together is said") {
  CHECK(Dinov2Config{}.problem() == "");
  CHECK(Dinov2WithRegistersConfig{}.problem() == "");
  CHECK(Dinov2Config{.hidden_size = 100}.problem() ==
        "hidden_size must be a multiple of num_attention_heads");
  CHECK(Dinov2Config{.image_size = {8, 40}}.problem() == "image_size must hold a patch");
  CHECK(Dinov2Config{.num_register_tokens = 2}.problem() ==
        "num_register_tokens belongs to dinov2_with_registers, which has one at least");
  CHECK(Dinov2WithRegistersConfig{.num_register_tokens = 0}.problem() ==
        "num_register_tokens belongs to dinov2_with_registers, which has one at least");
}

}  // namespace
