// Pre-tokenisation: the split patterns of GPT-2, Llama-3 (= cl100k), Qwen2 and o200k (gpt-oss) as
// hand-written scanners, one pass, no recursion, no backtracking further than the piece itself.
// A pattern that a file brings along is only compared with the known spellings, never run.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "gov/text/unicode.hpp"
#include "gov/text/utf8.hpp"

namespace gov {

enum class SplitPattern { gpt2, llama3, qwen2, o200k };

namespace split_detail {

inline constexpr std::string_view gpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view o200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// One character of the text, or the end (length 0).
struct Char {
  char32_t c = 0;
  std::size_t length = 0;
  CharClass kind = CharClass::other;

  bool end() const { return length == 0; }
  bool letter() const { return !end() && is_letter(kind); }
  bool number() const { return !end() && is_number(kind); }
  bool space() const { return !end() && is_space(kind); }
  bool newline() const { return c == '\n' || c == '\r'; }
  // [^\s\p{L}\p{N}]
  bool punctuation() const {
    return !end() && !is_space(kind) && !is_letter(kind) && !is_number(kind);
  }
  // [^\r\n\p{L}\p{N}]
  bool prefix() const { return !end() && !newline() && !is_letter(kind) && !is_number(kind); }
  // [\p{Lm}\p{Lo}\p{M}], which the o200k pattern counts as upper and as lower case
  bool uncased() const {
    return !end() &&
           (kind == CharClass::modifier || kind == CharClass::letter || kind == CharClass::mark);
  }
  bool upper() const { return !end() && (kind == CharClass::upper || kind == CharClass::title); }
  bool lower() const { return !end() && kind == CharClass::lower; }
};

inline Char at(std::string_view text, std::size_t position) {
  if (position >= text.size()) return {};
  const Utf8Char c = decode_utf8(text, position);
  return {c.code_point, c.length, char_class(c.code_point)};
}

template <class Predicate>
std::size_t skip(std::string_view text, std::size_t position, Predicate&& wanted) {
  for (Char c = at(text, position); !c.end() && wanted(c); c = at(text, position))
    position += c.length;
  return position;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) or the same in lower case only. Returns the end, or `begin`.
// Caseless matching folds U+017F (long s) to s; none of the other letters has such a relative.
inline std::size_t contraction(std::string_view text, std::size_t begin, bool caseless) {
  if (begin >= text.size() || text[begin] != '\'') return begin;
  const auto letter = [&](std::size_t i) -> char {
    if (i >= text.size()) return 0;
    const char c = text[i];
    return caseless && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(begin + 1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return begin + 2;
  const char second = letter(begin + 2);
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
      (first == 'l' && second == 'l'))
    return begin + 3;
  if (caseless && text.substr(begin + 1, 2) == "\u017F") return begin + 3;
  return begin;
}

// \s*[\r\n]+ (where `newlines`) | \s+(?!\S) | \s+ : the end of the piece that begins in white
// space.
inline std::size_t white_space(std::string_view text, std::size_t begin, bool newlines) {
  std::size_t end = begin, after_newline = begin,
              last = begin;  // last: start of the last character
  for (Char c = at(text, end); c.space(); c = at(text, end)) {
    last = end;
    end += c.length;
    if (c.newline()) after_newline = end;
  }
  if (newlines && after_newline > begin) return after_newline;
  return end == text.size() || last == begin ? end : last;
}

// The two letter alternatives of o200k. A match needs at most one step back: to the last uncased
// letter of the run of capitals when no small letter follows it.
inline std::size_t o200k_word(std::string_view text, std::size_t begin, Char first) {
  std::size_t start = begin;
  if (first.prefix()) start += first.length;
  std::size_t run = start, after_uncased = begin;
  Char c = at(text, run);
  for (; c.upper() || c.uncased(); c = at(text, run)) {
    run += c.length;
    if (c.uncased()) after_uncased = run;
  }
  std::size_t end = begin;
  if (c.lower())
    end = skip(text, run, [](const Char& d) { return d.lower() || d.uncased(); });
  else if (after_uncased > begin)
    end = after_uncased;
  else if (first.uncased() && first.prefix())  // a mark, taken as letter instead of as prefix
    end = begin + first.length;
  else if (run > start)
    end = run;
  return end == begin ? begin : contraction(text, end, true);
}

}  // namespace split_detail

// The known spelling of a pattern, as tokenizer.json files have it.
constexpr std::string_view split_regex(SplitPattern pattern) {
  switch (pattern) {
    case SplitPattern::gpt2: return split_detail::gpt2;
    case SplitPattern::llama3: return split_detail::llama3;
    case SplitPattern::qwen2: return split_detail::qwen2;
    case SplitPattern::o200k: return split_detail::o200k;
  }
  return {};
}

inline std::optional<SplitPattern> find_split_pattern(std::string_view regex) {
  for (const SplitPattern pattern :
       {SplitPattern::gpt2, SplitPattern::llama3, SplitPattern::qwen2, SplitPattern::o200k})
    if (regex == split_regex(pattern)) return pattern;
  return std::nullopt;
}

// The end of the piece that begins at `begin` < text.size(). The text is valid UTF-8.
inline std::size_t split_end(SplitPattern pattern, std::string_view text, std::size_t begin) {
  using namespace split_detail;
  const Char first = at(text, begin);
  const bool gpt2_like = pattern == SplitPattern::gpt2;
  const auto letters = [](const Char& c) { return c.letter(); };
  const auto punctuation = [](const Char& c) { return c.punctuation(); };

  if (pattern == SplitPattern::o200k) {
    if (const std::size_t end = o200k_word(text, begin, first); end > begin) return end;
  } else {
    if (const std::size_t end = contraction(text, begin, !gpt2_like); end > begin) return end;
    const bool prefix = gpt2_like ? first.c == ' ' : first.prefix();
    const std::size_t start = begin + (prefix ? first.length : 0);
    if (const std::size_t end = skip(text, start, letters); end > start) return end;
  }
  const std::size_t start = begin + (first.c == ' ' ? 1 : 0);
  if (gpt2_like) {
    const std::size_t end = skip(text, start, [](const Char& c) { return c.number(); });
    if (end > start) return end;
  } else if (first.number()) {
    const int most = pattern == SplitPattern::qwen2 ? 1 : 3;
    std::size_t end = begin;
    Char c = first;
    for (int i = 0; i < most && c.number(); ++i, c = at(text, end)) end += c.length;
    return end;
  }
  if (std::size_t end = skip(text, start, punctuation); end > start) {
    if (!gpt2_like)
      while (end < text.size() && (text[end] == '\n' || text[end] == '\r' ||
                                   (text[end] == '/' && pattern == SplitPattern::o200k)))
        ++end;
    return end;
  }
  return white_space(text, begin, !gpt2_like);
}

// Calls sink(piece) for the pieces of a valid UTF-8 text, in order; together they are the text.
template <class Sink>
void split_text(SplitPattern pattern, std::string_view text, Sink&& sink) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = split_end(pattern, text, begin);
    sink(text.substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace gov
