// ModelData<Cfg>: a loaded model's parameters and the memory that they lie in. Read-only once
// loaded, so any number of sessions may share it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gov/core/arena.hpp"
#include "gov/kernel/quantize.hpp"
#include "gov/model/architecture.hpp"

namespace gov {

// Token ids that config.json states; the geometry does not depend on them.
struct ModelTokens {
  int image_token_id = -1;  // -1: the model takes no images
  std::vector<int> eos_token_id;
  int bos_token_id = -1, pad_token_id = -1;
};

template <class Cfg>
struct ModelData {
  typename Architecture<Cfg>::Params params;
  using Position = typename Architecture<Cfg>::Language::Position;
  typename Position::Table positions = Position::table();
  ModelTokens tokens;
  index_t max_position_embeddings = Architecture<Cfg>::geometry.max_position_embeddings;
  AlignedBuffer weights;                          // one block when copied
  std::vector<std::shared_ptr<const void>> maps;  // mapped files that parameters point into
  std::map<std::string, kernel::QuantizeError> conversion_errors;  // of quantising while loading
};

}  // namespace gov
