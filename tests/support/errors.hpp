// The gov::Error that a call throws.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "gov/core/error.hpp"

namespace gov::test {

template <class Call>
std::optional<Error> error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// The same where the test ends without one.
template <class Call>
Error thrown(Call&& call) {
  const auto error = error_of(call);
  REQUIRE(error);
  return *error;
}

template <class Call>
std::string code_of(Call&& call) {
  const auto error = error_of(call);
  return error ? std::string(to_string(error->code())) : "none";
}

}  // namespace gov::test
