// The limit probe's bf16 loop (kernel/limits.hpp) on AMX tiles; the rest is avx512's.
#pragma once

#include "gov/core/dtype.hpp"
#include "gov/kernel/amx/tiles.hpp"
#include "gov/kernel/avx512/limits.hpp"

namespace gov::kernel {

template <class Tiles>
ProbeResult multiply_add_tiles(const float* random, index_t iterations) {
  constexpr index_t count = on_amx::tile_bytes / 2;
  alignas(64) bf16 numbers[4][count];
  alignas(64) float sums[on_amx::tile_rows][16];
  for (index_t i = 0; i < 4 * count; ++i)
    numbers[i / count][i % count] = to_bf16(random[i * 7 % 64]);
  const typename Tiles::Scope scope;
  Tiles::template zero<0>(), Tiles::template zero<1>();
  Tiles::template zero<2>(), Tiles::template zero<3>();
  Tiles::template load<4>(numbers[0]), Tiles::template load<5>(numbers[1]);
  Tiles::template load<6>(numbers[2]), Tiles::template load<7>(numbers[3]);
  for (index_t n = 0; n < iterations; ++n) {
    Tiles::template multiply_bf16<0, 4, 6>(), Tiles::template multiply_bf16<1, 4, 7>();
    Tiles::template multiply_bf16<2, 5, 6>(), Tiles::template multiply_bf16<3, 5, 7>();
  }
  double sum = 0;
  const auto add = [&] {
    for (const auto& row : sums)
      for (const float value : row) sum += static_cast<double>(value);
  };
  Tiles::template store<0>(sums), add();
  Tiles::template store<1>(sums), add();
  Tiles::template store<2>(sums), add();
  Tiles::template store<3>(sums), add();
  return {4.0 * 2 * 16 * 16 * 32 * static_cast<double>(iterations), sum};
}

inline ProbeResult multiply_add_bf16(amx, const float* random, index_t iterations) {
  return multiply_add_tiles<on_amx::Tiles>(random, iterations);
}

}  // namespace gov::kernel
