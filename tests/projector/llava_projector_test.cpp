// LLaVA's projectors against transformers' class and torch's Sequential, in f32 on every backend
// and in double.
#include "gov/projector/llava_projector.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Act = kernel::Activation;

template <class Projector>
void run(const std::string& name) {
  check_case<typename Projector::Params>(
      ReferenceFile("projector/llava_projector.safetensors"), name, 5, Projector::input_width,
      [](auto& context, const auto& p, auto x, auto y) { Projector::forward(context, p, x, y); });
}

TEST_CASE("as transformers' LlavaMultiModalProjector") {
  run<LlavaProjector<16, 20>>("hf");
  run<LlavaProjector<16, 20, 2, Act::gelu_tanh>>("hf-tanh");
  run<LlavaProjector<16, 20, 2, Act::silu, false>>("hf-no-bias");
  run<LlavaProjector<32, 20, 2, Act::quick_gelu>>("hf-two-layers");
}

TEST_CASE("as the original's types") {
  run<LlavaProjector<24, 20, 1>>("linear");
  run<LlavaProjector<24, 20>>("mlp2x_gelu");
  run<LlavaProjector<12, 36, 3>>("mlp3x_gelu");
  run<LlavaProjector<12, 20, 4>>("mlp4x_gelu");
  run<LlavaProjector<24, 20, 2, Act::gelu, true, 2>>("mlp2x_res2x_gelu");
  run<LlavaProjector<24, 20, 1, Act::gelu, true, 1>>("mlp1x_res1x_gelu");
  run<LlavaProjector<16, 12, 2, Act::gelu, true, 0, 40>>("seed");
}

TEST_CASE("identity") {
  std::vector<float> x = normal_values(12, 3), y(12);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  IdentityProjector<4>::forward(context, {}, Rows<float>(x.data(), 3, 4),
                                Rows<float>(y.data(), 3, 4));
  CHECK(y == x);
  static_assert(parameter_count<IdentityProjector<4>> == 0);
  static_assert(std::is_same_v<MmProjector<0, 0, 4, 4>, IdentityProjector<4>>);
  static_assert(
      std::is_same_v<MmProjector<2, 1, 4, 6>, LlavaProjector<4, 6, 2, Act::gelu, true, 1>>);
}

// Each of our names, and the original's, as the modules of the reference script have them.
template <class Projector>
void check_names(const std::string& name) {
  typename Projector::Params params;
  std::istringstream words(ReferenceFile("projector/llava_projector.safetensors").metadata(name));
  std::vector<std::string> expected{std::istream_iterator<std::string>(words), {}}, found;
  for (const auto& p : parameter_list(params))
    found.push_back(p.name + "=" + Projector::original_name(p.name));
  CHECK(found == expected);
}

TEST_CASE("names and counts") {
  check_names<LlavaProjector<24, 20, 1>>("linear");
  check_names<LlavaProjector<12, 36, 3>>("mlp3x_gelu");
  check_names<LlavaProjector<24, 20, 2, Act::gelu, true, 2>>("mlp2x_res2x_gelu");
  check_names<LlavaProjector<24, 20, 1, Act::gelu, true, 1>>("mlp1x_res1x_gelu");
  CHECK(LlavaProjector<24, 20, 1>::original_name("linear_1.bias", false) == "bias");
  static_assert(parameter_count<LlavaProjector<1024, 768>> == 1'377'792);
  static_assert(parameter_count<LlavaProjector<1024, 4096>> == 20'979'712);  // LLaVA-1.5-7B
}

}  // namespace
