// The load-balancing loss against transformers' load_balancing_loss_func
// (tests/reference/aux_loss.py), and its value where it is known.
#include "gov/model/aux_loss.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/parity/generated_weights.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

TEST_CASE("parity with transformers: logits and sparse scores, with and without a mask") {
  const Json file = load_json("tests/fixtures/router/aux_loss.json");
  index_t cases = 0;
  for (const Json& each : file.at("cases").elements()) {
    const std::string name(each.at("name").as_string());
    CAPTURE(name);
    const auto tokens = each.at("tokens").as<index_t>(), experts = each.at("experts").as<index_t>();
    const auto mask = each.at("attention_mask").as_vector<int>();
    const auto loss = [&](AuxInput input, bool masked) {
      AuxLoss sum(experts, each.at("top_k").as<index_t>(), input);
      for (index_t layer = 0; layer < each.at("layers").as<index_t>(); ++layer) {
        std::vector<float> logits(static_cast<std::size_t>(tokens * experts));
        generate("1", name + "." + std::to_string(layer), 0, each.at("amplitude").as<float>(),
                 logits);
        sum.add(Rows<const float>(logits.data(), tokens, experts),
                masked ? std::span(mask) : std::span<const int>());
      }
      return sum.value();
    };
    const auto near_to = [](double value) { return doctest::Approx(value).epsilon(1e-6); };
    CHECK(loss(AuxInput::raw_logits, false) == near_to(each.at("raw").as_double()));
    CHECK(loss(AuxInput::raw_logits, true) == near_to(each.at("raw_masked").as_double()));
    CHECK(loss(AuxInput::sparse_scores, false) == near_to(each.at("sparse").as_double()));
    CHECK(loss(AuxInput::sparse_scores, true) == near_to(each.at("sparse_masked").as_double()));
    ++cases;
  }
  CHECK(cases == 5);
}

TEST_CASE("k where the load is even, experts / k times that where all is one expert's") {
  AuxLoss even(4, 2), one(4, 1);
  // Each token prefers two neighbours; over all, every expert is chosen twice and p is even.
  const std::vector<double> logits{9, 8, 0, 0, 0, 9, 8, 0, 0, 0, 9, 8, 8, 0, 0, 9};
  even.add(Rows<const double>(logits.data(), 4, 4));
  CHECK(even.value() == doctest::Approx(2).epsilon(1e-12));
  CHECK(even.rows() == 4);
  const std::vector<double> same{500, 0, 0, 0, 500, 0, 0, 0};
  one.add(Rows<const double>(same.data(), 2, 4));
  CHECK(one.value() == doctest::Approx(4).epsilon(1e-12));
}

TEST_CASE("nothing seen is 0; shapes that do not belong together are refused") {
  AuxLoss loss(4, 2);
  CHECK(loss.value() == 0);
  const std::vector<float> logits(8);
  const std::vector<int> mask{1};
  const std::vector<int> none{0, 0};
  CHECK(code_of([&] { loss.add(Rows<const float>(logits.data(), 4, 2)); }) == "bad_argument");
  CHECK(code_of([&] { loss.add(Rows<const float>(logits.data(), 2, 4), mask); }) == "bad_argument");
  loss.add(Rows<const float>(logits.data(), 2, 4), none);
  CHECK(loss.rows() == 0);
  CHECK(loss.value() == 0);
}

}  // namespace
