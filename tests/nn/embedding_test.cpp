#include "gov/nn/embedding.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Table = Embedding<11, 64>;

TEST_CASE("rows of the table, widened exactly, in any order and repeated") {
  for (const Format format : all_formats)
    for (const auto* kernels : available_kernels()) {
      CAPTURE(kernels->name);
      CAPTURE(to_string(format));
      Table::Params params;
      const auto memory = random_params(params, {format, format});
      const auto truth = widened(params.weight.view());
      ThreadPool pool(1);
      Arena arena;
      Context<float> context{*kernels, pool, arena};
      const int ids[] = {10, 0, 3, 3, 10};
      std::vector<float> y(5 * 64);
      Table::forward(context, params, ids, Rows<float>(y.data(), 5, 64));
      bool equal = true;
      for (std::size_t t = 0; t < 5; ++t)
        for (std::size_t i = 0; i < 64; ++i)
          equal = equal && static_cast<double>(y[t * 64 + i]) ==
                               truth[static_cast<std::size_t>(ids[t]) * 64 + i];
      CHECK(equal);
    }
}

TEST_CASE("an id outside the vocabulary is an error before anything is written") {
  Table::Params params;
  const auto memory = random_params(params);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::best_kernels<float>(), pool, arena};
  std::vector<float> y(2 * 64, 7.0f);
  for (const int bad : {-1, 11, 1 << 30, -2147483647 - 1}) {
    const int ids[] = {1, bad};
    const auto error =
        error_of([&] { Table::forward(context, params, ids, Rows<float>(y.data(), 2, 64)); });
    REQUIRE(error);
    CHECK(error->code() == Errc::bad_argument);
    CHECK(error->field() == "input_ids");
    CHECK(error->expected() == "ids in [0, 11)");
    CHECK(error->found() == std::to_string(bad));
  }
  CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == 7; }));
}

}  // namespace
