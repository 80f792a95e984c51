// Reads tokenizer.json (version 1.0): BPE over bytes with what gpt-oss, Qwen2/3, Llama-3 and GPT-2
// files hold, and over characters as those of Llama-2, Mistral and Gemma do. Every entry is
// checked: ids, duplicates, merges of unknown tokens. What it cannot do exactly (Unigram,
// WordPiece, dropout, unknown patterns and normalizers) it refuses by name. truncation and padding
// are ignored, as transformers does. Merges come as "a b" or as ["a", "b"].
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"
#include "gov/text/added_tokens.hpp"
#include "gov/text/bpe.hpp"
#include "gov/text/byte_level.hpp"
#include "gov/text/char_symbols.hpp"
#include "gov/text/normalizer.hpp"
#include "gov/text/piece_decoder.hpp"
#include "gov/text/pre_tokenizer.hpp"
#include "gov/text/vocabulary.hpp"

namespace gov {

// A tokenizer.json, checked and ready for use.
struct TokenizerParts {
  std::string file;
  Vocabulary vocabulary;
  Bpe bpe;
  bool ignore_merges = false;  // a piece that is a token needs no merges
  bool byte_level = false;     // BPE over bytes; otherwise over characters:
  CharSymbols symbols;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  PieceDecoder decoder;
  std::vector<std::string> decoded;    // by id, unless byte_level: what decoder.bytes_of says
  AddedTokenMatcher raw_added;         // looked for in the text as it comes,
  AddedTokenMatcher normalized_added;  // and in the text once normalized
  std::vector<int> before, after;      // what the post-processor puts around a text
};

class TokenizerReader {
 public:
  explicit TokenizerReader(const Json& root) : root_(root) { parts_.file = root.file(); }

  TokenizerParts read() {
    const std::string_view version = root_.at("version").as_string();
    if (version != "1.0") root_.at("version").fail(Errc::unsupported, "\"1.0\"");
    read_steps();
    const Json model = root_.at("model");
    read_model_flags(model);
    read_vocabulary(model.at("vocab"));
    if (!parts_.byte_level) read_symbols(model);
    read_merges(model.at("merges"));
    read_added_tokens();
    if (root_.has_value("post_processor")) read_post_processor(root_.at("post_processor"));
    if (!parts_.byte_level) decode_all();
    return std::move(parts_);
  }

 private:
  static std::string_view type_of(const Json& json) { return json.at("type").as_string(); }
  [[noreturn]] static void refuse_type(const Json& json, std::string supported) {
    json.at("type").fail(Errc::unsupported, std::move(supported));
  }

  void read_steps() {
    if (root_.has_value("normalizer")) parts_.normalizer = Normalizer::read(root_.at("normalizer"));
    const Json decoder = root_.at("decoder");
    parts_.decoder = PieceDecoder::read(decoder);
    if (const Json pre_tokenizer = root_.at("pre_tokenizer"); !pre_tokenizer.is_null())
      parts_.pre_tokenizer = PreTokenizer::read(pre_tokenizer);
    parts_.byte_level = parts_.pre_tokenizer.byte_level();
    if (parts_.byte_level != parts_.decoder.byte_level())
      decoder.fail(Errc::unsupported, parts_.byte_level
                                          ? "ByteLevel, for the pre_tokenizer is"
                                          : "another than ByteLevel, or a ByteLevel pre_tokenizer");
  }

  void read_model_flags(const Json& model) {
    if (const auto type = model.find("type"); type && type->as_string() != "BPE")
      refuse_type(model, "BPE");
    if (parts_.byte_level && model.has_value("byte_fallback") &&
        model.at("byte_fallback").as_bool())
      model.at("byte_fallback")
          .fail(Errc::unsupported, "false, for the pre_tokenizer is ByteLevel");
    if (model.has_value("dropout") && model.at("dropout").as_double() != 0)
      model.at("dropout").fail(Errc::unsupported, "null");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (model.has_value(key) && !model.at(key).as_string().empty())
        model.at(key).fail(Errc::unsupported, "null or \"\"");
    if (model.has_value("ignore_merges"))
      parts_.ignore_merges = model.at("ignore_merges").as_bool();
  }

  void read_symbols(const Json& model) {
    CharSymbols& symbols = parts_.symbols;
    if (model.has_value("byte_fallback") && model.at("byte_fallback").as_bool())
      symbols.set_byte_fallback(parts_.vocabulary);
    if (model.has_value("fuse_unk")) symbols.fuse_unk = model.at("fuse_unk").as_bool();
    if (!model.has_value("unk_token")) return;
    const Json unk = model.at("unk_token");
    symbols.unk_id = parts_.vocabulary.find(unk.as_string(), false);
    if (symbols.unk_id < 0) unk.fail(Errc::bad_tokenizer, "a token of the vocabulary");
  }

