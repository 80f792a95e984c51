// Tiles through a tower: which hidden states and which rows reach the projector.
#include "gov/model/tile_features.hpp"

#include <doctest/doctest.h>

#include <map>

#include "gov/vision/intern_vit.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/random_params.hpp"

namespace tile_features_test {

using namespace gov;
using namespace gov::test;

// Shows what reaches the projector.
struct Echo {
  struct Params {
    template <class V, class N, class... P>
    static constexpr void visit(V&&, const N&, P&...) {}
  };
  static constexpr std::string_view takes = "any rows but none";
  static constexpr index_t tokens(index_t rows) { return rows; }
  template <class T>
  static void forward(Context<T>&, const Params&, Input<T> x, Rows<T> y) {
    std::copy_n(x.data, x.rows * x.cols, y.data);
  }
};

struct Between {
  FeatureLayers vision_feature_layer = -1;
  FeatureSelect vision_feature_select_strategy = FeatureSelect::default_;
};

struct ThreeLayers : InternVitModules {
  static constexpr InternVitConfig config{.hidden_size = 16,
                                          .intermediate_size = 32,
                                          .num_hidden_layers = 3,
                                          .num_attention_heads = 2,
                                          .image_size = {16, 16},
                                          .patch_size = {8, 8},
                                          .use_mean_pooling = false};
};

template <bool LastHiddenState>
struct Family {
  using Vision = ThreeLayers;
  static constexpr bool reads_last_hidden_state = LastHiddenState;
  template <class>
  using Projector = Echo;
};
struct Last : Family<true> {
  static constexpr Between config{};
};
struct LastUnnormed : Family<false> {
  static constexpr Between config{};
};
struct WithClass : Family<true> {
  static constexpr Between config{-2, FeatureSelect::full};
};
struct Several : Family<true> {
  static constexpr Between config{{0, -1, -2}};
};

struct States {
  std::map<std::string, std::vector<double>> rows;
  void on(const std::string& name, Rows<double> x) {
    rows[name].assign(x.data, x.data + x.rows * x.cols);
  }
};

template <class Cfg>
std::vector<double> run(std::span<const float> pixels, index_t tiles, States* states = nullptr) {
  using Images = TileFeatures<Cfg>;
  typename Images::Params p;
  const auto memory = random_params(p);
  ThreadPool pool(1);
  Arena arena;
  Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
  const Inputs inputs{.pixel_values = {pixels.data(), tiles, 3, 16, 16}};
  constexpr auto width = static_cast<index_t>(Images::feature_layers.size()) * 16;
  std::vector<double> out(static_cast<std::size_t>(Images::rows(inputs) * width));
  const Rows<double> rows(out.data(), Images::rows(inputs), width);
  NoObserver none;
  if (states)
    Images::forward(context, p, inputs, rows, *states);
  else
    Images::forward(context, p, inputs, rows, none);
  return out;
}

const std::vector<float> pixels = random_values(2 * 3 * 16 * 16, 5);
const std::span<const float> first = std::span(pixels).first(3 * 16 * 16);

std::vector<double> without_class(const std::vector<double>& state) {
  return {state.begin() + 16, state.end()};
}

TEST_CASE("the last state, with and without the final norm") {
  States states;
  const auto normed = run<Last>(first, 1), plain = run<LastUnnormed>(first, 1, &states);
  CHECK(plain == without_class(states.rows.at("vision_hidden_states.3")));
  CHECK(normed.size() == plain.size());
  CHECK(normed != plain);
}

TEST_CASE("an earlier state, class token and all") {
  States states;
  const auto found = run<WithClass>(first, 1, &states);
  CHECK(found == states.rows.at("vision_hidden_states.2"));
  CHECK_FALSE(states.rows.contains("vision_hidden_states.3"));  // is not computed
}

TEST_CASE("several states side by side, by one run of the tower") {
  States states;
  const auto found = run<Several>(first, 1, &states);
  CHECK(states.rows.size() == 5);  // four states and the features
  const auto last = run<Last>(first, 1);
  const auto embedded = without_class(states.rows.at("vision_hidden_states.0")),
             second = without_class(states.rows.at("vision_hidden_states.2"));
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t c = 0; c < 16; ++c) {
      CHECK(found[i * 48 + c] == embedded[i * 16 + c]);
      CHECK(found[i * 48 + 16 + c] == last[i * 16 + c]);
      CHECK(found[i * 48 + 32 + c] == second[i * 16 + c]);
    }
}

TEST_CASE("a tile's features do not depend on its neighbours") {
  const auto both = run<Several>(pixels, 2), one = run<Several>(first, 1);
  CHECK(std::equal(one.begin(), one.end(), both.begin()));
}

TEST_CASE("images that cannot be taken") {
  const auto refused = [](index_t channels, index_t side) {
    const auto error = error_of([&] {
      TileFeatures<Last>::rows({.pixel_values = {pixels.data(), 1, channels, side, side}});
    });
    return error && error->field() == "pixel_values";
  };
  CHECK(refused(1, 16));
  CHECK(refused(3, 4));  // no patch at all
  CHECK_FALSE(refused(3, 16));
  CHECK(TileFeatures<Last>::rows({}) == 0);
}

}  // namespace tile_features_test
