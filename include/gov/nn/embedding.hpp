// Embedding: row `id` of a [vocabulary, width] table in any storage format.
#pragma once

#include <span>
#include <string>

#include "gov/core/params.hpp"
#include "gov/nn/context.hpp"

namespace gov {

template <index_t Vocabulary, index_t Width>
struct Embedding {
  struct Params {
    Matrix<Vocabulary, Width> weight;
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
    }
  };

  // y [ids, Width]. An id outside the vocabulary is an error before anything is written.
  template <class T>
  static void forward(Context<T>& context, const Params& p, std::span<const int> ids, Rows<T> y) {
    for (const int id : ids)
      if (id < 0 || id >= Vocabulary)
        throw Error({.code = Errc::bad_argument,
                     .file = {},
                     .field = "input_ids",
                     .expected = "ids in [0, " + std::to_string(Vocabulary) + ")",
                     .found = std::to_string(id)});
    for (index_t i = 0; i < y.rows; ++i)
      context.kernels.widen_row(p.weight.view(), ids[static_cast<std::size_t>(i)], y.row(i));
  }
};

}  // namespace gov
