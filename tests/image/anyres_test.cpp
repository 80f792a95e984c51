// Choice of a resolution and views against transformers and the original's rule
// (tests/reference/anyres_fixtures.py).
#include "gov/image/anyres.hpp"

#include <doctest/doctest.h>

#include <map>

#include "gov/image/normalize.hpp"
#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

const std::vector<Extent> next_list{{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
const std::vector<Extent> short_list{{28, 56}, {56, 28}, {56, 56}, {84, 28}, {28, 84}};

std::vector<Extent> turned(std::vector<Extent> list) {
  for (Extent& r : list) std::swap(r.height, r.width);
  return list;
}

TEST_CASE("the chosen resolution equals transformers' and the original's over a sweep of sizes") {
  const std::map<std::string, std::pair<index_t, std::vector<Extent>>> lists{
      {"next", {336, next_list}},
      {"small", {28, short_list}},
      {"grid", {384, resolutions_between("(1x1),...,(6x6)", 384, PairOrder::height_width)}}};
  std::ifstream file = open_fixture("anyres.txt");
  std::string name;
  Extent image, best, original;
  index_t views, wrong = 0, total = 0, different = 0;
  while (file >> name >> image.height >> image.width >> best.height >> best.width >> views >>
         original.height >> original.width) {
    const auto& [view, list] = lists.at(name);
    wrong += select_best_resolution(image, list) != best;
    wrong += select_best_resolution(image, turned(list)) != original;
    wrong += anyres_grid(image, list, view).tiles() + 1 != views;
    different += best != original;
    ++total;
  }
  CHECK(wrong == 0);
  CHECK(total == 1650);
  CHECK(different > 100);  // the two orders of pairs do matter
}

std::uint32_t crc_of_pixels(const std::vector<Image>& views, const Normalization& how) {
  const NormalizationTable table = normalization_table(how);
  std::vector<float> values;
  for (const Image& view : views) {
    const std::size_t from = values.size();
    values.resize(from + view.pixels.size());
    normalize_image(view, table, values.data() + from);
  }
  return crc32(std::as_bytes(std::span(values)));
}

TEST_CASE("pixel values equal transformers' to the bit") {
  const Normalization clip{.mean = {0.48145466, 0.4578275, 0.40821073},
                           .std = {0.26862954, 0.26130258, 0.27577711}};
  std::ifstream file = open_fixture("anyres_pixels.txt");
  std::string name, crc;
  index_t height, width, count, compared = 0;
  std::uint64_t seed;
  while (file >> name >> height >> width >> seed >> count >> crc) {
    const Image image = picture(height, width, seed);
    std::vector<Image> views;
    if (name == "llava_next")
      views = anyres_views(image, short_list, {28, 28}, 28);
    else if (name == "llava_pad")
      views = {resize_bicubic(pad_to_square(image, mean_colour(clip.mean)), 28, 28)};
    else
      continue;
    CAPTURE(name);
    CAPTURE(height);
    CHECK(static_cast<index_t>(views.size()) == count);
    CHECK(crc_of_pixels(views, clip) == std::stoul(crc, nullptr, 16));
    ++compared;
  }
  CHECK(compared == 14);
}

TEST_CASE("proportions are kept and the free side is rounded up") {
  CHECK(size_inside({60, 80}, {56, 56}) == Extent{42, 56});
  CHECK(size_inside({100, 37}, {56, 56}) == Extent{56, 21});
  CHECK(size_inside({1, 5000}, {28, 56}) == Extent{1, 56});
  CHECK(size_inside({7, 7}, {28, 56}) == Extent{28, 28});
  Image white(3, 6);
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  const Image large = resize_and_pad(white, {7, 10});  // 5 x 10, one row above, one below
  for (index_t y = 0; y < 7; ++y) CHECK(large.row(y)[0] == (y == 0 || y == 6 ? 0 : 255));
  const Image odd = centred(white, {6, 6}, {1, 2, 3});  // the odd row is below
  CHECK(odd.row(0)[0] == 1);
  CHECK(odd.row(1)[0] == 255);
  CHECK(odd.row(4)[1] == 2);
  CHECK(odd.row(5)[2] == 3);
}

TEST_CASE("colours") {
  CHECK(mean_colour({0.48145466, 0.4578275, 0.40821073}) ==
        std::array<std::uint8_t, 3>{122, 116, 104});
  CHECK(mean_colour({-1, 0, 120}) == std::array<std::uint8_t, 3>{0, 0, 255});
  const Image square = picture(5, 5, 1);
  CHECK(pad_to_square(square, {9, 9, 9}) == square);
}

TEST_CASE("the short form of a list") {
  CHECK(resolutions_between("(1x1),...,(2x3)", 10) ==
        std::vector<Extent>{{10, 10}, {20, 10}, {30, 10}, {10, 20}, {20, 20}, {30, 20}});
  CHECK(resolutions_between("(2x2)", 3) == std::vector<Extent>{{6, 6}});
  CHECK(resolutions_between("(1x1),...,(6x6)", 384).size() == 36);
  for (const char* bad : {"", "()", "(1x)", "(x1)", "(0x1)", "(2x2),(1x1)", "(1,1)", "(1x1",
                          "(1x1),...,(999x999)", "(9999x1)", "(-1x1)"}) {
    CAPTURE(bad);
    const Error error = thrown([&] { resolutions_between(bad, 14); });
    CHECK(error.code() == Errc::bad_config);
    CHECK(error.field() == "image_grid_pinpoints");
  }
}

TEST_CASE("arguments are checked") {
  const Image image = picture(4, 4, 1);
  const auto views = [&](std::vector<Extent> list, index_t view) {
    return thrown([&] { anyres_views(image, list, {28, 28}, view); }).code();
  };
  CHECK(views({}, 28) == Errc::bad_config);
  CHECK(views({{28, 30}}, 28) == Errc::bad_config);
  CHECK(views({{28, 0}}, 28) == Errc::bad_config);
  CHECK(views({{28, 28}}, 0) == Errc::bad_config);
  CHECK(views({{28, -28}}, 28) == Errc::bad_config);
  CHECK(views({{28, max_resolution_side + 28}}, 1) == Errc::bad_config);
  CHECK(thrown([&] { select_best_resolution({0, 4}, short_list); }).code() == Errc::bad_argument);
  CHECK(thrown([&] { select_best_resolution({4, 4}, {}); }).code() == Errc::bad_config);
  CHECK(thrown([&] { centred(image, {3, 5}); }).code() == Errc::bad_argument);
  CHECK(thrown([&] {
          anyres_views(Image(), short_list, {28, 28}, 28);
        }).code() == Errc::bad_argument);
}

}  // namespace
}  // namespace gov
