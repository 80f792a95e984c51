// Packing of a picture's views against pack_image_features of two classes of transformers, and
// what LLaVA-NeXT has beyond them (tests/reference/anyres_features.py).
#include "gov/model/anyres_features.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/reference_case.hpp"

namespace anyres_features_test {

using namespace gov;
using namespace gov::test;

constexpr index_t view = 28, side = 4, width = 3;
const std::vector<Extent> short_list{{28, 56}, {56, 28}, {56, 56}, {84, 28}, {28, 84}};

std::vector<Extent> grid_list() {
  return resolutions_between("(1x1),...,(4x4)", view, PairOrder::height_width);
}

template <class T>
std::vector<T> packed(const std::string& name, const AnyresLayout& layout,
                      const kernel::Kernels<T>& kernels) {
  const index_t rows = layout.view_count() * side * side;
  const auto input = generated(name, "input", rows * width);
  const auto line = generated(name, "image_newline", width);
  const std::vector<T> x(input.begin(), input.end());
  std::vector<T> y(static_cast<std::size_t>(layout.tokens() * width), T(-100));
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  pack_anyres_features<T>(context, layout, Rows<const T>(x.data(), rows, width),
                          layout.newline ? line.data() : nullptr,
                          Rows<T>(y.data(), layout.tokens(), width));
  return y;
}

// A case's name ends with the picture's height and width.
void check_packed(const std::string& name, const std::vector<Extent>& resolutions,
                  const AnyresRule& rule, bool newline = true) {
  CAPTURE(name);
  const std::size_t second = name.rfind('.'), first = name.rfind('.', second - 1);
  const Extent image{std::stol(name.substr(first + 1)), std::stol(name.substr(second + 1))};
  const AnyresLayout layout = anyres_layout(image, resolutions, view, side, rule, newline);
  static const ReferenceFile file("projector/anyres_features.safetensors");
  REQUIRE(layout.tokens() == file.shape(name)[0]);
  const auto expected = file.doubles(name);
  CHECK(relative_gap(packed(name, layout, *kernel::find_kernels<double>("scalar")), expected) <
        1e-14);
  for (const auto* kernels : available_kernels())
    CHECK(relative_gap(packed(name, layout, *kernels), expected) < 1e-6);
}

TEST_CASE("as LlavaNextModel") {
  for (const char* size : {"60.80", "100.37", "28.28", "10.90", "90.10", "57.57", "1.500", "20.71"})
    check_packed(std::string("next.") + size, short_list, {});
  check_packed("next-no-newline.60.80", short_list, {}, false);
}

TEST_CASE("anyres_max as LlavaOnevisionModel") {
  for (const auto& [most, size] : {std::pair<index_t, const char*>{4, "110.112"},
                                   {9, "110.112"},
                                   {2, "100.70"},
                                   {1, "60.112"},
                                   {3, "112.30"}})
    check_packed("max" + std::to_string(most) + "." + size, grid_list(), {.max_views = most});
}

TEST_CASE("LLaVA-NeXT's other ways") {
  for (const std::string size : {".60.80", ".100.37"}) {
    check_packed("spatial" + size, short_list, parse_anyres_rule("spatial"));
    check_packed("unpad" + size, short_list, parse_anyres_rule("spatial_unpad"));
    check_packed("nobase" + size, short_list, parse_anyres_rule("spatial_nobase"));
    check_packed("unpad-nobase" + size, short_list, parse_anyres_rule("spatial_unpad_nobase"));
    check_packed("pool" + size, short_list, parse_anyres_rule("spatial_maxpool2x2"));
    check_packed("pool-nobase" + size, short_list, parse_anyres_rule("spatial_maxpool2x2_nobase"));
    check_packed("flat" + size, short_list, parse_anyres_rule("flat"));
  }
}

TEST_CASE("one view alone") {
  const ReferenceFile file("projector/anyres_features.safetensors");
  const auto& kernels = *kernel::find_kernels<double>("scalar");
  CHECK(relative_gap(packed("single", single_view_layout(side, true), kernels),
                     file.doubles("single")) == 0);
  auto bare = file.doubles("single");
  bare.resize(side * side * width);
  CHECK(packed("single", single_view_layout(side, false), kernels) == bare);
}

TEST_CASE("counts equal the processor's and the original's") {
  const std::vector<Extent> next{{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  std::ifstream lines(fixture_path("projector/anyres_tokens.txt"));
  index_t height, image_width, expected, original, wrong = 0, total = 0, different = 0;
  while (lines >> height >> image_width >> expected >> original) {
    const auto tokens = [&](AnyresRule::WholeNumber how) {
      return anyres_layout({height, image_width}, next, 336, 24, {.whole_number = how}, true)
          .tokens();
    };
    wrong += tokens(AnyresRule::WholeNumber::transformers) != expected;
    wrong += tokens(AnyresRule::WholeNumber::original) != original;
    different += expected != original;
    ++total;
  }
  CHECK(wrong == 0);
  CHECK(total == 931);
  CHECK(different == 7);
}

TEST_CASE("spellings") {
  CHECK(parse_anyres_rule("spatial_unpad", "anyres_max_9").max_views == 9);
  CHECK(parse_anyres_rule("spatial", "anyres_max_9").max_views == 0);
  CHECK(parse_anyres_rule("spatial_unpad").unpad);
  CHECK(!parse_anyres_rule("spatial").unpad);
  CHECK(parse_anyres_rule("flat").merge == PatchMerge::flat);
  for (const char* bad : {"", "Flat", "flat_unpad", "spatial_", "spatial_unpad_x",
                          "spatial_maxpool2x2_unpad", "unpad", "spatial_nobase_unpad"})
    CHECK(thrown([&] { parse_anyres_rule(bad); }).field() == "mm_patch_merge_type");
  for (const char* bad : {"", "pad", "anyres_max", "anyres_max_", "anyres_max_0", "anyres_max_9x",
                          "anyres_max_99999999999999999999", "anyres_max_-1"})
    CHECK(thrown([&] { parse_anyres_rule("spatial", bad); }).field() == "image_aspect_ratio");
}

TEST_CASE("features of another number of views are refused") {
  const AnyresLayout layout = anyres_layout({60, 80}, short_list, view, side, {}, true);
  std::vector<float> x(1000), y(1000), line(width);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  const auto pack = [&](index_t in, index_t out, const float* newline) {
    return thrown([&] {
             pack_anyres_features<float>(context, layout, Rows<const float>(x.data(), in, width),
                                         newline, Rows<float>(y.data(), out, width));
           })
        .code();
  };
  CHECK(pack(79, layout.tokens(), line.data()) == Errc::bad_argument);
  CHECK(pack(80, layout.tokens() - 1, line.data()) == Errc::bad_argument);
  CHECK(pack(80, layout.tokens(), nullptr) == Errc::bad_argument);
}

}  // namespace anyres_features_test
