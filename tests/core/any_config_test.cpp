// One of several config structs, chosen by model_type.
#include "gov/core/any_config.hpp"

#include <doctest/doctest.h>

namespace {

struct One {
  static constexpr std::string_view model_type = "one";
  int width = 1;
  friend bool operator==(const One&, const One&) = default;
};
struct Two {
  static constexpr std::string_view model_type = "two";
  int height = 2;
  friend bool operator==(const Two&, const Two&) = default;
};
using Any = gov::AnyConfig<One, Two>;

TEST_CASE("holds the first struct until another is given") {
  Any any;
  CHECK(any.is<One>());
  any = Two{5};
  CHECK(any.model_type() == "two");
  CHECK(any.as<Two>().height == 5);
  any.as<Two>().height = 6;
  CHECK(any.visit([](const auto& c) { return sizeof(c); }) == sizeof(Two));
  CHECK_THROWS_AS(any.as<One>(), std::bad_variant_access);
  CHECK(any == Any(Two{6}));
  CHECK(any != Any(One{6}));
}

TEST_CASE("found by model_type") {
  Any any;
  CHECK(Any::with_model_type("two", [&](const auto& c) { any = c; }));
  CHECK(any.is<Two>());
  CHECK_FALSE(Any::with_model_type("three", [](const auto&) { CHECK(false); }));
  CHECK(Any::model_types() == "one, two");
  std::string all;
  Any::for_each([&]<class C>(const C&) { all += C::model_type; });
  CHECK(all == "onetwo");
}

}  // namespace
