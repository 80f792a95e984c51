// Adding tokens to the tokenizer files of a checkpoint folder. New ids follow the largest one there
// is, in the order given. Written anew are tokenizer.json and, where they exist, added_tokens.json,
// tokenizer_config.json and special_tokens_map.json. Not here: embeddings (model/
// resize_embeddings.hpp), and vocabularies without tokenizer.json.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/file.hpp"
#include "gov/io/json.hpp"
#include "gov/io/json_writer.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov {

// Found in the text as it comes; transformers' add_tokens() would have it found in the normalized
// text, where a Prepend of older Llama files hides it.
struct NewToken {
  std::string content;
  bool special = false;  // decoding with skip_special_tokens leaves it out
};

struct AddedTokens {
  std::vector<int> ids;                                    // of the new tokens, one after another
  std::vector<std::pair<std::string, std::string>> files;  // name in the folder, new text
};

namespace add_tokens_detail {

// A JSON value written again, with `more(out)` at the end of the array or object that `keys` lead
// to; as it is where they lead nowhere.
template <class More>
void extend(JsonWriter& out, const Json& json, std::span<const std::string_view> keys,
            const More& more) {
  const bool here = keys.empty();
  if (here && json.is_array()) {
    out.begin_array();
    for (const Json& element : json.elements()) out.value(element);
    more(out);
    out.end_array();
  } else if (json.is_object()) {
    out.begin_object();
    for (const auto& [name, member] : json.items()) {
      out.key(name);
      if (!here && name == keys.front())
        extend(out, member, keys.subspan(1), more);
      else
        out.value(member);
    }
    if (here) more(out);
    out.end_object();
  } else {
    out.value(json);
  }
}

template <class More>
std::string extended(const Json& json, std::vector<std::string_view> keys, const More& more) {
  JsonWriter out;
  extend(out, json, keys, more);
  return out.str() + "\n";
}

inline void write_flags(JsonWriter& out, const NewToken& token) {
  out.field("content", token.content).field("single_word", false).field("lstrip", false);
  out.field("rstrip", false).field("normalized", false).field("special", token.special);
}

inline void check_new(const Tokenizer& tokenizer, std::span<const NewToken> tokens) {
  const auto refuse = [&](Errc code, std::string expected, std::string found) {
    throw Error({.code = code,
                 .file = tokenizer.file(),
                 .field = "new token",
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  if (tokens.empty()) refuse(Errc::bad_argument, "at least one", "none");
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string& content = tokens[i].content;
    if (content.empty() || content.size() > AddedTokenMatcher::max_content_bytes ||
        !is_valid_utf8(content))
      refuse(Errc::bad_argument, "1 to 1024 bytes of UTF-8", std::to_string(content.size()));
    const auto id = tokenizer.token_to_id(content);
    if (id)
      refuse(Errc::bad_tokenizer, "one that the tokenizer does not have",
             content + ", which is id " + std::to_string(*id));
    for (std::size_t j = 0; j < i; ++j)
      if (tokens[j].content == content) refuse(Errc::bad_argument, "each once", content + " twice");
  }
}

}  // namespace add_tokens_detail

// Nothing is written: the caller writes the files when the rest is well. Throws when a token exists
// already, whether in the model's vocabulary or among the added ones.
inline AddedTokens add_tokens(const std::filesystem::path& folder,
                              std::span<const NewToken> tokens) {
  using namespace add_tokens_detail;
  const std::string path = (folder / "tokenizer.json").string();
  const Tokenizer tokenizer = Tokenizer::load(path);
  check_new(tokenizer, tokens);
  AddedTokens added;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    added.ids.push_back(tokenizer.vocab_size() + static_cast<int>(i));

  const auto each = [&](const auto& write) {
    for (std::size_t i = 0; i < tokens.size(); ++i) write(tokens[i], added.ids[i]);
  };
  const auto as_list = [&](JsonWriter& out) {
    each([&](const NewToken& token, int id) {
      out.begin_object().field("id", id);
      write_flags(out, token);
      out.end_object();
    });
  };
  const auto as_decoder = [&](JsonWriter& out) {
    each([&](const NewToken& token, int id) {
      out.key(std::to_string(id)).begin_object();
      write_flags(out, token);
      out.end_object();
    });
  };
  const auto as_ids = [&](JsonWriter& out) {
    each([&](const NewToken& token, int id) { out.field(token.content, id); });
  };
  const auto specials = [&](JsonWriter& out) {
    each([&](const NewToken& token, int) {
      if (token.special) out.value(token.content);
    });
  };
  const auto load = [&](const char* name) { return load_json((folder / name).string()); };
  const auto exists = [&](const char* name) { return std::filesystem::exists(folder / name); };

  const Json whole = load("tokenizer.json");
  if (!whole.has_value("added_tokens")) whole.fail(Errc::missing_field, "added_tokens, a list");
  added.files.emplace_back("tokenizer.json", extended(whole, {"added_tokens"}, as_list));
  Tokenizer::parse(added.files.back().second, path);  // whatever else could be wrong with it
  if (exists("added_tokens.json"))
    added.files.emplace_back("added_tokens.json", extended(load("added_tokens.json"), {}, as_ids));
  if (exists("tokenizer_config.json")) {
    const std::string config =
        extended(load("tokenizer_config.json"), {"added_tokens_decoder"}, as_decoder);
    added.files.emplace_back("tokenizer_config.json",
                             extended(parse_json(config, "tokenizer_config.json"),
                                      {"additional_special_tokens"}, specials));
  }
  if (exists("special_tokens_map.json"))
    added.files.emplace_back(
        "special_tokens_map.json",
        extended(load("special_tokens_map.json"), {"additional_special_tokens"}, specials));
  return added;
}

}  // namespace gov
