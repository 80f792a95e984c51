// The limit probe's loops (kernel/limits.hpp) in AVX2 and FMA.
#pragma once

#include <immintrin.h>

#include "gov/kernel/scalar/limits.hpp"

namespace gov::kernel {

template <ReadPattern pattern>
GOV_TARGET_AVX2 inline std::uint64_t read_memory_avx2(const std::byte* data, index_t bytes) {
  constexpr bool streams = pattern == ReadPattern::streams;
  const index_t step = streams ? bytes / 4 : 64, stride = streams ? 64 : 256, count = bytes / 256;
  __m256i sums[8];
  GOV_UNROLL
  for (int i = 0; i < 8; ++i) sums[i] = _mm256_setzero_si256();
  for (index_t i = 0; i < count; ++i) {
    const std::byte* const at = data + i * stride;
    GOV_UNROLL
    for (int line = 0; line < 4; ++line) {
      const std::byte* const from = at + line * step;
      if constexpr (pattern == ReadPattern::prefetch_t0) __builtin_prefetch(from + 1024, 0, 3);
      if constexpr (pattern == ReadPattern::prefetch_t1) __builtin_prefetch(from + 1024, 0, 2);
      const auto* const words = reinterpret_cast<const __m256i*>(from);
      sums[2 * line] = _mm256_add_epi64(sums[2 * line], _mm256_loadu_si256(words));
      sums[2 * line + 1] = _mm256_add_epi64(sums[2 * line + 1], _mm256_loadu_si256(words + 1));
    }
  }
  std::uint64_t total = 0, lanes[4];
  for (int i = 0; i < 8; ++i) {
    std::memcpy(lanes, &sums[i], sizeof lanes);
    total += lanes[0] + lanes[1] + lanes[2] + lanes[3];
  }
  return total;
}

inline std::uint64_t read_memory(avx2, ReadPattern pattern, const std::byte* data, index_t bytes) {
  switch (pattern) {
    case ReadPattern::plain: return read_memory_avx2<ReadPattern::plain>(data, bytes);
    case ReadPattern::streams: return read_memory_avx2<ReadPattern::streams>(data, bytes);
    case ReadPattern::prefetch_t0: return read_memory_avx2<ReadPattern::prefetch_t0>(data, bytes);
    case ReadPattern::prefetch_t1: return read_memory_avx2<ReadPattern::prefetch_t1>(data, bytes);
  }
  return 0;
}

GOV_TARGET_AVX2 inline ProbeResult multiply_add_f32(avx2, const float* random, index_t iterations) {
  __m256 x[10], a[2], b[2];
  GOV_UNROLL
  for (int i = 0; i < 10; ++i) x[i] = _mm256_set1_ps(random[i]);
  GOV_UNROLL
  for (int i = 0; i < 2; ++i) {
    a[i] = _mm256_loadu_ps(random + 16 + 8 * i);
    b[i] = _mm256_loadu_ps(random + 32 + 8 * i);
  }
  for (index_t n = 0; n < iterations; ++n) {
    GOV_UNROLL
    for (int i = 0; i < 10; ++i) x[i] = _mm256_fmadd_ps(x[i], a[i % 2], b[i % 2]);
  }
  double sum = 0;
  float lanes[8];
  for (int i = 0; i < 10; ++i) {
    std::memcpy(lanes, &x[i], sizeof lanes);
    for (const float lane : lanes) sum += static_cast<double>(lane);
  }
  return {2.0 * 10 * 8 * static_cast<double>(iterations), sum};
}

}  // namespace gov::kernel
