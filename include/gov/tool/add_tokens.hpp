// gov add-tokens: a checkpoint with more tokens in its tokenizer, embeddings and head. It works on
// files, so it needs no compiled model type; the written folder needs one with the new vocab_size.
#pragma once

#include <charconv>
#include <iostream>

#include "gov/model/resize_embeddings.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

// copy:TOKEN, mean, or normal:SIGMA[:SEED].
inline NewRows parse_new_rows(const std::string& text, const Tokenizer& tokenizer) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string kind = text.substr(0, colon),
                    rest = text.substr(std::min(colon + 1, text.size()));
  const auto refuse = [&](std::string expected) {
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "--init",
                 .expected = std::move(expected),
                 .found = text});
  };
  if (kind == "copy") {
    const auto id = tokenizer.token_to_id(rest);
    if (!id) refuse("copy: and a token of this tokenizer");
    return NewRows::copy_token(*id);
  }
  if (kind == "normal") {
    double sigma = 0;
    std::uint64_t seed = 0;
    const char* const end = rest.data() + rest.size();
    auto read = std::from_chars(rest.data(), end, sigma);
    if (read.ec == std::errc() && read.ptr != end && *read.ptr == ':')
      read = std::from_chars(read.ptr + 1, end, seed);
    if (read.ec != std::errc() || read.ptr != end || !(sigma >= 0 && sigma <= 1e6))
      refuse("normal:SIGMA or normal:SIGMA:SEED");
    return NewRows::normal(sigma, seed);
  }
  if (text != "mean") refuse("copy:TOKEN, mean or normal:SIGMA[:SEED]");
  return NewRows::mean_rows();
}

inline int add_tokens_command(const AddTokensArguments& arguments) {
  ResizeOptions options;
  const Tokenizer tokenizer = Tokenizer::load(arguments.model);
  if (!arguments.init.empty()) options.embeddings = parse_new_rows(arguments.init, tokenizer);
  if (!arguments.head_init.empty()) options.head = parse_new_rows(arguments.head_init, tokenizer);
  options.write.overwrite = arguments.overwrite;
  options.write.max_shard_bytes = static_cast<std::uint64_t>(arguments.max_shard_gb * 1e9);
  std::vector<NewToken> tokens;
  for (const std::string& token : arguments.tokens) tokens.push_back({token, arguments.special});
  const ResizedCheckpoint result =
      add_tokens_to_checkpoint(arguments.model, arguments.output, tokens, options);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    std::cout << result.ids[i] << "\t" << tokens[i].content << "\n";
  std::cout << "vocab_size " << result.old_rows << " -> " << result.rows << "\n";
  return 0;
}

}  // namespace gov::tool
