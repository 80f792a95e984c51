// The small kernel set: loops over run-time extents that know no model. A Kernels<T> is one
// constexpr table of them per backend tag (backend.hpp); a model is compiled once over the table.
//
// Every reduction has one fixed order that depends only on its own length: a row's result is the
// same bits whatever other rows, columns or threads share the call (DESIGN rule 9, f32).
#pragma once

#include <array>
#include <string_view>

#include "gov/core/tensor.hpp"

namespace gov::kernel {

// y[m, n] (+)= sum_k x[m, k] * w[n, k] + bias[n], for n in [first, last) and every row m of x.
template <class T>
struct MatmulArgs {
  Rows<const T> x;              // [rows, in]
  WeightView w;                 // [out, in], any Format
  const float* bias = nullptr;  // [out] or null
  Rows<T> y;                    // [rows, out]; column n of y is row n of w
  index_t first = 0, last = 0;  // rows of w to compute
  bool accumulate = false;      // add to y instead of setting it
};

// Softmax attention of one token's `group` query heads over the keys that they share:
//   z_j = scale * q.k_j,  p_j = exp(z_j - m) / (sum_i exp(z_i - m) + exp(sink - m)),  out = sum p_j
//   v_j
// with m the maximum of all z and the sink. Keys come in order of position, in up to two pieces (a
// ring that wraps). Without any key the output is 0.
template <class T>
struct AttentionArgs {
  struct Piece {
    const T* keys = nullptr;    // first key, [count, head_dim] with key_stride
    const T* values = nullptr;  // first value, likewise
    index_t count = 0;
  };
  const T* query = nullptr;  // [group, head_dim], heads query_stride apart
  T* out = nullptr;          // [group, head_dim], heads query_stride apart
  index_t query_stride = 0;
  index_t group = 1, head_dim = 0;
  std::array<Piece, 2> pieces{};
  index_t key_stride = 0;        // from one position to the next, keys and values alike
  const float* sinks = nullptr;  // [group] or null
  double scale = 1;
  T* scores = nullptr;  // scratch [group, count of all pieces]; holds p on return
};

enum class Activation : std::uint8_t {
  gelu,        // x * Phi(x), by erf
  gelu_tanh,   // the tanh approximation: gelu_new, gelu_pytorch_tanh
  quick_gelu,  // x * sigmoid(1.702 x)
  silu,        // x * sigmoid(x)
  relu,
};

template <class T>
struct Kernels {
  std::string_view name;
  void (*matmul)(const MatmulArgs<T>&);
  void (*attention)(const AttentionArgs<T>&);
  // One stored row of w, widened exactly: out [w.in].
  void (*widen_row)(const WeightView& w, index_t row, T* out);
  // y = x / sqrt(mean(x^2) + eps) * weight; x and y may be the same.
  void (*rms_norm)(const T* x, const float* weight, index_t n, double eps, T* y);
  // y = (x - mean) / sqrt(var + eps) * weight + bias; bias may be null; x and y may be the same.
  void (*layer_norm)(const T* x, const float* weight, const float* bias, index_t n, double eps,
                     T* y);
  // x = activation(x), in place.
  void (*activate)(Activation activation, T* x, index_t n);
  // out[i] = (up + 1) * gate * sigmoid(alpha * gate), gate = min(gate_up[2i], limit),
  // up = clamp(gate_up[2i + 1], -limit, limit); out may be gate_up itself.
  void (*swiglu_clamped)(const T* gate_up, index_t n, double limit, double alpha, T* out);
  // Rotates each head's halves: (a, b) -> (a cos - b sin, b cos + a sin); cos, sin [head_dim / 2].
  void (*rope)(T* x, index_t heads, index_t head_dim, const T* cos, const T* sin);
  // x = exp(x - max) / sum, in place.
  void (*softmax)(T* x, index_t n);
  // y += a * x
  void (*axpy)(T a, const T* x, T* y, index_t n);
  // y += scale * x, elementwise (layer scale).
  void (*scale_add)(const float* scale, const T* x, T* y, index_t n);
};

}  // namespace gov::kernel
