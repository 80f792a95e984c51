// Parity with transformers' CLIPVisionModel.
#include "gov/vision/clip_vit.hpp"

#include "tests/vision/tower_cases.hpp"

namespace {

using namespace gov;
using namespace gov::test;

struct Quick : ClipVitModules {
  static constexpr ClipVitConfig config{.hidden_size = 16,
                                        .intermediate_size = 24,
                                        .num_hidden_layers = 2,
                                        .num_attention_heads = 2,
                                        .image_size = {32, 32},
                                        .patch_size = {8, 8}};
};
struct Gelu : ClipVitModules {  // an odd number of heads, one channel
  static constexpr ClipVitConfig config{.hidden_size = 24,
                                        .intermediate_size = 40,
                                        .num_hidden_layers = 3,
                                        .num_attention_heads = 3,
                                        .num_channels = 1,
                                        .image_size = {15, 15},
                                        .patch_size = {5, 5},
                                        .hidden_act = kernel::Activation::gelu,
                                        .layer_norm_eps = 1e-3};
};

// The class token of the last hidden state, normed.
template <class C>
int check_with_pooler(const std::string& geometry) {
  using Tower = ClipVit<C>;
  return check_tower<C>(geometry, [](const auto& params, const TowerCase& c) {
    const auto& pooled = c.tensors.at("pooler_output");
    constexpr index_t width = Tower::hidden_size, layers = C::config.num_hidden_layers;
    const auto& states = c.tensors.at("hidden_states." + std::to_string(layers));
    const index_t tokens = Tower::tokens(c.size.height, c.size.width);
    ThreadPool pool(1);
    Arena arena;
    Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
    for (index_t i = 0; i < c.images; ++i) {
      Doubles out(static_cast<std::size_t>(width));
      Tower::pool(context, params, {states.data() + i * tokens * width, tokens, width},
                  Rows<double>(out.data(), 1, width));
      CHECK(relative_gap(
                out, Doubles(pooled.begin() + i * width, pooled.begin() + (i + 1) * width)) < 5e-6);
    }
  });
}

TEST_CASE("parity: quick_gelu; its own size, several images, larger, smaller, oblong") {
  CHECK(check_with_pooler<Quick>("clip-quick") == 5);
}
TEST_CASE("parity: gelu, three heads, one channel, a ragged border") {
  CHECK(check_with_pooler<Gelu>("clip-gelu") == 2);
}

TEST_CASE("counts and what does not hold together") {
  static_assert(parameter_count<ClipVit<ClipVitLarge336>> == 303'507'456);
  static_assert(ClipVit<ClipVitLarge336>::tokens(336, 336) == 577);
  CHECK(ClipVitConfig{}.problem() == "");
  CHECK(ClipVitConfig{.hidden_size = 100}.problem() ==
        "hidden_size must be a multiple of num_attention_heads");
  CHECK(ClipVitConfig{.image_size = {224, 208}}.problem() ==
        "image_size and patch_size must be square");
  CHECK(ClipVitConfig{.image_size = {16, 16}}.problem() == "image_size must hold a patch");
}

TEST_CASE("a request to stop is heard before each layer") {
  ClipVit<Quick>::Params params;
  const auto memory = generated_params(params, vision_fixture("clip-quick"));
  const std::vector<float> pixels(3 * 32 * 32);
  std::stop_source source;
  struct Stopper {
    std::stop_source& source;
    int calls = 0;
    void on(const std::string&, Rows<float>) { ++calls, source.request_stop(); }
  } stopper{source};
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::best_kernels<float>(), pool, arena, source.get_token()};
  std::vector<float> out(17 * 16);
  CHECK_THROWS_AS(ClipVit<Quick>::forward(context, params, pixels.data(), 32, 32, -1,
                                          Rows<float>(out.data(), 17, 16), stopper),
                  Error);
  CHECK(stopper.calls == 1);
}

}  // namespace
