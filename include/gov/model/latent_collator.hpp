// Batches of sequences with latent tokens, padded so that the first latent of every row stands in
// the same column (COCONUT's collator):
//   x x x x L L y .        a row with latents has its padding in front of it, then all are filled
//   . . x x L y y y        up at the end; a row without latents is padded at the end alone
// and the way back, to rows without padding. Plain functions on ids.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/model/inputs.hpp"

namespace gov {

// A row's latents: [first, first + count). first means nothing when there are none.
struct LatentSpan {
  index_t first = 0, count = 0;
  friend bool operator==(const LatentSpan&, const LatentSpan&) = default;
};

inline LatentSpan find_latents(std::span<const int> ids, int latent_token_id) {
  const auto refuse = [](std::string expected, index_t at) {
    throw Error({.code = Errc::bad_prompt,
                 .file = {},
                 .field = "latent tokens",
                 .expected = std::move(expected),
                 .found = "one at position " + std::to_string(at)});
  };
  LatentSpan span;
  for (index_t i = 0; i < std::ssize(ids); ++i) {
    if (ids[static_cast<std::size_t>(i)] != latent_token_id) continue;
    if (i == 0) refuse("a token before them, whose hidden state is the first thought", 0);
    if (span.count == 0) span.first = i;
    if (i != span.first + span.count) refuse("one run of them, without other tokens between", i);
    ++span.count;
  }
  return span;
}

struct LatentExample {
  std::vector<int> input_ids;
  std::vector<int> labels;  // as many; or none, in every example of the batch
};

// Each [batch, length], row-major; labels empty where examples have none.
struct LatentBatch {
  index_t batch = 0, length = 0;
  std::vector<int> input_ids, labels, attention_mask, position_ids;
};

inline constexpr int ignored_label = -100;

// position_ids are 0, 1, 2, ... on a row's own tokens and 0 in its padding; labels there -100.
inline LatentBatch collate_latents(std::span<const LatentExample> examples, int latent_token_id,
                                   int pad_token_id) {
  LatentBatch result;
  result.batch = std::ssize(examples);
  if (examples.empty()) return result;
  const bool labelled = !examples.front().labels.empty();
  std::vector<index_t> before;  // pads in front
  index_t column = 0;
  for (const auto& example : examples) {
    if (const std::size_t labels = labelled ? example.input_ids.size() : 0;
        example.labels.size() != labels)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "labels",
                   .expected = std::to_string(labels) + ", one for each token or none in the batch",
                   .found = std::to_string(example.labels.size())});
    const LatentSpan latents = find_latents(example.input_ids, latent_token_id);
    before.push_back(latents.count > 0 ? latents.first : -1);
    column = std::max(column, before.back());
  }
  for (std::size_t i = 0; i < examples.size(); ++i) {
    before[i] = before[i] < 0 ? 0 : column - before[i];
    result.length = std::max(result.length, before[i] + std::ssize(examples[i].input_ids));
  }
  const auto cells = static_cast<std::size_t>(result.batch * result.length);
  result.input_ids.assign(cells, pad_token_id);
  if (labelled) result.labels.assign(cells, ignored_label);
  result.attention_mask.assign(cells, 0);
  result.position_ids.assign(cells, 0);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const auto& example = examples[i];
    const index_t start = static_cast<index_t>(i) * result.length + before[i];
    std::copy(example.input_ids.begin(), example.input_ids.end(), result.input_ids.begin() + start);
    std::copy(example.labels.begin(), example.labels.end(),
              result.labels.begin() + (labelled ? start : 0));
    for (index_t t = 0; t < std::ssize(example.input_ids); ++t) {
      result.attention_mask[static_cast<std::size_t>(start + t)] = 1;
      result.position_ids[static_cast<std::size_t>(start + t)] = static_cast<int>(t);
    }
  }
  return result;
}

// The rows of a padded batch without their padding, for coconut_forward. The first latents must
// stand in one column, as the batch's algorithm takes for granted.
inline std::vector<std::vector<int>> latent_rows(std::span<const int> input_ids,
                                                 std::span<const int> attention_mask, index_t batch,
                                                 int latent_token_id) {
  std::vector<std::vector<int>> rows = unpad(input_ids, attention_mask, batch);
  const std::size_t length = input_ids.size() / static_cast<std::size_t>(batch);
  index_t column = -1;
  for (std::size_t b = 0; b < rows.size(); ++b) {
    if (find_latents(rows[b], latent_token_id).count == 0) continue;
    std::size_t at = 0;
    while (input_ids[b * length + at] != latent_token_id || attention_mask[b * length + at] == 0)
      ++at;
    if (column < 0) column = static_cast<index_t>(at);
    if (column != static_cast<index_t>(at))
      throw Error({.code = Errc::bad_prompt,
                   .file = {},
                   .field = "first latent token of row " + std::to_string(b),
                   .expected = "column " + std::to_string(column) +
                               ", as in the rows before (collate_latents aligns a batch)",
                   .found = "column " + std::to_string(at)});
  }
  return rows;
}

}  // namespace gov
