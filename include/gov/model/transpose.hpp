// Transposition of matrices of 2- or 4-byte elements, in tiles that fit the cache.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "gov/core/checked.hpp"

namespace gov {

namespace transpose_detail {

template <class Element>
void transpose_tile(const std::byte* from, index_t stride, index_t rows, index_t columns,
                    std::byte* to, index_t to_stride) {
  constexpr auto size = static_cast<index_t>(sizeof(Element));
  for (index_t c = 0; c < columns; ++c)
    for (index_t r = 0; r < rows; ++r) {
      Element value;
      std::memcpy(&value, from + r * stride + c * size, sizeof value);
      std::memcpy(to + c * to_stride + r * size, &value, sizeof value);
    }
}

}  // namespace transpose_detail

// to[c][r] = from[r][c] for a tile small enough for the first-level cache; strides in bytes.
inline void transpose_tile(const std::byte* from, index_t stride, index_t rows, index_t columns,
                           index_t element, std::byte* to, index_t to_stride) {
  using namespace transpose_detail;
  assert(element == 2 || element == 4);
  element == 2 ? transpose_tile<std::uint16_t>(from, stride, rows, columns, to, to_stride)
               : transpose_tile<std::uint32_t>(from, stride, rows, columns, to, to_stride);
}

// [rows, columns] -> [columns, rows].
inline void transpose(const std::byte* from, index_t rows, index_t columns, index_t element,
                      std::byte* to) {
  constexpr index_t tall = 64, wide = 32;
  for (index_t r = 0; r < rows; r += tall)
    for (index_t c = 0; c < columns; c += wide)
      transpose_tile(from + (r * columns + c) * element, columns * element,
                     std::min(tall, rows - r), std::min(wide, columns - c), element,
                     to + (c * rows + r) * element, rows * element);
}

}  // namespace gov
