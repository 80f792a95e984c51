// The modules' formulas in double, by plain loops that share nothing with the kernels but the
// widening of a stored row.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "gov/kernel/backend.hpp"

namespace gov::test {

// A matrix (or one expert's) widened, [out, in].
inline std::vector<double> widened(const WeightView& view) {
  std::vector<double> values(static_cast<std::size_t>(view.out * view.in));
  for (index_t row = 0; row < view.out; ++row)
    kernel::widen_row(kernel::scalar{}, view, row, values.data() + row * view.in);
  return values;
}

// y = x w^T + bias by two loops.
inline std::vector<double> naive_linear(const std::vector<double>& x, const WeightView& view,
                                        const float* bias) {
  const auto w = widened(view);
  const auto rows = static_cast<index_t>(x.size()) / view.in;
  std::vector<double> y(static_cast<std::size_t>(rows * view.out));
  for (index_t r = 0; r < rows; ++r)
    for (index_t n = 0; n < view.out; ++n) {
      double sum = bias ? static_cast<double>(bias[n]) : 0;
      for (index_t k = 0; k < view.in; ++k)
        sum += x[static_cast<std::size_t>(r * view.in + k)] *
               w[static_cast<std::size_t>(n * view.in + k)];
      y[static_cast<std::size_t>(r * view.out + n)] = sum;
    }
  return y;
}

// RMSNorm, or with `centred` LayerNorm.
inline std::vector<double> naive_norm(const std::vector<double>& x, index_t width,
                                      const float* weight, const float* bias, double eps,
                                      bool centred) {
  std::vector<double> y(x.size());
  const auto n = static_cast<std::size_t>(width);
  for (std::size_t row = 0; row < x.size(); row += n) {
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < n && centred; ++i) mean += x[row + i] / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i)
      square += (x[row + i] - mean) * (x[row + i] - mean) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i)
      y[row + i] = (x[row + i] - mean) / std::sqrt(square + eps) * static_cast<double>(weight[i]) +
                   (bias ? static_cast<double>(bias[i]) : 0);
  }
  return y;
}

// What q, k, v [tokens, heads * d] mix to. A query at t sees the keys of (t - window, t], or with a
// window of -1 every key; sinks may be null.
struct NaiveAttention {
  index_t heads, kv_heads, d, window = 0;

  std::vector<double> operator()(const std::vector<double>& q, const std::vector<double>& k,
                                 const std::vector<double>& v, const float* sinks) const {
    const auto tokens = static_cast<index_t>(q.size()) / (heads * d);
    std::vector<double> out(q.size());
    const auto at = [this](const std::vector<double>& x, index_t width, index_t t, index_t head,
                           index_t i) {
      return x[static_cast<std::size_t>((t * width + head) * d + i)];
    };
    for (index_t t = 0; t < tokens; ++t)
      for (index_t h = 0; h < heads; ++h) {
        const index_t kv = h / (heads / kv_heads), last = window < 0 ? tokens : t + 1;
        const index_t first = window > 0 ? std::max<index_t>(0, t - window + 1) : 0;
        std::vector<double> z;
        double most = sinks ? static_cast<double>(sinks[h]) : -1e300;
        for (index_t s = first; s < last; ++s) {
          double dot = 0;
          for (index_t i = 0; i < d; ++i) dot += at(q, heads, t, h, i) * at(k, kv_heads, s, kv, i);
          z.push_back(dot / std::sqrt(static_cast<double>(d)));
          most = std::max(most, z.back());
        }
        double sum = sinks ? std::exp(static_cast<double>(sinks[h]) - most) : 0;
        for (double& value : z) sum += value = std::exp(value - most);
        for (index_t i = 0; i < d; ++i) {
          double& to = out[static_cast<std::size_t>((t * heads + h) * d + i)];
          for (index_t s = first; s < last; ++s)
            to += z[static_cast<std::size_t>(s - first)] / sum * at(v, kv_heads, s, kv, i);
        }
      }
    return out;
  }
};

// Rotates the halves of each head by the angle of token t's position.
inline void naive_rope(std::vector<double>& x, index_t heads, const std::vector<float>& frequencies,
                       double scaling, index_t first_position) {
  const std::size_t half = frequencies.size(), width = 2 * half * static_cast<std::size_t>(heads);
  for (std::size_t row = 0; row < x.size(); row += width)
    for (std::size_t h = 0; h < static_cast<std::size_t>(heads); ++h)
      for (std::size_t i = 0; i < half; ++i) {
        double &a = x[row + 2 * half * h + i], &b = x[row + 2 * half * h + half + i];
        const auto position =
            static_cast<float>(first_position + static_cast<index_t>(row / width));
        const double angle = static_cast<double>(position * frequencies[i]);
        const double cos = std::cos(angle) * scaling, sin = std::sin(angle) * scaling, old = a;
        a = old * cos - b * sin, b = b * cos + old * sin;
      }
}

inline double naive_activation(kernel::Activation act, double x) {
  switch (act) {
    case kernel::Activation::gelu: return x * 0.5 * std::erfc(-x / std::sqrt(2.0));
    case kernel::Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case kernel::Activation::quick_gelu: return x / (1 + std::exp(-1.702 * x));
    case kernel::Activation::silu: return x / (1 + std::exp(-x));
    case kernel::Activation::relu: return x > 0 ? x : 0;
  }
  return 0;
}

// Largest difference over the largest magnitude of `expected`.
template <class A>
double relative_gap(const A& actual, const std::vector<double>& expected) {
  double gap = 0, scale = 0;
  auto a = actual.begin();
  for (const double e : expected) {
    const double here = std::abs(static_cast<double>(*a++) - e);
    if (!(here <= gap)) gap = here;
    scale = std::max(scale, std::abs(e));
  }
  return scale > 0 ? gap / scale : gap;
}

}  // namespace gov::test