  void decode_all() {
    const Vocabulary& vocabulary = parts_.vocabulary;
    parts_.decoded.resize(static_cast<std::size_t>(vocabulary.id_end()));
    for (int id = 0; id < vocabulary.id_end(); ++id)
      if (const auto* token = vocabulary.get(id))
        parts_.decoded[static_cast<std::size_t>(id)] =
            parts_.decoder.bytes_of(vocabulary.bytes(*token));
  }

  // False for what BPE can find: then `bytes` are what the spelling stands for, which over
  // characters is itself.
  bool is_verbatim(std::string_view spelling, std::string& bytes) const {
    if (parts_.byte_level) return !from_byte_level(spelling, bytes);
    bytes = spelling;
    return false;
  }

  // An id below the limit.
  static int read_id(const Json& json) {
    const auto id = json.as_uint();
    if (id > static_cast<std::uint64_t>(Vocabulary::max_id))
      json.fail(Errc::bad_tokenizer, "an id up to " + std::to_string(Vocabulary::max_id));
    return static_cast<int>(id);
  }
  static void check_added(Vocabulary::Added result, const Json& json, std::string_view content) {
    const std::string name = "\"" + json_detail::shorten(content) + "\"";
    if (result == Vocabulary::Added::id_taken)
      json.fail(Errc::bad_tokenizer, "an id that no other token has");
    if (result == Vocabulary::Added::token_taken)
      json.fail(Errc::bad_tokenizer, "every token once", name + " again");
    if (result == Vocabulary::Added::too_many_collisions)
      json.fail(Errc::bad_tokenizer, "tokens that hash apart", name);
  }
  void reserve(const Json& json, std::size_t count, int largest) {
    if (parts_.vocabulary.count() + count > Vocabulary::max_tokens)
      json.fail(Errc::limit_exceeded,
                "at most " + std::to_string(Vocabulary::max_tokens) + " tokens");
    if (!parts_.vocabulary.reserve(parts_.vocabulary.count() + count, largest))
      json.fail(Errc::bad_tokenizer, "ids without wide gaps",
                "id " + std::to_string(largest) + " among " + std::to_string(count) + " tokens");
  }

  void read_vocabulary(const Json& vocab) {
    if (vocab.items().size() == 0) vocab.fail(Errc::bad_tokenizer, "a vocabulary");
    int largest = 0;
    for (const auto& [token, id] : vocab.items()) largest = std::max(largest, read_id(id));
    reserve(vocab, vocab.size(), largest);
    std::string bytes;
    for (const auto& [token, json] : vocab.items()) {
      if (token.empty()) json.fail(Errc::bad_tokenizer, "tokens that are not empty", "\"\"");
      const bool verbatim = is_verbatim(token, bytes);
      const int id = read_id(json);
      check_added(parts_.vocabulary.add(id, verbatim ? token : bytes, verbatim), json, token);
      if (parts_.byte_level && !verbatim && bytes.size() == 1)
        parts_.bpe.set_byte(static_cast<unsigned char>(bytes.front()), id);
    }
  }

  int find_model_token(std::string_view spelling, std::string& bytes) const {
    const bool verbatim = is_verbatim(spelling, bytes);
    return parts_.vocabulary.find(verbatim ? spelling : bytes, verbatim);
  }

  void read_merges(const Json& merges) {
    if (merges.elements().size() > Vocabulary::max_tokens)
      merges.fail(Errc::limit_exceeded,
                  "at most " + std::to_string(Vocabulary::max_tokens) + " merges");
    std::vector<Bpe::Merge> list;
    list.reserve(merges.size());
    std::string bytes, joined;
    for (const Json& merge : merges.elements()) {
      std::string_view left, right;
      if (merge.is_string()) {
        const std::string_view text = merge.as_string();
        const std::size_t space = text.find(' ');
        if (space == text.npos || text.find(' ', space + 1) != text.npos)
          merge.fail(Errc::bad_tokenizer, "two tokens with one space between them");
        left = text.substr(0, space), right = text.substr(space + 1);
      } else {
        if (!merge.is_array() || merge.size() != 2)
          merge.fail(Errc::bad_tokenizer, "\"a b\" or [\"a\", \"b\"]");
        left = merge.at(0).as_string(), right = merge.at(1).as_string();
      }
      const auto find = [&](std::string_view spelling) {
        const int id = find_model_token(spelling, bytes);
        if (id < 0)
          merge.fail(Errc::bad_tokenizer, "tokens of the vocabulary",
                     "\"" + json_detail::shorten(spelling) + "\"");
        return id;
      };
      joined.assign(left).append(right);
      list.push_back({find(left), find(right), find(joined)});
    }
    const std::size_t count = list.size();
    if (const std::size_t repeated = parts_.bpe.set_merges(std::move(list)); repeated != count)
      merges.at(repeated).fail(Errc::bad_tokenizer, "every pair once", "a pair listed before");
  }

