// Dual numbers, a + b e with e^2 = 0: run through a kernel they give its exact derivative along one
// direction, the second opinion on every hand-written backward.
#pragma once

#include <cmath>

namespace gov::test {

struct Dual {
  double value = 0, slope = 0;

  Dual() = default;
  explicit Dual(double v, double s = 0) : value(v), slope(s) {}

  Dual& operator+=(const Dual& b) { return *this = *this + b; }
  Dual& operator-=(const Dual& b) { return *this = *this - b; }
  Dual& operator*=(const Dual& b) { return *this = *this * b; }
  Dual& operator/=(const Dual& b) { return *this = *this / b; }
  friend Dual operator+(const Dual& a, const Dual& b) {
    return Dual(a.value + b.value, a.slope + b.slope);
  }
  friend Dual operator-(const Dual& a, const Dual& b) {
    return Dual(a.value - b.value, a.slope - b.slope);
  }
  friend Dual operator-(const Dual& a) { return Dual(-a.value, -a.slope); }
  friend Dual operator*(const Dual& a, const Dual& b) {
    return Dual(a.value * b.value, a.value * b.slope + a.slope * b.value);
  }
  friend Dual operator/(const Dual& a, const Dual& b) {
    return Dual(a.value / b.value, (a.slope - a.value / b.value * b.slope) / b.value);
  }
  friend bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend bool operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend bool operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }
  friend bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }

  friend Dual exp(const Dual& a) {
    const double e = std::exp(a.value);
    return Dual(e, e == 0 ? 0 : e * a.slope);  // at -inf the slope is 0, not 0 * inf
  }
  friend Dual log(const Dual& a) { return Dual(std::log(a.value), a.slope / a.value); }
  friend Dual sqrt(const Dual& a) {
    const double root = std::sqrt(a.value);
    return Dual(root, a.slope / (2 * root));
  }
  friend Dual tanh(const Dual& a) {
    const double t = std::tanh(a.value);
    return Dual(t, (1 - t * t) * a.slope);
  }
  friend Dual erf(const Dual& a) { return Dual(std::erf(a.value), bell(a)); }
  friend Dual erfc(const Dual& a) { return Dual(std::erfc(a.value), -bell(a)); }

 private:
  static double bell(const Dual& a) {
    return 1.12837916709551257390 * std::exp(-a.value * a.value) * a.slope;
  }
};

}  // namespace gov::test
