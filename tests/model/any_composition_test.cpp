// Every family once, by its model_type.
#include "gov/model/any_composition.hpp"

#include <doctest/doctest.h>

#include <set>

TEST_CASE("every family has a model_type of its own, its modules and what it is made of") {
  std::set<std::string> modules;
  for (const char* type :
       {"internvl", "llava", "llava_next", "llava_token_packer", "llava_gpt2", "gpt_oss_vision"})
    CHECK(gov::AnyComposition::with_model_type(type, [&]<class C>(const C&) {
      CHECK(C::model_type == type);
      static_assert(std::is_base_of_v<gov::InternVlConfig, C> ==
                    std::is_same_v<gov::InternVlConfig, C>);  // a sibling, no variant
      CHECK(C::class_defaults().problem() == "");
      CHECK(typename C::Vision{}.problem() == "");
      CHECK(typename C::Text{}.problem() == "");
      modules.insert(std::string(C::modules));
    }));
  CHECK(modules.size() == 6);
  CHECK_FALSE(gov::AnyComposition::with_model_type("blip", [](const auto&) { CHECK(false); }));
}
