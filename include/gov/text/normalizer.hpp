// The normalizer of a tokenizer.json: what is done to each part of a text before it is cut into
// pieces. NFC (Qwen2), Prepend and Replace of a string (the older files of Llama-2 and Mistral, and
// Gemma's) and sequences of these. Not here: patterns, case, NFKC and SentencePiece's tables.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"
#include "gov/text/nfc.hpp"

namespace gov {

// The text with `pattern`, which is not empty, replaced from left to right.
inline std::string replace_all(std::string_view text, std::string_view pattern,
                               std::string_view content) {
  std::string replaced;
  std::size_t done = 0;
  for (std::size_t at; (at = text.find(pattern, done)) != text.npos; done = at + pattern.size())
    replaced.append(text.substr(done, at - done)).append(content);
  return replaced.append(text.substr(done));
}

// A JSON object itself, or the members of a Sequence, which lists them under `key`.
inline std::vector<Json> tokenizer_steps(const Json& json, std::string_view key) {
  if (json.at("type").as_string() != "Sequence") return {json};
  std::vector<Json> steps;
  for (const Json& step : json.at(key).elements()) steps.push_back(step);
  if (steps.size() > 16) json.at(key).fail(Errc::limit_exceeded, "at most 16 steps");
  return steps;
}

// The pattern of a Replace or Split step, where it is a string to be found as it stands.
inline std::string literal_pattern(const Json& step) {
  const Json pattern = step.at("pattern");
  const auto text = pattern.find("String");
  if (!text) pattern.fail(Errc::unsupported, "a String pattern");
  if (text->as_string().empty()) text->fail(Errc::bad_tokenizer, "a pattern that is not empty");
  return std::string(text->as_string());
}

class Normalizer {
 public:
  static constexpr std::size_t max_content = 64;  // bytes that a step puts in
  // How far a part may grow; "▁" for every space makes it three times as long.
  static constexpr std::size_t max_growth = 8, free_growth = 4096;

  Normalizer() = default;

  static Normalizer read(const Json& json) {
    Normalizer normalizer;
    for (const Json& step : tokenizer_steps(json, "normalizers")) {
      const std::string_view type = step.at("type").as_string();
      if (type == "NFC")
        normalizer.steps_.push_back({Kind::nfc, {}, {}});
      else if (type == "Prepend")
        normalizer.steps_.push_back({Kind::prepend, {}, content_of(step, "prepend")});
      else if (type == "Replace")
        normalizer.steps_.push_back(
            {Kind::replace, literal_pattern(step), content_of(step, "content")});
      else
        step.at("type").fail(Errc::unsupported, "NFC, Prepend, Replace or a Sequence of them");
    }
    return normalizer;
  }

  bool empty() const { return steps_.empty(); }

  std::string apply(std::string_view text) const {
    std::string result(text);
    for (const Step& step : steps_) {
      switch (step.kind) {
        case Kind::nfc: result = to_nfc(result); break;
        case Kind::prepend:
          if (!result.empty()) result.insert(0, step.content);
          break;
        case Kind::replace:
          check_growth(result, step, max_growth * text.size() + free_growth);
          result = replace_all(result, step.pattern, step.content);
          break;
      }
    }
    return result;
  }

 private:
  enum class Kind { nfc, prepend, replace };
  struct Step {
    Kind kind;
    std::string pattern, content;
  };

  static void check_growth(std::string_view text, const Step& step, std::size_t most) {
    if (step.content.size() <= step.pattern.size()) return;
    std::size_t size = text.size();
    for (std::size_t at = 0; (at = text.find(step.pattern, at)) != text.npos;
         at += step.pattern.size())
      size += step.content.size() - step.pattern.size();
    if (size > most)
      throw Error({.code = Errc::limit_exceeded,
                   .file = {},
                   .field = "text",
                   .expected = "a text that the normalizer makes at most eight times as long",
                   .found = std::to_string(size) + " bytes"});
  }

  static std::string content_of(const Json& step, const char* key) {
    const Json content = step.at(key);
    if (content.as_string().size() > max_content)
      content.fail(Errc::limit_exceeded, "at most 64 bytes");
    return std::string(content.as_string());
  }

  std::vector<Step> steps_;
};

}  // namespace gov
