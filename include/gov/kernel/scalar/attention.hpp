// Softmax attention of a group of query heads over shared keys, and softmax alone. Two passes over
// the keys in order of position; the maximum is found first, so no rescaling enters the sums.
#pragma once

#include <cmath>
#include <limits>

#include "gov/kernel/scalar/matmul.hpp"

namespace gov::kernel {

// x = exp(x - max) / (sum + extra) where extra = exp(sink - max) if a sink is given. NaN and +inf
// make the whole row NaN; a row of -inf alone becomes 0.
template <class T>
void softmax_with_sink(T* x, index_t n, const float* sink) {
  using std::exp;
  const T none = T(-std::numeric_limits<float>::infinity());
  T max = sink ? T(*sink) : none;
  for (index_t i = 0; i < n; ++i)
    if (x[i] > max) max = x[i];
  if (!(max > none)) max = T(0.f);
  Chains<T> sums;
  for (index_t i = 0; i < n; ++i) {
    x[i] = exp(x[i] - max);
    sums.part[i % chain_count] += x[i];
  }
  T sum = sums.fold();
  if (sink) sum += exp(T(*sink) - max);
  if (sum == T(0.f)) return;
  const T inverse = T(1.f) / sum;
  for (index_t i = 0; i < n; ++i) x[i] *= inverse;
}

template <class T>
void softmax(scalar, T* x, index_t n) {
  softmax_with_sink(x, n, nullptr);
}

template <class T>
T widened(const T& x) {
  return x;
}
template <class T>
T widened(bf16 x) {
  return T(to_float(x));
}

template <class T>
T dot(const T* a, const bf16* b, index_t n) {
  Chains<T> sum;
  for (index_t i = 0; i < n; ++i) sum.part[i % chain_count] += a[i] * widened<T>(b[i]);
  return sum.fold();
}

// A row of a piece's keys or values, stored as S: T or bf16.
template <class S, class T>
const S* row_of(const AttentionArgs<T>& args, const void* data, index_t row) {
  return static_cast<const S*>(data) + row / args.run * args.run_stride +
         row % args.run * args.key_stride;
}

template <class S, class T>
void attention_over(const AttentionArgs<T>& args) {
  const index_t keys = args.pieces[0].count + args.pieces[1].count;
  for (index_t head = 0; head < args.group; ++head) {
    const T* const query = args.query + head * args.query_stride;
    T* const out = args.out + head * args.query_stride;
    T* const scores = args.scores + head * keys;
    T* score = scores;
    for (const auto& piece : args.pieces)
      for (index_t j = 0; j < piece.count; ++j)
        *score++ =
            T(args.scale) * dot(query, row_of<S>(args, piece.keys, piece.begin + j), args.head_dim);
    if (args.slopes) add_slope(scores, keys, args.slopes[head]);
    softmax_with_sink(scores, keys, args.sinks ? args.sinks + head : nullptr);
    for (index_t d = 0; d < args.head_dim; ++d) out[d] = T(0.f);
    score = scores;
    for (const auto& piece : args.pieces)
      for (index_t j = 0; j < piece.count; ++j, ++score) {
        const S* const value = row_of<S>(args, piece.values, piece.begin + j);
        for (index_t d = 0; d < args.head_dim; ++d) out[d] += *score * widened<T>(value[d]);
      }
  }
}

template <class T>
void attention(scalar, const AttentionArgs<T>& args) {
  assert(args.format == Format::f32 || args.format == Format::bf16);
  args.format == Format::bf16 ? attention_over<bf16>(args) : attention_over<T>(args);
}

}  // namespace gov::kernel
