// The shipped checkpoint and pictures, with what transformers answers (made by
// tests/reference/demo_package.py). Tests run in the repository's root.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "gov/io/json.hpp"

namespace gov::test {

inline std::string digits_model() {
  if (!std::filesystem::exists("examples/digits/model/config.json"))
    throw std::runtime_error(
        "examples/digits/model is missing: the shipped checkpoint belongs to the repository");
  return "examples/digits/model";
}

struct DigitsCase {
  std::string picture, question, text;
  index_t tiles = 0;
  std::vector<int> prompt_ids, token_ids;
};

inline std::vector<DigitsCase> digits_cases() {
  const std::string folder =
      std::filesystem::path(digits_model()).parent_path().string() + "/pictures/";
  const Json root = load_json(folder + "expected.json");
  std::vector<DigitsCase> cases;
  for (const Json& json : root.at("cases").elements())
    cases.push_back({folder + json.at("picture").as<std::string>(),
                     json.at("question").as<std::string>(), json.at("text").as<std::string>(),
                     json.at("tiles").as<index_t>(), json.at("prompt_ids").as_vector<int>(),
                     json.at("token_ids").as_vector<int>()});
  if (cases.size() < 12) throw std::runtime_error(folder + "expected.json: fewer than 12 cases");
  return cases;
}

}  // namespace gov::test
