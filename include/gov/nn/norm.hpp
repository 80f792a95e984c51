// The norms, row by row:
//   RmsNorm    y = x / sqrt(mean(x^2) + eps) * weight                 (Zhang, Sennrich 2019)
//   GemmaNorm  the same with 1 + weight: stored weights lie about 0
//   LayerNorm  y = (x - mean) / sqrt(var + eps) * weight + bias       (Ba, Kiros, Hinton 2016)
// eps is the caller's: checkpoints disagree on it.
#pragma once

#include "gov/core/params.hpp"
#include "gov/nn/context.hpp"

namespace gov {

template <index_t Width>
struct RmsNorm {
  struct Params {
    Vector<Width> weight;
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
    }
  };
  template <class T>
  static void forward(Context<T>& context, const Params& p, double eps, Input<T> x, Rows<T> y) {
    for_each_row(context, x.rows, Width, [&](index_t i) {
      context.kernels.rms_norm(x.row(i), p.weight.values(), Width, eps, y.row(i));
    });
  }
};

template <index_t Width>
struct GemmaNorm {
  struct Params {
    OffsetVector<Width> weight;
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
    }
  };
  template <class T>
  static void forward(Context<T>& context, const Params& p, double eps, Input<T> x, Rows<T> y) {
    const ArenaScope scope(context.arena);
    float* const gain = context.arena.template allocate<float>(Width);
    for (index_t i = 0; i < Width; ++i) gain[i] = 1.0f + p.weight.values()[i];
    for_each_row(context, x.rows, Width, [&](index_t i) {
      context.kernels.rms_norm(x.row(i), gain, Width, eps, y.row(i));
    });
  }
};

template <index_t Width, bool HasBias = true>
struct LayerNorm {
  struct Params {
    Vector<Width> weight;
    present_if<HasBias, Vector<Width>> bias;
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
      gov::visit(v, name / "bias", p.bias...);
    }
  };
  template <class T>
  static void forward(Context<T>& context, const Params& p, double eps, Input<T> x, Rows<T> y) {
    const float* bias = nullptr;
    if constexpr (HasBias) bias = p.bias.values();
    for_each_row(context, x.rows, Width, [&](index_t i) {
      context.kernels.layer_norm(x.row(i), p.weight.values(), bias, Width, eps, y.row(i));
    });
  }
};

}  // namespace gov
