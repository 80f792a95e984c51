// Which experts do image tokens and text tokens go to? An observer is shown every intermediate by
// name.
#include <iomanip>
#include <iostream>
#include <map>

#include "Digits.hpp"
#include "gov/gov.hpp"

// Counts the experts' tokens, apart for image tokens and text.
struct ExpertCounter {
  static constexpr gov::index_t experts = Digits::Language::config.num_local_experts;
  struct Load {
    std::array<int, experts> image{}, text{};
  };
  const std::vector<int>& ids;
  int image_token_id;
  std::map<std::string, Load> layers;

  void on(const std::string& name, gov::Rows<gov::index_t> chosen) {
    if (!name.starts_with("router_indices.")) return;
    Load& load = layers[name.substr(15)];
    for (gov::index_t t = 0; t < chosen.rows; ++t)
      for (gov::index_t k = 0; k < chosen.cols; ++k) {
        const bool image = ids[static_cast<std::size_t>(t)] == image_token_id;
        ++(image ? load.image : load.text)[static_cast<std::size_t>(chosen(t, k))];
      }
  }
};

// test: examples/digits/model examples/digits/pictures/01.png
int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: watch_experts MODEL_FOLDER PICTURE\n";
    return 2;
  }
  try {
    const auto model = gov::GovModel<Digits>::from_pretrained(argv[1]);
    auto chat = model.chat();
    gov::Message question = gov::message(gov::Role::user, "Which digits are shown?");
    question.content.insert(question.content.begin(), gov::Content::image());
    const auto input = chat.processor().process(std::span(&question, 1), gov::image(argv[2]));
    ExpertCounter counter{input.prompt.ids, model.tokens().image_token_id, {}};
    auto session = model.session();
    session.forward({.input_ids = input.prompt.ids, .pixel_values = input.pixel_view()}, {},
                    counter);
    for (const auto& [layer, load] : counter.layers) {
      std::cout << "layer " << layer << "  image";
      for (const int n : load.image) std::cout << std::setw(4) << n;
      std::cout << "  text";
      for (const int n : load.text) std::cout << std::setw(4) << n;
      std::cout << "\n";
    }
    return 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
