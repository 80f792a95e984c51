// TokenPacker against tests/reference/packers.py.
#include "gov/projector/token_packer.hpp"

#include <doctest/doctest.h>

#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <index_t Scale, index_t Levels>
void run(const std::string& name, index_t side) {
  using Packer = TokenPacker<6, Levels, 10, Scale, 16, 2>;
  check_case<typename Packer::Params>(
      ReferenceFile("projector/packers.safetensors"), name, side * side, 6,
      [&]<class T>(Context<T>& context, const auto& p, Rows<const T> x, Rows<T> y) {
        const auto levels = generated_as<T>(name, "levels", x.rows * 6 * Levels);
        Packer::forward(context, p, x, Rows<const T>(levels.data(), x.rows, 6 * Levels), side, y);
      });
}

TEST_CASE("as the reference") {
  run<1, 1>("original.1", 3);
  run<2, 4>("original.2", 6);
  run<3, 4>("original.3", 6);
  run<4, 2>("original.4", 8);
}

TEST_CASE("x and the levels in one row, as a model has them") {
  using Packer = TokenPacker<6, 2, 10, 2, 16, 2>;
  static_assert(Packer::tokens(16) == 4 && Packer::tokens(9) == 0 && Packer::tokens(8) == 0);
  static_assert(Packer::tokens(0) == 0 && Packer::row_width == 18);
  Packer::Params p;
  const auto memory = generated_params("rows", p);
  const auto rows = generated("rows", "input", 16 * 18);
  std::vector<float> x, levels, whole(4 * 10), apart(4 * 10);
  for (auto row = rows.begin(); row != rows.end(); row += 18) {
    x.insert(x.end(), row, row + 6);
    levels.insert(levels.end(), row + 6, row + 18);
  }
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  Packer::forward(context, p, Rows<const float>(rows.data(), 16, 18),
                  Rows<float>(whole.data(), 4, 10));
  Packer::forward(context, p, Rows<const float>(x.data(), 16, 6),
                  Rows<const float>(levels.data(), 16, 12), 4, Rows<float>(apart.data(), 4, 10));
  CHECK(whole == apart);
  CHECK(std::any_of(whole.begin(), whole.end(), [](float value) { return value != 0; }));
}

TEST_CASE("a side that does not divide is refused") {
  using Packer = TokenPacker<6, 1, 10, 2, 16, 2>;
  Packer::Params p;
  const auto memory = generated_params("bad", p);
  std::vector<float> x(9 * 6), y(100);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  const Rows<const float> rows(x.data(), 9, 6);
  CHECK_THROWS_AS(Packer::forward(context, p, rows, rows, 3, Rows<float>(y.data(), 1, 10)), Error);
}

TEST_CASE("the three published sizes") {
  static_assert(TokenPacker144::fold == 2);
  static_assert(parameter_count<TokenPacker<1024, 4, 4096, 3>> == parameter_count<TokenPacker144>);
  static_assert(parameter_count<TokenPacker<1024, 4, 5120, 2>> == 47'210'496);  // 13B
}

}  // namespace
