#include "gov/text/visual_placeholders.hpp"

#include <doctest/doctest.h>

#include "tests/support/errors.hpp"

namespace {

using namespace gov;

// One id a letter; begins as Llama's tokenizer does, or not.
struct Letters {
  bool begins = true;
  std::vector<int> operator()(std::string_view text) const {
    std::vector<int> ids;
    if (begins) ids.push_back(1);
    for (const char c : text) ids.push_back(c);
    return ids;
  }
};

TEST_CASE("the pseudo-id stands between the chunks, and one beginning is kept") {
  const auto tokens = [](std::string_view prompt, bool begins) {
    return tokenizer_image_token(prompt, Letters{begins}, 1);
  };
  using Ids = std::vector<int>;
  CHECK(tokens("ab", true) == Ids{1, 'a', 'b'});
  CHECK(tokens("a<image>b", true) == Ids{1, 'a', -200, 'b'});
  CHECK(tokens("a<image>b", false) == Ids{'a', -200, 'b'});
  CHECK(tokens("<image><image>x", true) == Ids{1, -200, -200, 'x'});
  CHECK(tokens("<image>", true) == Ids{1, -200});
  CHECK(tokens("<image>", false) == Ids{-200});
  CHECK(tokens("", true) == Ids{1});
  CHECK(tokens("", false).empty());
  CHECK(tokens("<image", false).size() == 6);
  CHECK(tokenizer_image_token("a<image>", Letters{}, 1, -7) == Ids{1, 'a', -7});
  // The first chunk decides: a tokenizer whose text happens to begin with another id loses nothing.
  CHECK(tokenizer_image_token("a<image>b", Letters{}, 2) == Ids{1, 'a', -200, 1, 'b'});
}

TEST_CASE("a single mark goes to the front") {
  CHECK(mark_to_front("what is <image> this ", "<image>") == "<image>\nwhat is  this");
  CHECK(mark_to_front("what\n<image>", "<image>") == "<image>\nwhat");
  CHECK(mark_to_front(" <image> ", "<image>") == "<image>");
  CHECK(mark_to_front("<image> x ", "<image>") == "<image> x ");
  CHECK(mark_to_front("a <image> <image>", "<image>") == "a <image> <image>");
  CHECK(mark_to_front("nothing ", "<image>") == "nothing ");
}

TEST_CASE("as many tokens as features, the markers among them") {
  CHECK(expand_placeholders("<image>\nhi", {.image = 4}) ==
        "<im_start><im_patch><im_patch><im_end>\nhi");
  CHECK(expand_placeholders("see <video>", {.fast = 3, .slow = 2}) ==
        "<vid_start><vid_patch><vid_end><slow_vid_start><slow_vid_end>\nsee");
  CHECK(expand_placeholders("<video>", {.fast = 2}) == "<vid_start><vid_end>");
  CHECK(expand_placeholders("<image><image>", {.image = 2}) ==
        "<im_start><im_end><im_start><im_end>");
  CHECK(expand_placeholders("text", {}) == "text");
  const std::string seed = expand_placeholders("<video>", {.fast = 64, .slow = 32});
  std::size_t count = 0;
  for (const char c : seed) count += c == '<';
  CHECK(count == 96);
  for (const auto& counts : {PlaceholderCounts{.fast = 1, .slow = 2},
                             {.fast = 4, .slow = 1},
                             {.fast = -3},
                             {.fast = index_t{1} << 40}}) {
    CHECK(test::thrown([&] { expand_placeholders("<video>", counts); }).code() == Errc::bad_prompt);
  }
  CHECK_THROWS_AS(expand_placeholders("<image>", {.fast = 4}), Error);
}

TEST_CASE("placeholders are no targets") {
  const int ids[] = {5, 6, 7, 6}, placeholders[] = {6, 9};
  std::vector<int> labels{50, 60, 70, 60};
  ignore_labels(ids, placeholders, labels);
  CHECK(labels == std::vector<int>{50, ignore_index, 70, ignore_index});
}

}  // namespace
