#include "gov/model/storage_policy.hpp"

#include <doctest/doctest.h>

#include "tests/support/errors.hpp"

using gov::Format;
using gov::fresh_format;
using gov::held_format;
using gov::parse_storage;

namespace {

const std::string attention = "model.language_model.layers.0.self_attn.q_proj.weight";
const std::string router = "model.language_model.layers.0.mlp.router.weight";
const std::string tower = "model.vision_tower.encoder.layer.0.mlp.fc1.weight";
const std::string experts = "model.language_model.layers.0.mlp.experts.down_proj";

}  // namespace

TEST_CASE("what each policy makes of each kind of weight") {
  struct Row {
    const char* policy;
    Format dense, router, tower, experts;
  };
  constexpr Format bf16 = Format::bf16;
  for (const Row& row : {Row{"as-stored", bf16, bf16, bf16, bf16},
                         Row{"f32", Format::f32, Format::f32, Format::f32, Format::f32},
                         Row{"f16", Format::f16, Format::f16, Format::f16, Format::f16},
                         Row{"mxfp4", bf16, bf16, bf16, Format::mxfp4},
                         Row{"mxfp4-bf16", bf16, bf16, bf16, Format::mxfp4},
                         Row{"mxfp4-q8", Format::q8, bf16, bf16, Format::mxfp4}}) {
    CAPTURE(row.policy);
    const auto policy = parse_storage(row.policy);
    CHECK(held_format(policy, bf16, attention, false, 64) == row.dense);
    CHECK(held_format(policy, bf16, router, false, 64) == row.router);
    CHECK(held_format(policy, bf16, tower, false, 64) == row.tower);
    CHECK(held_format(policy, bf16, experts, true, 64) == row.experts);
  }
}

TEST_CASE("mxfp4-bf16 narrows what is stored wider, the tower's matrices too") {
  const auto policy = parse_storage("mxfp4-bf16");
  CHECK(held_format(policy, Format::f32, attention, false, 64) == Format::bf16);
  CHECK(held_format(policy, Format::f32, tower, false, 64) == Format::bf16);
  CHECK(held_format(policy, Format::f32, router, false, 64) == Format::bf16);
}

TEST_CASE("fresh numbers are f32, or bf16 where a policy of blocks leaves a matrix out") {
  for (const auto& name : {attention, router, tower})
    CHECK(fresh_format(parse_storage("as-stored"), name, false, 64) == Format::f32);
  CHECK(fresh_format(parse_storage("f32"), tower, false, 64) == Format::f32);
  for (const char* storage : {"mxfp4", "mxfp4-bf16", "mxfp4-q8"}) {
    CAPTURE(storage);
    const auto policy = parse_storage(storage);
    CHECK(fresh_format(policy, tower, false, 64) == Format::bf16);
    CHECK(fresh_format(policy, router, false, 64) == Format::bf16);
    CHECK(fresh_format(policy, experts, true, 64) == Format::mxfp4);
    CHECK(fresh_format(policy, experts, true, 33) == Format::bf16);
  }
}

TEST_CASE("what 32 does not divide stays as it is stored") {
  const auto policy = parse_storage("mxfp4-q8");
  CHECK(held_format(policy, Format::f32, attention, false, 48) == Format::f32);
  CHECK(held_format(policy, Format::f32, experts, true, 33) == Format::f32);
}

TEST_CASE("an unknown policy is an error that lists the known ones") {
  const gov::Error error = gov::test::thrown([&] { parse_storage("int4"); });
  CHECK(error.code() == gov::Errc::bad_argument);
  CHECK(error.found() == "int4");
  CHECK(error.expected() == gov::storage_names);
  CHECK(error.expected().find("mxfp4-bf16 or mxfp4-q8") != std::string::npos);
}