  void read_added_tokens() {
    if (!root_.has_value("added_tokens")) return;
    const Json list = root_.at("added_tokens");
    int largest = 0;
    for (const Json& json : list.elements()) largest = std::max(largest, read_id(json.at("id")));
    reserve(list, list.size(), std::max(largest, parts_.vocabulary.id_end() - 1));
    std::string bytes;
    for (const Json& json : list.elements()) {
      AddedToken token;
      const Json content = json.at("content");
      token.content = content.as_string();
      if (token.content.empty()) content.fail(Errc::bad_tokenizer, "content that is not empty");
      if (token.content.size() > AddedTokenMatcher::max_content_bytes)
        content.fail(Errc::limit_exceeded, "at most 1024 bytes",
                     std::to_string(token.content.size()));
      token.single_word = json.get_or("single_word", false);
      token.lstrip = json.get_or("lstrip", false);
      token.rstrip = json.get_or("rstrip", false);
      token.special = json.get_or("special", false);
      token.normalized = json.get_or("normalized", !token.special);
      token.id = read_id(json.at("id"));
      add_token(json, std::move(token), bytes);
    }
    for (AddedTokenMatcher* matcher : {&parts_.raw_added, &parts_.normalized_added})
      if (const int twice = matcher->build(); twice >= 0) {
        const auto& token = matcher->tokens()[static_cast<std::size_t>(twice)];
        list.fail(Errc::bad_tokenizer, "every added token once",
                  "\"" + json_detail::shorten(token.content) + "\" twice");
      }
  }

  void add_token(const Json& json, AddedToken token, std::string& bytes) {
    Vocabulary& vocabulary = parts_.vocabulary;
    if (const int known = find_model_token(token.content, bytes); known >= 0) {
      if (known != token.id)
        json.at("id").fail(Errc::bad_tokenizer,
                           "the id of this token in model.vocab, " + std::to_string(known));
      if (vocabulary.get(known)->added) json.fail(Errc::bad_tokenizer, "every added token once");
    } else {
      check_added(vocabulary.add(token.id, token.content, true), json.at("id"), token.content);
    }
    vocabulary.mark_added(token.id, token.special);
    if (token.normalized) token.content = parts_.normalizer.apply(token.content);
    if (token.content.empty() || token.content.size() > AddedTokenMatcher::max_content_bytes)
      json.fail(Errc::bad_tokenizer, "1 to 1024 bytes once normalized");
    (token.normalized ? parts_.normalized_added : parts_.raw_added).add(std::move(token));
  }

  void read_post_processor(const Json& all) {
    for (const Json& step : tokenizer_steps(all, "processors")) {
      if (type_of(step) == "ByteLevel") continue;  // moves offsets only
      if (type_of(step) != "TemplateProcessing")
        refuse_type(step, "ByteLevel, TemplateProcessing or a Sequence of them");
      std::vector<int> before, after;
      bool seen = false;
      for (const Json& piece : step.at("single").elements()) {
        if (const auto sequence = piece.find("Sequence")) {
          if (seen || sequence->at("id").as_string() != "A")
            sequence->fail(Errc::unsupported, "the sequence A once");
          seen = true;
          continue;
        }
        const Json name = piece.at("SpecialToken").at("id");
        const Json ids = step.at("special_tokens").at(name.as_string()).at("ids");
        for (const Json& json : ids.elements()) {
          const int id = read_id(json);
          if (!parts_.vocabulary.get(id)) json.fail(Errc::bad_tokenizer, "the id of a token");
          (seen ? after : before).push_back(id);
        }
      }
      if (!seen) step.at("single").fail(Errc::bad_tokenizer, "the sequence A");
      parts_.before.insert(parts_.before.begin(), before.begin(), before.end());
      parts_.after.insert(parts_.after.end(), after.begin(), after.end());
      if (parts_.before.size() + parts_.after.size() > 1024)
        step.fail(Errc::limit_exceeded, "at most 1024 tokens around a text");
    }
  }

  Json root_;
  TokenizerParts parts_;
};

}  // namespace gov
