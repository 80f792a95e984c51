// The names of LLaVA's projectors, read and written.
#include "gov/projector/mm_projector_type.hpp"

#include <doctest/doctest.h>

#include "tests/support/errors.hpp"

namespace {

using namespace gov;

TEST_CASE("every kind is read and spelled again") {
  const auto check = [](std::string_view name, MmProjectorType type) {
    CHECK(MmProjectorType::parse(name) == type);
    CHECK(type.spelling() == name);
  };
  check("linear", {1, 0, false});
  check("identity", {0, 0, false});
  check("mlp1x_gelu", {1, 0, true});
  check("mlp2x_gelu", mlp2x_gelu);
  check("mlp9x_gelu", {9, 0, true});
  check("mlp2x_res4x_gelu", {2, 4, true});
  CHECK(MmProjectorType::parse("mlp2x_res4x_gelu").code() == "gov::MmProjectorType{2, 4, true}");
  CHECK(MmProjectorType().code() == "gov::MmProjectorType{1, 0, false}");
}

TEST_CASE("what is none of them") {
  for (const char* bad :
       {"", "mlp", "mlp2x", "mlpx_gelu", "mlp0x_gelu", "mlp10x_gelu", "mlp2x_relu", "mlp2x_gelu2",
        "mlp2x_res_gelu", "mlp2x_res0x_gelu", "mlp2x_res2x_", "Linear", "pooler"}) {
    CAPTURE(bad);
    const Error error = test::thrown([&] { MmProjectorType::parse(bad); });
    CHECK(error.code() ==
          (std::string_view(bad) == "pooler" ? Errc::unsupported : Errc::bad_config));
    CHECK(error.field() == "mm_projector_type");
    CHECK(error.found() == bad);
  }
}

}  // namespace
