// What goes into a forward pass and what comes out.
#pragma once

#include <span>
#include <stop_token>

#include "gov/core/tensor.hpp"

namespace gov {

// Images ready for the tower: [count, channels, height, width], one entry per tile.
struct PixelView {
  const float* data = nullptr;
  index_t count = 0, channels = 0, height = 0, width = 0;
  const float* tile(index_t i) const { return data + i * channels * height * width; }
};

// The next tokens of a sequence: ids, or embeddings in their place. Image features go, in order, to
// the positions of the image token (its id, or its embedding in every channel).
struct Inputs {
  std::span<const int> input_ids{};
  PixelView pixel_values{};
  Rows<const float> inputs_embeds{};  // [tokens, hidden]
  index_t rows() const {
    return inputs_embeds.rows > 0 ? inputs_embeds.rows : static_cast<index_t>(input_ids.size());
  }
};

struct ForwardOptions {
  index_t logits_to_keep = 0;  // of the last tokens; 0 is all, -1 none
  std::stop_token stop{};      // looked at between layers and tiles
};

// Views into the session, valid until its next call. T is the scalar of the computation.
template <class T>
struct Outputs {
  Rows<const T> logits;               // [kept tokens, vocabulary]
  Rows<const T> last_hidden_state;    // [tokens, hidden], after the final norm
  Rows<const T> image_hidden_states;  // [tiles * tokens, hidden]; empty without pixel_values
};

}  // namespace gov
