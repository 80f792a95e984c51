// Layers without positions (NoPE) are a setting, not another model: the same weights with all
// layers turned, with every second one left alone, and with a list. A session keeps what it was
// made with.
#include <cmath>
#include <iostream>

#include "gov/gov.hpp"

using Model = gov::GovModel<gov::TinyGptOssVision>;  // or GptOssVision20b::from_pretrained(...)

// The last token's logits after a prompt that is much longer than the window of sliding layers.
std::vector<float> last_logits(const Model& model) {
  std::vector<int> prompt(1000);
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<int>(i * i % 251);
  auto session = model.session({.context = 1024});
  const auto logits = session.forward({.input_ids = prompt}, {.logits_to_keep = 1}).logits;
  return {logits.data, logits.data + logits.cols};
}

// test:
int main() {
  try {
    auto model = Model::random(1);
    const auto plain = last_logits(model);
    const auto show = [&] {
      const auto logits = last_logits(model);
      double gap = 0, size = 0;
      for (std::size_t i = 0; i < logits.size(); ++i) {
        gap = std::max(gap, std::abs(static_cast<double>(logits[i]) - plain[i]));
        size = std::max(size, std::abs(static_cast<double>(plain[i])));
      }
      std::cout << "layers without positions:";
      for (gov::index_t layer = 0; layer < model.config().num_hidden_layers; ++layer)
        if (model.config().nope().contains(layer)) std::cout << " " << layer;
      std::cout << "; logits differ by " << 100 * gap / size << " % from plain GPT-OSS\n";
    };
    show();
    model.set({"nope_stride", "2"});  // as in config.json; `gov generate --set nope_stride=2`
    model.set({"use_nope", "true"});
    show();
    model.set({"no_rope_layers", "[0, 0]"});  // a number for each layer, 0 where it is not turned
    show();
    return 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
