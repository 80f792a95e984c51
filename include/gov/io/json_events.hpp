// parse_json_events: strict JSON as a stream of events, for readers that keep no document
// (safetensors headers). Strict: UTF-8 only, no BOM, comments or trailing text, no NUL, a depth
// limit, numbers that fit. The only header that knows the parsing library (nlohmann's SAX lexer and
// parser; iterative).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <nlohmann/json.hpp>

#include "gov/core/error.hpp"

namespace gov {

struct JsonLimits {
  std::size_t depth = 64;                         // nested arrays and objects
  std::size_t text_bytes = std::size_t{1} << 28;  // 256 MiB; never more than 2 GiB
};

// Offset of the first byte that is not strict UTF-8 (no overlong forms, surrogates, or > U+10FFFF).
inline std::optional<std::size_t> find_bad_utf8(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned lead = at(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - i <= more) return i;
    const unsigned second = at(i + 1);
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return i;
    for (std::size_t k = 2; k <= more; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return i;
    i += more + 1;
  }
  return std::nullopt;
}

namespace json_detail {

// At most `limit` bytes, cut between characters.
inline std::string shorten(std::string_view text, std::size_t limit = 60) {
  if (text.size() <= limit) return std::string(text);
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return std::string(text.substr(0, limit)) + "...";
}

inline std::string position_text(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(before.size() - start + 1);
}

// nlohmann's SAX interface, turned into the strict events that parse_json_events promises.
template <class Handler>
struct SaxAdapter {
  Handler& handler;
  std::string_view text, file;
  std::size_t depth_limit;
  std::size_t depth = 0;

  [[noreturn]] void fail(Errc code, std::string expected, std::string found) const {
    throw Error({.code = code,
                 .file = std::string(file),
                 .field = {},
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
  void descend() {
    if (++depth > depth_limit)
      fail(Errc::too_deep, "at most " + std::to_string(depth_limit) + " nested arrays and objects",
           {});
  }

  bool null() { return handler.on_null(), true; }
  bool boolean(bool value) { return handler.on_bool(value), true; }
  bool number_integer(std::int64_t value) { return handler.on_negative(value), true; }
  bool number_unsigned(std::uint64_t value) { return handler.on_unsigned(value), true; }
  bool number_float(double value, const std::string& token) {
    if ((std::bit_cast<std::uint64_t>(value) >> 52 & 0x7ff) == 0x7ff)
      fail(Errc::bad_number, "a number that fits a double", shorten(token));
    return handler.on_float(value), true;
  }
  bool string(std::string& value) { return handler.on_string(value), true; }
  bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(std::size_t) { return descend(), handler.on_start_object(), true; }
  bool key(std::string& value) { return handler.on_key(value), true; }
  bool end_object() { return --depth, handler.on_end_object(), true; }
  bool start_array(std::size_t) { return descend(), handler.on_start_array(), true; }
  bool end_array() { return --depth, handler.on_end_array(), true; }
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::json::exception& problem) {
    if (problem.id == 406) fail(Errc::bad_number, "a number that fits a double", shorten(token));
    // "02" lexes as two numbers: the second one starts right behind a zero
    const std::size_t start = position >= token.size() ? position - token.size() : 0;
    const auto is_digit = [&](std::size_t i) {
      return i < text.size() && text[i] >= '0' && text[i] <= '9';
    };
    if (start > 0 && is_digit(start) && text[start - 1] == '0')
      fail(Errc::bad_number, "a number without leading zeros", position_text(text, start));
    const std::size_t end = std::min(position, text.size());
    std::size_t begin = end - std::min<std::size_t>(end, 24);
    while (begin < end && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
    std::string before(text.substr(begin, end - begin));
    std::replace_if(
        before.begin(), before.end(), [](char c) { return c > 0 && c < ' '; }, ' ');
    fail(Errc::bad_json, "valid JSON",
         (position > text.size() ? "the end of the text at " : "a mistake at ") +
             position_text(text, end ? end - 1 : 0) + ", after '" + before + "'");
    return false;  // never reached; g++ 12 wants it
  }
};

}  // namespace json_detail

// Calls handler.on_null/on_bool(bool)/on_unsigned(u64)/on_negative(i64; 0 means
// "-0")/on_float(double)/
// on_string(std::string&)/on_key(std::string&)/on_{start,end}_{object,array}() in document order.
// Integers beyond 64 bits arrive as floats. Duplicate keys are the handler's business.
template <class Handler>
void parse_json_events(std::string_view text, std::string_view file, JsonLimits limits,
                       Handler& handler) {
  json_detail::SaxAdapter<Handler> sax{handler, text, file, limits.depth};
  const std::size_t text_limit = std::min(limits.text_bytes, std::size_t{1} << 31);
  if (text.size() > text_limit)
    sax.fail(Errc::limit_exceeded, "at most " + std::to_string(text_limit) + " bytes of JSON",
             std::to_string(text.size()));
  if (const auto bad = find_bad_utf8(text))
    sax.fail(Errc::bad_utf8, "UTF-8 text",
             "an invalid byte at " + json_detail::position_text(text, *bad));
  if (text.starts_with("\xef\xbb\xbf"))
    sax.fail(Errc::bad_json, "JSON without a byte order mark", "a byte order mark");
  // nlohmann takes a NUL for the end of its input
  if (const std::size_t nul = text.find('\0'); nul != text.npos)
    sax.fail(Errc::bad_json, "valid JSON",
             "a NUL byte at " + json_detail::position_text(text, nul));
  // json::sax_parse is the same and compiles readers of CBOR, BSON and three more formats with it
  auto input = nlohmann::detail::input_adapter(text.data(), text.data() + text.size());
  nlohmann::detail::parser<nlohmann::json, decltype(input)>(std::move(input)).sax_parse(&sax);
}

}  // namespace gov
