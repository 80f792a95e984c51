// The patch embedding of a vision tower: a convolution whose stride is its kernel's size, as one
// product over unfolded patches:
//   out[y grid_width + x, :] = weight pixels[:, y ph .. (y + 1) ph, x pw .. (x + 1) pw] + bias
// Pixels beyond the last whole patch are left out, as a convolution does.
#pragma once

#include "gov/core/config.hpp"
#include "gov/nn/linear.hpp"

namespace gov {

// How many patches of this size an image holds.
constexpr Extent patch_grid(Extent image, Extent patch) {
  return {image.height / patch.height, image.width / patch.width};
}

template <index_t Channels, index_t PatchHeight, index_t PatchWidth, index_t Hidden,
          bool HasBias = true>
struct PatchEmbedding {
  static constexpr Extent patch{PatchHeight, PatchWidth};
  static constexpr index_t inputs = Channels * PatchHeight * PatchWidth;  // numbers of a patch

  struct Params {
    Matrix<Hidden, inputs, Hidden, Channels, PatchHeight, PatchWidth> weight;
    present_if<HasBias, Vector<Hidden>> bias;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
      gov::visit(v, name / "bias", p.bias...);
    }
  };

  // pixels [Channels, image.height, image.width] -> out [patches, Hidden], row by row.
  template <class T>
  static void forward(Context<T>& context, const Params& p, const float* pixels, Extent image,
                      Rows<T> out) {
    const ArenaScope scope(context.arena);
    const index_t grid_width = patch_grid(image, patch).width;
    const auto patches = context.rows(out.rows, inputs);  // [y x, (c, dy, dx)]
    for_each_row(context, patches.rows, inputs, [&](index_t i) {
      T* to = patches.row(i);
      for (index_t c = 0; c < Channels; ++c)
        for (index_t dy = 0; dy < PatchHeight; ++dy) {
          const index_t y = c * image.height + i / grid_width * PatchHeight + dy;
          to = std::copy_n(pixels + y * image.width + i % grid_width * PatchWidth, PatchWidth, to);
        }
    });
    const float* bias = nullptr;
    if constexpr (HasBias) bias = p.bias.values();
    matmul(context, patches, p.weight.view(), bias, out);
  }
};

}  // namespace gov
