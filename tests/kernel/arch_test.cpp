#include "gov/kernel/arch.hpp"

#include <doctest/doctest.h>

#include <type_traits>

using namespace gov::kernel;

static_assert(std::is_base_of_v<scalar, avx2> && std::is_base_of_v<avx2, avx512>);
static_assert(std::is_base_of_v<scalar, eigen> && !std::is_base_of_v<avx2, eigen>);

TEST_CASE("scalar always runs, and a wider instruction set implies the narrower") {
  CHECK(scalar::available());
  CHECK(eigen::available());
  if (avx512::available()) CHECK(avx2::available());
}

TEST_CASE("what CPUID says agrees with the compiler's own detection") {
  CHECK(avx2::available() == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
  CHECK(avx512::available() ==
        (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
}

TEST_CASE("detection gives the same answer every time") {
  const CpuFeatures again = detect_cpu();
  CHECK(again.avx2 == cpu_features().avx2);
  CHECK(again.avx512 == cpu_features().avx512);
}
