// A picture and a question in, the answer out: the whole library in a few lines.
#include <iostream>

#include "Digits.hpp"
#include "gov/gov.hpp"

// test: examples/digits/model examples/digits/pictures/03.png "How many digits are there?"
int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: describe_image MODEL_FOLDER PICTURE QUESTION\n";
    return 2;
  }
  try {
    const auto model = gov::GovModel<Digits>::from_pretrained(argv[1]);
    auto chat = model.chat();
    const auto print = [](std::string_view text) { std::cout << text << std::flush; };
    const auto reply =
        chat.ask(argv[3], gov::image(argv[2]), {.max_new_tokens = 64, .on_token = print});
    std::cout << "\n(" << reply.prompt_tokens << " prompt tokens, " << reply.image_tokens
              << " of them image)\n";
    return 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
