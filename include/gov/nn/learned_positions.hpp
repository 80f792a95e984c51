// Positions as a learned table (GPT-2's wpe): its row for a token's place is added to what enters
// the first layer, be it looked up, given as inputs_embeds, or an image's features.
#pragma once

#include "gov/core/params.hpp"
#include "gov/nn/context.hpp"
#include "gov/nn/geometry.hpp"

namespace gov {

template <class C>
struct LearnedPositions {
  static constexpr LanguageGeometry geometry = geometry_of(C::config);

  struct Params {
    Vector<geometry.max_position_embeddings, geometry.hidden_size> weight;
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
    }
  };
  struct Table {};
  static Table table() { return {}; }

  // Adds to x [tokens, hidden]; attention is told nothing.
  struct Place {};
  template <class T, class Steps>
  static Place place(Context<T>&, const Params& p, const Table&, const Steps& steps, Rows<T> x) {
    index_t row = 0;
    for (const auto& step : steps)
      for (index_t t = 0; t < step.rows; ++t, ++row) {
        const float* const here = p.weight.values() + (step.state->length() + t) * x.cols;
        for (index_t c = 0; c < x.cols; ++c) x(row, c) += T(here[c]);
      }
    return {};
  }
};

}  // namespace gov
