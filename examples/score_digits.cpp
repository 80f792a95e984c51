// How well does the shipped tiny model read? Asks it every question of the packed held-out scenes
// and prints the share of digits read right and of whole answers right, by kind of question.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>

#include "Digits.hpp"
#include "gov/gov.hpp"

namespace {

struct Score {
  int right = 0, of = 0;
  void add(bool is_right) { ++of, right += is_right; }
  double share() const { return of > 0 ? static_cast<double>(right) / of : 0; }
};

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

gov::Image scene(const gov::SafeTensors& scenes, std::string_view name) {
  const auto& entry = scenes.at(name);
  std::vector<std::byte> png(entry.bytes);
  scenes.read(entry, png);
  return gov::decode_image(png, name);
}

}  // namespace

// test: examples/digits 0.95
int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: score_digits examples/digits [least share of digits read right]\n";
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    const auto model = gov::GovModel<Digits>::from_pretrained(folder / "model");
    auto chat = model.chat();
    const auto scenes = gov::SafeTensors::open((folder / "heldout.safetensors").string());
    const gov::Json heldout = gov::load_json((folder / "heldout.json").string());
    const auto start = std::chrono::steady_clock::now();
    std::map<std::string, Score> answers;
    Score digits, same_as_transformers;
    int asked = 0;
    for (const gov::Json question : heldout.at("questions").elements()) {
      chat.reset();
      const auto reply = chat.ask(question.at("question").as<std::string>(),
                                  gov::image(scene(scenes, question.at("scene").as_string())),
                                  {.max_new_tokens = 32});
      const auto answer = question.at("answer").as<std::string>(),
                 type = question.at("type").as<std::string>();
      answers[type].add(reply.text == answer);
      if (question.has_value("transformers"))
        same_as_transformers.add(reply.text == question.at("transformers").as_string());
      if (type == "which" || type == "order") {
        const auto want = words(answer), read = words(reply.text);
        for (std::size_t i = 0; i < std::max(want.size(), read.size()); ++i)
          digits.add(i < want.size() && i < read.size() && want[i] == read[i]);
      }
      ++asked;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto print = [](const std::string& name, const Score& score) {
      std::cout << std::left << std::setw(28) << name << std::right << std::fixed
                << std::setprecision(1) << std::setw(6) << 100 * score.share() << " %  ("
                << score.right << " of " << score.of << ")\n";
    };
    print("digits read right", digits);
    for (const auto& [type, score] : answers) print("whole answers, " + type, score);
    print("same text as transformers", same_as_transformers);
    std::cout << asked << " questions on " << scenes.entries().size() << " held-out scenes in "
              << std::setprecision(1) << seconds << " s\n";
    return argc == 3 && digits.share() < std::atof(argv[2]) ? 1 : 0;
  } catch (const gov::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
