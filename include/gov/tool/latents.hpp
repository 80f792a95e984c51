// gov generate --latents: COCONUT's options from the command line, and its thoughts in words: the
// tokens that the language model's head finds nearest to each.
#pragma once

#include <iomanip>
#include <iostream>

#include "gov/io/json_writer.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

inline void take_latents(const GenerateArguments& arguments, ChatOptions& options) {
  options.latents = arguments.latents;
  if (arguments.latent_tokens.size() != 3) return;
  options.latent_tokens = {.start = arguments.latent_tokens[0],
                           .end = arguments.latent_tokens[2],
                           .latent = arguments.latent_tokens[1]};
}

inline void print_thought(const Tokenizer& tokenizer, std::size_t number, const Thought& thought) {
  std::cerr << "gov: thought " << number << ":";
  for (const Candidate& token : thought.nearest)
    std::cerr << " " << JsonWriter(-1).value(tokenizer.decode({&token.token, 1})).str() << " "
              << std::fixed << std::setprecision(2) << token.logprob;
  std::cerr << std::endl;
}

// "thoughts": for each, its nearest tokens with their log-probabilities.
inline void write_thoughts(JsonWriter& out, const Tokenizer& tokenizer, const Generated& result) {
  out.key("thoughts").begin_array();
  for (const Thought& thought : result.thoughts) {
    out.begin_array();
    for (const Candidate& token : thought.nearest)
      out.begin_object()
          .field("token", token.token)
          .field("text", tokenizer.decode({&token.token, 1}))
          .field("logprob", token.logprob)
          .end_object();
    out.end_array();
  }
  out.end_array();
}

}  // namespace gov::tool
