// The limit probe's loops (kernel/limits.hpp) in AVX-512, with the bf16 and int8 dot products of
// AVX512_BF16 and AVX512_VNNI where the processor has them.
#pragma once

#include <immintrin.h>

#include "gov/kernel/avx2/limits.hpp"

namespace gov::kernel {

template <ReadPattern pattern>
GOV_TARGET_AVX512 inline std::uint64_t read_memory_avx512(const std::byte* data, index_t bytes) {
  constexpr bool streams = pattern == ReadPattern::streams;
  const index_t step = streams ? bytes / 4 : 64, stride = streams ? 64 : 256, count = bytes / 256;
  __m512i sums[4];
  GOV_UNROLL
  for (int line = 0; line < 4; ++line) sums[line] = _mm512_setzero_si512();
  for (index_t i = 0; i < count; ++i) {
    const std::byte* const at = data + i * stride;
    GOV_UNROLL
    for (int line = 0; line < 4; ++line) {
      const std::byte* const from = at + line * step;
      if constexpr (pattern == ReadPattern::prefetch_t0) __builtin_prefetch(from + 1024, 0, 3);
      if constexpr (pattern == ReadPattern::prefetch_t1) __builtin_prefetch(from + 1024, 0, 2);
      sums[line] = _mm512_add_epi64(sums[line], _mm512_loadu_si512(from));
    }
  }
  std::uint64_t total = 0, lanes[8];
  for (int line = 0; line < 4; ++line) {
    std::memcpy(lanes, &sums[line], sizeof lanes);
    for (const std::uint64_t lane : lanes) total += lane;
  }
  return total;
}

inline std::uint64_t read_memory(avx512, ReadPattern pattern, const std::byte* data,
                                 index_t bytes) {
  switch (pattern) {
    case ReadPattern::plain: return read_memory_avx512<ReadPattern::plain>(data, bytes);
    case ReadPattern::streams: return read_memory_avx512<ReadPattern::streams>(data, bytes);
    case ReadPattern::prefetch_t0: return read_memory_avx512<ReadPattern::prefetch_t0>(data, bytes);
    case ReadPattern::prefetch_t1: return read_memory_avx512<ReadPattern::prefetch_t1>(data, bytes);
  }
  return 0;
}

GOV_TARGET_AVX512 inline ProbeResult multiply_add_f32(avx512, const float* random,
                                                      index_t iterations) {
  __m512 x[12];
  const __m512 a[2]{_mm512_loadu_ps(random), _mm512_loadu_ps(random + 16)};
  const __m512 b[2]{_mm512_loadu_ps(random + 32), _mm512_loadu_ps(random + 48)};
  GOV_UNROLL
  for (int i = 0; i < 12; ++i) x[i] = _mm512_set1_ps(random[i]);
  for (index_t n = 0; n < iterations; ++n) {
    GOV_UNROLL
    for (int i = 0; i < 12; ++i) x[i] = _mm512_fmadd_ps(x[i], a[i % 2], b[i % 2]);
  }
  double sum = 0;
  float lanes[16];
  for (int i = 0; i < 12; ++i) {
    std::memcpy(lanes, &x[i], sizeof lanes);
    for (const float lane : lanes) sum += static_cast<double>(lane);
  }
  return {2.0 * 12 * 16 * static_cast<double>(iterations), sum};
}

GOV_TARGET_AVX512_BF16 inline ProbeResult dot_bf16(const float* random, index_t iterations) {
  __m512 x[12];
  __m512bh a[2], b[2];
  GOV_UNROLL
  for (int i = 0; i < 2; ++i) {
    a[i] = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(random + 16 * i), _mm512_loadu_ps(random));
    b[i] = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(random + 32 + 16 * i), _mm512_loadu_ps(random + 32));
  }
  GOV_UNROLL
  for (int i = 0; i < 12; ++i) x[i] = _mm512_set1_ps(random[i]);
  for (index_t n = 0; n < iterations; ++n) {
    GOV_UNROLL
    for (int i = 0; i < 12; ++i) x[i] = _mm512_dpbf16_ps(x[i], a[i % 2], b[i / 2 % 2]);
  }
  double sum = 0;
  float lanes[16];
  for (int i = 0; i < 12; ++i) {
    std::memcpy(lanes, &x[i], sizeof lanes);
    for (const float lane : lanes) sum += static_cast<double>(lane);
  }
  return {2.0 * 12 * 32 * static_cast<double>(iterations), sum};
}

GOV_TARGET_AVX512_BF16 inline ProbeResult dot_int8(const float* random, index_t iterations) {
  __m512i x[12];
  const __m512i a[2]{_mm512_loadu_si512(random), _mm512_loadu_si512(random + 16)};
  const __m512i b[2]{_mm512_loadu_si512(random + 32), _mm512_loadu_si512(random + 48)};
  GOV_UNROLL
  for (int i = 0; i < 12; ++i) x[i] = _mm512_set1_epi32(i);  // or twelve would be one
  for (index_t n = 0; n < iterations; ++n) {
    GOV_UNROLL
    for (int i = 0; i < 12; ++i) x[i] = _mm512_dpbusd_epi32(x[i], a[i % 2], b[i / 2 % 2]);
  }
  double sum = 0;
  std::int32_t lanes[16];
  for (int i = 0; i < 12; ++i) {
    std::memcpy(lanes, &x[i], sizeof lanes);
    for (const std::int32_t lane : lanes) sum += lane;
  }
  return {2.0 * 12 * 64 * static_cast<double>(iterations), sum};
}

inline ProbeResult multiply_add_bf16(avx512, const float* random, index_t iterations) {
  return cpu_features().avx512_bf16 ? dot_bf16(random, iterations) : ProbeResult{};
}
inline ProbeResult multiply_add_int8(avx512, const float* random, index_t iterations) {
  return cpu_features().avx512_bf16 ? dot_int8(random, iterations) : ProbeResult{};
}

}  // namespace gov::kernel
