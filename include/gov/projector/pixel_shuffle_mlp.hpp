// InternVL's projector (transformers: InternVLMultiModalProjector): pixel shuffle folds r x r
// neighbours into the channels, then LayerNorm -> linear_1 -> activation -> linear_2.
//   out[a, b, (dy r + dx) C + c] = in[r a + dy, r b + dx, c]        (ps_version v2)
// ps_version v1 leaves the folded grid transposed.
#pragma once

#include "gov/core/config.hpp"
#include "gov/kernel/activation_names.hpp"
#include "gov/nn/linear.hpp"
#include "gov/nn/norm.hpp"

namespace gov {

enum class PsVersion { v1, v2 };

template <>
struct EnumNames<PsVersion> {
  static constexpr std::string_view type = "gov::PsVersion";
  static constexpr std::array<std::pair<std::string_view, PsVersion>, 2> values{
      {{"v1", PsVersion::v1}, {"v2", PsVersion::v2}}};
  static constexpr std::array<std::string_view, 2> enumerators{"v1", "v2"};
};

// x [grid * grid, C] row-major -> y [(grid / r)^2, r r C].
template <class T>
void pixel_shuffle(Input<T> x, index_t grid, index_t r, PsVersion version, Rows<T> y) {
  const index_t folded = grid / r;
  for (index_t a = 0; a < folded; ++a)
    for (index_t b = 0; b < folded; ++b)
      for (index_t dy = 0; dy < r; ++dy)
        for (index_t dx = 0; dx < r; ++dx)
          std::copy_n(x.row((r * a + dy) * grid + r * b + dx), x.cols,
                      y.row(version == PsVersion::v2 ? a * folded + b : b * folded + a) +
                          (dy * r + dx) * x.cols);
}

template <index_t VisionWidth, index_t TextWidth, index_t Fold, kernel::Activation Act,
          PsVersion Version = PsVersion::v2>
struct PixelShuffleMlp {
  static constexpr index_t width = VisionWidth * Fold * Fold;
  static constexpr double layer_norm_eps = 1e-5;  // torch's default, not the tower's 1e-6
  using Norm = LayerNorm<width>;
  using First = Linear<width, TextWidth>;
  using Second = Linear<TextWidth, TextWidth>;

  struct Params {
    typename Norm::Params layer_norm;
    typename First::Params linear_1;
    typename Second::Params linear_2;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "layer_norm", p.layer_norm...);
      gov::visit(v, name / "linear_1", p.linear_1...);
      gov::visit(v, name / "linear_2", p.linear_2...);
    }
  };

  // Rows that come out of so many; 0 where they form no square grid that Fold divides.
  static constexpr index_t tokens(index_t rows) {
    const index_t side = grid(rows);
    return side > 0 && side * side == rows && side % Fold == 0 ? rows / (Fold * Fold) : 0;
  }
  static constexpr std::string_view takes =
      "a square grid of patches that downsample_ratio divides";
  // Numbers of scratch memory for so many rows that come out.
  static constexpr index_t scratch(index_t tokens) { return tokens * (width + TextWidth); }

  // x [grid * grid, VisionWidth] of one tile -> y [(grid / Fold)^2, TextWidth].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, Rows<T> y) {
    const ArenaScope scope(context.arena);
    const auto folded = context.rows(y.rows, width), inner = context.rows(y.rows, TextWidth);
    pixel_shuffle<T>(x, grid(x.rows), Fold, Version, folded);
    Norm::forward(context, p.layer_norm, layer_norm_eps, folded, folded);
    First::forward(context, p.linear_1, folded, inner);
    for_each_row(context, inner.rows, TextWidth,
                 [&](index_t i) { context.kernels.activate(Act, inner.row(i), TextWidth); });
    Second::forward(context, p.linear_2, inner, y);
  }

 private:
  static constexpr index_t grid(index_t rows) {
    index_t side = 0;
    while ((side + 1) * (side + 1) <= rows) ++side;
    return side;
  }
};

}  // namespace gov
