#include "gov/core/config.hpp"

#include <doctest/doctest.h>

namespace {

using namespace gov;

TEST_CASE("layer types: alternating by default, the first one sliding") {
  constexpr LayerTypes types;
  for (index_t layer = 0; layer < LayerTypes::capacity; ++layer)
    CHECK(types.is_sliding(layer) == (layer % 2 == 0));
}

TEST_CASE("layer types from letters, at compile time") {
  constexpr LayerTypes types("ffsfs");
  static_assert(!types.is_sliding(0) && !types.is_sliding(1) && types.is_sliding(2) &&
                !types.is_sliding(3) && types.is_sliding(4));
  static_assert(types != LayerTypes());
  static_assert(LayerTypes("sfsf") == LayerTypes());
  CHECK(types.is_sliding(6));  // beyond the letters the default goes on
}

TEST_CASE("each layer is set alone, across words") {
  LayerTypes types;
  for (const index_t layer : {0, 1, 63, 64, 127, 128, 255}) {
    const bool before = types.is_sliding(layer);
    types.set(layer, !before);
    CHECK(types.is_sliding(layer) == !before);
    CHECK(types != LayerTypes());
    types.set(layer, before);
    CHECK(types == LayerTypes());
  }
}

TEST_CASE("layers that are turned: all, but those that a list says") {
  constexpr RopeLayers all, list("1101");
  static_assert(!all.given && list.given && all != list);
  static_assert(list.turns(0) && list.turns(1) && !list.turns(2) && list.turns(3));
  for (index_t layer = 0; layer < LayerTypes::capacity; ++layer) CHECK(all.turns(layer));
  RopeLayers layers;
  for (const index_t layer : {0, 63, 64, 255}) {
    layers.set(layer, false);
    CHECK_FALSE(layers.turns(layer));
    layers.set(layer, true);
    CHECK(layers == RopeLayers());
  }
}

TEST_CASE("extents and ranges") {
  static_assert(Extent{2, 3} != Extent{3, 2});
  static_assert(Extent{2, 3} == Extent{2, 3});
  static_assert(positive.min == 0 && positive.max > 1e299 && any_number.min < -1e299);
  CHECK(true);
}

}  // namespace
