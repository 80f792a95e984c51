#include "gov/model/model_data.hpp"

#include <doctest/doctest.h>

#include "gov/model/presets.hpp"

TEST_CASE("a fresh model has no ids, its Cfg's context and its rope table") {
  const gov::ModelData<gov::TinyGov> data;
  CHECK(data.tokens.image_token_id == -1);
  CHECK(data.tokens.eos_token_id.empty());
  CHECK(data.max_position_embeddings == 2048);
  CHECK(data.positions.inverse_frequencies.size() == 16);
  CHECK(data.positions.scaling == doctest::Approx(1.3465735902799727).epsilon(1e-15));
  CHECK(data.params.lm_head.weight.data == nullptr);
}
