// Arithmetic on sizes that come from outside: a wrap is a gov::Error, never a small number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "gov/core/error.hpp"

namespace gov {

using index_t = std::ptrdiff_t;

[[noreturn]] inline void throw_overflow(std::string_view field) {
  throw Error({.code = Errc::overflow,
               .file = {},
               .field = std::string(field),
               .expected = "a size that fits 64 bits",
               .found = {}});
}

template <class T>
  requires std::is_integral_v<T>
T checked_mul(T a, T b, std::string_view field) {
  T product;
  if (__builtin_mul_overflow(a, b, &product)) throw_overflow(field);
  return product;
}

template <class T>
  requires std::is_integral_v<T>
T checked_add(T a, T b, std::string_view field) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum)) throw_overflow(field);
  return sum;
}

// Narrows an unsigned 64-bit size to index_t.
inline index_t checked_index(std::uint64_t value, std::string_view field) {
  if (value > static_cast<std::uint64_t>(std::numeric_limits<index_t>::max()))
    throw_overflow(field);
  return static_cast<index_t>(value);
}

}  // namespace gov
