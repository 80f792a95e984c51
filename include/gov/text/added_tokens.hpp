// Finds added tokens (control tokens and the like) in text as Hugging Face tokenizers do:
// leftmost-longest, without overlap; single_word needs no \w beside it; lstrip and rstrip swallow
// the white space beside it. A match that a flag or an option rejects is skipped whole.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gov/text/unicode.hpp"
#include "gov/text/utf8.hpp"

namespace gov {

struct AddedToken {
  int id = 0;
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

// What the matcher may take.
struct AddedTokenFilter {
  bool special = true;  // tokens flagged special
  bool other = true;    // the rest
};

class AddedTokenMatcher {
 public:
  // Longer contents are refused by the reader, so that a search costs at most this per byte of
  // text.
  static constexpr std::size_t max_content_bytes = 1024;

  void add(AddedToken token) { tokens_.push_back(std::move(token)); }

  // Call once, after the last add(): makes the sorted list that is searched. Returns the index (in
  // tokens()) of a token whose content another one has too, or -1.
  int build() {
    std::sort(tokens_.begin(), tokens_.end(),
              [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
    starts_.fill(0);
    for (const AddedToken& token : tokens_)
      ++starts_[static_cast<unsigned char>(token.content.front()) + 1u];
    for (std::size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
    for (std::size_t i = 1; i < tokens_.size(); ++i)
      if (tokens_[i].content == tokens_[i - 1].content) return static_cast<int>(i);
    return -1;
  }
  const std::vector<AddedToken>& tokens() const { return tokens_; }

  // Calls on_text(part) and on_token(id), in order. Empty parts are left out.
  template <class OnText, class OnToken>
  void split(std::string_view text, AddedTokenFilter filter, OnText&& on_text,
             OnToken&& on_token) const {
    std::size_t done = 0;
    if (!tokens_.empty() && (filter.special || filter.other)) {
      for (std::size_t at = 0; at < text.size();) {
        const AddedToken* token = longest(text, at);
        if (!token) {
          ++at;
          continue;
        }
        std::size_t begin = at, end = at + token->content.size();
        at = end;
        if (!(token->special ? filter.special : filter.other)) continue;
        if (token->single_word && (word_before(text, begin) || word_after(text, end))) continue;
        if (token->lstrip) begin = strip_before(text, begin, done);
        if (token->rstrip) end = strip_after(text, end);
        begin = std::max(begin, done);  // an earlier rstrip may have swallowed our first bytes
        if (end <= done) continue;
        if (begin > done) on_text(text.substr(done, begin - done));
        on_token(token->id);
        done = end;
      }
    }
    if (done < text.size()) on_text(text.substr(done));
  }

 private:
  // Narrows the sorted list byte by byte to the tokens that begin as the text does.
  const AddedToken* longest(std::string_view text, std::size_t at) const {
    const auto first = static_cast<unsigned char>(text[at]);
    std::size_t low = starts_[first], high = starts_[first + 1u];
    const AddedToken* found = nullptr;
    for (std::size_t depth = 1; low < high; ++depth) {
      if (tokens_[low].content.size() == depth) found = &tokens_[low++];
      if (at + depth >= text.size()) break;
      const char wanted = text[at + depth];
      const auto begin = tokens_.begin();
      const auto less = [depth](const AddedToken& token, char c) {
        return static_cast<unsigned char>(token.content[depth]) < static_cast<unsigned char>(c);
      };
      const auto more = [depth](char c, const AddedToken& token) {
        return static_cast<unsigned char>(c) < static_cast<unsigned char>(token.content[depth]);
      };
      const auto from = begin + static_cast<std::ptrdiff_t>(low);
      const auto to = begin + static_cast<std::ptrdiff_t>(high);
      low = static_cast<std::size_t>(std::lower_bound(from, to, wanted, less) - begin);
      high = static_cast<std::size_t>(std::upper_bound(from, to, wanted, more) - begin);
    }
    return found;
  }

  static std::size_t start_of_last(std::string_view text, std::size_t end) {
    std::size_t at = end - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    return at;
  }
  static CharClass class_at(std::string_view text, std::size_t at) {
    return char_class(decode_utf8(text, at).code_point);
  }
  static bool word_before(std::string_view text, std::size_t begin) {
    return begin > 0 && is_word(class_at(text, start_of_last(text, begin)));
  }
  static bool word_after(std::string_view text, std::size_t end) {
    return end < text.size() && is_word(class_at(text, end));
  }
  static std::size_t strip_before(std::string_view text, std::size_t begin, std::size_t stop) {
    while (begin > stop) {
      const std::size_t at = start_of_last(text, begin);
      if (at < stop || !is_space(class_at(text, at))) break;
      begin = at;
    }
    return begin;
  }
  static std::size_t strip_after(std::string_view text, std::size_t end) {
    while (end < text.size()) {
      const Utf8Char c = decode_utf8(text, end);
      if (!is_space(char_class(c.code_point))) break;
      end += c.length;
    }
    return end;
  }

  std::vector<AddedToken> tokens_;           // sorted by content once built
  std::array<std::uint32_t, 257> starts_{};  // by first byte: where its tokens begin
};

}  // namespace gov
