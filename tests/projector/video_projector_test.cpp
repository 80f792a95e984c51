// From the tower's features to tokens, in both orders, against tests/reference/packers.py.
#include "gov/projector/video_projector.hpp"

#include <doctest/doctest.h>

#include "tests/support/reference_case.hpp"

namespace video_projector_test {

using namespace gov;
using namespace gov::test;
using Act = kernel::Activation;

template <class Projector>
void run(const std::string& name, const TokenGrid& from) {
  CHECK(ReferenceFile("projector/packers.safetensors").shape(name)[0] ==
        Projector::tokens(from.frames));
  check_case<typename Projector::Params>(ReferenceFile("projector/packers.safetensors"), name,
                                         from.tokens(), Projector::input_width,
                                         [&](auto& context, const auto& p, auto x, auto y) {
                                           Projector::forward(context, p, x, from, y);
                                         });
}

using SmallSeed = VideoProjector<
    VideoPacker<4, PackGrid<8, 2, 4>, PackGrid<2, 4, 4>, 8, 16, PackAttention::window, 8, 2>,
    LlavaProjector<4, 6, 2, Act::gelu, true, 0, 10>, Lape<6, 8, 10>, PackOrder::pack_first>;

TEST_CASE("packer, projector, positions") {
  run<SmallSeed>("whole.pack-first", {8, 16, 16});
  run<SmallSeed>("whole.pack-first-image", {1, 16, 16});
}

template <bool PackImages>
using SmallSt =
    VideoProjector<FastSlowPacker<4, 4, 9, 2, 3, 1, PackAttention::window, 8, 2>,
                   LlavaProjector<6, 4>, Lape<4, 4, 10>, PackOrder::project_first, PackImages>;

TEST_CASE("projector, positions, packer") {
  run<SmallSt<false>>("whole.project-first", {4, 9, 9});
  run<SmallSt<false>>("whole.project-first-image", {1, 9, 9});
  run<SmallSt<true>>("whole.project-first-packed-image", {1, 9, 9});
}

TEST_CASE("features of another size are refused") {
  SmallSt<false>::Params p;
  std::vector<float> x(1000), y(1000);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  const auto forward = [&](index_t rows, TokenGrid from, index_t out) {
    SmallSt<false>::forward(context, p, Rows<const float>(x.data(), rows, 6), from,
                            Rows<float>(y.data(), out, 4));
  };
  CHECK_THROWS_AS(forward(80, {1, 9, 9}, 81), Error);
  CHECK_THROWS_AS(forward(81, {1, 9, 9}, 9), Error);
  CHECK_THROWS_AS(forward(81, {3, 9, 9}, 22), Error);
}

TEST_CASE("presets") {
  static_assert(Seed96Projector::input_width == 1024 && Seed96Projector::output_width == 768);
  static_assert(parameter_count<BabyLmItProjector> == 31'506'432 + 1'377'792);
  Seed96Projector::Params p;
  std::string last;
  for (const auto& parameter : parameter_list(p)) last = parameter.name;
  CHECK(last == "spatial_width_output_embeddings.weight");
}

}  // namespace video_projector_test
