// Which experts do image tokens and text tokens go to? An observer is shown every intermediate by
// name; RouterStatistics is one that counts what the routers choose.
#include <cmath>
#include <iomanip>
#include <iostream>

#include "Digits.hpp"
#include "gov/gov.hpp"

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
    gov::RouterStatistics routers;
    auto session = model.session();
    session.forward(input.inputs(), {}, routers);
    for (std::size_t layer = 0; layer < routers.layers().size(); ++layer) {
      const auto show = [&](const char* rows, const gov::ExpertLoad& load) {
        std::cout << "layer " << layer << "  " << rows;
        for (const gov::index_t count : load.histogram) std::cout << std::setw(4) << count;
        std::cout << "  entropy " << load.entropy() << " of " << std::log(load.histogram.size())
                  << ", load variation " << load.load_variation() << "\n";
      };
      show("image", routers.layers()[layer].image);
      show("text ", routers.layers()[layer].text);
    }
    std::cout << "load-balancing loss " << routers.aux_loss() << "\n";
    return 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
