#include "gov/nn/context.hpp"

#include <doctest/doctest.h>

#include "gov/kernel/backend.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

TEST_CASE("rows come from the arena and go back with a scope") {
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::best_kernels<float>(), pool, arena};
  float* first = nullptr;
  {
    const ArenaScope scope(arena);
    const auto a = context.rows(3, 5), b = context.rows(2, 7);
    CHECK(a.rows == 3);
    CHECK(a.cols == 5);
    CHECK(a.stride == 5);
    CHECK(b.data >= a.data + 15);
    CHECK(reinterpret_cast<std::uintptr_t>(b.data) % 64 == 0);
    first = a.data;
  }
  CHECK(context.rows(1, 1).data == first);
}

TEST_CASE("a stop request is an error that says so; without a token there is none") {
  ThreadPool pool(1);
  Arena arena;
  std::stop_source source;
  Context<float> context{kernel::best_kernels<float>(), pool, arena, source.get_token()};
  const Context<float> never{kernel::best_kernels<float>(), pool, arena};
  CHECK_NOTHROW(context.throw_if_cancelled());
  source.request_stop();
  CHECK(code_of([&] { context.throw_if_cancelled(); }) == "cancelled");
  CHECK_NOTHROW(never.throw_if_cancelled());
}

}  // namespace
