#include "gov/model/explain.hpp"

#include <doctest/doctest.h>

#include "gov/model/presets.hpp"

// What explain() refuses is in compile_fail/.
static_assert(gov::explain<gov::GptOss20b>() && gov::explain<gov::TinyGov>());
static_assert(gov::Multimodal<gov::TinyGov> && !gov::Multimodal<gov::GptOss20b>);

TEST_CASE("a Cfg with a Vision is multimodal") {
  CHECK(gov::Architecture<gov::InternVl35GptOss20b>::multimodal);
  CHECK_FALSE(gov::Architecture<gov::GptOss120b>::multimodal);
}
