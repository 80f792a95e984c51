// COCONUT against its definition on transformers' models (tests/reference/coconut.py): the cases of
// tests/fixtures/coconut, run on a compiled geometry of tests/fixtures/parity.
#pragma once

#include "gov/infer/generate.hpp"
#include "tests/parity/parity.hpp"

namespace gov::test {

struct CoconutResult {
  std::string geometry, name;
  double logits = 0, thoughts = 0;  // max abs error / max abs of the tensor
  index_t passes = 0, passes_wanted = 0, latents = 0, tokens = 0, tokens_equal = 0;
  bool collated = false;  // our collator gives the batch
};

// The rows of a case as items, with the tiles that belong to each.
template <class Cfg, class T>
struct CoconutItems {
  std::vector<Session<Cfg, T>> sessions;
  std::vector<typename Session<Cfg, T>::Item> items;

  CoconutItems(const GovModel<Cfg>& model, const ParityCase& c,
               const std::vector<std::vector<int>>& rows, const ParityOptions& options) {
    using A = Architecture<Cfg>;
    index_t tile = 0;
    for (std::size_t b = 0; b < rows.size(); ++b)
      sessions.push_back(model.template session<T>(
          {.context = longest_sequence(A::language_config, model.data()->max_position_embeddings),
           .chunk = options.chunk,
           .arithmetic = options.arithmetic}));
    for (std::size_t b = 0; b < rows.size(); ++b) {
      Inputs inputs{.input_ids = rows[b]};
      if constexpr (A::multimodal)
        if (c.has("pixel_values")) {
          PixelView pixels{c.floats.at("pixel_values").data(), 0, c.extent("pixel_values", 1),
                           c.extent("pixel_values", 2), c.extent("pixel_values", 3)};
          const auto places = placeholders(rows[b], model.tokens().image_token_id);
          pixels.count = std::ssize(places) / A::Images::image_tokens(pixels.height, pixels.width);
          pixels.data = pixels.tile(tile);
          tile += pixels.count;
          inputs.pixel_values = pixels;
        }
      items.push_back({&sessions[b], inputs});
    }
  }
};

template <class Cfg, class T>
CoconutResult run_coconut_case(const GovModel<Cfg>& model, const ParityCase& c,
                               const ParityOptions& options) {
  using A = Architecture<Cfg>;
  const auto whole = [&](const char* tensor) {
    const auto& values = c.integers.at(tensor);
    return std::vector<int>(values.begin(), values.end());
  };
  const index_t batch = c.extent("input_ids", 0), length = c.extent("input_ids", 1);
  const int latent = std::stoi(c.metadata.at("latent_token_id"));
  const auto ids = whole("input_ids"), mask = whole("attention_mask"), labels = whole("labels");
  auto rows = latent_rows(ids, mask, batch, latent);
  CoconutResult result;
  result.name = c.name;
  result.passes_wanted = std::stol(c.metadata.at("passes"));

  std::vector<LatentExample> examples(rows.size());
  std::vector<index_t> real;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (mask[i] == 0) continue;
    examples[i / static_cast<std::size_t>(length)].input_ids.push_back(ids[i]);
    examples[i / static_cast<std::size_t>(length)].labels.push_back(labels[i]);
    real.push_back(static_cast<index_t>(i));
  }
  const LatentBatch collated = collate_latents(examples, latent, 0);
  result.collated = collated.input_ids == ids && collated.labels == labels &&
                    collated.attention_mask == mask &&
                    collated.position_ids == whole("position_ids") && collated.length == length;

  CoconutItems<Cfg, T> run(model, c, rows, options);
  Capture<T> seen;
  const auto outputs = coconut_forward<Cfg, T>(run.items, {.latent_token_id = latent}, seen);
  std::vector<T> logits, thoughts;
  std::vector<index_t> every;
  for (const auto& row : outputs.rows) {
    logits.insert(logits.end(), row.logits.begin(), row.logits.end());
    thoughts.insert(thoughts.end(), row.thoughts.begin(), row.thoughts.end());
    for (index_t k = 0; k < row.latents.count; ++k) every.push_back(result.latents++);
  }
  result.passes = outputs.passes;
  result.logits = relative_error(logits, c.floats.at("logits"), real, A::vocab_size);
  result.thoughts = relative_error(thoughts, c.floats.at("thoughts"), every, A::hidden_size);
  if (thoughts.size() != c.floats.at("thoughts").size()) result.thoughts = 1e30;

  if constexpr (std::is_same_v<T, float>) {  // from the token behind the latents on
    for (auto& row : rows)
      if (const LatentSpan span = find_latents(row, latent); span.count > 0)
        row.resize(static_cast<std::size_t>(span.first + span.count + 1));
    CoconutItems<Cfg, T> prompts(model, c, rows, options);
    const auto& greedy = c.integers.at("greedy_tokens");
    const index_t steps = c.extent("greedy_tokens", 1);
    GenerateOptions generation{.max_new_tokens = steps, .ignore_eos = true};
    generation.latent_token_id = latent;
    const auto generated = generate_batch<Cfg>(prompts.items, generation);
    for (index_t b = 0; b < batch; ++b)
      for (index_t t = 0; t < steps; ++t, ++result.tokens)
        result.tokens_equal +=
            generated[static_cast<std::size_t>(b)].tokens[static_cast<std::size_t>(t)] ==
            greedy[static_cast<std::size_t>(b * steps + t)];
  }
  return result;
}

using CoconutRun = std::vector<CoconutResult> (*)(const std::filesystem::path& fixtures,
                                                  const std::string& name, const ParityOptions&);

struct CoconutGeometry {
  std::string name;
  CoconutRun run;
};

inline std::vector<CoconutGeometry>& coconut_geometries() {
  static std::vector<CoconutGeometry> all;
  return all;
}

template <class Cfg>
std::vector<CoconutResult> run_coconut(const std::filesystem::path& fixtures,
                                       const std::string& name, const ParityOptions& options) {
  const auto model = load_geometry<Cfg>(fixtures / "parity" / name, options);
  std::vector<CoconutResult> results;
  for (const auto& file : std::filesystem::directory_iterator(fixtures / "coconut" / name)) {
    const ParityCase c = read_case(file.path());
    results.push_back(options.in_double ? run_coconut_case<Cfg, double>(model, c, options)
                                        : run_coconut_case<Cfg, float>(model, c, options));
    results.back().geometry = name;
  }
  return results;
}

template <class Cfg>
struct RegisterCoconut {
  explicit RegisterCoconut(const char* name) {
    coconut_geometries().push_back({name, &run_coconut<Cfg>});
  }
};

}  // namespace gov::test
