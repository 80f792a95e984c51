// Logits, hidden states and whatever an observer is shown, as xtensor views of rank 2 on the
// model's own memory: writing to a view of an observed tensor changes what the model goes on with.
#pragma once

#include "gov/core/tensor.hpp"
#include "gov/core/xtensor_compat.hpp"

namespace gov {

// [rows, cols]; the rows must lie side by side.
template <class T>
XtensorView<T, 2> as_xtensor(const Rows<T>& rows) {
  if (rows.stride != rows.cols)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "rows",
                 .expected = "rows that lie side by side",
                 .found = "a stride of " + std::to_string(rows.stride) + " for " +
                          std::to_string(rows.cols)});
  return as_xtensor(rows.data, rows.rows, rows.cols);
}

}  // namespace gov
