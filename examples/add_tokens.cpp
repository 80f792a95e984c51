// Tokens added to a checkpoint: COCONUT's latent tokens go into the tokenizer, the embeddings and
// the head of the shipped model. That one has rows in reserve, so its own type loads the new
// folder; where rows are added, a type with the larger vocab_size does (InternVl3_1bLatent in
// presets.hpp).
#include <filesystem>
#include <iostream>

#include "Digits.hpp"
#include "gov/gov.hpp"
#include "gov/model/resize_embeddings.hpp"

// test: examples/digits/model
int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: add_tokens FOLDER\n";
    return 2;
  }
  namespace fs = std::filesystem;
  const fs::path output = fs::temp_directory_path() / "gov-latent-digits";
  const std::vector<gov::NewToken> latents{
      {"<|start-latent|>"}, {"<|end-latent|>"}, {"<|latent|>"}};
  gov::ResizeOptions options;
  options.embeddings = gov::NewRows::mean_rows();
  options.write.overwrite = true;
  const auto result = gov::add_tokens_to_checkpoint(argv[1], output, latents, options);
  for (std::size_t i = 0; i < latents.size(); ++i)
    std::cout << latents[i].content << " is token " << result.ids[i] << "\n";
  std::cout << "vocab_size " << result.old_rows << " -> " << result.rows << "\n";

  const auto before = gov::GovModel<Digits>::from_pretrained(argv[1]);
  const auto after = gov::GovModel<Digits>::from_pretrained(output);
  const std::string question = "Which digits do you see?";
  const bool same = before.chat().ask(question).tokens == after.chat().ask(question).tokens;
  std::cout << "the old model's answer: " << (same ? "unchanged" : "changed") << "\n";
  fs::remove_all(output);
  return same ? 0 : 1;
}
