// Positions as a lean on the scores of attention (ALiBi, Press et al. 2022; transformers:
// build_mpt_alibi_tensor): -slope_h times the distance between query and key. Nothing is added to
// the embeddings, nothing is learned.
#pragma once

#include <vector>

#include "gov/nn/context.hpp"
#include "gov/nn/geometry.hpp"

namespace gov {

// For n heads, n2 the power of two from n on: 2^(-i bias_max / n2), i = 1..n2. Where n is less than
// n2, those of even i come first, and then the odd ones, as far as there are heads.
inline std::vector<float> alibi_slopes(index_t heads, double bias_max) {
  index_t all = 1;
  while (all < heads) all *= 2;
  std::vector<float> slopes(static_cast<std::size_t>(heads));
  for (index_t h = 0; h < heads; ++h) {
    const index_t i = all == heads ? h + 1 : h < all / 2 ? 2 * h + 2 : 2 * (h - all / 2) + 1;
    const float power =
        static_cast<float>(i) * static_cast<float>(bias_max / static_cast<double>(all));
    slopes[static_cast<std::size_t>(h)] = 1.0f / std::exp2(power);
  }
  return slopes;
}

template <class C>
struct Alibi {
  using Params = Absent;
  struct Table {
    std::vector<float> slopes;  // [heads]
  };
  static Table table() {
    return {alibi_slopes(geometry_of(C::config).num_attention_heads, C::alibi_bias_max(C::config))};
  }

  // What attention is told; x stays as it is.
  struct Place {
    const float* slopes;
  };
  template <class T, class Steps>
  static Place place(Context<T>&, const Params&, const Table& table, const Steps&, Rows<T>) {
    return {table.slopes.data()};
  }
};

}  // namespace gov
