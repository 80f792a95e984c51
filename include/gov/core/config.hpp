// Pieces of which Config types are made. A config struct lists its config.json keys once:
//   template <class Self, class V> static constexpr void keys(Self& self, V&& v) {
//     v("hidden_size", self.hidden_size, Range{1, 1 << 20});
//   }
// Reading, checking, comparing with a compiled type, writing and code generation walk that list.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
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

// config.json's no_rope_layers, as SmolLM3 spells it: a number for each of up to 256 layers, 0
// where queries and keys are not turned. Null, the default, leaves it to other keys.
struct RopeLayers {
  std::array<std::uint64_t, 4> bare{};  // bits of the layers that are not turned
  bool given = false;

  constexpr RopeLayers() = default;
  // One digit a layer, as the list has them.
  explicit constexpr RopeLayers(std::string_view digits) : given(true) {
    for (std::size_t i = 0; i < digits.size(); ++i) set(static_cast<index_t>(i), digits[i] == '1');
  }
  constexpr bool turns(index_t layer) const {
    return !(bare[static_cast<std::size_t>(layer / 64)] >> (layer % 64) & 1u);
  }
  constexpr void set(index_t layer, bool turned) {
    auto& word = bare[static_cast<std::size_t>(layer / 64)];
    const std::uint64_t bit = std::uint64_t{1} << (layer % 64);
    word = turned ? word & ~bit : word | bit;
  }
  friend constexpr bool operator==(const RopeLayers&, const RopeLayers&) = default;
};

// A (height, width) pair that config.json may also spell as one number.
struct Extent {
  index_t height = 0, width = 0;
  friend constexpr bool operator==(const Extent&, const Extent&) = default;
};

// A list of a few values, or one that config.json may spell without brackets.
template <class T, std::size_t Capacity>
struct ConfigList {
  static constexpr std::size_t capacity = Capacity;
  std::array<T, Capacity> values{};
  std::size_t count = 0;

  constexpr ConfigList() = default;
  constexpr ConfigList(T one) : count(1) { values[0] = one; }  // NOLINT: as in config.json
  constexpr ConfigList(std::initializer_list<T> several) {
    for (const T& value : several) push_back(value);
  }
  constexpr void push_back(const T& value) { values.at(count++) = value; }
  constexpr std::size_t size() const { return count; }
  constexpr const T& operator[](std::size_t i) const { return values[i]; }
  constexpr const T* begin() const { return values.data(); }
  constexpr const T* end() const { return values.data() + count; }
  friend constexpr bool operator==(const ConfigList&, const ConfigList&) = default;
};

}  // namespace gov
