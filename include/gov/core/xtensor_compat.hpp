// xtensor made safe under C++20, and as_xtensor: a view of given rank on memory of ours. Include
// this instead of xtensor's own headers. xtensor takes a dynamic shape for a fixed rank of 4 when
// the compiler matches template template arguments as C++17 asks (g++ from -std=c++20 on, clang
// from 19): full reductions, eval, tile and pad on xarray then write out of bounds. The two
// specialisations below are what it lacks; they refuse to compile where xtensor has gone the wrong
// way already. Not repaired: y = e / sum(e, axes, keep_dims) is wrong in every version. Assign the
// sum to an xt::xtensor<T, N> first, or add xt::immediate. And never `auto` for an expression: it
// dangles.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"

#if __has_include(<xtensor/xexpression_traits.hpp>)
#include <xtensor/xexpression_traits.hpp>
#include <xtensor/xstorage.hpp>
#else
#include <xtensor/containers/xstorage.hpp>
#include <xtensor/core/xexpression_traits.hpp>
#endif

namespace xt::detail {

template <>
struct xtype_for_shape<svector<std::size_t, 4, std::allocator<std::size_t>, true>> {
  template <class T, layout_type L>
  using type = xarray<T, L>;
};
template <>
struct xtype_for_shape<svector<std::ptrdiff_t, 4, std::allocator<std::ptrdiff_t>, true>> {
  template <class T, layout_type L>
  using type = xarray<T, L>;
};

}  // namespace xt::detail

#if __has_include(<xtensor/xadapt.hpp>)
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>
#else
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/generators/xbuilder.hpp>
#include <xtensor/views/xview.hpp>
#endif

namespace gov {

template <class T, std::size_t N>
using XtensorView = xt::xtensor_adaptor<
    xt::xbuffer_adaptor<T*, xt::no_ownership, std::allocator<std::remove_const_t<T>>>, N,
    xt::layout_type::row_major>;

template <class T>
concept ArrayExtent = std::is_integral_v<T>;

// A row-major view on memory that outlives it: as_xtensor(logits, rows, vocabulary). T may be
// const.
template <class T, ArrayExtent... Extents>
XtensorView<T, sizeof...(Extents)> as_xtensor(T* data, Extents... extents) {
  static_assert(sizeof...(Extents) > 0, "as_xtensor needs the extents of the array");
  index_t size = 1;
  for (const index_t extent : {static_cast<index_t>(extents)...}) {
    if (extent < 0)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "shape",
                   .expected = "extents of 0 or more",
                   .found = std::to_string(extent)});
    size = checked_mul(size, extent, "shape");
  }
  using View = XtensorView<T, sizeof...(Extents)>;
  const typename View::shape_type shape{static_cast<std::size_t>(extents)...};
  return View(typename View::storage_type(data, static_cast<std::size_t>(size)), shape);
}

namespace detail {

template <class T, ArrayExtent... Extents>
auto as_xtensor_of_size(T* data, std::size_t available, Extents... extents) {
  const auto view = as_xtensor(data, extents...);
  if (view.size() != available)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "shape",
                 .expected = "a product of " + std::to_string(available),
                 .found = std::to_string(view.size())});
  return as_xtensor(data, extents...);
}

}  // namespace detail

// The same on a vector or span, whose size must be the product of the extents.
template <class T, ArrayExtent... Extents>
XtensorView<T, sizeof...(Extents)> as_xtensor(std::vector<T>& values, Extents... extents) {
  return detail::as_xtensor_of_size<T>(values.data(), values.size(), extents...);
}
template <class T, ArrayExtent... Extents>
XtensorView<const T, sizeof...(Extents)> as_xtensor(const std::vector<T>& values,
                                                    Extents... extents) {
  return detail::as_xtensor_of_size<const T>(values.data(), values.size(), extents...);
}
template <class T, ArrayExtent... Extents>
void as_xtensor(const std::vector<T>&& values, Extents... extents) = delete;  // would dangle
template <class T, ArrayExtent... Extents>
XtensorView<T, sizeof...(Extents)> as_xtensor(std::span<T> values, Extents... extents) {
  return detail::as_xtensor_of_size<T>(values.data(), values.size(), extents...);
}

}  // namespace gov
