// The decoder of a tokenizer.json: from tokens to text. Kinds: ByteLevel; Metaspace; and the
// sequence of SentencePiece-like files, Replace ("▁" by " "), ByteFallback ("<0x0A>" is a byte),
// Fuse, Strip (the space before the first word). Each token has bytes of its own; what the
// beginning of a text takes away is a small state, so that tokens can be decoded as they come. One
// difference from the tokenizers package: of byte tokens that are not UTF-8 together, this library
// replaces what is invalid (utf8.hpp), the package every byte of the run.
#pragma once

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"
#include "gov/text/normalizer.hpp"
#include "gov/text/pre_tokenizer.hpp"

namespace gov {

// The byte that "<0x41>" stands for, or -1.
inline int byte_of_fallback(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int byte = -1;
  const char* const end = token.data() + 5;
  return std::from_chars(token.data() + 3, end, byte, 16).ptr == end && byte >= 0 ? byte : -1;
}

class PieceDecoder {
 public:
  // Where a decoding stands: what the next token may still lose.
  struct State {
    int strip = 0;       // leading characters that Strip takes
    bool first = false;  // Metaspace: the first token has no spaces
    std::string scratch;
  };

  static PieceDecoder read(const Json& json) {
    PieceDecoder result;
    const std::string_view type = json.is_null() ? "null" : json.at("type").as_string();
    if (type == "ByteLevel") {
      result.byte_level_ = true;
    } else if (type == "Metaspace") {
      const Metaspace space = Metaspace::read(json);
      result.replacements_.emplace_back(space.replacement, " ");
      result.bare_first_ = space.prepend != PrependScheme::never;
    } else if (type == "Sequence") {
      result.read_sequence(json);
    } else {
      json.fail(Errc::unsupported,
                "ByteLevel, Metaspace or a Sequence of Replace, ByteFallback, Fuse, Strip");
    }
    return result;
  }

  bool byte_level() const { return byte_level_; }
  State start() const { return {strip_, bare_first_, {}}; }

  // The bytes of a token in the middle of a text; not for ByteLevel.
  std::string bytes_of(std::string_view token) const {
    std::string bytes(token);
    for (const auto& [pattern, content] : replacements_)
      bytes = replace_all(bytes, pattern, content);
    if (byte_fallback_)
      if (const int byte = byte_of_fallback(bytes); byte >= 0)
        bytes.assign(1, static_cast<char>(static_cast<unsigned char>(byte)));
    return bytes;
  }

  // What of the next token's `bytes` (from bytes_of; `token` is its spelling) the text shows.
  std::string_view trim(State& state, std::string_view token, std::string_view bytes) const {
    if (state.first) {
      state.first = false;
      state.scratch = replace_all(token, replacements_.front().first, "");
      return state.scratch;
    }
    for (; state.strip > 0 && !bytes.empty(); --state.strip) {
      if (bytes.front() != strip_character_) {
        state.strip = 0;
        break;
      }
      bytes.remove_prefix(1);
    }
    return bytes;
  }

 private:
  void read_sequence(const Json& json) {
    bool fuse = false;
    for (const Json& step : tokenizer_steps(json, "decoders")) {
      const std::string_view type = step.at("type").as_string();
      const bool in_order = type == "Replace"        ? !byte_fallback_ && !fuse
                            : type == "ByteFallback" ? !byte_fallback_ && !fuse
                            : type == "Fuse"         ? !fuse
                                                     : type == "Strip" && fuse && strip_ == 0;
      if (!in_order)
        step.fail(Errc::unsupported, "Replace, ByteFallback, Fuse and Strip, in this order");
      if (type == "Replace") {
        replacements_.emplace_back(literal_pattern(step), step.at("content").as_string());
        const auto& [pattern, content] = replacements_.back();
        if (content.size() > pattern.size())
          step.at("content").fail(Errc::unsupported, "nothing longer than its pattern");
      } else if (type == "ByteFallback") {
        byte_fallback_ = true;
      } else if (type == "Fuse") {
        fuse = true;
      } else {
        read_strip(step);
      }
    }
    if (replacements_.size() > 8) json.fail(Errc::limit_exceeded, "at most 8 replacements");
  }

  void read_strip(const Json& step) {
    const Json content = step.at("content");
    if (content.as_string().size() != 1 || static_cast<unsigned char>(content.as_string()[0]) > 127)
      content.fail(Errc::unsupported, "one ASCII character");
    strip_character_ = content.as_string()[0];
    const auto start = step.at("start").as_uint();
    if (start > 1024) step.at("start").fail(Errc::limit_exceeded, "at most 1024");
    strip_ = static_cast<int>(start);
    if (step.at("stop").as_uint() != 0) step.at("stop").fail(Errc::unsupported, "0");
  }

  std::vector<std::pair<std::string, std::string>> replacements_;
  bool byte_level_ = false, byte_fallback_ = false;
  bool bare_first_ = false;  // Metaspace
  int strip_ = 0;
  char strip_character_ = ' ';
};

}  // namespace gov
