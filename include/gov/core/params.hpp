// The one traversal. A module's Params struct lists its parameters once, in visit(); loading,
// saving, counting and reporting all walk it. A pack of same-shaped Params is walked in step
// (weights and gradients, weights and moments).
//
//   template <class V, class N, class... P>
//   static constexpr void visit(V&& v, const N& name, P&... p) {
//     gov::visit(v, name / "q_proj", p.q_proj...);
//   }
#pragma once

#include <array>
#include <tuple>
#include <type_traits>

#include "gov/core/name.hpp"
#include "gov/core/tensor.hpp"

namespace gov {

// One parameter: the visitor is called. A module: its visit(). An array: each element, numbered.
// Absent: nothing.
template <class V, class N, class First, class... Rest>
constexpr void visit(V&& visitor, const N& name, First& first, Rest&... rest) {
  using P = std::remove_const_t<First>;
  if constexpr (std::is_same_v<P, Absent>) {
    (void)visitor, (void)name;
  } else if constexpr (ParameterHandle<P>) {
    visitor(name, first, rest...);
  } else if constexpr (requires { std::tuple_size<P>::value; }) {
    for (std::size_t i = 0; i < std::tuple_size_v<P>; ++i)
      gov::visit(visitor, name / static_cast<index_t>(i), first[i], rest[i]...);
  } else {
    P::visit(visitor, name, first, rest...);
  }
}

// Number of scalars in a Params struct, from types alone.
template <class Params>
consteval index_t parameter_count_of() {
  if constexpr (std::is_same_v<Params, Absent>) {
    return 0;
  } else if constexpr (ParameterHandle<Params>) {
    return Params::size;
  } else if constexpr (requires { std::tuple_size<Params>::value; }) {
    return static_cast<index_t>(std::tuple_size_v<Params>) *
           parameter_count_of<typename Params::value_type>();
  } else {
    index_t count = 0;
    const auto add = [&count](const NoName&, const auto& parameter) {
      count += std::remove_cvref_t<decltype(parameter)>::size;
    };
    const Params params{};
    gov::visit(add, NoName{}, params);
    return count;
  }
}

template <class Module>
inline constexpr index_t parameter_count = parameter_count_of<typename Module::Params>();

template <bool Present, class P>
using present_if = std::conditional_t<Present, P, Absent>;

}  // namespace gov
