// Arithmetic: how much a product may round its activations. Weights are always used as they are
// stored (but that bf16 instructions take what is below 2^-126 for zero), and sums are always f32.
//   invariant  nothing is rounded: a row gives the same bits in any batch and any cut of a prompt
//   fast       activations in bf16 or in int16 blocks where the tag has such kernels: an error
//              (NMSE) of at most 5e-6 a product; one row and many rows may take different kernels
//   int8       activations in int8 blocks against weights in blocks (few rows alone on amx),
//              otherwise as fast: 2e-4
// Weights that are stored in f32 are multiplied in f32 under all of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gov/core/error.hpp"

namespace gov {

enum class Arithmetic : std::uint8_t { invariant, fast, int8 };

constexpr std::string_view to_string(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::invariant: return "invariant";
    case Arithmetic::fast: return "fast";
    case Arithmetic::int8: return "int8";
  }
  return "?";
}

inline Arithmetic parse_arithmetic(std::string_view name) {
  for (const Arithmetic each : {Arithmetic::invariant, Arithmetic::fast, Arithmetic::int8})
    if (name == to_string(each)) return each;
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "arithmetic",
               .expected = "invariant, fast or int8",
               .found = std::string(name)});
}

}  // namespace gov
