// Pixel shuffle against the chain of views and permutations that it stands for, and the projector
// against plain loops.
#include "gov/projector/pixel_shuffle_mlp.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

// [a, b, c] -> [b, a, c]
std::vector<int> swap_first(const std::vector<int>& x, index_t a, index_t b, index_t c) {
  std::vector<int> y(x.size());
  for (index_t i = 0; i < a; ++i)
    for (index_t j = 0; j < b; ++j)
      for (index_t k = 0; k < c; ++k)
        y[static_cast<std::size_t>((j * a + i) * c + k)] =
            x[static_cast<std::size_t>((i * b + j) * c + k)];
  return y;
}

// The original: view [w, h s, c / s], permute to [h s, w, c / s], view [h s, w s, c / s^2], and in
// v2 permute back to [w s, h s, c / s^2]; views cost nothing, so two swaps are all.
std::vector<int> by_views(const std::vector<int>& x, index_t grid, index_t r, index_t channels,
                          PsVersion version) {
  const auto once = swap_first(x, grid, grid / r, channels * r);
  return version == PsVersion::v1 ? once : swap_first(once, grid / r, grid / r, channels * r * r);
}

TEST_CASE("pixel shuffle v1 and v2") {
  for (const index_t grid : {2, 4, 6, 12, 32})
    for (const index_t r : {1, 2, 3, 4})
      for (const index_t channels : {1, 5})
        for (const PsVersion version : {PsVersion::v1, PsVersion::v2}) {
          if (grid % r != 0) continue;
          CAPTURE(grid);
          CAPTURE(r);
          std::vector<int> x(static_cast<std::size_t>(grid * grid * channels)), y(x.size(), -1);
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i);
          pixel_shuffle<int>(Rows<int>(x.data(), grid * grid, channels), grid, r, version,
                             Rows<int>(y.data(), grid * grid / (r * r), channels * r * r));
          CHECK(y == by_views(x, grid, r, channels, version));
        }
}

TEST_CASE("the two versions differ, by a transposition of the folded grid") {
  std::vector<int> x(4 * 4), v1(16), v2(16);
  for (std::size_t i = 0; i < 16; ++i) x[i] = static_cast<int>(i);
  pixel_shuffle<int>(Rows<int>(x.data(), 16, 1), 4, 2, PsVersion::v1, Rows<int>(v1.data(), 4, 4));
  pixel_shuffle<int>(Rows<int>(x.data(), 16, 1), 4, 2, PsVersion::v2, Rows<int>(v2.data(), 4, 4));
  CHECK(v2 == std::vector<int>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15});
  CHECK(v1 == swap_first(v2, 2, 2, 4));
}

template <kernel::Activation Act, PsVersion Version, class T>
void check(const kernel::Kernels<T>& kernels, double bar) {
  CAPTURE(kernels.name);
  using Projector = PixelShuffleMlp<12, 32, 2, Act, Version>;
  typename Projector::Params p;
  const auto memory = random_params(p);
  const auto x32 = random_values(36 * 12, 2, 0.01);  // small: the eps of 1e-5 shows
  std::vector<T> x(x32.begin(), x32.end()), y(9 * 32);
  std::vector<double> folded(9 * 48);
  const std::vector<double> x64(x32.begin(), x32.end());
  for (index_t a = 0; a < 3; ++a)
    for (index_t b = 0; b < 3; ++b)
      for (index_t c = 0; c < 48; ++c) {
        const index_t dy = c / 24, dx = c / 12 % 2,
                      row = Version == PsVersion::v2 ? a * 3 + b : b * 3 + a;
        folded[static_cast<std::size_t>(row * 48 + c)] =
            x64[static_cast<std::size_t>(((2 * a + dy) * 6 + 2 * b + dx) * 12 + c % 12)];
      }
  const auto normed =
      naive_norm(folded, 48, p.layer_norm.weight.values(), p.layer_norm.bias.values(), 1e-5, true);
  auto inner = naive_linear(normed, p.linear_1.weight.view(), p.linear_1.bias.values());
  for (double& value : inner) value = naive_activation(Act, value);
  const auto truth = naive_linear(inner, p.linear_2.weight.view(), p.linear_2.bias.values());
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  Projector::forward(context, p, Rows<T>(x.data(), 36, 12), Rows<T>(y.data(), 9, 32));
  CHECK(relative_gap(y, truth) < bar);
}

TEST_CASE("the projector") {
  for (const auto* kernels : available_kernels()) {
    check<kernel::Activation::gelu, PsVersion::v1>(*kernels, 5e-6);
    check<kernel::Activation::silu, PsVersion::v2>(*kernels, 5e-6);
  }
  const auto& exact = *kernel::find_kernels<double>("scalar");
  check<kernel::Activation::gelu, PsVersion::v1>(exact, 1e-12);
  check<kernel::Activation::gelu, PsVersion::v2>(exact, 1e-12);
}

TEST_CASE("only a square grid that the fold divides is taken") {
  using Projector = PixelShuffleMlp<12, 32, 2, kernel::Activation::gelu>;
  CHECK(Projector::tokens(36) == 9);
  CHECK(Projector::tokens(1024) == 256);
  for (const index_t rows : {0, 1, 9, 25, 32, 35}) CHECK(Projector::tokens(rows) == 0);
}

TEST_CASE("counts and names") {
  using Real = PixelShuffleMlp<1024, 896, 2, kernel::Activation::gelu>;
  static_assert(parameter_count<Real> == 4'482'816);
  static_assert(parameter_count<PixelShuffleMlp<1024, 2880, 2, kernel::Activation::gelu>> ==
                20'104'832);
  PixelShuffleMlp<4, 8, 2, kernel::Activation::gelu>::Params params;
  std::string names;
  for (const auto& p : parameter_list(params)) names += p.name + " ";
  CHECK(names ==
        "layer_norm.weight layer_norm.bias linear_1.weight linear_1.bias linear_2.weight "
        "linear_2.bias ");
}

}  // namespace
