// GPT-OSS-Vision's language model: its defaults, the counts of its sizes, that with its parts off
// it is GPT-OSS to the bit, and that a layer without positions knows none.
#include "gov/language/gpt_oss_vision.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "gov/model/parameter_list.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace gpt_oss_vision_test {

using namespace gov;
using namespace gov::test;

TEST_CASE("the defaults are the published class's: gpt-oss-120b's numbers, NoPE off") {
  constexpr GptOssVisionConfig c;
  constexpr GptOssConfig plain;
  static_assert(c.num_hidden_layers == 36 && c.num_local_experts == 128);
  static_assert(!c.use_nope && c.nope_stride == 4 && !c.no_rope_layers.given);
  static_assert(c.router_aux_loss_coef == 0.9 && c.problem() == "");
  static_assert(c.rope_parameters == plain.rope_parameters && c.layer_types == plain.layer_types);
  for (index_t layer = 0; layer < 36; ++layer) CHECK(c.window(layer) == plain.window(layer));
  // By the default stride only full layers lose their positions.
  const NopeLayers nope{.use_nope = true, .nope_stride = c.nope_stride};
  for (index_t layer = 0; layer < 36; ++layer)
    if (nope.contains(layer)) CHECK(c.window(layer) == 0);
}

TEST_CASE("each key is listed once, those that may change among them") {
  std::set<std::string> keys;
  GptOssVisionConfig config;
  GptOssVisionConfig::keys(config, [&](std::string_view key, auto&&...) {
    CHECK(keys.insert(std::string(key)).second);
  });
  CHECK(keys.size() == 22);
  for (const auto key : GptOssVisionConfig::run_time_keys) CHECK(keys.contains(std::string(key)));
}

TEST_CASE("what may change is taken from another config, and nothing else") {
  GptOssVisionConfig config{.num_hidden_layers = 2};
  const GptOssVisionConfig other{.num_hidden_layers = 3,
                                 .use_nope = true,
                                 .nope_stride = 1,
                                 .no_rope_layers = RopeLayers("10"),
                                 .router_aux_loss_coef = 0.1};
  config.take_run_time(other);
  GptOssVisionConfig expected = other;
  expected.num_hidden_layers = 2;
  CHECK(config == expected);
  config.set_nope({});
  CHECK(config.nope() == NopeLayers{});
}

TEST_CASE("what does not hold together is said in GPT-OSS's sentences") {
  CHECK(GptOssVisionConfig{.head_dim = 63}.problem() == GptOssConfig{.head_dim = 63}.problem());
  CHECK(GptOssVisionConfig{.sliding_window = 0}.problem() != "");
}

TEST_CASE("a bias of one number an expert in each router is all that is added") {
  static_assert(parameter_count<Decoder<GptOssVision20b>> ==
                parameter_count<Decoder<GptOss20b>> + 24 * 32);
  static_assert(parameter_count<Decoder<GptOssVision120b>> ==
                parameter_count<Decoder<GptOss120b>> + 36 * 128);
  // With ViT-L/14's 303,178,752, the adapter's 2,955,072 and the output head: 21.2 billion.
  static_assert(parameter_count<Decoder<GptOssVision20b>> + index_t{201088} * 2880 + 303'178'752 +
                    2'955'072 ==
                21'220'891'776);
  Decoder<GptOssVision20b>::Block::Params params;
  std::map<std::string, std::vector<index_t>> shapes;
  for (const auto& p : parameter_list(params)) {
    shapes[p.name] = p.shape;
    CHECK(p.is_optional == (p.name == "mlp.router.vision_bias"));
  }
  CHECK(shapes.size() == 18);
  CHECK(shapes.at("mlp.router.vision_bias") == std::vector<index_t>{32});
}

// Two layers, the first sliding, as TinyGptOss has them.
template <class C>
struct Fixture {
  using Model = Decoder<C>;
  typename Model::Params params;
  AlignedBuffer memory = random_params(params);  // by name: the same for the same name
  typename Model::Position::Table positions = Model::Position::table();
  const kernel::Kernels<float>* kernels = kernel::find_kernels<float>("scalar");

  std::vector<float> run(std::vector<float> x, const index_t* modality = nullptr) {
    ThreadPool pool(1);
    Arena arena;
    Context<float> context{*kernels, pool, arena};
    context.modality = modality;
    auto state = Model::template make_state<float>(64, 64, false);
    const DecoderStep<float> step{&state, static_cast<index_t>(x.size()) / 64};
    NoObserver none;
    Model::forward(context, params, positions, std::span(&step, 1),
                   Rows<float>(x.data(), step.rows, 64), none);
    return x;
  }
};

TEST_CASE("off, it is GPT-OSS to the bit; on, it is not") {
  Fixture<TinyGptOss> plain;
  Fixture<TinyGptOssVision> model;
  const auto x = random_values(20 * 64, 1);
  const auto expected = plain.run(x);
  CHECK(model.run(x) == expected);
  model.positions.nope = {.use_nope = true, .nope_stride = 3};  // beyond the last layer
  CHECK(model.run(x) == expected);
  model.positions.nope.nope_stride = 2;
  CHECK(model.run(x) != expected);
  const index_t images[20] = {0, 1, 1};
  model.positions.nope.use_nope = false;
  CHECK(model.run(x, images) != expected);
  for (auto& layer : model.params.layers) std::fill_n(layer.mlp.vision_bias.values(), 4, 0.0f);
  CHECK(model.run(x, images) == expected);
}

struct OneFullLayer : GptOssVision {
  static constexpr GptOssVisionConfig config = [] {
    GptOssVisionConfig c = TinyGptOssVision::config;
    c.num_hidden_layers = 1, c.layer_types = LayerTypes("f");
    return c;
  }();
};

TEST_CASE("without positions the order of what came before does not matter") {
  Fixture<OneFullLayer> model;
  const auto x = random_values(12 * 64, 1);
  auto turned = x;  // the first eleven tokens the other way round
  for (index_t t = 0; t < 11; ++t)
    std::copy_n(x.begin() + (10 - t) * 64, 64, turned.begin() + t * 64);
  const auto last_gap = [&] {
    const auto a = model.run(x), b = model.run(turned);
    const std::vector<float> last(a.end() - 64, a.end());
    return relative_gap(last, std::vector<double>(b.end() - 64, b.end()));
  };
  CHECK(last_gap() > 1e-3);
  model.positions.nope = {.use_nope = true, .nope_stride = 1};
  CHECK(last_gap() < 1e-6);
}

TEST_CASE("YaRN's gain goes with the positions: cos 1 and sin 0, no more") {
  // A model whose rotation is the identity: frequencies 0 and a gain of 1 are what NoPE is.
  Fixture<TinyGptOssVision> model;
  const auto x = random_values(20 * 64, 1);
  const auto all = RotaryOrNope<TinyGptOssVision>::table();
  CHECK(all.scaling > 1.3);
  model.positions.nope = {.use_nope = true, .nope_stride = 1};
  const auto found = model.run(x);
  model.positions.nope.use_nope = false;
  std::fill(model.positions.inverse_frequencies.begin(), model.positions.inverse_frequencies.end(),
            0.0f);
  CHECK(model.run(x) != found);  // the gain is still there
  model.positions.scaling = 1;
  CHECK(model.run(x) == found);
}

}  // namespace gpt_oss_vision_test
