#include "gov/model/visual_spans.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace visual_spans_test {

using namespace gov;
using namespace gov::test;

constexpr MarkedSpan fast{1, 2, "video"}, slow{3, 4, "slow video"};

struct Prompt {
  std::vector<int> ids;
  std::vector<float> embeds, features;
  explicit Prompt(std::vector<int> tokens)
      : ids(std::move(tokens)), embeds(ids.size() * 2), features(40) {
    for (std::size_t i = 0; i < embeds.size(); ++i) embeds[i] = static_cast<float>(i);
    for (std::size_t i = 0; i < features.size(); ++i) features[i] = 100 + static_cast<float>(i);
  }
  Rows<const float> rows(index_t first, index_t count) const {
    return {features.data() + 2 * first, count, 2};
  }
  void write(const MarkedSpan& span, const std::vector<Rows<const float>>& parts) {
    write_spans<float>(ids, span, parts, {embeds.data(), static_cast<index_t>(ids.size()), 2});
  }
};

TEST_CASE("fast and slow spans are overwritten, markers too, and nothing else") {
  Prompt p({7, 1, 9, 9, 2, 3, 9, 4, 8});
  const auto before = p.embeds;
  p.write(fast, {p.rows(0, 4)});
  p.write(slow, {p.rows(4, 3)});
  CHECK(std::equal(p.embeds.begin() + 2, p.embeds.begin() + 16, p.features.begin()));
  CHECK(std::equal(p.embeds.begin(), p.embeds.begin() + 2, before.begin()));
  CHECK(std::equal(p.embeds.begin() + 16, p.embeds.end(), before.begin() + 16));
}

TEST_CASE("several videos take their features in order") {
  Prompt p({1, 2, 5, 1, 9, 2});
  p.write(fast, {p.rows(10, 2), p.rows(0, 3)});
  CHECK(p.embeds[0] == 120);
  CHECK(p.embeds[4] == 4);
  CHECK(p.embeds[6] == 100);
  CHECK(p.embeds[11] == 105);
}

TEST_CASE("what does not fit changes nothing") {
  const auto refused = [](std::vector<int> ids, std::vector<index_t> sizes, index_t width = 2) {
    Prompt p(std::move(ids));
    const auto before = p.embeds;
    std::vector<Rows<const float>> parts;
    for (const index_t size : sizes) parts.emplace_back(p.features.data(), size, width);
    const Error error = thrown([&] { p.write(fast, parts); });
    CHECK(error.field() == "video markers");
    CHECK(p.embeds == before);
    return error.code();
  };
  CHECK(refused({1, 9, 2}, {}) == Errc::image_count_mismatch);
  CHECK(refused({1, 9, 2}, {3, 3}) == Errc::image_count_mismatch);
  CHECK(refused({7, 9, 2}, {3}) == Errc::image_count_mismatch);
  CHECK(refused({1, 9, 2, 7}, {4}) == Errc::bad_prompt);  // too long
  CHECK(refused({1, 9, 2}, {4}) == Errc::bad_prompt);     // past the end
  CHECK(refused({1, 9, 9, 2}, {3}) == Errc::bad_prompt);  // too short
  CHECK(refused({1, 9, 2, 1, 9, 9}, {3, 3}) == Errc::bad_prompt);
  CHECK(refused({1, 9, 2}, {0}) == Errc::bad_argument);
  CHECK(refused({1, 9, 2}, {3}, 3) == Errc::bad_argument);
}

std::vector<index_t> found(const std::vector<int>& ids,
                           const std::vector<std::pair<SpanFinder::Kind, index_t>>& spans) {
  SpanFinder finder(ids, VisualMarkerIds::from(10));  // pictures 10 11 12, videos 13 14 15, 16 17
  for (const auto& [kind, count] : spans) finder.take(kind, count);
  return finder.finish();
}

TEST_CASE("spans are found in the order of the prompt") {
  CHECK(found({1, 2}, {}).empty());
  CHECK(found({13, 14, 15, 5, 16, 17, 7, 10, 12},
              {{SpanFinder::video, 3}, {SpanFinder::slow, 2}, {SpanFinder::image, 2}}) ==
        std::vector<index_t>{0, 1, 2, 4, 5, 7, 8});
  // What lies between the markers is not looked at, and patches outside are text.
  CHECK(found({14, 10, 3, 12}, {{SpanFinder::image, 3}}) == std::vector<index_t>{1, 2, 3});
}

TEST_CASE("spans that are not what the features need are refused") {
  using Spans = std::vector<std::pair<SpanFinder::Kind, index_t>>;
  const auto code = [](const std::vector<int>& ids, const Spans& spans) {
    return code_of([&] { found(ids, spans); });
  };
  const Spans picture{{SpanFinder::image, 3}}, none{};
  CHECK(code({1, 2, 3}, picture) == "image_count_mismatch");                 // no marker
  CHECK(code({13, 14, 15}, picture) == "image_count_mismatch");              // a video's
  CHECK(code({10, 11, 12, 10, 11, 12}, picture) == "image_count_mismatch");  // two
  CHECK(code({10, 11, 12}, none) == "image_count_mismatch");
  CHECK(code({10, 11, 11, 12}, picture) == "bad_prompt");  // too long
  CHECK(code({10, 12, 1}, picture) == "bad_prompt");       // too short
  CHECK(code({10, 11}, picture) == "bad_prompt");          // cut
  CHECK(code({13, 14, 15}, {{SpanFinder::video, 3}, {SpanFinder::slow, 2}}) ==
        "image_count_mismatch");  // no slow track
  const auto error = error_of([&] { found({10, 11, 11, 12}, picture); });
  REQUIRE(error);
  CHECK(error->info().field == "image markers");
  CHECK(error->info().found == "id 11");
}

TEST_CASE("ids of markers") {
  const auto ids = VisualMarkerIds::from(30000);
  CHECK(ids.im_start == 30000);
  CHECK(ids.vid_patch == 30004);
  CHECK(ids.slow_vid_end == 30007);
  CHECK(VisualMarkerIds{}.im_start == -1);
}

}  // namespace visual_spans_test
