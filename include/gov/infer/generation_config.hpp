// generation_config.json: a checkpoint's own sampling settings and stop tokens.
#pragma once

#include <filesystem>

#include "gov/infer/generate.hpp"
#include "gov/io/json.hpp"

namespace gov {

struct GenerationConfig {
  SamplingOptions sampling{};
  std::vector<int> eos_token_id;
  index_t max_new_tokens = 128;

  GenerateOptions options() const {
    return {.sampling = sampling, .max_new_tokens = max_new_tokens};
  }
};

// config: what stands for keys that are not there. A
// temperature of 0 is another word for not sampling.
inline GenerationConfig read_generation_config(const Json& json, GenerationConfig config = {}) {
  if (!json.is_object()) json.fail(Errc::bad_type, "an object");
  const auto read = [&]<class V>(std::string_view key, V& value) {
    if (json.has_value(key)) value = json.at(key).as<V>();
  };
  read("do_sample", config.sampling.do_sample);
  read("temperature", config.sampling.temperature);
  read("top_k", config.sampling.top_k);
  read("top_p", config.sampling.top_p);
  read("min_p", config.sampling.min_p);
  read("repetition_penalty", config.sampling.repetition_penalty);
  read("max_new_tokens", config.max_new_tokens);
  if (json.has_value("eos_token_id")) {
    const Json eos = json.at("eos_token_id");
    config.eos_token_id = eos.is_array() ? eos.as_vector<int>() : std::vector<int>{eos.as<int>()};
  }
  if (config.sampling.temperature == 0 && !config.sampling.do_sample)
    config.sampling.temperature = SamplingOptions{}.temperature;
  try {
    config.sampling.check();
  } catch (const Error& error) {
    ErrorInfo info = error.info();
    info.code = Errc::bad_config, info.file = json.file();
    throw Error(std::move(info));
  }
  if (config.max_new_tokens < 1) json.at("max_new_tokens").fail(Errc::bad_config, "at least 1");
  return config;
}

// Of a folder. Without the file its config.json says it, as older checkpoints have it; eos_token_id
// may stand in its part for the language model (transformers: GenerationConfig.from_model_config).
inline GenerationConfig load_generation_config(const std::filesystem::path& folder,
                                               const GenerationConfig& defaults = {}) {
  if (const auto path = folder / "generation_config.json"; std::filesystem::exists(path))
    return read_generation_config(load_json(path.string()), defaults);
  const auto path = folder / "config.json";
  if (!std::filesystem::exists(path)) return defaults;
  const Json json = load_json(path.string());
  GenerationConfig config = read_generation_config(json, defaults);
  for (const std::string_view part : {"text_config", "llm_config"})
    if (config.eos_token_id.empty() && json.has_value(part))
      config.eos_token_id = read_generation_config(json.at(part), config).eos_token_id;
  return config;
}

}  // namespace gov
