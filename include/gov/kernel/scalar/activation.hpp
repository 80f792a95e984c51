// Activation functions, and GPT-OSS's clamped SwiGLU. Clamps let NaN through.
#pragma once

#include <cmath>

#include "gov/kernel/arch.hpp"
#include "gov/kernel/kernels.hpp"

namespace gov::kernel {

template <class T>
T sigmoid(const T& x) {
  using std::exp;
  return T(1.f) / (T(1.f) + exp(-x));
}

template <class T>
T activation_value(Activation activation, const T& x) {
  using std::erfc;
  using std::tanh;
  switch (activation) {
    case Activation::gelu: return x * T(.5f) * erfc(x * T(-0.70710678118654752440));
    case Activation::gelu_tanh: {
      const T inner = T(0.79788456080286535588) * (x + T(0.044715) * x * x * x);
      return x * sigmoid(T(2.f) * inner);  // (1 + tanh(u)) / 2 without its cancellation
    }
    case Activation::quick_gelu: return x * sigmoid(T(1.702) * x);
    case Activation::silu: return x * sigmoid(x);
    case Activation::relu: return x < T(0.f) ? T(0.f) : x;
  }
  return x;
}

template <class T>
void activate(scalar, Activation activation, T* x, index_t n) {
  for (index_t i = 0; i < n; ++i) x[i] = activation_value(activation, x[i]);
}

template <class T>
void swiglu_clamped(scalar, const T* gate_up, index_t n, double limit, double alpha, T* out) {
  const T high = T(limit), low = T(-limit);
  for (index_t i = 0; i < n; ++i) {
    const T gate = gate_up[2 * i] > high ? high : gate_up[2 * i];
    const T raw = gate_up[2 * i + 1];
    const T up = raw < low ? low : raw > high ? high : raw;
    out[i] = (up + T(1.f)) * (gate * sigmoid(T(alpha) * gate));
  }
}

}  // namespace gov::kernel
