// on_amx::Tiles in plain C++, so that the kernels of the amx tag are tested on machines without it,
// and memory errors of theirs are seen by sanitizers. As the instructions do: subnormal numbers
// count as zero, each pair's even and odd products are summed apart and added at the end.
#pragma once

#include <cstring>
#include <stdexcept>

#include "gov/kernel/amx/rounded.hpp"

namespace gov::test {

struct EmulatedTiles {
  struct Scope {
    Scope() { configured() = true; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { configured() = false; }
  };

  template <int tile>
  static void zero() {
    std::memset(rows(tile), 0, kernel::on_amx::tile_bytes);
  }
  template <int tile>
  static void load(const void* from, index_t stride = 64) {
    for (index_t i = 0; i < 16; ++i)
      std::memcpy(rows(tile)[i], static_cast<const std::byte*>(from) + i * stride, 64);
  }
  template <int tile>
  static void load_streamed(const void* from, index_t stride = 64) {
    load<tile>(from, stride);
  }
  template <int tile>
  static void store(void* to, index_t stride = 64) {
    for (index_t i = 0; i < 16; ++i)
      std::memcpy(static_cast<std::byte*>(to) + i * stride, rows(tile)[i], 64);
  }
  template <int sum, int a, int b>
  static void multiply_bf16() {
    float left[16][32], right[16][32];
    widen(a, left), widen(b, right);
    for (int i = 0; i < 16; ++i) {
      float even[16] = {}, odd[16] = {}, total[16];
      for (int p = 0; p < 16; ++p)
        for (int j = 0; j < 16; ++j) {
          even[j] += left[i][2 * p] * right[p][2 * j];
          odd[j] += left[i][2 * p + 1] * right[p][2 * j + 1];
        }
      std::memcpy(total, rows(sum)[i], 64);
      for (int j = 0; j < 16; ++j) total[j] += even[j] + odd[j];
      std::memcpy(rows(sum)[i], total, 64);
    }
  }

 private:
  using Row = std::byte[64];
  static bool& configured() {
    static thread_local bool is = false;
    return is;
  }
  static Row* rows(int tile) {
    if (!configured()) throw std::logic_error("tiles are used without a configuration");
    static thread_local Row all[8][16];
    return all[tile];
  }
  static void widen(int tile, float (*out)[32]) {
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 32; ++j) {
        bf16 value;
        std::memcpy(&value, rows(tile)[i] + j * 2, 2);
        out[i][j] = (value.bits & 0x7f80) == 0 ? 0.f : to_float(value);
      }
  }
};

}  // namespace gov::test
