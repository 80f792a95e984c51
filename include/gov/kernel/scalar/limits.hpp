// What the limit probe (kernel/limits.hpp) runs, in plain loops: reads of memory in several
// patterns and multiply-adds in registers. Sums are given back so that no work can be left out.
#pragma once

#include <cstdint>
#include <cstring>

#include "gov/core/checked.hpp"
#include "gov/kernel/arch.hpp"

namespace gov::kernel {

enum class ReadPattern {
  plain,        // from the first byte to the last
  streams,      // four streams, a line of each in turn
  prefetch_t0,  // plain, each line asked for 1 KB ahead, into the first-level cache
  prefetch_t1,  // likewise, into the second-level cache
};
inline constexpr ReadPattern read_patterns[]{ReadPattern::plain, ReadPattern::streams,
                                             ReadPattern::prefetch_t0, ReadPattern::prefetch_t1};

// bytes: a multiple of 256.
inline std::uint64_t read_memory(scalar, ReadPattern pattern, const std::byte* data,
                                 index_t bytes) {
  const index_t step = pattern == ReadPattern::streams ? bytes / 4 : 64;
  const index_t count = bytes / 256, stride = pattern == ReadPattern::streams ? 64 : 256;
  std::uint64_t sums[4]{};
  for (index_t i = 0; i < count; ++i) {
    const std::byte* const at = data + i * stride;
    GOV_UNROLL
    for (int line = 0; line < 4; ++line) {
      const std::byte* const from = at + line * step;
      if (pattern == ReadPattern::prefetch_t0) __builtin_prefetch(from + 1024, 0, 3);
      if (pattern == ReadPattern::prefetch_t1) __builtin_prefetch(from + 1024, 0, 2);
      std::uint64_t words[8];
      std::memcpy(words, from, 64);
      sums[line] +=
          (words[0] ^ words[1] ^ words[2] ^ words[3]) + (words[4] ^ words[5] ^ words[6] ^ words[7]);
    }
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

// What one probe of arithmetic did: operations counts a multiply-add as two.
struct ProbeResult {
  double operations = 0, sum = 0;
};

// x = x a + b in many registers at once; random [64], each in (0.5, 1).
inline ProbeResult multiply_add_f32(scalar, const float* random, index_t iterations) {
  float x[10], a[2], b[2];
  for (int i = 0; i < 10; ++i) x[i] = random[i];
  for (int i = 0; i < 2; ++i) a[i] = random[16 + i], b[i] = random[20 + i];
  for (index_t n = 0; n < iterations; ++n) {
    GOV_UNROLL
    for (int i = 0; i < 10; ++i) x[i] = x[i] * a[i % 2] + b[i % 2];
  }
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value);
  return {2.0 * 10 * static_cast<double>(iterations), sum};
}

// Dot products of narrow numbers, for tags that have them: no operations means there are none.
inline ProbeResult multiply_add_bf16(scalar, const float*, index_t) { return {}; }
inline ProbeResult multiply_add_int8(scalar, const float*, index_t) { return {}; }

}  // namespace gov::kernel
