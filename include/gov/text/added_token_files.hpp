// AddedTokenFiles: the ids of tokens that were added to a vocabulary, as a folder's
// added_tokens.json says them, or else tokenizer_config.json's added_tokens_decoder, as
// transformers writes them. It reads no tokenizer.json: Tokenizer does, where the whole vocabulary
// is wanted.
#pragma once

#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include "gov/io/json.hpp"

namespace gov {

// What a folder's tokenizer files say of added tokens, read once.
class AddedTokenFiles {
 public:
  explicit AddedTokenFiles(const std::filesystem::path& folder) {
    const auto added = folder / "added_tokens.json", config = folder / "tokenizer_config.json";
    if (std::filesystem::exists(added))
      ids_ = load_json(added.string());
    else if (std::filesystem::exists(config))
      decoder_ = load_json(config.string()).find("added_tokens_decoder");
  }
  // -1 for a token that they do not name.
  int find(std::string_view token) const {
    if (ids_) return ids_->get_or(token, -1);
    if (decoder_)
      for (const auto [id, entry] : decoder_->items())
        if (entry.get_or("content", "") == token) {
          int value = -1;
          std::from_chars(id.data(), id.data() + id.size(), value);
          return value;
        }
    return -1;
  }

 private:
  std::optional<Json> ids_, decoder_;
};

// The id of the image token, from a folder's tokenizer files, for a config.json that does not say
// it (OpenGVLab's); -1 if they do not say it either.
inline int find_image_token(const std::filesystem::path& folder,
                            std::string_view token = "<IMG_CONTEXT>") {
  return AddedTokenFiles(folder).find(token);
}

}  // namespace gov
