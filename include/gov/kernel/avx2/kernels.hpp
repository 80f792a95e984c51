// The f32 kernels of the avx2 tag: the bodies of simd/ compiled for eight lanes.
#pragma once

#include "gov/kernel/avx2/vec.hpp"
#include "gov/kernel/kernels.hpp"

#define GOV_SIMD GOV_INLINE GOV_TARGET_AVX2
#define GOV_SIMD_TARGET GOV_TARGET_AVX2
namespace gov::kernel::on_avx2 {
#include "gov/kernel/simd/all.inc"
}  // namespace gov::kernel::on_avx2
#undef GOV_SIMD
#undef GOV_SIMD_TARGET

namespace gov::kernel {

inline void matmul(avx2, const MatmulArgs<float>& args) { on_avx2::matmul(args); }
inline void attention(avx2, const AttentionArgs<float>& args) { on_avx2::attention(args); }
inline void widen_row(avx2, const WeightView& w, index_t row, float* out) {
  on_avx2::widen_row(w, row, out);
}
inline void rms_norm(avx2, const float* x, const float* weight, index_t n, double eps, float* y) {
  on_avx2::rms_norm(x, weight, n, eps, y);
}
inline void layer_norm(avx2, const float* x, const float* weight, const float* bias, index_t n,
                       double eps, float* y) {
  on_avx2::layer_norm(x, weight, bias, n, eps, y);
}
inline void activate(avx2, Activation activation, float* x, index_t n) {
  on_avx2::activate(activation, x, n);
}
inline void swiglu_clamped(avx2, const float* gate_up, index_t n, double limit, double alpha,
                           float* out) {
  on_avx2::swiglu_clamped(gate_up, n, limit, alpha, out);
}
inline void rope(avx2, float* x, index_t heads, index_t head_dim, const float* cos,
                 const float* sin) {
  on_avx2::rope(x, heads, head_dim, cos, sin);
}
inline void softmax(avx2, float* x, index_t n) { on_avx2::softmax(x, n); }
inline void axpy(avx2, float a, const float* x, float* y, index_t n) { on_avx2::axpy(a, x, y, n); }
inline void scale_add(avx2, const float* scale, const float* x, float* y, index_t n) {
  on_avx2::scale_add(scale, x, y, n);
}

}  // namespace gov::kernel
