// A checkpoint folder of Prefix with random weights, the shipped tokenizer and no image processor's
// file.
#pragma once

#include <filesystem>

#include "tests/support/digits.hpp"
#include "tests/support/model_folder.hpp"
#include "tests/support/models/prefix.hpp"

namespace gov::test {

struct PrefixFolder : ModelFolder<Prefix> {
  static constexpr index_t rows_per_image = 18;

  PrefixFolder() {
    for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
      std::filesystem::copy_file(std::filesystem::path(digits_model()) / file,
                                 folder.path() / file);
  }
};

}  // namespace gov::test
