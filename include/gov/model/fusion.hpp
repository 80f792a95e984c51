// Fusion of image features into the text's embeddings: the positions of the image token take the
// features' rows in order (transformers: get_placeholder_mask, masked_scatter). Counts must be
// equal.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/model/inputs.hpp"

namespace gov {

// Indices of the image token among ids.
inline std::vector<index_t> placeholders(std::span<const int> ids, int image_token_id) {
  std::vector<index_t> found;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] == image_token_id) found.push_back(static_cast<index_t>(i));
  return found;
}

// Rows of inputs_embeds that equal the image token's embedding in every channel.
inline std::vector<index_t> placeholders(Rows<const float> embeds, const float* image_embedding) {
  std::vector<index_t> found;
  for (index_t i = 0; i < embeds.rows; ++i)
    if (std::equal(embeds.row(i), embeds.row(i) + embeds.cols, image_embedding)) found.push_back(i);
  return found;
}

inline void require_equal_counts(index_t placeholder_count, index_t feature_count) {
  if (placeholder_count != feature_count)
    throw Error({.code = Errc::image_count_mismatch,
                 .file = {},
                 .field = "image tokens in the prompt",
                 .expected = std::to_string(feature_count) + ", one for each row of image features",
                 .found = std::to_string(placeholder_count)});
}

}  // namespace gov
