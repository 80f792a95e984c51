// What goes into a forward pass and what comes out.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>

#include "gov/core/config.hpp"
#include "gov/core/tensor.hpp"

namespace gov {

// Images ready for the tower: [count, channels, height, width], one entry per tile.
struct PixelView {
  const float* data = nullptr;
  index_t count = 0, channels = 0, height = 0, width = 0;
  const float* tile(index_t i) const { return data + i * channels * height * width; }
};

// The next tokens of a sequence: ids, or embeddings in their place. Image features go, in order, to
// the positions of the image token (its id, or its embedding in every channel), or before the text
// in a model with prefix fusion.
struct Inputs {
  std::span<const int> input_ids{};
  PixelView pixel_values{};
  Rows<const float> inputs_embeds{};      // [tokens, hidden]
  std::span<const Extent> image_sizes{};  // of each image before it was cut up (llava_next)
  // Frames of each picture (1) and video, in the order of the prompt (llava_gpt2). Empty: one frame
  // is a picture, more are videos.
  std::span<const index_t> frames{};
  // [tokens]: which of them are an image's, for routers that ask (GPT-OSS-Vision) and observers.
  // Empty: those that pixel_values go to.
  std::span<const std::uint8_t> modality{};
  bool feedback = false;  // Session::thought() stands in place of the first id's embedding
  index_t rows() const {
    return inputs_embeds.rows > 0 ? inputs_embeds.rows : static_cast<index_t>(input_ids.size());
  }
};

// The rows of a padded batch [batch, length] without their padding (attention_mask 0, on any side),
// for Session::forward_batch: what is not there cannot be attended to or routed to an expert.
inline std::vector<std::vector<int>> unpad(std::span<const int> input_ids,
                                           std::span<const int> attention_mask, index_t batch) {
  if (batch < 1 || input_ids.size() != attention_mask.size() ||
      input_ids.size() % static_cast<std::size_t>(batch) != 0)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "attention_mask",
                 .expected = "a mask as large as input_ids, both [batch, length]",
                 .found = std::to_string(attention_mask.size()) + " for " +
                          std::to_string(input_ids.size())});
  const std::size_t length = input_ids.size() / static_cast<std::size_t>(batch);
  std::vector<std::vector<int>> rows(static_cast<std::size_t>(batch));
  for (std::size_t i = 0; i < input_ids.size(); ++i)
    if (attention_mask[i] != 0) rows[i / length].push_back(input_ids[i]);
  return rows;
}

struct ForwardOptions {
  index_t logits_to_keep = 0;  // of the last tokens; 0 is all, -1 none
  std::stop_token stop{};      // looked at between layers and tiles
  index_t hidden_to_keep = 0;  // as logits_to_keep, of last_hidden_state
};

// Views into the session, valid until its next call. T is the scalar of the computation.
template <class T>
struct Outputs {
  Rows<const T> logits;               // [kept tokens, vocabulary]
  Rows<const T> last_hidden_state;    // [kept tokens, hidden], after the final norm
  Rows<const T> image_hidden_states;  // [tiles * tokens, hidden]; empty without pixel_values
};

}  // namespace gov
