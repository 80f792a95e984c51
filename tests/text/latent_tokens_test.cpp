#include "gov/text/latent_tokens.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/errors.hpp"

namespace latent_tokens_test {

using namespace gov;
using namespace gov::test;

const LatentTokenNames borrowed{.start = "<img>", .end = "</img>", .latent = "<IMG_CONTEXT>"};

TEST_CASE("the default names are those of the COCONUT repository") {
  const LatentTokenNames names;
  CHECK(names.start == "<|start-latent|>");
  CHECK(names.end == "<|end-latent|>");
  CHECK(names.latent == "<|latent|>");
}

TEST_CASE("ids come from the tokenizer") {
  const Tokenizer tokenizer = byte_tokenizer(SplitPattern::gpt2);
  const LatentTokens tokens = find_latent_tokens(tokenizer, borrowed);
  CHECK(tokens.start == tokenizer.added_token_id("<img>"));
  CHECK(tokens.end == tokenizer.added_token_id("</img>"));
  CHECK(tokens.latent == tokenizer.added_token_id("<IMG_CONTEXT>"));
}

TEST_CASE("the error names what is missing; an ordinary token is no latent token") {
  const Tokenizer tokenizer = byte_tokenizer(SplitPattern::gpt2);
  CHECK(code_of([&] { find_latent_tokens(tokenizer); }) == "bad_tokenizer");
  CHECK_THROWS_WITH_AS(find_latent_tokens(tokenizer),
                       doctest::Contains("no <|start-latent|>, <|latent|>, <|end-latent|>"), Error);
  LatentTokenNames names = borrowed;
  names.latent = "a";
  CHECK_THROWS_WITH_AS(find_latent_tokens(tokenizer, names), doctest::Contains("no a"), Error);
}

TEST_CASE("a prompt is the question's line, start, the latents and end") {
  const Tokenizer tokenizer = byte_tokenizer(SplitPattern::gpt2);
  const LatentTokens tokens = find_latent_tokens(tokenizer, borrowed);
  const int s = tokens.start, l = tokens.latent, e = tokens.end;
  CHECK(latent_prompt(tokenizer, "2?", tokens, 3) ==
        std::vector<int>{'2', '?', '\n', s, l, l, l, e});
  CHECK(latent_prompt(tokenizer, "2?", tokens, 0) == std::vector<int>{'2', '?', '\n', s, e});
  // Text of a user is no latent token.
  const auto text = latent_prompt(tokenizer, "<img>", tokens, 1);
  CHECK(std::count(text.begin(), text.end(), s) == 1);
  CHECK(text.front() == '<');
  std::vector<int> ids{1, 2};
  append_latents(ids, tokens, 1);
  CHECK(ids == std::vector<int>{1, 2, s, l, e});
  CHECK(code_of([&] { append_latents(ids, tokens, -1); }) == "bad_argument");
  CHECK(ids.size() == 5);
}

}  // namespace latent_tokens_test
