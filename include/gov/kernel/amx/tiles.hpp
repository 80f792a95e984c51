// The eight tile registers of AMX, each 16 rows of 64 bytes, in inline assembly: the intrinsics of
// g++ 12 tell the compiler neither that a configuration nor that a tile's memory is read. Kernels
// take the class as a parameter, so that a test may put another one in its place.
#pragma once

#include "gov/core/checked.hpp"
#include "gov/kernel/arch.hpp"

namespace gov::kernel::on_amx {

inline constexpr index_t tile_rows = 16, tile_bytes = 1024;

struct Tiles {
  // While one is alive, this thread's tiles are 16 x 64 bytes; behind it they are free again.
  struct Scope {
    Scope() {
      struct Configuration {
        std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
        std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
      };
      static constexpr Configuration all{};
      static_assert(sizeof all == 64);
      __asm__ volatile("ldtilecfg %0" ::"m"(all));
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { __asm__ volatile("tilerelease"); }
  };

  template <int tile>
  GOV_INLINE static void zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(tile));
  }
  // Sixteen rows of 64 bytes, `stride` bytes apart.
  template <int tile>
  GOV_INLINE static void load(const void* from, index_t stride = 64) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile)
                     : "memory");
  }
  // Likewise, for what should not push other data out of the L1 cache.
  template <int tile>
  GOV_INLINE static void load_streamed(const void* from, index_t stride = 64) {
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile)
                     : "memory");
  }
  template <int tile>
  GOV_INLINE static void store(void* to, index_t stride = 64) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
  }
  // sum[i][j] += sum over p of a[i][p] . b[p][j], pairs of bf16, sums in f32.
  template <int sum, int a, int b>
  GOV_INLINE static void multiply_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(a), "i"(b));
  }
};

}  // namespace gov::kernel::on_amx
