// Parameter names as checkpoints spell them: Name{} / "model" / "layers" / 3 is "model.layers.3".
// NoName has the same shape and costs nothing, for traversals that do not need names.
#pragma once

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

struct NoName {
  constexpr NoName operator/(std::string_view) const { return {}; }
  constexpr NoName operator/(index_t) const { return {}; }
};

}  // namespace gov
