// Fast and slow tracks against tests/reference/packers.py.
#include "gov/projector/video_packer.hpp"

#include <doctest/doctest.h>

#include "tests/support/errors.hpp"
#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <class Packer>
void run(const std::string& name, const TokenGrid& from) {
  CHECK(ReferenceFile("projector/packers.safetensors").shape(name)[0] ==
        Packer::tokens(from.frames));
  check_case<typename Packer::Params>(ReferenceFile("projector/packers.safetensors"), name,
                                      from.tokens(), Packer::width,
                                      [&](auto& context, const auto& p, auto x, auto y) {
                                        Packer::forward(context, p, x, from, y);
                                      });
}

using Fast = PackGrid<8, 2, 4>;
using Slow = PackGrid<2, 4, 4>;
using Tracks = VideoPacker<4, Fast, Slow, 8, 16, PackAttention::window, 8, 2>;

TEST_CASE("each track from the tower's grid") {
  run<Tracks>("tracks.video", {8, 16, 16});
  run<Tracks>("tracks.image", {1, 16, 16});
  run<Tracks>("tracks.other", {8, 6, 7});
  run<VideoPacker<4, Fast, Slow, 8, 6, PackAttention::global, 8, 2>>("tracks.global", {8, 5, 5});
}

using Shared = FastSlowPacker<4, 4, 9, 2, 3, 1, PackAttention::window, 8, 2>;
using Global = FastSlowPacker<4, 4, 8, 4, 3, 2, PackAttention::global, 8, 2>;

TEST_CASE("LLaVA-ST's three modules") {
  run<Shared>("fastslow.video", {4, 9, 9});
  run<Shared>("fastslow.image", {1, 9, 9});
  run<Global>("fastslow.global", {4, 8, 8});
  run<Global>("fastslow.global-image", {1, 8, 8});
}

TEST_CASE("another number of frames is refused") {
  Tracks::Params p;
  std::vector<float> x(5 * 4 * 4), y(96 * 4);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  for (const index_t frames : {0, 2, 7, 9}) {
    const Error error = thrown([&] {
      Tracks::forward(context, p, Rows<const float>(x.data(), 0, 4), {frames, 2, 2},
                      Rows<float>(y.data(), 96, 4));
    });
    CHECK(error.code() == Errc::bad_video);
    CHECK(error.field() == "frames");
    CHECK(error.expected() == "8, or 1 for an image");
  }
}

TEST_CASE("counts of tokens") {
  static_assert(Tracks::tokens(8) == 96 && Tracks::tokens(1) == 24);
  static_assert(VideoPacker<1024, PackGrid<4, 4, 4>, PackGrid<2, 4, 4>>::tokens(8) == 96);
  Shared::Params p;
  const auto list = parameter_list(p);
  CHECK(list.front().name == "token_packer.devide_attention.to_q.0.weight");
  CHECK(list.back().name == "token_packer_fast.devide_attention.to_out.weight");
}

}  // namespace
