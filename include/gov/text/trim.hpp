// White space of ASCII at the ends of a text, as Python's str.strip takes it away.
#pragma once

#include <algorithm>
#include <string_view>

namespace gov {

inline constexpr std::string_view blanks = " \t\n\v\f\r";

constexpr std::string_view trim_start(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(blanks), text.size()));
}
constexpr std::string_view trim_end(std::string_view text) {
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}
constexpr std::string_view trimmed(std::string_view text) { return trim_end(trim_start(text)); }

}  // namespace gov
