#include "gov/text/char_symbols.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/errors.hpp"

namespace char_symbols_test {

using namespace gov;

using Ids = std::vector<int>;

// Tokens with ids in order.
Vocabulary vocabulary(const std::vector<std::string>& tokens) {
  Vocabulary result;
  REQUIRE(result.reserve(tokens.size(), static_cast<int>(tokens.size()) - 1));
  for (std::size_t i = 0; i < tokens.size(); ++i)
    REQUIRE(result.add(static_cast<int>(i), tokens[i], false) == Vocabulary::Added::ok);
  return result;
}

Ids read(const CharSymbols& symbols, const Vocabulary& tokens, std::string_view text) {
  BpeScratch scratch;
  symbols.read(text, tokens, scratch);
  Ids ids;
  for (const auto& symbol : scratch.symbols) ids.push_back(symbol.id);
  return ids;
}

TEST_CASE("characters, then their bytes, then unknown") {
  const Vocabulary tokens = vocabulary({"<unk>", "a", "字", "<0xC3>", "<0xA9>", "<0x0A>"});
  CharSymbols symbols;
  symbols.unk_id = 0;
  CHECK(read(symbols, tokens, "a字é") == Ids{1, 2, 0});
  symbols.set_byte_fallback(tokens);
  CHECK(symbols.byte_ids['\n'] == 5);
  CHECK(symbols.byte_ids['b'] == -1);
  CHECK(read(symbols, tokens, "a字é\n") == Ids{1, 2, 3, 4, 5});
  CHECK(read(symbols, tokens, "è") == Ids{0});  // half of its bytes is not enough
  CHECK(read(symbols, tokens, "").empty());
}

TEST_CASE("unknown characters side by side are one where they are fused") {
  const Vocabulary tokens = vocabulary({"<unk>", "a", "<0x0A>"});
  CharSymbols symbols;
  symbols.unk_id = 0;
  symbols.set_byte_fallback(tokens);
  CHECK(read(symbols, tokens, "xyaz") == Ids{0, 0, 1, 0});
  symbols.fuse_unk = true;
  CHECK(read(symbols, tokens, "xyaz") == Ids{0, 1, 0});
  CHECK(read(symbols, tokens, "x\ny") == Ids{2, 0});  // as the tokenizers package has it
}

TEST_CASE("symbols are linked for the merges") {
  const Vocabulary tokens = vocabulary({"a", "b"});
  BpeScratch scratch;
  CharSymbols().read("ab", tokens, scratch);
  REQUIRE(scratch.symbols.size() == 2);
  CHECK(scratch.symbols[0].previous == -1);
  CHECK(scratch.symbols[0].next == 1);
  CHECK(scratch.symbols[1].previous == 0);
  CHECK(scratch.symbols[1].next == -1);
}

TEST_CASE("a character that is nothing is an error that shows it") {
  const Vocabulary tokens = vocabulary({"a"});
  const Error error = test::thrown([&] { read(CharSymbols(), tokens, "aé"); });
  CHECK(error.code() == Errc::bad_prompt);
  CHECK(std::string_view(error.what()).find("é") != std::string_view::npos);
}

}  // namespace char_symbols_test
