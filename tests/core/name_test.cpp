#include "gov/core/name.hpp"

#include <doctest/doctest.h>

#include <type_traits>

using namespace gov;

static_assert(std::is_empty_v<NoName>);
static_assert(std::is_same_v<decltype(NoName{} / "a" / 3), NoName>);

TEST_CASE("a name is spelled as checkpoints spell it") {
  const Name layer = Name{} / "model" / "layers" / 12;
  CHECK(layer.text == "model.layers.12");
  CHECK((layer / "self_attn" / "q_proj" / "weight").text ==
        "model.layers.12.self_attn.q_proj.weight");
  CHECK(layer.text == "model.layers.12");  // unchanged
  CHECK((Name{} / 0).text == "0");
  CHECK((Name("a.b") / "c").text == "a.b.c");
}

TEST_CASE("an empty part adds nothing") {
  CHECK((Name{} / "").text.empty());
  CHECK((Name("a") / "" / "b").text == "a.b");
}
