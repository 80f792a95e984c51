// Pieces of which Config types are made. A config struct lists its config.json keys once:
//   template <class Self, class V> static constexpr void keys(Self& self, V&& v) {
//     v("hidden_size", self.hidden_size, Range{1, 1 << 20});
//   }
// Reading, checking, comparing with a compiled type, writing and code generation walk that list.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gov/core/checked.hpp"

namespace gov {

// Closed interval of legal values.
struct Range {
  double min = 0, max = 0;
};

inline constexpr Range positive{0, 1e300}, any_number{-1e300, 1e300};

// Legal values of a number that config.json may also give as null; then it is 0 here. A flag that
// may be null is false.
struct OrNull {
  double min = 0, max = 0;
};

// Names of an enumeration's values as config.json spells them; specialised beside each enumeration.
template <class E>
struct EnumNames;  // static constexpr std::array<std::pair<std::string_view, E>, n> values, type
                   // name

// config.json's layer_types: which of up to 256 layers slide. The default alternates, layer 0
// sliding; by_rule() stands for a file that leaves it to other keys.
struct LayerTypes {
  static constexpr index_t capacity = 256;
  std::array<std::uint64_t, 4> sliding{0x5555555555555555u, 0x5555555555555555u,
                                       0x5555555555555555u, 0x5555555555555555u};
  bool given = true;

  constexpr LayerTypes() = default;
  static constexpr LayerTypes by_rule() {
    LayerTypes types;
    types.sliding = {}, types.given = false;
    return types;
  }
  // One letter a layer: s sliding, f full.
  explicit constexpr LayerTypes(std::string_view letters) {
    for (std::size_t i = 0; i < letters.size(); ++i)
      set(static_cast<index_t>(i), letters[i] == 's');
  }
  constexpr bool is_sliding(index_t layer) const {
    return sliding[static_cast<std::size_t>(layer / 64)] >> (layer % 64) & 1u;
  }
  constexpr void set(index_t layer, bool slides) {
    auto& word = sliding[static_cast<std::size_t>(layer / 64)];
    const std::uint64_t bit = std::uint64_t{1} << (layer % 64);
    word = slides ? word | bit : word & ~bit;
  }
  friend constexpr bool operator==(const LayerTypes&, const LayerTypes&) = default;
};

// A (height, width) pair that config.json may also spell as one number.
struct Extent {
  index_t height = 0, width = 0;
  friend constexpr bool operator==(const Extent&, const Extent&) = default;
};

}  // namespace gov
