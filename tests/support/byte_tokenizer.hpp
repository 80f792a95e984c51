// A tokenizer made in memory for tests that must not depend on files: all 256 bytes (id = byte), a
// few merges, the control tokens of harmony and ChatML, and one of the known split patterns.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/io/json_writer.hpp"
#include "gov/text/byte_level.hpp"
#include "gov/text/split.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov::test {

inline constexpr std::string_view byte_tokenizer_controls[] = {
    "<|start|>",     "<|end|>",      "<|message|>", "<|channel|>", "<|return|>", "<|call|>",
    "<|constrain|>", "<|im_start|>", "<|im_end|>",  "<img>",       "</img>",     "<IMG_CONTEXT>"};

inline constexpr int byte_tokenizer_size = 256 + 6;

// tokenizer.json with these control tokens, behind a model of `size` tokens: what is more than
// bytes and merges no text becomes. Two added tokens follow that are no control tokens.
inline std::string byte_tokenizer_json(
    SplitPattern pattern, std::span<const std::string_view> controls = byte_tokenizer_controls,
    bool nfc = false, bool ignore_merges = false, int size = byte_tokenizer_size) {
  JsonWriter json(-1);
  json.begin_object().field("version", "1.0");
  int id = size;
  json.key("added_tokens").begin_array();
  for (const std::string_view content : controls) {
    json.begin_object().field("id", id++).field("content", content);
    json.field("special", true).field("normalized", false).end_object();
  }
  json.begin_object().field("id", id++).field("content", "<think>").field("special", false);
  json.field("normalized", true).field("lstrip", true).end_object();
  json.begin_object().field("id", id++).field("content", "one").field("special", false);
  json.field("single_word", true).field("normalized", false).field("rstrip", true).end_object();
  json.end_array();
  if (nfc) json.key("normalizer").begin_object().field("type", "NFC").end_object();
  json.key("pre_tokenizer").begin_object().field("type", "Sequence");
  json.key("pretokenizers").begin_array();
  json.begin_object().field("type", "Split").key("pattern").begin_object();
  json.field("Regex", split_regex(pattern)).end_object();
  json.field("behavior", "Isolated").field("invert", false).end_object();
  json.begin_object().field("type", "ByteLevel").field("add_prefix_space", false);
  json.field("use_regex", false).end_object().end_array().end_object();
  json.key("decoder").begin_object().field("type", "ByteLevel").end_object();
  json.key("model").begin_object().field("type", "BPE").field("ignore_merges", ignore_merges);
  json.key("vocab").begin_object();
  for (int byte = 0; byte < 256; ++byte)
    json.field(to_byte_level(std::string(1, static_cast<char>(byte))), byte);
  const std::vector<std::pair<std::string, std::string>> merges = {
      {"a", "a"}, {"aa", "aa"}, {"\u0120", "a"}, {"e", "r"}, {"\u00c3", "\u00a9"}, {"t", "h"}};
  for (int i = 0; i < 6; ++i) {
    const auto& merge = merges[static_cast<std::size_t>(i)];
    json.field(merge.first + merge.second, 256 + i);
  }
  for (int more = byte_tokenizer_size; more < size; ++more)
    json.field("filler" + std::to_string(more), more);
  json.end_object().key("merges").begin_array();
  for (const auto& [left, right] : merges) json.value(left + " " + right);
  json.end_array().end_object().end_object();
  return json.str();
}

inline Tokenizer byte_tokenizer(SplitPattern pattern, bool nfc = false,
                                bool ignore_merges = false) {
  return Tokenizer::parse(
      byte_tokenizer_json(pattern, byte_tokenizer_controls, nfc, ignore_merges));
}

}  // namespace gov::test
