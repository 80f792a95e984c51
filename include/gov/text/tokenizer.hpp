// Tokenizer: text <-> token ids from a Hugging Face tokenizer.json, BPE over bytes or (Llama-2,
// Mistral, Gemma) over characters. Immutable, cheap to copy, usable from many threads. Input bytes
// that are not UTF-8 become U+FFFD (one rule, utf8.hpp). Text from users is encoded with
// plain_text, so that nothing in it becomes a control token.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"
#include "gov/text/tokenizer_json.hpp"
#include "gov/text/utf8.hpp"

namespace gov {

// The defaults are those of the Hugging Face `tokenizers` package, without the post-processor.
struct EncodeOptions {
  bool parse_special = true;  // special added tokens are found in the text
  bool parse_added = true;    // and the added tokens that are not special (<think>, <tool_call>)
  bool add_special_tokens =
      false;                 // the post-processor's tokens (Llama-3: <|begin_of_text|>) are added
  bool strict_utf8 = false;  // invalid UTF-8 is an error instead of U+FFFD
  // The text stands at the beginning: only there Metaspace with prepend_scheme "first" puts a
  // space.
  bool at_start = true;
  std::size_t max_bytes = std::size_t{64} << 20;
};

// No added token is found: "<|start|>" and "<think>" are text like any other.
inline constexpr EncodeOptions plain_text{.parse_special = false, .parse_added = false};

struct DecodeOptions {
  bool skip_special_tokens = false;
  bool strict = false;  // an id that no token has is an error; otherwise it stands for nothing
};

class Tokenizer {
 public:
  // `path` is a tokenizer.json or the folder it lies in.
  static Tokenizer load(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const bool folder = fs::is_directory(path, ignored);
    return Tokenizer(load_json(folder ? (fs::path(path) / "tokenizer.json").string() : path));
  }
  // `file` is what errors call this text.
  static Tokenizer parse(std::string_view text, std::string_view file = "tokenizer.json") {
    return Tokenizer(parse_json(text, file));
  }

  std::vector<int> encode(std::string_view text, const EncodeOptions& options = {}) const {
    std::vector<int> ids;
    encode_to(text, ids, options);
    return ids;
  }

  // Appends the ids. If it throws, `ids` is as before.
  void encode_to(std::string_view text, std::vector<int>& ids,
                 const EncodeOptions& options = {}) const {
    if (text.size() > options.max_bytes)
      throw Error({.code = Errc::limit_exceeded,
                   .file = {},
                   .field = "text",
                   .expected = "at most " + std::to_string(options.max_bytes) + " bytes",
                   .found = std::to_string(text.size())});
    std::string replaced;
    if (!is_valid_utf8(text)) {
      if (options.strict_utf8) check_utf8(text, "text");
      replaced = to_valid_utf8(text);
      text = replaced;
    }
    const std::size_t before = ids.size();
    try {
      if (options.add_special_tokens)
        ids.insert(ids.end(), parts_->before.begin(), parts_->before.end());
      encode_valid(text, ids, {options.parse_special, options.parse_added}, options.at_start);
      if (options.add_special_tokens)
        ids.insert(ids.end(), parts_->after.begin(), parts_->after.end());
    } catch (...) {
      ids.resize(before);
      throw;
    }
  }

  // The text of all tokens, with invalid UTF-8 replaced by U+FFFD. Of byte-level files added tokens
  // stand as they are written; of the others they take the decoder's way like any token.
  std::string decode(std::span<const int> ids, const DecodeOptions& options = {}) const {
    std::string bytes;
    PieceDecoder::State state = decode_start();
    for (const int id : ids) bytes += piece(id, state, options);
    return is_valid_utf8(bytes) ? bytes : to_valid_utf8(bytes);
  }

  // The bytes of one token in the middle of a text, not always whole characters; "" for a skipped
  // one. See StreamDecoder.
  std::string_view piece(int id, const DecodeOptions& options = {}) const {
    const Vocabulary::Token* token = shown_token(id, options);
    if (!token) return {};
    return parts_->byte_level ? parts_->vocabulary.bytes(*token)
                              : parts_->decoded[static_cast<std::size_t>(id)];
  }

