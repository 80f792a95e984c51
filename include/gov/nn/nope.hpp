// NoPE: layers that know nothing of positions (Kazemnejad et al. 2023; GPT-OSS-Vision's use_nope,
// SmolLM3's no_rope_layers), among layers with rotary ones. There cos is 1 and sin is 0, so that
// queries and keys stay as they are and YaRN's gain on them goes too. Which layers these are is a
// number at run time: no weight depends on it.
#pragma once

#include <span>

#include "gov/nn/rotary.hpp"

namespace gov {

// With use_nope off, none. Else those that no_rope_layers names, where it is given; without it
// every nope_stride-th layer, the last of each run: (layer + 1) % nope_stride == 0.
struct NopeLayers {
  bool use_nope = false;
  index_t nope_stride = 4;  // 0: none
  RopeLayers no_rope_layers{};

  // Exactly these layers, counted from 0.
  static NopeLayers of(std::span<const index_t> layers) {
    NopeLayers nope{.use_nope = true};
    nope.no_rope_layers.given = true;
    for (const index_t layer : layers) {
      if (layer < 0 || layer >= LayerTypes::capacity)
        throw Error({.code = Errc::bad_argument,
                     .file = {},
                     .field = "no_rope_layers",
                     .expected = "layers in [0, " + std::to_string(LayerTypes::capacity) + ")",
                     .found = std::to_string(layer)});
      nope.no_rope_layers.set(layer, false);
    }
    return nope;
  }
  constexpr bool contains(index_t layer) const {
    if (!use_nope) return false;
    if (no_rope_layers.given) return !no_rope_layers.turns(layer);
    return nope_stride > 0 && (layer + 1) % nope_stride == 0;
  }
  friend constexpr bool operator==(const NopeLayers&, const NopeLayers&) = default;
};

// The angles of one call's tokens, for the layers that are turned.
template <class T>
struct NopeAngles : RotaryAngles<T> {
  const NopeLayers* nope;
  bool turns(index_t layer) const { return !nope->contains(layer); }
};

// Positions of a config with nope(): as Rotary's, but for the layers that it says.
template <class C>
struct RotaryOrNope {
  using Params = Absent;
  struct Table : Rotary<C>::Table {
    NopeLayers nope;
  };
  static Table table() { return {Rotary<C>::table(), C::config.nope()}; }

  template <class T, class Steps>
  static NopeAngles<T> place(Context<T>& context, const Params& p, const Table& table,
                             const Steps& steps, Rows<T> x) {
    return {Rotary<C>::place(context, p, table, steps, x), &table.nope};
  }
};

}  // namespace gov
