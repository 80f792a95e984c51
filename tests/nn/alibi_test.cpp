// Slopes for any number of heads, as transformers' MPT has them.
#include "gov/nn/alibi.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"

namespace {

using namespace gov;

TEST_CASE("a power of two: 2^(-8 i / n)") {
  CHECK(alibi_slopes(8, 8) ==
        std::vector<float>{0.5f, 0.25f, 0.125f, 0.0625f, 0x1p-5f, 0x1p-6f, 0x1p-7f, 0x1p-8f});
  CHECK(alibi_slopes(1, 8) == std::vector<float>{0x1p-8f});
  CHECK(alibi_slopes(2, 4) == std::vector<float>{0.25f, 0x1p-4f});
}

TEST_CASE("else those of the next power: the even ones first, then odd ones") {
  CHECK(alibi_slopes(5, 8) == std::vector<float>{0.25f, 0x1p-4f, 0x1p-6f, 0x1p-8f, 0.5f});
  CHECK(alibi_slopes(3, 8) == std::vector<float>{0x1p-4f, 0x1p-8f, 0.25f});
  CHECK(alibi_slopes(7, 8) ==
        std::vector<float>{0.25f, 0x1p-4f, 0x1p-6f, 0x1p-8f, 0.5f, 0.125f, 0x1p-5f});
}

struct Numbers {
  index_t hidden_size = 10, num_attention_heads = 5;
};
struct Config {
  static constexpr Numbers config{};
  static constexpr double alibi_bias_max(const Numbers&) { return 8; }
};

TEST_CASE("the policy: nothing learned, nothing added, the slopes for attention") {
  const auto table = Alibi<Config>::table();
  CHECK(table.slopes == alibi_slopes(5, 8));
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  std::vector<float> x(20, 3.0f);
  const std::vector<int> no_steps;
  const auto place =
      Alibi<Config>::place(context, Absent{}, table, no_steps, Rows<float>(x.data(), 2, 10));
  CHECK(place.slopes == table.slopes.data());
  CHECK(x == std::vector<float>(20, 3.0f));
}

}  // namespace
