// Steering: an observer adds a direction to a hidden state, and the logits move.
#include <cmath>
#include <cstdio>
#include <vector>

#include <gov/gov.hpp>
#include "FixtureModel.hpp"

struct Steer {
  float strength;
  void on(const std::string& name, gov::Rows<float> hidden) {
    if (name != "hidden_states.1") return;
    for (gov::index_t t = 0; t < hidden.rows; ++t) hidden(t, 0) += strength;
  }
};

int main(int, char** argv) {
  const auto model = gov::GovModel<FixtureModel>::from_pretrained(argv[1]);
  const std::vector<int> ids{5, 9, 2, 7, 11};
  const auto last_logits = [&](auto&& observer) {
    auto session = model.session();
    const auto logits = session.forward({.input_ids = ids}, {.logits_to_keep = 1}, observer).logits;
    return std::vector<float>(logits.data, logits.data + logits.cols);
  };
  const auto plain = last_logits(gov::NoObserver{}), still = last_logits(Steer{0}),
             moved = last_logits(Steer{2});
  double shift = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) shift += std::abs(moved[i] - plain[i]);
  std::printf("steering by 0 changes nothing: %d; by 2 moves the logits by %f\n", plain == still,
              shift);
  return plain == still && shift > 1e-3 ? 0 : 1;
}
