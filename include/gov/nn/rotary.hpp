// Positions by rotation, as a decoder's policy: queries and keys are turned by angles that depend
// on where their token stands (rope.hpp). Nothing is added to the embeddings, nothing is learned.
#pragma once

#include "gov/nn/context.hpp"
#include "gov/nn/geometry.hpp"

namespace gov {

// cos and sin [tokens, head_dim / 2] of the tokens of one call.
template <class T>
struct RotaryAngles {
  Rows<const T> cos, sin;

  // x [heads, head_dim] is a query or a key of `token`.
  void turn(const Context<T>& context, index_t token, T* x, index_t heads) const {
    context.kernels.rope(x, heads, 2 * cos.cols, cos.row(token), sin.row(token));
  }
};

template <class C>
struct Rotary {
  static constexpr LanguageGeometry geometry = geometry_of(C::config);
  static_assert(geometry.head_dim % 2 == 0, "gov: head_dim must be even for rotary positions");
  static constexpr bool dynamic = C::config.rope_parameters.rope_type == RopeType::dynamic;

  using Params = Absent;

  // What is computed once.
  struct Table {
    std::vector<float> inverse_frequencies;
    double scaling = 1;
  };
  static Table table() {
    return {C::config.rope_parameters.inverse_frequencies(geometry.head_dim),
            C::config.rope_parameters.attention_scaling()};
  }

  // The angles of the steps' tokens, in scratch memory; x [tokens, hidden] stays as it is. Dynamic
  // ones take the frequencies for the length that the sequence has after the call: keys of earlier
  // calls keep the angles that they were given, as in transformers.
  template <class T, class Steps>
  static RotaryAngles<T> place(Context<T>& context, const Params&, const Table& table,
                               const Steps& steps, Rows<T> x) {
    constexpr index_t half = geometry.head_dim / 2;
    const auto cos = context.rows(x.rows, half), sin = context.rows(x.rows, half);
    index_t row = 0;
    for (const auto& step : steps) {
      std::span<const float> frequencies = table.inverse_frequencies;
      const index_t first = step.state->length();
      if constexpr (dynamic) frequencies = stretched(context, frequencies, step.length_after());
      for (index_t t = 0; t < step.rows; ++t, ++row)
        rope_angles(frequencies, table.scaling, first + t, cos.row(row), sin.row(row));
    }
    return {cos, sin};
  }

 private:
  template <class T>
  static std::span<const float> stretched(Context<T>& context, std::span<const float> usual,
                                          index_t length) {
    if (length <= geometry.max_position_embeddings) return usual;
    const double theta = C::config.rope_parameters.stretched_theta(
        geometry.head_dim, geometry.max_position_embeddings, length);
    float* const own = context.arena.template allocate<float>(geometry.head_dim / 2);
    for (std::size_t i = 0; i < usual.size(); ++i)
      own[i] = RopeConfig::inverse_frequency(theta, geometry.head_dim, i);
    return {own, usual.size()};
  }
};

}  // namespace gov
