// gov tokenize: ids and pieces of a text, or the text of ids.
#pragma once

#include <charconv>
#include <iostream>

#include "gov/io/file.hpp"
#include "gov/io/json_writer.hpp"
#include "gov/text/tokenizer.hpp"
#include "gov/tool/arguments.hpp"

namespace gov::tool {

// "1, 2 3" -> {1, 2, 3}.
inline std::vector<int> parse_ids(std::string_view text) {
  std::vector<int> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (*at == ',' || *at == ' ' || *at == '\n' || *at == '\t' || *at == '[' || *at == ']') {
      ++at;
      continue;
    }
    int id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc())
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "ids",
                   .expected = "whole numbers, apart by commas or spaces",
                   .found = std::string(
                       at, static_cast<std::size_t>(std::min<std::ptrdiff_t>(end - at, 20)))});
    ids.push_back(id);
    at = next;
  }
  return ids;
}

inline int tokenize_command(const TokenizeArguments& arguments) {
  const Tokenizer tokenizer = Tokenizer::load(arguments.model);
  const std::string text =
      arguments.has_text ? arguments.text : read_text(arguments.file, std::uint64_t{64} << 20);
  if (arguments.decode) {
    const std::string decoded = tokenizer.decode(
        parse_ids(text), {.skip_special_tokens = arguments.no_special, .strict = true});
    if (arguments.json)
      std::cout << JsonWriter(-1).begin_object().field("text", decoded).end_object().str() << "\n";
    else
      std::cout << decoded << "\n";
    return 0;
  }
  const auto ids = tokenizer.encode(text, arguments.no_special ? plain_text : EncodeOptions{});
  if (arguments.json) {
    std::vector<std::string> pieces;
    for (const int id : ids) pieces.push_back(to_valid_utf8(tokenizer.piece(id)));
    std::cout << JsonWriter(-1)
                     .begin_object()
                     .field("ids", ids)
                     .field("pieces", pieces)
                     .end_object()
                     .str()
              << "\n";
    return 0;
  }
  for (const int id : ids) {
    JsonWriter piece(-1);
    piece.value(to_valid_utf8(tokenizer.piece(id)));
    std::cout << id << "\t" << piece.str() << "\n";
  }
  return 0;
}

}  // namespace gov::tool
