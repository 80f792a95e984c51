// Every tower once, by its model_type.
#include "gov/vision/any_tower.hpp"

#include <doctest/doctest.h>

#include <set>

TEST_CASE("every tower has a model_type of its own, its modules and its header") {
  std::set<std::string> modules, headers;
  for (const char* type : {"internvl_vision", "clip_vision_model", "siglip_vision_model", "dinov2",
                           "dinov2_with_registers", "vit", "conv_patch"})
    CHECK(gov::AnyTower::with_model_type(type, [&]<class C>(const C& config) {
      CHECK(C::model_type == type);
      CHECK(config.problem() == "");
      modules.insert(std::string(C::modules)), headers.insert(std::string(C::header));
    }));
  CHECK(modules.size() == 6);
  CHECK_FALSE(gov::AnyTower::with_model_type("resnet", [](const auto&) { CHECK(false); }));
}
