// A checkpoint folder of any model, as transformers writes it, with random weights.
#pragma once

#include <string>

#include "gov/model/config_output.hpp"
#include "gov/model/save.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/random_params.hpp"

namespace gov::test {

template <class Cfg>
struct ModelFolder {
  TempFolder folder;

  explicit ModelFolder(const ModelTokens& tokens = {}, Layout layout = Layout::hf) {
    ModelData<Cfg> data;
    const auto memory = random_params(data.params);
    const Saver saver(parameter_list(data.params), layout, naming_of<Cfg>());
    write_safetensors(
        folder / "model.safetensors", saver.specs(),
        [&](const TensorSpec& spec, const ByteSink& sink) { saver.supply(spec, sink); });
    ModelDescription description = ModelDescription::of<Cfg>();
    description.tokens = tokens;
    folder.write("config.json", config_json(description, layout, "float32"));
  }
  std::string path() const { return folder.path().string(); }
};

}  // namespace gov::test