  // The same, token by token from the beginning of a text, which may lose its leading space. What
  // is returned lives as long as the state is not used again.
  PieceDecoder::State decode_start() const { return parts_->decoder.start(); }
  std::string_view piece(int id, PieceDecoder::State& state,
                         const DecodeOptions& options = {}) const {
    const Vocabulary::Token* token = shown_token(id, options);
    if (!token) return {};
    const std::string_view spelling = parts_->vocabulary.bytes(*token);
    if (parts_->byte_level) return spelling;
    return parts_->decoder.trim(state, spelling, parts_->decoded[static_cast<std::size_t>(id)]);
  }

  bool contains(int id) const { return parts_->vocabulary.get(id) != nullptr; }
  bool is_added(int id) const {
    const auto* token = parts_->vocabulary.get(id);
    return token && token->added;
  }
  bool is_special(int id) const {
    const auto* token = parts_->vocabulary.get(id);
    return token && token->special;
  }

  // By the spelling in tokenizer.json ("Ġthe", "<|end|>").
  std::optional<int> token_to_id(std::string_view token) const {
    int id = parts_->vocabulary.find(token, true);
    std::string bytes(token);
    if (id < 0 && (!parts_->byte_level || from_byte_level(token, bytes)))
      id = parts_->vocabulary.find(bytes, false);
    return id < 0 ? std::nullopt : std::optional(id);
  }
  std::optional<std::string> id_to_token(int id) const {
    const auto* token = parts_->vocabulary.get(id);
    if (!token) return std::nullopt;
    const std::string_view bytes = parts_->vocabulary.bytes(*token);
    return token->verbatim || !parts_->byte_level ? std::string(bytes) : to_byte_level(bytes);
  }
  // The id of a control token: it must be listed under added_tokens.
  int added_token_id(std::string_view content) const {
    const auto id = token_to_id(content);
    if (!id || !is_added(*id))
      throw Error({.code = Errc::bad_tokenizer,
                   .file = parts_->file,
                   .field = "added_tokens",
                   .expected = "the token " + std::string(content),
                   .found = "no such added token"});
    return *id;
  }

  bool has_added_token(std::string_view content) const {
    const auto id = token_to_id(content);
    return id && is_added(*id);
  }
  // What the post-processor puts before a text: Llama's <s>, Gemma's <bos>.
  std::span<const int> beginning() const { return parts_->before; }

  std::size_t token_count() const { return parts_->vocabulary.count(); }
  // One past the largest id: an embedding needs at least so many rows.
  int vocab_size() const { return parts_->vocabulary.id_end(); }
  const std::string& file() const { return parts_->file; }

 private:
  explicit Tokenizer(const Json& json)
      : parts_(std::make_shared<const TokenizerParts>(TokenizerReader(json).read())) {}

  // Null for a token that decoding leaves out.
  const Vocabulary::Token* shown_token(int id, const DecodeOptions& options) const {
    const Vocabulary::Token* token = parts_->vocabulary.get(id);
    if (!token && options.strict)
      throw Error({.code = Errc::bad_argument,
                   .file = parts_->file,
                   .field = "token id",
                   .expected = "the id of a token",
                   .found = std::to_string(id)});
    return token && token->special && options.skip_special_tokens ? nullptr : token;
  }

  void encode_valid(std::string_view text, std::vector<int>& ids, AddedTokenFilter filter,
                    bool at_start) const {
    BpeScratch scratch;
    bool first = at_start;  // whether the next part begins where the text does
    const auto on_token = [&](int id) {
      ids.push_back(id);
      first = false;
    };
    const auto on_piece = [&](std::string_view piece) { encode_piece(piece, ids, scratch); };
    const auto on_normalized = [&](std::string_view part) {
      parts_->normalized_added.split(
          part, filter,
          [&](std::string_view text_part) {
            parts_->pre_tokenizer.split(text_part, first, on_piece);
            first = false;
          },
          on_token);
    };
    parts_->raw_added.split(
        text, filter,
        [&](std::string_view part) {
          if (parts_->normalizer.empty())
            on_normalized(part);
          else
            on_normalized(parts_->normalizer.apply(part));
          first = false;
        },
        on_token);
  }

  void encode_piece(std::string_view piece, std::vector<int>& ids, BpeScratch& scratch) const {
    if (parts_->ignore_merges)
      if (const int id = parts_->vocabulary.find(piece, false); id >= 0) return ids.push_back(id);
    if (parts_->byte_level) return parts_->bpe.encode(piece, ids, scratch);
    parts_->symbols.read(piece, parts_->vocabulary, scratch);
    parts_->bpe.merge(ids, scratch);
  }

  std::shared_ptr<const TokenizerParts> parts_;
};

}  // namespace gov
