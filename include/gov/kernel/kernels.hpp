// The small kernel set: loops over run-time extents that know no model. A Kernels<T> is one
// constexpr table of them per backend tag (backend.hpp); a model is compiled once over the table.
//
// Every f32 reduction has one fixed order that depends only on its own length: a row's result is
// the same bits whatever other rows, columns or threads share the call (DESIGN rule 9). So it is
// with RoundedProducts for one Packing; which one is taken depends on the number of rows.
#pragma once

#include <array>
#include <limits>
#include <string_view>

#include "gov/core/arena.hpp"
#include "gov/core/tensor.hpp"
#include "gov/kernel/arithmetic.hpp"

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

// How a product's activations are held once they are rounded. A weight in FP4 unpacks into every
// fourth number, hence the layouts of that name: groups of 128, [4][32] of numbers 4 i + j.
enum class Packing : std::uint8_t {
  none,              // not rounded: Kernels::matmul reads the f32 rows
  bf16,              // [rows, in]
  bf16_fours,        // likewise, by fours
  bf16_pairs,        // as bf16, for many rows
  bf16_fours_pairs,  // as bf16_fours, for many rows
  bf16_tiles,        // [rows / 16, in / 2, 16 rows, 2]
  bf16_tiles_fours,  // likewise, by fours
  int16,             // [rows, in] and a scale per 32
  int16_fours,       // likewise, by fours
  int8,              // [rows, in] and a scale per 32
  int8_fours,        // likewise, even and odd numbers of a group apart
  int8_quads,        // as int8, for many rows
};

// Rounds rows of x into the layout of `packing`: row i of the result is row (pick ? pick[i] : i).
struct PackArgs {
  Rows<const float> x;  // [any, in]
  Packing packing{};
  const index_t* pick = nullptr;
  index_t first = 0, last = 0;  // rows of the result to write; first is a multiple of row_unit
  std::byte* out = nullptr;     // of row 0, 64-byte aligned
};

// As MatmulArgs, with rows [0, y.rows) of packed activations.
struct RoundedMatmulArgs {
  Packing packing{};
  const std::byte* x = nullptr;  // of the first row that is used, a multiple of row_unit
  WeightView w;
  const float* bias = nullptr;
  Rows<float> y;
  index_t first = 0, last = 0;
  bool accumulate = false;
};

// Keys and values [first, first + k.rows) of one head, of `keys` in all, to be laid out for
// RoundedAttention::attend; first is a multiple of 32, and so is k.rows but at the end.
struct PackKeysArgs {
  Rows<const float> k{}, v{};  // [some, head_dim]
  index_t first = 0, keys = 0;
  std::byte* out = nullptr;  // of the first key, 64-byte aligned
};

// The tokens of one key head: `group` queries each, which see keys [0, keys), or if `causal` token
// t those of [0, seen + t) that are in its window; out = softmax(scale q k^T [+ sink]) v.
struct RoundedAttentionArgs {
  Rows<const float> q{};              // [tokens, group * head_dim]
  Rows<float> out{};                  // likewise
  index_t group = 1;                  // query heads of the key head
  const std::byte* packed = nullptr;  // by RoundedAttention::pack
  index_t keys = 0;
  bool causal = false;
  index_t seen = 0, window = 0;  // window 0: all before
  const float* sinks = nullptr;  // [group] or null
  double scale = 1;
  std::byte* scratch = nullptr;  // scratch_bytes(keys), 64-byte aligned

  index_t last_key(index_t token) const { return causal ? seen + token : keys; }
  index_t first_key(index_t token) const {
    const index_t last = last_key(token);
    return window > 0 && last > window ? last - window : 0;
  }
};

// Attention of many queries with queries, keys, values and weights rounded to bf16.
struct RoundedAttention {
  bool (*serves)(index_t head_dim);
  index_t (*packed_bytes)(index_t keys, index_t head_dim);
  index_t (*scratch_bytes)(index_t keys);
  void (*pack)(const PackKeysArgs&);
  void (*attend)(const RoundedAttentionArgs&);
};

// Products with rounded activations; a tag that has none has none of these.
struct RoundedProducts {
  // What `rows` rows against a weight of this format take; none: the f32 kernel is as good.
  Packing (*packing)(Arithmetic arithmetic, Format format, index_t rows);
  index_t (*row_unit)(Packing packing);  // rows that lie among each other; 0: not this tag's
  index_t (*row_bytes)(Packing packing, index_t in);
  void (*pack)(const PackArgs&);
  void (*matmul)(const RoundedMatmulArgs&);
  RoundedAttention attention;

  index_t packed_bytes(Packing layout, index_t rows, index_t in) const {
    return round_up(rows, row_unit(layout)) * row_bytes(layout, in);
  }
};

// Softmax attention of one token's `group` query heads over the keys that they share:
//   z_j = scale * q.k_j [- slope * (last - j)],  p_j = exp(z_j - m) / (sum_i exp(z_i - m) +
//   exp(sink - m)), out = sum_j p_j v_j
// with m the maximum of all z and the sink. Keys come in order of position, in up to two pieces (a
// ring that wraps), each cut into runs of rows that follow each other. Without any key the output
// is 0.
template <class T>
struct AttentionArgs {
  struct Piece {
    const void* keys = nullptr;    // [runs, run, head_dim] with run_stride and key_stride
    const void* values = nullptr;  // likewise
    index_t count = 0;
    index_t begin = 0;  // the piece is rows [begin, begin + count) of its runs
  };
  const T* query = nullptr;  // [group, head_dim], heads query_stride apart
  T* out = nullptr;          // [group, head_dim], heads query_stride apart
  index_t query_stride = 0;
  index_t group = 1, head_dim = 0;
  std::array<Piece, 2> pieces{};
  Format format = Format::f32;  // of keys and values: bf16, widened exactly, or f32, which is T
  index_t key_stride = 0;       // numbers from one position to the next, keys and values alike
  index_t run = std::numeric_limits<index_t>::max(), run_stride = 0;  // rows; numbers between runs
  const float* sinks = nullptr;                                       // [group] or null
  const float* slopes = nullptr;  // [group] or null: ALiBi, by the distance from the last key
  double scale = 1;
  T* scores = nullptr;  // scratch [group, count of all pieces]; holds p on return
};

// The lean of one head's scores.
template <class T>
void add_slope(T* scores, index_t keys, float slope) {
  for (index_t j = 0; j < keys; ++j) scores[j] += T(static_cast<float>(j - (keys - 1)) * slope);
}

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
  // What this processor has of them; nullptr if nothing.
  const RoundedProducts* (*rounded)();
};

}  // namespace gov::kernel
