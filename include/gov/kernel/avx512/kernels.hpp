// The f32 kernels of the avx512 tag: the bodies of simd/ compiled for sixteen lanes.
#pragma once

#include "gov/kernel/avx512/vec.hpp"
#include "gov/kernel/kernels.hpp"

// g++ 12 takes the undefined operands of its own AVX-512 intrinsics for uninitialised variables.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX512
#define GOV_SIMD_TARGET GOV_TARGET_AVX512
namespace gov::kernel::on_avx512 {
#include "gov/kernel/simd/all.inc"
}  // namespace gov::kernel::on_avx512
#undef GOV_SIMD
#undef GOV_SIMD_TARGET

#pragma GCC diagnostic pop

namespace gov::kernel {

inline void matmul(avx512, const MatmulArgs<float>& args) { on_avx512::matmul(args); }
inline void attention(avx512, const AttentionArgs<float>& args) { on_avx512::attention(args); }
inline void widen_row(avx512, const WeightView& w, index_t row, float* out) {
  on_avx512::widen_row(w, row, out);
}
inline void rms_norm(avx512, const float* x, const float* weight, index_t n, double eps, float* y) {
  on_avx512::rms_norm(x, weight, n, eps, y);
}
inline void layer_norm(avx512, const float* x, const float* weight, const float* bias, index_t n,
                       double eps, float* y) {
  on_avx512::layer_norm(x, weight, bias, n, eps, y);
}
inline void activate(avx512, Activation activation, float* x, index_t n) {
  on_avx512::activate(activation, x, n);
}
inline void swiglu_clamped(avx512, const float* gate_up, index_t n, double limit, double alpha,
                           float* out) {
  on_avx512::swiglu_clamped(gate_up, n, limit, alpha, out);
}
inline void rope(avx512, float* x, index_t heads, index_t head_dim, const float* cos,
                 const float* sin) {
  on_avx512::rope(x, heads, head_dim, cos, sin);
}
inline void softmax(avx512, float* x, index_t n) { on_avx512::softmax(x, n); }
inline void axpy(avx512, float a, const float* x, float* y, index_t n) {
  on_avx512::axpy(a, x, y, n);
}
inline void scale_add(avx512, const float* scale, const float* x, float* y, index_t n) {
  on_avx512::scale_add(scale, x, y, n);
}

}  // namespace gov::kernel
