// Counting the routers' choices, by layer and modality.
#include "gov/model/router_statistics.hpp"

#include <doctest/doctest.h>

namespace {

using namespace gov;

// What a pass shows of one layer.
struct Pass {
  index_t experts, top_k;
  std::vector<float> logits;
  std::vector<index_t> chosen, modality{};
  index_t tokens() const { return std::ssize(logits) / experts; }
};

void show(RouterStatistics& statistics, Pass pass, const std::vector<index_t>& layers) {
  const index_t tokens = pass.tokens();
  std::vector<float> embeds(static_cast<std::size_t>(tokens * 3));
  statistics.on("inputs_embeds", Rows<float>(embeds.data(), tokens, 3));
  if (!pass.modality.empty())
    statistics.on("modality", Rows<index_t>(pass.modality.data(), tokens, 1));
  for (const index_t layer : layers) {
    const std::string suffix = "." + std::to_string(layer);
    statistics.on("hidden_states" + suffix, Rows<float>(embeds.data(), tokens, 3));
    statistics.on("router" + suffix, Rows<float>(pass.logits.data(), tokens, pass.experts));
    statistics.on("router_indices" + suffix, Rows<index_t>(pass.chosen.data(), tokens, pass.top_k));
    statistics.on("router_weights" + suffix, Rows<float>(embeds.data(), tokens, 1));
  }
}

TEST_CASE("each choice is counted with its layer and its row's modality; passes add up") {
  RouterStatistics statistics;
  show(statistics, {3, 2, {1, 2, 0, 3, 0, 1, 0, 0, 9}, {1, 0, 0, 2, 2, 0}, {0, 1, 1}}, {0, 11});
  REQUIRE(statistics.layers().size() == 12);
  for (const std::size_t layer : {std::size_t{0}, std::size_t{11}}) {
    const auto& loads = statistics.layers()[layer];
    CHECK(loads.text.tokens == 1);
    CHECK(loads.text.histogram == std::vector<index_t>{1, 1, 0});
    CHECK(loads.image.tokens == 2);
    CHECK(loads.image.histogram == std::vector<index_t>{2, 0, 2});
  }
  CHECK(statistics.layers()[5].text.tokens == 0);
  show(statistics, {3, 2, {0, 5, 4}, {1, 2}}, {0});  // a later pass without images is all text
  CHECK(statistics.layers()[0].text.histogram == std::vector<index_t>{1, 2, 1});
  CHECK(statistics.layers()[0].text.tokens == 2);
  CHECK(statistics.layers()[0].image.tokens == 2);
}

TEST_CASE("even and uneven loads in numbers") {
  const ExpertLoad even{{5, 5, 5, 5}, 10, 0}, one{{10, 0, 0, 0}, 10, 0}, mixed{{3, 1, 0, 0}, 4, 0};
  CHECK(even.entropy() == doctest::Approx(std::log(4)).epsilon(1e-14));
  CHECK(even.load_variation() == 0);
  CHECK(one.entropy() == 0);
  CHECK(one.load_variation() == doctest::Approx(std::sqrt(3)).epsilon(1e-14));
  CHECK(mixed.entropy() ==
        doctest::Approx(-0.75 * std::log(0.75) - 0.25 * std::log(0.25)).epsilon(1e-14));
  CHECK(mixed.load_variation() == doctest::Approx(std::sqrt(1.5)).epsilon(1e-14));
  const ExpertLoad none{{0, 0}, 0, 0};
  CHECK(none.entropy() == 0);
  CHECK(none.token_entropy() == 0);
  CHECK(none.load_variation() == 0);
}

TEST_CASE("how undecided the router is about a token") {
  RouterStatistics statistics;
  show(statistics, {4, 1, {0, 0, 0, 0, 900, 0, 0, 0}, {0, 0}}, {0});
  CHECK(statistics.layers()[0].text.token_entropy() ==
        doctest::Approx(std::log(4) / 2).epsilon(1e-14));
}

TEST_CASE("the load-balancing loss of all that was seen") {
  const Pass first{3, 1, {1, 2, 0, 3, 0, 1}, {1, 0}, {0, 1}}, second{3, 1, {0, 5, 4}, {1}};
  for (const AuxInput input : {AuxInput::raw_logits, AuxInput::sparse_scores}) {
    RouterStatistics statistics(input);
    CHECK(statistics.aux_loss() == 0);
    show(statistics, first, {0, 1});
    show(statistics, second, {0, 1});
    AuxLoss expected(3, 1, input);
    for (const Pass* pass : {&first, &first, &second, &second})
      expected.add(Rows<const float>(pass->logits.data(), pass->tokens(), 3));
    CHECK(statistics.aux_loss() == doctest::Approx(expected.value()).epsilon(1e-14));
  }
}

}  // namespace
