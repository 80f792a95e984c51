// Attention of some tokens to others (torch: nn.MultiheadAttention): its own q, k and v projections
// in one matrix, heads of Width / Heads, an output projection. A query sees a run of keys of its
// own (a window), or all keys.
#pragma once

#include "gov/nn/attention.hpp"
#include "gov/nn/linear.hpp"

namespace gov {

// Rows [first, first + count) of a weight.
inline WeightView weight_rows(const WeightView& w, index_t first, index_t count) {
  return {w.format, w.row(first), w.scales ? w.row_scales(first) : nullptr, count, w.in};
}

template <index_t Width, index_t Heads>
struct MultiheadAttention {
  static_assert(Width % Heads == 0, "gov: the width must be a multiple of the number of heads");
  static constexpr AttentionShape shape{Heads, Heads, Width / Heads};
  using Output = Linear<Width, Width>;

  struct Params {
    Matrix<3 * Width, Width> in_proj_weight;  // rows q, k, v
    Vector<3 * Width> in_proj_bias;
    typename Output::Params out_proj;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "in_proj_weight", p.in_proj_weight...);
      gov::visit(v, name / "in_proj_bias", p.in_proj_bias...);
      gov::visit(v, name / "out_proj", p.out_proj...);
    }
  };

  // q [queries, Width], k and v [keys, Width] -> y [queries, Width]. Query i sees keys
  // [i window, (i + 1) window), or with a window of 0 all of them.
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> q, Input<T> k, Input<T> v,
                      index_t window, Rows<T> y) {
    const ArenaScope scope(context.arena);
    const auto project = [&](index_t part, Input<T> x) {
      const auto projected = context.rows(x.rows, Width);
      matmul<T>(context, x, weight_rows(p.in_proj_weight.view(), part * Width, Width),
                p.in_proj_bias.values() + part * Width, projected);
      return projected;
    };
    const auto queries = project(0, q), keys = project(1, k), values = project(2, v);
    const auto mixed = context.rows(q.rows, Width);
    if (window == 0)
      full_attention<T>(context, shape, queries, keys, values, mixed,
                        p.in_proj_weight.format != Format::f32);
    else
      attend_windows(context, queries, keys, values, window, mixed);
    Output::forward(context, p.out_proj, mixed, y);
  }

 private:
  template <class T>
  static void attend_windows(Context<T>& context, Input<T> q, Input<T> k, Input<T> v,
                             index_t window, Rows<T> out) {
    assert(k.rows == q.rows * window && v.rows == k.rows && q.stride == out.stride);
    const auto scratch = score_rows(context, shape, window);
    context.pool.parallel_for(q.rows, [&](index_t query, int worker) {
      for (index_t head = 0; head < Heads; ++head) {
        const index_t offset = head * shape.head_dim;
        kernel::AttentionArgs<T> args;
        args.query = q.row(query) + offset;
        args.out = out.row(query) + offset;
        args.query_stride = q.stride;
        args.head_dim = shape.head_dim;
        args.pieces[0] = {k.row(query * window) + offset, v.row(query * window) + offset, window};
        args.key_stride = k.stride;
        args.scale = shape.scale();
        args.scores = scratch.row(worker);
        context.kernels.attention(args);
      }
    });
  }
};

}  // namespace gov
