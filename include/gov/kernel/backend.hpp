// The kernel tables: one per tag, and the choice among them, made once per session.
//   kernels_of<avx2, float>   a constexpr table: the tag's overloads, and its bases' for the rest
//   default_kernels()         what GOV_BACKEND names, else the best that this machine runs
// For T other than float every table is scalar's.
#pragma once

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>

#include "gov/core/error.hpp"
#include "gov/kernel/amx/rounded.hpp"
#include "gov/kernel/arch.hpp"
#include "gov/kernel/avx2/kernels.hpp"
#include "gov/kernel/avx512/kernels.hpp"
#include "gov/kernel/avx512/rounded.hpp"
#include "gov/kernel/kernels.hpp"
#include "gov/kernel/scalar/activation.hpp"
#include "gov/kernel/scalar/attention.hpp"
#include "gov/kernel/scalar/elementwise.hpp"
#include "gov/kernel/scalar/matmul.hpp"
#include "gov/kernel/scalar/norm.hpp"
#include "gov/kernel/scalar/widen.hpp"

#if __has_include(<Eigen/Core>)
#include "gov/kernel/eigen/kernels.hpp"
#endif

namespace gov::kernel {

// One entry per kernel: overload resolution by tag happens here. The calls are unqualified, so
// overloads for a new tag are found wherever they are declared.
template <class Tag, class T>
struct Call {
  static void run_matmul(const MatmulArgs<T>& args) { matmul(Tag{}, args); }
  static void run_attention(const AttentionArgs<T>& args) { attention(Tag{}, args); }
  static void run_widen_row(const WeightView& w, index_t row, T* out) {
    widen_row(Tag{}, w, row, out);
  }
  static void run_rms_norm(const T* x, const float* weight, index_t n, double eps, T* y) {
    rms_norm(Tag{}, x, weight, n, eps, y);
  }
  static void run_layer_norm(const T* x, const float* weight, const float* bias, index_t n,
                             double eps, T* y) {
    layer_norm(Tag{}, x, weight, bias, n, eps, y);
  }
  static void run_activate(Activation activation, T* x, index_t n) {
    activate(Tag{}, activation, x, n);
  }
  static void run_swiglu_clamped(const T* gate_up, index_t n, double limit, double alpha, T* out) {
    swiglu_clamped(Tag{}, gate_up, n, limit, alpha, out);
  }
  static void run_rope(T* x, index_t heads, index_t head_dim, const T* cos, const T* sin) {
    rope(Tag{}, x, heads, head_dim, cos, sin);
  }
  static void run_softmax(T* x, index_t n) { softmax(Tag{}, x, n); }
  static void run_axpy(T a, const T* x, T* y, index_t n) { axpy(Tag{}, a, x, y, n); }
  static void run_scale_add(const float* scale, const T* x, T* y, index_t n) {
    scale_add(Tag{}, scale, x, y, n);
  }

  static const RoundedProducts* run_rounded() { return rounded_products(Tag{}); }

  static constexpr Kernels<T> table{
      .name = Tag::name,
      .matmul = &run_matmul,
      .attention = &run_attention,
      .widen_row = &run_widen_row,
      .rms_norm = &run_rms_norm,
      .layer_norm = &run_layer_norm,
      .activate = &run_activate,
      .swiglu_clamped = &run_swiglu_clamped,
      .rope = &run_rope,
      .softmax = &run_softmax,
      .axpy = &run_axpy,
      .scale_add = &run_scale_add,
      .rounded = &run_rounded,
  };
};

template <class Tag, class T>
inline constexpr Kernels<T> kernels_of =
    Call<std::conditional_t<std::is_same_v<T, float>, Tag, scalar>, T>::table;

// The tags of this build, from the plainest to the fastest; eigen stands apart and is never "best".
template <class... Tags>
struct TagList {
  struct Entry {
    std::string_view name;
    bool (*available)();
  };
  static constexpr std::array<Entry, sizeof...(Tags)> entries{
      Entry{Tags::name, &Tags::available}...};

  template <class T>
  static constexpr std::array<const Kernels<T>*, sizeof...(Tags)> tables{&kernels_of<Tags, T>...};
};

#if __has_include(<Eigen/Core>)
using Tags = TagList<eigen, scalar, avx2, avx512, amx>;
#else
using Tags = TagList<scalar, avx2, avx512, amx>;
#endif

// nullptr if no such backend is built in, or this machine cannot run it.
template <class T = float>
const Kernels<T>* find_kernels(std::string_view name) {
  for (std::size_t i = 0; i < Tags::entries.size(); ++i)
    if (Tags::entries[i].name == name && Tags::entries[i].available()) return Tags::tables<T>[i];
  return nullptr;
}

// "eigen, scalar, avx2": what this machine can run.
inline std::string available_backends() {
  std::string names;
  for (const auto& entry : Tags::entries)
    if (entry.available()) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

// As find_kernels; a name that is unknown (bad_argument) or cannot run here (unsupported) throws.
template <class T = float>
const Kernels<T>& kernels_by_name(std::string_view name) {
  if (const Kernels<T>* const found = find_kernels<T>(name)) return *found;
  bool known = false;
  for (const auto& entry : Tags::entries) known = known || entry.name == name;
  throw Error({.code = known ? Errc::unsupported : Errc::bad_argument,
               .file = {},
               .field = "backend",
               .expected = "one of " + available_backends(),
               .found = std::string(name) + (known ? ", which this processor cannot run" : "")});
}

// The last available tag of the list.
template <class T = float>
const Kernels<T>& best_kernels() {
  const Kernels<T>* best = nullptr;
  for (std::size_t i = 0; i < Tags::entries.size(); ++i)
    if (Tags::entries[i].available()) best = Tags::tables<T>[i];
  return *best;
}

// What the environment's GOV_BACKEND names, or the best.
template <class T = float>
const Kernels<T>& default_kernels() {
  const char* const name = std::getenv("GOV_BACKEND");
  return name && *name ? kernels_by_name<T>(name) : best_kernels<T>();
}

}  // namespace gov::kernel
