// Pooling against two classes of transformers (tests/reference/video_pool.py).
#include "gov/projector/video_pool.hpp"

#include <doctest/doctest.h>

#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Newline = NewlinePosition;

struct NoParams {
  template <class V, class N, class... P>
  static constexpr void visit(V&&, const N&, P&...) {}
};

void run(const std::string& name, index_t frames, const VideoPool& pool) {
  const ReferenceFile file("projector/video_pool.safetensors");
  REQUIRE(pool.tokens(frames) == file.shape(name)[0]);
  const auto line = generated(name, "image_newline", 3);
  check_case<NoParams>(file, name, frames * pool.side * pool.side, 3,
                       [&](auto& context, const auto&, auto x, auto y) {
                         pool_video(context, pool, x, line.data(), y);
                       });
}

TEST_CASE("as transformers") {
  run("bilinear-one", 2, {.side = 5});
  run("bilinear-grid", 3, {.side = 6, .newline = Newline::grid});
  run("average-frame", 3, {.side = 4, .mode = PoolMode::average, .newline = Newline::frame});
  run("average-none", 2,
      {.side = 6, .mode = PoolMode::average, .stride = 3, .newline = Newline::no_token});
  run("max-one", 1, {.side = 6, .mode = PoolMode::max});
  run("max-grid", 2, {.side = 9, .mode = PoolMode::max, .stride = 4, .newline = Newline::grid});
  run("whole-frame", 2, {.side = 3, .stride = 1, .newline = Newline::frame});
}

TEST_CASE("what does not fit is refused") {
  std::vector<float> x(100), y(100), line(3);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  const auto forward = [&](const VideoPool& how, index_t in, index_t out, const float* newline) {
    pool_video<float>(context, how, Rows<const float>(x.data(), in, 3), newline,
                      Rows<float>(y.data(), out, 3));
  };
  CHECK_NOTHROW(forward({.side = 4}, 16, 5, line.data()));
  CHECK_THROWS_AS(forward({.side = 4}, 15, 5, line.data()), Error);
  CHECK_THROWS_AS(forward({.side = 4}, 16, 4, line.data()), Error);
  CHECK_THROWS_AS(forward({.side = 4}, 16, 5, nullptr), Error);
  CHECK_THROWS_AS(forward({.side = 4, .stride = 0}, 16, 5, line.data()), Error);
  CHECK_THROWS_AS(forward({.side = 1, .mode = PoolMode::max}, 2, 1, line.data()), Error);
}

}  // namespace
