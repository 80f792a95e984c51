#include "gov/core/rng.hpp"

#include <doctest/doctest.h>

using namespace gov;

TEST_CASE("the sequence is SplitMix64's, on every machine") {
  Rng rng(1234567);
  CHECK(rng.next() == 6457827717110365317u);
  CHECK(rng.next() == 3203168211198807973u);
  CHECK(rng.next() == 9817491932198370423u);
  CHECK(rng.next() == 4593380528125082431u);
  CHECK(rng.next() == 16408922859458223821u);
}

TEST_CASE("uniform is in [0, 1) with the right moments") {
  Rng rng(1);
  double sum = 0, squares = 0;
  constexpr int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double x = rng.uniform();
    REQUIRE(x >= 0);
    REQUIRE(x < 1);
    sum += x, squares += x * x;
  }
  CHECK(sum / count == doctest::Approx(0.5).epsilon(0.005));
  CHECK(squares / count == doctest::Approx(1.0 / 3).epsilon(0.005));
}

TEST_CASE("normal is finite, with mean 0, variance 1 and kurtosis 3") {
  Rng rng(2);
  double sum = 0, squares = 0, fourth = 0;
  constexpr int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double x = rng.normal();
    REQUIRE(std::isfinite(x));
    sum += x, squares += x * x, fourth += x * x * x * x;
  }
  CHECK(std::abs(sum / count) < 0.01);
  CHECK(squares / count == doctest::Approx(1).epsilon(0.01));
  CHECK(fourth / count == doctest::Approx(3).epsilon(0.05));
}

TEST_CASE("seeds give different streams, the same seed the same one") {
  Rng a(1), b(1), c(2);
  CHECK(a.next() == b.next());
  CHECK(a.next() != c.next());
}
