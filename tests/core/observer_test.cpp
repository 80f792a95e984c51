#include "gov/core/observer.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace {

using namespace gov;

struct Floats {
  std::vector<std::string> names;
  void on(const std::string& name, Rows<float> rows) {
    names.push_back(name);
    rows(0, 0) += 1;
  }
};
struct Everything : Floats {
  using Floats::on;
  void on(const std::string& name, Rows<index_t>) { names.push_back(name + "!"); }
};
struct WithMaps : Floats {
  static constexpr bool attention_maps = true;
};
struct WithoutMaps : Floats {
  static constexpr bool attention_maps = false;
};

TEST_CASE("an observer is called by name, with its layer, and may write") {
  float value = 1;
  Floats observer;
  observe(observer, "logits", Rows<float>(&value, 1, 1));
  observe(observer, "router", 12, Rows<float>(&value, 1, 1));
  CHECK(observer.names == std::vector<std::string>{"logits", "router.12"});
  CHECK(value == 3);
}

TEST_CASE("what an observer has no overload for is not shown to it") {
  index_t index = 5;
  Floats floats;
  Everything everything;
  observe(floats, "router_indices", 0, Rows<index_t>(&index, 1, 1));
  observe(everything, "router_indices", 0, Rows<index_t>(&index, 1, 1));
  CHECK(floats.names.empty());
  CHECK(everything.names == std::vector<std::string>{"router_indices.0!"});
}

TEST_CASE("the empty observer sees nothing; maps only where asked for") {
  static_assert(!observes<NoObserver> && !observes<NoObserver&> && !observes<const NoObserver&>);
  static_assert(observes<Floats> && observes<Floats&>);
  static_assert(!observes_attention<NoObserver> && !observes_attention<Floats> &&
                !observes_attention<WithoutMaps>);
  static_assert(observes_attention<WithMaps> && observes_attention<WithMaps&>);
  static_assert(std::is_empty_v<NoObserver>);
  NoObserver none;
  float value = 1;
  observe(none, "logits", Rows<float>(&value, 1, 1));
  observe(none, "router", 0, Rows<float>(&value, 1, 1));
  CHECK(value == 1);
}

}  // namespace
