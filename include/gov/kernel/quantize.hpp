// Narrowing of f32 rows to the stored Formats. The way back is widen_row, exact.
//
// mxfp4 (OCP Microscaling 1.0): the scale of 32 numbers is a power of two. The standard takes
// 2^(floor(log2 absmax) - 2), under which numbers above 6 times it saturate; here that and the next
// larger power are tried and the one of smaller squared error is kept (the smaller on a tie).
// Numbers are rounded to nearest, ties to the even code; -0 is stored as 0.
// q8: scale = absmax / 127 rounded up to bf16, so that every code is within +-127.
// NaN and infinity have no code: Errc::not_finite.
#pragma once

#include <cassert>

#include "gov/kernel/avx2/quantize.hpp"
#include "gov/kernel/scalar/quantize.hpp"

namespace gov::kernel {

// Stores x [n] as one row of `format`; scales is used by the blocked formats, whose n is a multiple
// of block_size. Values too large for f16 become infinite there, and so does the error. The bits
// stored are the same on every machine; the error's last digits are not.
inline QuantizeError quantize_row(Format format, const float* x, index_t n, std::byte* data,
                                  std::byte* scales = nullptr) {
  assert(!is_blocked(format) || n % block_size == 0);
  return avx2::available() ? quantize_row(avx2{}, format, x, n, data, scales)
                           : quantize_row(scalar{}, format, x, n, data, scales);
}

}  // namespace gov::kernel
