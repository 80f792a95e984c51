// Unicode normalisation form C as the tokenizers package computes it, over utf8proc's tables. That
// package's tables are those of Unicode 9, so the marks given out since count as plain characters
// here. Linear but for the sort of each run of marks: a megabyte of marks is no attack (utf8proc's
// own decomposition orders runs quadratically; it also drops U+11A7 after a Hangul syllable).
#pragma once

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/text/utf8.hpp"

namespace gov {

namespace nfc_detail {

// Marks with a combining class that Unicode 9 did not know; found by asking tokenizers 0.23 about
// all code points (tests/reference/nfc_fixtures.py).
inline constexpr struct {
  char32_t first, last;
} young_marks[] = {{0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
                   {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x1715, 0x1715},
                   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27},
                   {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85},
                   {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
                   {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
                   {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
                   {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F},
                   {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}};
inline constexpr char32_t young_composite = 0x11938;  // the only composition since

inline int combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const int known = utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
  if (known == 0) return 0;
  const auto* const range =
      std::upper_bound(std::begin(young_marks), std::end(young_marks), c,
                       [](char32_t wanted, const auto& marks) { return wanted < marks.first; });
  return range != std::begin(young_marks) && c <= range[-1].last ? 0 : known;
}

inline void decompose(char32_t c, std::vector<char32_t>& out) {
  if (c < 0xC0 || c == young_composite) return out.push_back(c);
  utf8proc_int32_t parts[32];  // a canonical decomposition has at most 4
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32,
                                             UTF8PROC_DECOMPOSE, &boundary);
  if (count < 0 || count > 32)
    throw Error({.code = Errc::bad_utf8,
                 .file = {},
                 .field = "text",
                 .expected = "characters that can be normalised",
                 .found = "code point " + std::to_string(static_cast<unsigned>(c))});
  for (utf8proc_ssize_t i = 0; i < count; ++i) out.push_back(static_cast<char32_t>(parts[i]));
}

// The composition of two characters, or 0.
inline char32_t compose(char32_t first, char32_t second) {
  if (second < 0x300) return 0;
  if (first >= 0x1100 && first < 0x1113 && second >= 0x1161 && second < 0x1176)
    return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28;  // Hangul L + V
  if (first >= 0xAC00 && first < 0xD7A4) {
    const bool no_tail = (first - 0xAC00) % 28 == 0;  // Hangul LV + T; U+11A7 is no T
    return no_tail && second > 0x11A7 && second < 0x11C3 ? first + (second - 0x11A7) : 0;
  }
  utf8proc_int32_t pair[] = {static_cast<utf8proc_int32_t>(first),
                             static_cast<utf8proc_int32_t>(second)};
  const auto option = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  if (utf8proc_normalize_utf32(pair, 2, option) != 1) return 0;
  const auto composed = static_cast<char32_t>(pair[0]);
  return composed == young_composite ? 0 : composed;
}

}  // namespace nfc_detail

// The text is valid UTF-8.
inline std::string to_nfc(std::string_view text) {
  using namespace nfc_detail;
  if (skip_ascii(text, 0) == text.size()) return std::string(text);
  std::vector<char32_t> chars;
  chars.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    at += c.length;
    decompose(c.code_point, chars);
  }

  // Canonical order: every run of marks (class > 0) is sorted by class, equal ones stay in order.
  const auto end = chars.end();
  for (auto begin = chars.begin(); begin != end;) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto stop = std::find_if(begin, end, [](char32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, stop, [](char32_t a, char32_t b) {
      return combining_class(a) < combining_class(b);
    });
    begin = stop;
  }

  // Each character joins the last starter unless something between them blocks it (UAX 15, D117).
  constexpr std::size_t none = ~std::size_t{0};
  std::size_t starter = none, kept = 0;
  int last_class = -1;  // of the character kept before; -1 right behind the starter
  for (const char32_t c : chars) {
    const int here = combining_class(c);
    if (starter != none && last_class < here) {
      if (const char32_t composed = compose(chars[starter], c)) {
        chars[starter] = composed;
        continue;
      }
    }
    chars[kept] = c;
    if (here == 0)
      starter = kept, last_class = -1;
    else
      last_class = here;
    ++kept;
  }

  std::string composed;
  composed.reserve(text.size());
  for (std::size_t i = 0; i < kept; ++i) append_utf8(composed, chars[i]);
  return composed;
}

}  // namespace gov
