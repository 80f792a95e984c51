#include "gov/kernel/activation_names.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace {

using namespace gov;
using Names = EnumNames<kernel::Activation>;

TEST_CASE("each of transformers' spellings names the formula it stands for there") {
  const std::pair<std::string_view, kernel::Activation> expected[] = {
      {"gelu", kernel::Activation::gelu},
      {"gelu_new", kernel::Activation::gelu_tanh},
      {"gelu_pytorch_tanh", kernel::Activation::gelu_tanh},
      {"quick_gelu", kernel::Activation::quick_gelu},
      {"silu", kernel::Activation::silu},
      {"swish", kernel::Activation::silu},
      {"relu", kernel::Activation::relu}};
  for (const auto& [name, activation] : expected) {
    const auto shown_name = std::string(name);  // clang 14: no capture of bindings
    CAPTURE(shown_name);
    bool found = false;
    for (const auto& [spelled, value] : Names::values)
      if (spelled == name) {
        found = true;
        CHECK(value == activation);
      }
    CHECK(found);
  }
}

TEST_CASE("spellings are unique, and the enumerators are in the order of the enumeration") {
  std::set<std::string_view> names;
  for (const auto& [spelled, value] : Names::values) CHECK(names.insert(spelled).second);
  using A = kernel::Activation;
  const A order[] = {A::gelu, A::gelu_tanh, A::quick_gelu, A::silu, A::relu};
  REQUIRE(Names::enumerators.size() == std::size(order));
  for (std::size_t i = 0; i < std::size(order); ++i) {
    CHECK(static_cast<std::size_t>(order[i]) == i);
    // Each enumerator is also a spelling of its value, so that what is written can be read.
    bool found = false;
    for (const auto& [spelled, value] : Names::values)
      found = found || (spelled == Names::enumerators[i] && value == order[i]);
    CHECK(found);
  }
}

}  // namespace
