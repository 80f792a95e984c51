#include "gov/model/parameter_list.hpp"

#include <doctest/doctest.h>

#include <set>

#include "gov/model/presets.hpp"

TEST_CASE("the list holds every parameter once, by its checkpoint name") {
  gov::Architecture<gov::TinyGov>::Params params;
  const auto list = gov::parameter_list(params);
  std::set<std::string> names;
  std::set<gov::Storage*> handles;
  gov::index_t size = 0;
  for (const auto& p : list) {
    names.insert(p.name);
    handles.insert(p.storage);
    size += p.size();
    gov::index_t product = 1;
    for (const auto extent : p.shape) product *= extent;
    CHECK(product == p.size());
  }
  CHECK(names.size() == list.size());
  CHECK(handles.size() == list.size());
  CHECK(size == gov::parameter_count<gov::Architecture<gov::TinyGov>>);
  for (const char* name :
       {"model.vision_tower.embeddings.patch_embeddings.projection.weight",
        "model.vision_tower.encoder.layer.1.attention.projection_layer.bias",
        "model.multi_modal_projector.linear_2.bias", "model.language_model.embed_tokens.weight",
        "model.language_model.layers.1.self_attn.sinks",
        "model.language_model.layers.0.mlp.experts.gate_up_proj", "lm_head.weight"})
    CHECK_MESSAGE(names.contains(name), name);
}

TEST_CASE("shapes are the checkpoint's, sizes of formats follow") {
  gov::Architecture<gov::TinyGov>::Params params;
  for (const auto& p : gov::parameter_list(params)) {
    if (p.name.ends_with("gate_up_proj")) {
      CHECK(p.shape == std::vector<gov::index_t>{4, 64, 128});
      CHECK(p.out == 128);
      CHECK(p.data_bytes(gov::Format::mxfp4) == 4 * 128 * 32);
      CHECK(p.scales_bytes(gov::Format::mxfp4) == 4 * 128 * 2);
    }
    if (p.name.ends_with("projection.weight"))
      CHECK(p.shape == std::vector<gov::index_t>{64, 3, 8, 8});
  }
}
