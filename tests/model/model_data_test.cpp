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

TEST_CASE("a variant of a model lies over the same weights and keeps them alive") {
  using Cfg = gov::TinyGptOssVision;
  auto data = std::make_shared<gov::ModelData<Cfg>>();
  float number = 3;
  data->params.model.norm.weight.data = reinterpret_cast<std::byte*>(&number);
  data->tokens.bos_token_id = 7, data->max_position_embeddings = 99;
  const std::weak_ptr<gov::ModelData<Cfg>> watched = data;
  auto variant = gov::ModelData<Cfg>::over(data);
  auto config = variant->config;
  config.use_nope = true, config.nope_stride = 2, config.hidden_size = 1;
  variant->take_run_time(config);
  CHECK(variant->config.use_nope);
  CHECK(variant->config.hidden_size == 64);
  CHECK(variant->positions.nope == config.nope());
  CHECK_FALSE(data->config.use_nope);
  CHECK_FALSE(data->positions.nope.use_nope);
  // A value that cannot be changes nothing.
  config = variant->config, config.nope_stride = 1, config.no_rope_layers = gov::RopeLayers("110");
  CHECK_THROWS_AS(variant->take_run_time(config), gov::Error);
  CHECK(variant->config.nope_stride == 2);
  CHECK(variant->positions.nope == variant->config.nope());
  CHECK(variant->params.model.norm.weight.values() == &number);
  CHECK(variant->tokens.bos_token_id == 7);
  CHECK(variant->max_position_embeddings == 99);
  auto second = gov::ModelData<Cfg>::over(variant);
  CHECK(second->base == data);  // not a chain
  CHECK(second->positions.nope.use_nope);
  data.reset(), variant.reset();
  CHECK_FALSE(watched.expired());
  second.reset();
  CHECK(watched.expired());
}
