// Parameter names as checkpoints spell them: Name{} / "model" / "layers" / 3 is "model.layers.3".
// NoName has the same shape and costs nothing, for traversals that do not need names.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gov/core/checked.hpp"

namespace gov {

struct Name {
  std::string text;

  Name() = default;
  explicit Name(std::string spelled) : text(std::move(spelled)) {}
  Name operator/(std::string_view part) const {
    if (part.empty()) return *this;
    return Name(text.empty() ? std::string(part) : text + "." + std::string(part));
  }
  Name operator/(index_t index) const { return *this / std::string_view(std::to_string(index)); }
};

// How checkpoints of one family name what is called "model.layers.<n>.<part>" here: the first word,
// the word before a layer's number, and leading parts outside and inside of layers. What no entry
// begins with keeps its name.
struct NameTable {
  struct Prefix {
    std::string_view ours, theirs;
  };
  std::string_view base = "model", layers = "layers";
  std::span<const Prefix> model{}, layer{};
  // Another spelling of experts that have weights of their own: `ours` of each is part `part` of
  // `parts` of its rows in mlp.experts.`theirs` [experts, rows, in], and stacked_layer takes the
  // place of layer.
  struct Stacked {
    std::string_view ours, theirs;
    int part = 0, parts = 1;
  };
  std::span<const Prefix> stacked_layer{};
  std::span<const Stacked> stacked{};
};

struct NoName {
  constexpr NoName operator/(std::string_view) const { return {}; }
  constexpr NoName operator/(index_t) const { return {}; }
};

}  // namespace gov
