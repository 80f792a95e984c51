// One packing step against tests/reference/packers.py, where a mask says who sees whom.
#include "gov/projector/packer_module.hpp"

#include <doctest/doctest.h>

#include "tests/support/errors.hpp"
#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Module = PackerModule<10, 16, 2>;

void run(const std::string& name, const TokenGrid& from, const TokenGrid& to,
         PackAttention attention = PackAttention::window) {
  check_case<Module::Params>(ReferenceFile("projector/packers.safetensors"), name, from.tokens(),
                             10, [&](auto& context, const auto& p, auto x, auto y) {
                               Module::forward(context, p, x, from, to, attention, y);
                             });
}

TEST_CASE("as the reference") {
  run("module.spatial", {2, 6, 6}, {2, 2, 2});
  run("module.temporal", {6, 2, 3}, {2, 2, 3});
  run("module.both", {4, 4, 8}, {2, 2, 2});
  run("module.image", {1, 4, 4}, {1, 1, 1});
  run("module.same", {2, 2, 2}, {2, 2, 2});
  run("module.global", {3, 5, 4}, {3, 2, 2}, PackAttention::global);
}

struct Example {
  TokenGrid from, to;
  Module::Params p;
  AlignedBuffer memory = generated_params("example", p);
  std::vector<float> x = generated("example", "input", from.tokens() * 10);
  std::vector<float> y = std::vector<float>(static_cast<std::size_t>(to.tokens() * 10));

  void run(int threads = 2) {
    ThreadPool pool(threads);
    Arena arena;
    Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
    Module::forward(context, p, Rows<const float>(x.data(), from.tokens(), 10), from, to,
                    PackAttention::window, Rows<float>(y.data(), to.tokens(), 10));
  }
};

// More tokens than scratch holds at a time: each frame alone gives the same bits.
TEST_CASE("many windows are taken in parts") {
  Example whole{{20, 18, 18}, {20, 6, 6}, {}};
  whole.run();
  for (const index_t frame : {0, 7, 19}) {
    Example one{{1, 18, 18}, {1, 6, 6}, {}};
    std::copy_n(whole.x.begin() + frame * 18 * 18 * 10, one.x.size(), one.x.begin());
    one.run(1);
    CHECK(std::equal(one.y.begin(), one.y.end(), whole.y.begin() + frame * 36 * 10));
  }
}

TEST_CASE("a token outside of a window changes nothing in it") {
  Example a{{2, 4, 4}, {1, 2, 2}, {}}, b{{2, 4, 4}, {1, 2, 2}, {}};
  // Interpolation reaches only the window too: its two middle rows, columns and frames.
  b.x[0] += 1;  // frame 0, row 0, column 0: the first window
  a.run(), b.run();
  CHECK(!std::equal(a.y.begin(), a.y.begin() + 10, b.y.begin()));
  CHECK(std::equal(a.y.begin() + 10, a.y.end(), b.y.begin() + 10));
}

TEST_CASE("grids that do not divide are refused, but not for attention to all") {
  Example bad{{2, 5, 4}, {1, 2, 2}, {}};
  const Error error = thrown([&] { bad.run(); });
  CHECK(error.code() == Errc::bad_argument);
  CHECK(error.field() == "token grid");
  CHECK(error.found() == "2x5x4, 40 tokens");
}

TEST_CASE("names and counts") {
  Module::Params p;
  std::string names;
  for (const auto& parameter : parameter_list(p)) names += parameter.name + " ";
  CHECK(
      names.starts_with("devide_attention.to_q.0.weight devide_attention.to_q.0.bias "
                        "devide_attention.to_q.2.weight "));
  CHECK(names.ends_with("devide_attention.attn.out_proj.bias devide_attention.to_out.weight "));
  static_assert(parameter_count<PackerModule<3584>> == 22'036'480);
}

}  // namespace
