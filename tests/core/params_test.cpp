#include "gov/core/params.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace gov;

namespace {

template <bool Bias>
struct Linear {
  struct Params {
    Matrix<4, 8> weight;
    present_if<Bias, Vector<4>> bias;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "weight", p.weight...);
      gov::visit(v, name / "bias", p.bias...);
    }
  };
};

struct Toy {
  struct Params {
    std::array<Linear<true>::Params, 3> layers;
    Linear<false>::Params head;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "layers", p.layers...);
      gov::visit(v, name / "head", p.head...);
    }
  };
};

static_assert(parameter_count<Linear<true>> == 36);
static_assert(parameter_count<Linear<false>> == 32);
static_assert(parameter_count<Toy> == 3 * 36 + 32);

}  // namespace

TEST_CASE("visit walks every parameter once, in the order of visit(), by its name") {
  Toy::Params params;
  std::vector<std::string> names;
  index_t count = 0;
  gov::visit(
      [&](const Name& name, auto& parameter) {
        names.push_back(name.text);
        count += std::remove_reference_t<decltype(parameter)>::size;
      },
      Name("toy"), params);
  CHECK(names == std::vector<std::string>{"toy.layers.0.weight", "toy.layers.0.bias",
                                          "toy.layers.1.weight", "toy.layers.1.bias",
                                          "toy.layers.2.weight", "toy.layers.2.bias",
                                          "toy.head.weight"});
  CHECK(count == parameter_count<Toy>);
}

TEST_CASE("a pack of params is walked in step") {
  Toy::Params weights, gradients;
  const auto mark = [i = std::uintptr_t{0}](const auto&, auto& p) mutable {
    p.data = reinterpret_cast<std::byte*>(++i);
  };
  auto first = mark, second = mark;
  gov::visit(first, NoName{}, weights);
  gov::visit(second, NoName{}, gradients);
  int pairs = 0;
  gov::visit(
      [&](const NoName&, auto& w, const auto& g) {
        static_assert(
            std::is_same_v<std::remove_cvref_t<decltype(w)>, std::remove_cvref_t<decltype(g)>>);
        CHECK(w.data == g.data);
        ++pairs;
      },
      NoName{}, weights, std::as_const(gradients));
  CHECK(pairs == 7);
}
