// Rounds activations to bf16 in the layout that an AMX tile multiplies by: sixteen rows at a time,
//   bf16_tiles        [in / 32][16 pairs][16 rows][2]
//   bf16_tiles_fours  the same of each row's bf16_fours
// so that a step of 32 numbers of sixteen rows is one tile of 1 KB. Rows behind the last are zeros.
#pragma once

#include "gov/kernel/amx/tiles.hpp"
#include "gov/kernel/avx512/pack.hpp"
#include "gov/kernel/avx512/transpose.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace gov::kernel::on_amx {

using on_avx512::group_size;

inline bool is_tiled(Packing packing) {
  return packing == Packing::bf16_tiles || packing == Packing::bf16_tiles_fours;
}

// Steps of 32 numbers in a packed row.
inline index_t packed_steps(Packing packing, index_t in) {
  return packing == Packing::bf16_tiles ? (in + block_size - 1) / block_size
                                        : (in + group_size - 1) / group_size * 4;
}

// Rows [first, first + 16) of the result, `count` of which there are.
inline GOV_TARGET_AVX512_BF16 void pack_tiles(const PackArgs& args, index_t first, index_t count) {
  const index_t in = args.x.cols, steps = packed_steps(args.packing, in);
  std::byte* const out = args.out + first * steps * 64;
  for (index_t step = 0; step < steps; step += 4) {  // as much as four blocks of each row
    alignas(64) std::byte rows[tile_rows][4 * 64];
    const index_t k = step * block_size, left = in - k < group_size ? in - k : group_size;
    for (index_t i = 0; i < tile_rows; ++i) {
      if (i >= count) {
        __builtin_memset(rows[i], 0, sizeof rows[i]);
        continue;
      }
      const float* const x = args.x.row(args.pick ? args.pick[first + i] : first + i) + k;
      if (args.packing == Packing::bf16_tiles)
        on_avx512::pack_bf16(x, left, rows[i]);
      else
        on_avx512::pack_bf16_fours(x, left, rows[i]);
    }
    for (index_t s = 0; s < 4 && step + s < steps; ++s) {
      __m512i tile[tile_rows];
      GOV_UNROLL for (int i = 0; i < 16; ++i) tile[i] = _mm512_load_si512(rows[i] + s * 64);
      on_avx512::transpose(tile);
      std::byte* const to = out + (step + s) * tile_bytes;
      GOV_UNROLL for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 64, tile[i]);
    }
  }
}

inline index_t packed_row_bytes(Packing packing, index_t in) {
  return is_tiled(packing) ? packed_steps(packing, in) * 64
                           : on_avx512::packed_row_bytes(packing, in);
}

inline index_t row_unit(Packing packing) {
  return is_tiled(packing) ? tile_rows : on_avx512::row_unit(packing);
}

inline void pack(const PackArgs& args) {
  if (!is_tiled(args.packing)) return on_avx512::pack(args);
  assert(args.first % tile_rows == 0);
  for (index_t first = args.first; first < args.last; first += tile_rows)
    pack_tiles(args, first, args.last - first < tile_rows ? args.last - first : tile_rows);
}

}  // namespace gov::kernel::on_amx

#pragma GCC diagnostic pop
