// Thinking without words (COCONUT): before the answer come latent tokens, and each takes the hidden
// state of the token before it as its embedding. What a thought is near to, the language model's
// head can tell. The shipped model was not trained to think, so that three of its unused tokens
// serve as latent tokens here; a trained checkpoint brings its own, by the usual names.
#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include "Digits.hpp"
#include "gov/gov.hpp"

// test: examples/digits/model examples/digits/pictures/01.png 3
int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: latent_reasoning MODEL_FOLDER PICTURE THOUGHTS\n";
    return 2;
  }
  try {
    const auto model = gov::GovModel<Digits>::from_pretrained(argv[1]);
    gov::ChatOptions options;
    options.latents = std::atoi(argv[3]);
    options.latent_tokens = {.start = "<quad>", .end = "</quad>", .latent = "<ref>"};
    auto chat = model.chat(options);

    gov::GenerateOptions generation = chat.defaults();
    generation.thoughts = 3;  // the three nearest tokens of each
    generation.on_thought = [&](const gov::Thought& thought) {
      std::cout << "a thought near to";
      for (const auto& [token, logprob] : thought.nearest)
        std::cout << "  " << std::quoted(chat.processor().tokenizer().decode({&token, 1})) << " "
                  << std::fixed << std::setprecision(2) << std::exp(logprob);
      std::cout << "\n";
    };
    const auto reply = chat.ask("Which digits are shown?", gov::image(argv[2]), generation);
    std::cout << reply.text << "\n(" << reply.latent_passes << " passes over the prompt)\n";
    return 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
