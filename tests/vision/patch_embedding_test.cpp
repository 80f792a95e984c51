#include "gov/vision/patch_embedding.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

// A convolution by its definition, over an image whose border may be ragged.
template <class Module, class T>
void check_embedding(const kernel::Kernels<T>& kernels, index_t channels, Extent image,
                     double bar) {
  CAPTURE(kernels.name);
  CAPTURE(image.height);
  CAPTURE(image.width);
  constexpr index_t hidden = 12, ph = Module::patch.height, pw = Module::patch.width;
  typename Module::Params params;
  const auto memory = random_params(params);
  const auto pixels = random_values(channels * image.height * image.width, 5);
  const Extent grid = patch_grid(image, Module::patch);
  const auto* const weight = reinterpret_cast<const float*>(params.weight.data);
  std::vector<double> truth;
  for (index_t y = 0; y < grid.height; ++y)
    for (index_t x = 0; x < grid.width; ++x)
      for (index_t h = 0; h < hidden; ++h) {
        double sum = 0;
        if constexpr (requires { params.bias.values(); })
          sum = static_cast<double>(params.bias.values()[h]);
        for (index_t c = 0; c < channels; ++c)
          for (index_t dy = 0; dy < ph; ++dy)
            for (index_t dx = 0; dx < pw; ++dx)
              sum += static_cast<double>(weight[((h * channels + c) * ph + dy) * pw + dx]) *
                     static_cast<double>(pixels[static_cast<std::size_t>(
                         (c * image.height + y * ph + dy) * image.width + x * pw + dx)]);
        truth.push_back(sum);
      }
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  std::vector<T> out(truth.size());
  Module::forward(context, params, pixels.data(), image,
                  Rows<T>(out.data(), grid.height * grid.width, hidden));
  CHECK(relative_gap(out, truth) < bar);
}

template <class Module>
void check_sizes(index_t channels) {
  for (const Extent image : {Extent{8, 8}, Extent{24, 16}, Extent{15, 23}, Extent{4, 6}}) {
    for (const auto* kernels : available_kernels())
      check_embedding<Module, float>(*kernels, channels, image, 1e-6);
    check_embedding<Module, double>(*kernel::find_kernels<double>("scalar"), channels, image,
                                    1e-14);
  }
}

TEST_CASE("a convolution whose stride is its kernel") {
  check_sizes<PatchEmbedding<3, 4, 4, 12>>(3);
  check_sizes<PatchEmbedding<1, 2, 6, 12>>(1);
  check_sizes<PatchEmbedding<2, 4, 3, 12, false>>(2);
}

TEST_CASE("shapes of a convolution's parameters") {
  using Module = PatchEmbedding<3, 4, 8, 12>;
  Module::Params params;
  const auto list = parameter_list(params);
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "weight");
  CHECK(list[0].shape == std::vector<index_t>{12, 3, 4, 8});
  static_assert(parameter_count<Module> == 12 * 96 + 12);
  static_assert(parameter_count<PatchEmbedding<3, 4, 8, 12, false>> == 12 * 96);
  static_assert(Module::inputs == 96);
}

}  // namespace
