// ModelData<Cfg>: a loaded model's parameters and the memory that they lie in. Read-only once
// loaded, so any number of sessions may share it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "gov/core/arena.hpp"
#include "gov/kernel/quantize.hpp"
#include "gov/model/architecture.hpp"
#include "gov/model/run_time_keys.hpp"
#include "gov/model/visual_spans.hpp"

namespace gov {

// Token ids that config.json states; the geometry does not depend on them.
struct ModelTokens {
  int image_token_id = -1;  // -1: the model takes no images, before the text, or by markers
  std::vector<int> eos_token_id;
  int bos_token_id = -1, pad_token_id = -1;
  VisualMarkerIds markers{};  // llava_gpt2's, in place of image_token_id
};

template <class Cfg>
struct ModelData {
  using LanguageConfig = std::remove_cvref_t<decltype(Architecture<Cfg>::LanguageConfig::config)>;

  typename Architecture<Cfg>::Params params;
  using Position = typename Architecture<Cfg>::Language::Position;
  typename Position::Table positions = Position::table();
  ModelTokens tokens;
  index_t max_position_embeddings = Architecture<Cfg>::geometry.max_position_embeddings;
  AlignedBuffer weights;                          // one block when copied
  std::vector<std::shared_ptr<const void>> maps;  // mapped files that parameters point into
  std::map<std::string, kernel::QuantizeError> conversion_errors;  // of quantising while loading
  std::vector<std::string> absent;  // tensors that the files lack and that are 0 here
  // As compiled, but for the family's run_time_keys; change these with take_run_time().
  LanguageConfig config = resolved(Architecture<Cfg>::LanguageConfig::config);
  std::shared_ptr<const ModelData> base;  // whose weights these are, where it is another's

  void take_run_time(const LanguageConfig& from) {
    config = with_run_time(config, from);
    if constexpr (requires { positions.nope; }) positions.nope = config.nope();
  }

  // The same model over the same weights, to be changed; what runs on the other does not notice.
  static std::shared_ptr<ModelData> over(std::shared_ptr<const ModelData> other) {
    auto data = std::make_shared<ModelData>();
    data->params = other->params, data->positions = other->positions;
    data->tokens = other->tokens, data->config = other->config;
    data->max_position_embeddings = other->max_position_embeddings;
    data->conversion_errors = other->conversion_errors, data->absent = other->absent;
    data->base = other->base ? other->base : std::move(other);
    return data;
  }
};

}  // namespace gov
