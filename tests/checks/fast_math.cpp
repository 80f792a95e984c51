// Compiled with -ffast-math, where std::isnan may fold to false: ours look at the bits, and number
// formats keep infinities, NaNs and signed zeros.
#include <bit>
#include <cstdint>
#include <cstdio>

#include "gov/core/dtype.hpp"

namespace {

volatile std::uint32_t bits[] = {0x7fc00000u, 0xff800001u, 0x7f800000u, 0xff800000u,
                                 0x80000000u, 0x00000000u, 0x7f7fffffu, 0x3f800000u};
constexpr bool is_nan[] = {true, true, false, false, false, false, false, false};
constexpr bool is_finite[] = {false, false, false, false, true, true, true, true};

}  // namespace

int main() {
  int wrong = 0;
  for (int i = 0; i < 8; ++i) {
    const std::uint32_t pattern = bits[i];
    const float x = std::bit_cast<float>(pattern);
    const bool same = gov::is_nan(x) == is_nan[i] && gov::is_finite(x) == is_finite[i] &&
                      gov::is_nan(gov::to_float(gov::to_bf16(x))) == is_nan[i] &&
                      gov::is_nan(gov::to_float(gov::to_f16(x))) == is_nan[i] &&
                      gov::to_bf16(x).bits >> 15 == pattern >> 31 &&
                      gov::to_f16(x).bits >> 15 == pattern >> 31;
    if (!same) std::printf("%08x: wrong under -ffast-math\n", pattern), ++wrong;
  }
  return wrong;
}
