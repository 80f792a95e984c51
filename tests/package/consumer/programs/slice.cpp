// Logits and hidden states as xtensor: slices and reductions of a forward pass.
#include <cmath>
#include <cstdio>
#include <vector>

#include <gov/gov.hpp>
#include <gov/model/xtensor.hpp>
#include "FixtureModel.hpp"

struct KeepLayerOne {
  xt::xtensor<float, 2> hidden;
  void on(const std::string& name, gov::Rows<float> rows) {
    if (name == "hidden_states.1") hidden = gov::as_xtensor(rows);
  }
};

int main(int, char** argv) {
  const auto model = gov::GovModel<FixtureModel>::from_pretrained(argv[1]);
  auto session = model.session();
  const std::vector<int> ids{5, 9, 2, 7, 11};
  KeepLayerOne keep;
  const auto out = session.forward({.input_ids = ids}, {}, keep);
  const auto logits = gov::as_xtensor(out.logits);
  const xt::xtensor<float, 1> last = xt::view(logits, -1, xt::all());
  const xt::xtensor<float, 1> mean = xt::mean(keep.hidden, {1});
  double by_hand = 0;
  for (std::size_t c = 0; c < keep.hidden.shape()[1]; ++c) by_hand += keep.hidden(2, c);
  by_hand /= static_cast<double>(keep.hidden.shape()[1]);
  std::printf("logits %zu x %zu, last maximum %f, mean of row 2 %f\n", logits.shape()[0],
              logits.shape()[1], static_cast<double>(xt::amax(last)()),
              static_cast<double>(mean(2)));
  const bool right = logits.shape()[0] == ids.size() && last(3) == out.logits(4, 3) &&
                     std::abs(mean(2) - by_hand) < 1e-5;
  return right ? 0 : 1;
}
