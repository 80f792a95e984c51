// StreamDecoder: token ids to text as they come, never a part of a character. What push() returns,
// and finish() last, is together exactly Tokenizer::decode of all ids. Holding text back for stop
// strings is the business of generation.
#pragma once

#include <string>
#include <utility>

#include "gov/text/tokenizer.hpp"
#include "gov/text/utf8.hpp"

namespace gov {

class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, DecodeOptions options = {})
      : tokenizer_(std::move(tokenizer)), options_(options), state_(tokenizer_.decode_start()) {}

  // The text that is complete now; "" while a character waits for its remaining bytes.
  std::string push(int id) {
    held_ += tokenizer_.piece(id, state_, options_);
    const std::size_t held = incomplete_utf8_tail(held_);
    std::string text = to_valid_utf8(std::string_view(held_).substr(0, held_.size() - held));
    held_.erase(0, held_.size() - held);
    return text;
  }

  // The end: bytes still held back become U+FFFD. The decoder is as new afterwards.
  std::string finish() {
    std::string text = to_valid_utf8(held_);
    held_.clear();
    state_ = tokenizer_.decode_start();
    return text;
  }

  std::size_t held_bytes() const { return held_.size(); }

 private:
  Tokenizer tokenizer_;
  DecodeOptions options_;
  PieceDecoder::State state_;
  std::string held_;  // at most 3 bytes between calls
};

}  // namespace gov
