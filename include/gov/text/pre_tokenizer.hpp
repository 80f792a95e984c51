// The pre_tokenizer of a tokenizer.json: cuts a normalized text into the pieces that BPE works on.
// Steps: the known split patterns (split.hpp), a string to split at (Gemma), Metaspace (Llama-2 and
// Mistral since transformers 4.40), ByteLevel last (GPT-2, Llama-3, Qwen, gpt-oss), or none at all
// (the older Llama-2 and Mistral files: the whole text is one piece).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/json.hpp"
#include "gov/text/normalizer.hpp"
#include "gov/text/split.hpp"

namespace gov {

// Which pieces Metaspace puts a space before: all that have none, the one at the beginning of the
// text, or none. Older files say add_prefix_space for the first and the last of these.
enum class PrependScheme { always, first, never };

struct Metaspace {
  std::string replacement;
  PrependScheme prepend = PrependScheme::always;
  bool split = true;

  static Metaspace read(const Json& json) {
    Metaspace result;
    const Json replacement = json.at("replacement");
    result.replacement = replacement.as_string();
    if (result.replacement.empty() || result.replacement.size() > 4 ||
        decode_utf8(result.replacement, 0).length != result.replacement.size())
      replacement.fail(Errc::bad_tokenizer, "one character");
    result.split = json.get_or("split", true);
    if (!json.has_value("prepend_scheme")) {
      if (!json.get_or("add_prefix_space", true)) result.prepend = PrependScheme::never;
      return result;
    }
    const Json scheme = json.at("prepend_scheme");
    if (scheme.as_string() == "first")
      result.prepend = PrependScheme::first;
    else if (scheme.as_string() == "never")
      result.prepend = PrependScheme::never;
    else if (scheme.as_string() != "always")
      scheme.fail(Errc::bad_tokenizer, "always, first or never");
    return result;
  }
};

class PreTokenizer {
 public:
  PreTokenizer() = default;  // the whole text is one piece

  static PreTokenizer read(const Json& json) {
    PreTokenizer result;
    for (const Json& step : tokenizer_steps(json, "pretokenizers")) {
      if (result.byte_level_) step.fail(Errc::unsupported, "nothing behind ByteLevel");
      const std::string_view type = step.at("type").as_string();
      if (type == "Split") {
        result.steps_.push_back(read_split(step));
      } else if (type == "Metaspace") {
        result.steps_.push_back({Kind::metaspace, {}, {}, {}, Metaspace::read(step)});
      } else if (type == "ByteLevel") {
        result.byte_level_ = true;
        result.add_prefix_space_ = step.get_or("add_prefix_space", true);
        result.gpt2_regex_ = step.get_or("use_regex", true);
      } else {
        step.at("type").fail(Errc::unsupported, "Split, Metaspace, ByteLevel or a Sequence");
      }
    }
    if (result.steps_.size() > 8) json.fail(Errc::limit_exceeded, "at most 8 splits");
    return result;
  }

  // Pieces are bytes to be spelled as byte_level.hpp says; otherwise they are characters.
  bool byte_level() const { return byte_level_; }

  // Calls sink(piece) in order. `first`: the text stands at the beginning of what the user gave.
  template <class Sink>
  void split(std::string_view text, bool first, Sink&& sink) const {
    run(text, first, 0, sink);
  }

 private:
  enum class Kind { pattern, literal, metaspace };
  enum class Cut { before, behind, both };  // on which side of a literal a new piece begins
  struct Step {
    Kind kind;
    SplitPattern pattern;
    std::string literal;
    Cut cut;
    Metaspace metaspace;
  };

  static Step read_split(const Json& step) {
    const Json pattern = step.at("pattern"), behavior = step.at("behavior");
    const bool invert = step.get_or("invert", false);
    if (const auto regex = pattern.find("Regex")) {
      const auto known = find_split_pattern(regex->as_string());
      if (!known)
        regex->fail(Errc::unsupported, "the split pattern of GPT-2, Llama-3, Qwen2 or o200k");
      // The known patterns cover every text, so that removing what does not match removes nothing.
      const std::string_view name = behavior.as_string();
      if (!(name == "Isolated" && !invert) && !(name == "Removed" && invert))
        behavior.fail(Errc::unsupported, "Isolated (or Removed with invert)");
      return {Kind::pattern, *known, {}, {}, {}};
    }
    const std::string_view name = behavior.as_string();
    const auto cut = name == "MergedWithNext"       ? std::optional(Cut::before)
                     : name == "MergedWithPrevious" ? std::optional(Cut::behind)
                     : name == "Isolated"           ? std::optional(Cut::both)
                                                    : std::nullopt;
    if (!cut || invert)
      behavior.fail(Errc::unsupported,
                    "MergedWithPrevious, MergedWithNext or Isolated, without invert");
    return {Kind::literal, {}, literal_pattern(step), *cut, {}};
  }

  template <class Sink>
  void run(std::string_view text, bool first, std::size_t index, Sink&& sink) const {
    if (index == steps_.size()) return finish(text, sink);
    const Step& step = steps_[index];
    const char* const begin = text.data();
    const auto next = [&](std::string_view piece) {
      run(piece, first && piece.data() == begin, index + 1, sink);
    };
    switch (step.kind) {
      case Kind::pattern: return split_text(step.pattern, text, next);
      case Kind::literal: return cut_at(text, step.literal, step.cut, next);
      case Kind::metaspace: break;
    }
    const Metaspace& space = step.metaspace;
    std::string spaced = replace_all(text, " ", space.replacement);
    if ((space.prepend == PrependScheme::always ||
         (space.prepend == PrependScheme::first && first)) &&
        !std::string_view(spaced).starts_with(space.replacement))
      spaced.insert(0, space.replacement);
    const auto on_piece = [&](std::string_view piece) {
      run(piece, first && piece.data() == spaced.data(), index + 1, sink);
    };
    space.split ? cut_at(spaced, space.replacement, Cut::before, on_piece) : on_piece(spaced);
  }

  template <class Sink>
  static void cut_at(std::string_view text, std::string_view literal, Cut cut, Sink&& sink) {
    std::size_t done = 0;
    const auto cut_here = [&](std::size_t at) {
      if (at > done) sink(text.substr(done, at - done));
      done = at;
    };
    for (std::size_t at = 0; (at = text.find(literal, at)) != text.npos; at += literal.size()) {
      if (cut != Cut::behind) cut_here(at);
      if (cut != Cut::before) cut_here(at + literal.size());
    }
    cut_here(text.size());
  }

  // ByteLevel's own space and pattern.
  template <class Sink>
  void finish(std::string_view text, Sink&& sink) const {
    std::string prefixed;
    if (add_prefix_space_ && !text.empty() && text.front() != ' ')
      text = prefixed.append(" ").append(text);
    if (!gpt2_regex_) return sink(text);
    split_text(SplitPattern::gpt2, text, sink);
  }

  std::vector<Step> steps_;
  bool byte_level_ = false, add_prefix_space_ = false, gpt2_regex_ = false;
};

}  // namespace gov
