// The inner loop of every AMX product: up to 2 x 2 tiles of sums += tiles of A by tiles of B.
#pragma once

#include "gov/kernel/amx/tiles.hpp"

namespace gov::kernel::on_amx {

inline constexpr index_t tile_numbers = tile_rows * tile_rows;  // f32 sums in a tile

struct TileSteps {
  const std::byte* a;        // [16 rows][32 numbers] of the first step
  index_t a_step, a_second;  // bytes to the next step, and to the second tile of this one
  const std::byte* b;        // [16 pairs][16 rows][2]
  index_t b_step, b_second;
  index_t steps;
};

// sums: N x M tiles at [2 n + m][16 rows of A][16 rows of B], set if `first`, else added to. Each
// step takes `Copies` tiles of A, one after the other, for one of B.
template <class Tiles, int N, int M, int Copies = 1>
inline void multiply_tiles(const TileSteps& steps, bool first, float* sums) {
  if (first) {
    Tiles::template zero<0>();
    if constexpr (M > 1) Tiles::template zero<1>();
    if constexpr (N > 1) Tiles::template zero<2>();
    if constexpr (N > 1 && M > 1) Tiles::template zero<3>();
  } else {
    Tiles::template load<0>(sums);
    if constexpr (M > 1) Tiles::template load<1>(sums + tile_numbers);
    if constexpr (N > 1) Tiles::template load<2>(sums + 2 * tile_numbers);
    if constexpr (N > 1 && M > 1) Tiles::template load<3>(sums + 3 * tile_numbers);
  }
  const std::byte *a = steps.a, *b = steps.b;
  for (index_t s = 0; s < steps.steps; ++s, b += steps.b_step) {
    Tiles::template load_streamed<6>(b);
    if constexpr (M > 1) Tiles::template load_streamed<7>(b + steps.b_second);
    for (int copy = 0; copy < Copies; ++copy, a += steps.a_step) {
      Tiles::template load<4>(a);
      Tiles::template multiply_bf16<0, 4, 6>();
      if constexpr (M > 1) Tiles::template multiply_bf16<1, 4, 7>();
      if constexpr (N > 1) {
        Tiles::template load<5>(a + steps.a_second);
        Tiles::template multiply_bf16<2, 5, 6>();
        if constexpr (M > 1) Tiles::template multiply_bf16<3, 5, 7>();
      }
    }
  }
  Tiles::template store<0>(sums);
  if constexpr (M > 1) Tiles::template store<1>(sums + tile_numbers);
  if constexpr (N > 1) Tiles::template store<2>(sums + 2 * tile_numbers);
  if constexpr (N > 1 && M > 1) Tiles::template store<3>(sums + 3 * tile_numbers);
}

}  // namespace gov::kernel::on_amx
