// The special tokens of COCONUT: the markers around a run of thoughts, and the token that stands
// for a thought. A prompt is Q, start, latent * k, end. Published systems spell them differently
// (<|start_latent|>), so names are data; ids come from the tokenizer, never from a table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov {

struct LatentTokenNames {
  std::string start = "<|start-latent|>", end = "<|end-latent|>", latent = "<|latent|>";
};

struct LatentTokens {
  int start = -1, end = -1, latent = -1;
};

// All three must be added tokens of the tokenizer; the error names those that are missing.
inline LatentTokens find_latent_tokens(const Tokenizer& tokenizer,
                                       const LatentTokenNames& names = {}) {
  std::string missing;
  const auto find = [&](const std::string& name) {
    const auto id = tokenizer.token_to_id(name);
    if (id && tokenizer.is_added(*id)) return *id;
    missing += (missing.empty() ? "" : ", ") + name;
    return -1;
  };
  LatentTokens tokens;
  tokens.start = find(names.start), tokens.latent = find(names.latent);
  tokens.end = find(names.end);
  if (!missing.empty())
    throw Error({.code = Errc::bad_tokenizer,
                 .file = tokenizer.file(),
                 .field = "added_tokens",
                 .expected = names.start + ", " + names.end + " and " + names.latent +
                             ": a checkpoint gets them by adding them to the tokenizer, with rows "
                             "for them in embed_tokens and lm_head, and by training",
                 .found = "no " + missing});
  return tokens;
}

// Puts room for `count` thoughts behind a prompt.
inline void append_latents(std::vector<int>& ids, const LatentTokens& tokens, index_t count) {
  if (count < 0)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "latents",
                 .expected = "at least 0",
                 .found = std::to_string(count)});
  ids.push_back(tokens.start);
  ids.insert(ids.end(), static_cast<std::size_t>(count), tokens.latent);
  ids.push_back(tokens.end);
}

// The prompt of a question as COCONUT trains and asks it: a line of its own, then the thoughts.
// What looks like a special token in the question is text.
inline std::vector<int> latent_prompt(const Tokenizer& tokenizer, std::string_view question,
                                      const LatentTokens& tokens, index_t count) {
  EncodeOptions options = plain_text;
  options.add_special_tokens = true;
  std::vector<int> ids = tokenizer.encode(std::string(question) + "\n", options);
  append_latents(ids, tokens, count);
  return ids;
}

}  // namespace gov
