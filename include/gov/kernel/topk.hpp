// The k largest of n values, largest first; of equal values the one with the lower index first. NaN
// counts as larger than every number, as in torch.topk, so that it is chosen and shows.
#pragma once

#include <cassert>

#include "gov/core/checked.hpp"

namespace gov::kernel {

// out[0..k): indices into x. Insertion into a sorted list: made for small k (experts of a token).
template <class T, class Index>
void top_k(const T* x, index_t n, index_t k, Index* out) {
  assert(0 <= k && k <= n);
  index_t found = 0;
  for (index_t i = 0; i < n; ++i) {
    const T& value = x[i];
    const bool is_nan = value != value;
    index_t place = found;
    while (place > 0) {
      const T& other = x[out[place - 1]];
      if (!(value > other) && !(is_nan && other == other)) break;
      --place;
    }
    if (place == k) continue;
    if (found < k) ++found;
    for (index_t j = found - 1; j > place; --j) out[j] = out[j - 1];
    out[place] = static_cast<Index>(i);
  }
}

}  // namespace gov::kernel
