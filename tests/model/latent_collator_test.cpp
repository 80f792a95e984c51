#include "gov/model/latent_collator.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

constexpr int L = 9, pad = 0;

TEST_CASE("where the latents of a row are") {
  CHECK(find_latents(std::vector<int>{1, 2, L, L, 3}, L) == LatentSpan{2, 2});
  CHECK(find_latents(std::vector<int>{1, L}, L) == LatentSpan{1, 1});
  CHECK(find_latents(std::vector<int>{1, 2}, L) == LatentSpan{});
  CHECK(find_latents(std::vector<int>{}, L).count == 0);
  for (const auto& refused : {std::pair{std::vector<int>{L, 1}, "position 0"},
                              {std::vector<int>{1, L, 2, L}, "position 3"},
                              {std::vector<int>{1, L, L, 2, 2, L}, "position 5"}}) {
    const auto& ids = refused.first;
    CHECK(code_of([&] { find_latents(ids, L); }) == "bad_prompt");
    CHECK_THROWS_WITH_AS(find_latents(ids, L), doctest::Contains(refused.second), Error);
  }
}

TEST_CASE("first latents stand in one column, rows without any at the front") {
  const std::vector<LatentExample> examples{{{1, 2, 3, L, L, 4}, {-100, -100, -100, -100, -100, 4}},
                                            {{5, L, 6, 7}, {-100, -100, 6, 7}},
                                            {{8, 8}, {8, 8}},
                                            {{5, 6, L, L, 7, 7, 7}, {1, 2, 3, 4, 5, 6, 7}}};
  const LatentBatch batch = collate_latents(examples, L, pad);
  CHECK(batch.batch == 4);
  CHECK(batch.length == 8);
  CHECK(batch.input_ids == std::vector<int>{1, 2, 3, L, L, 4, 0, 0,  //
                                            0, 0, 5, L, 6, 7, 0, 0,  //
                                            8, 8, 0, 0, 0, 0, 0, 0,  //
                                            0, 5, 6, L, L, 7, 7, 7});
  CHECK(batch.attention_mask == std::vector<int>{1, 1, 1, 1, 1, 1, 0, 0,  //
                                                 0, 0, 1, 1, 1, 1, 0, 0,  //
                                                 1, 1, 0, 0, 0, 0, 0, 0,  //
                                                 0, 1, 1, 1, 1, 1, 1, 1});
  CHECK(batch.position_ids == std::vector<int>{0, 1, 2, 3, 4, 5, 0, 0,  //
                                               0, 0, 0, 1, 2, 3, 0, 0,  //
                                               0, 1, 0, 0, 0, 0, 0, 0,  //
                                               0, 0, 1, 2, 3, 4, 5, 6});
  const int no = ignored_label;
  CHECK(batch.labels == std::vector<int>{no, no, no, no, no, 4,  no, no,  //
                                         no, no, no, no, 6,  7,  no, no,  //
                                         8,  8,  no, no, no, no, no, no,  //
                                         no, 1,  2,  3,  4,  5,  6,  7});
  const auto rows = latent_rows(batch.input_ids, batch.attention_mask, batch.batch, L);
  REQUIRE(rows.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(rows[i] == examples[i].input_ids);
}

TEST_CASE("without latents rows are padded at the end; without labels there are none") {
  const std::vector<LatentExample> examples{{{1, 2}, {}}, {{3, 4, 5}, {}}};
  const LatentBatch batch = collate_latents(examples, L, 7);
  CHECK(batch.input_ids == std::vector<int>{1, 2, 7, 3, 4, 5});
  CHECK(batch.position_ids == std::vector<int>{0, 1, 0, 0, 1, 2});
  CHECK(batch.labels.empty());
  CHECK(collate_latents({}, L, pad).batch == 0);
  CHECK(collate_latents({}, L, pad).input_ids.empty());
}

TEST_CASE("labels that do not fit are refused") {
  for (const auto& second :
       {LatentExample{{1, 2}, {}}, LatentExample{{1, 2}, {1}}, LatentExample{{1}, {1, 2}}}) {
    const std::vector<LatentExample> examples{{{1, 2}, {1, 2}}, second};
    CHECK(code_of([&] { collate_latents(examples, L, pad); }) == "bad_argument");
  }
  const std::vector<LatentExample> late{{{1, 2}, {}}, {{1, 2}, {1, 2}}};
  CHECK(code_of([&] { collate_latents(late, L, pad); }) == "bad_argument");
}

TEST_CASE("a padded batch whose first latents stand in several columns is the collator's job") {
  const std::vector<int> ids{1, L, 2, 3, 1, 2, L, 3}, mask(8, 1);
  CHECK(code_of([&] { latent_rows(ids, mask, 2, L); }) == "bad_prompt");
  CHECK_THROWS_WITH_AS(latent_rows(ids, mask, 2, L), doctest::Contains("collate_latents"), Error);
  // What stands in padding is not a latent.
  const std::vector<int> other{L, L, 2, 3, 4, L, 5, 5}, left{0, 1, 1, 1, 1, 1, 1, 0};
  CHECK(code_of([&] { latent_rows(other, left, 2, L); }) == "bad_prompt");  // now at position 0
  const std::vector<int> masked{L, 2, L, 3, 4, 5, L, L};
  const auto rows = latent_rows(masked, left, 2, L);
  CHECK(rows == std::vector<std::vector<int>>{{2, L, 3}, {4, 5, L}});
}

}  // namespace
