#include "gov/kernel/backend.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "gov/core/rng.hpp"
#include "tests/support/dual.hpp"
#include "tests/support/errors.hpp"

using namespace gov;
using namespace gov::kernel;

namespace {

// Sets GOV_BACKEND for a scope and puts back what was there.
struct BackendVariable {
  std::string before = std::getenv("GOV_BACKEND") ? std::getenv("GOV_BACKEND") : "";
  explicit BackendVariable(const char* value) { ::setenv("GOV_BACKEND", value, 1); }
  ~BackendVariable() { ::setenv("GOV_BACKEND", before.c_str(), 1); }
};

// A tag with one kernel of its own, declared after backend.hpp.
struct doubling : avx2 {
  static constexpr std::string_view name = "doubling";
};
void axpy(doubling, float a, const float* x, float* y, index_t n) {
  for (index_t i = 0; i < n; ++i) y[i] += 2 * a * x[i];
}

}  // namespace

static_assert(kernels_of<scalar, float>.name == "scalar");
static_assert(kernels_of<avx512, float>.name == "avx512");
static_assert(kernels_of<avx512, double>.name == "scalar", "only f32 has fast kernels");
static_assert(kernels_of<avx2, float>.matmul != kernels_of<scalar, float>.matmul);

TEST_CASE("kernels are found by name, and the names of those that run here are told") {
  CHECK(find_kernels("scalar") == &kernels_of<scalar, float>);
  CHECK(find_kernels<double>("scalar") == &kernels_of<scalar, double>);
  CHECK(find_kernels("amiga") == nullptr);
  CHECK(find_kernels("") == nullptr);
  CHECK((find_kernels("avx2") != nullptr) == avx2::available());
  CHECK((find_kernels("avx512") != nullptr) == avx512::available());
  CHECK((find_kernels("amx") != nullptr) == amx::available());
  CHECK(available_backends().find("scalar") != std::string::npos);
  const Error error = test::thrown([&] { kernels_by_name("amiga"); });
  CHECK(error.code() == Errc::bad_argument);
  CHECK(error.field() == "backend");
  CHECK(error.expected() == "one of " + available_backends());
  CHECK(error.found() == "amiga");
}

TEST_CASE("the best backend is the widest that this machine runs, never eigen") {
  const std::string_view expected = amx::available()      ? "amx"
                                    : avx512::available() ? "avx512"
                                    : avx2::available()   ? "avx2"
                                                          : "scalar";
  CHECK(best_kernels().name == expected);
  CHECK(best_kernels<double>().name == "scalar");
}

TEST_CASE("GOV_BACKEND chooses; empty means the best; a wrong name is an error") {
  {
    const BackendVariable variable("scalar");
    CHECK(default_kernels().name == "scalar");
  }
  {
    const BackendVariable variable("");
    CHECK(&default_kernels() == &best_kernels());
  }
  const BackendVariable variable("AVX2");
  CHECK_THROWS_AS(default_kernels(), Error);
}

TEST_CASE("availability follows the inheritance of the tags") {
  if (avx512::available()) CHECK(avx2::available());
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  CHECK(avx512::available());
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
  CHECK(avx2::available());
#endif
}

TEST_CASE("a tag of one's own: its kernels are used, the others are its base's") {
  constexpr Kernels<float> kernels = Call<doubling, float>::table;
  const float x[] = {1, 2, 3};
  float y[] = {10, 20, 30};
  kernels.axpy(1, x, y, 3);
  CHECK(y[2] == 36);
  if (!avx2::available()) return;
  float z[] = {1.f, 1.f};
  kernels.softmax(z, 2);
  CHECK(z[0] == 0.5f);
}

TEST_CASE("the scalar kernels run on dual numbers: their slopes are central differences in f64") {
  using test::Dual;
  constexpr index_t n = 6;
  const float weights[n] = {.3f, -.5f, 1.1f, .9f, -1.3f, .2f}, sinks[1] = {.4f};
  // Each kernel as one function of n inputs to n outputs, for any scalar.
  const auto apply = [&]<class T>(int which, std::vector<T> x) {
    const Kernels<T>& k = kernels_of<scalar, T>;
    std::vector<T> y(n), scratch(3);
    const T angle[3] = {T(.2), T(.5), T(.8)};
    const Activation activations[] = {Activation::gelu, Activation::gelu_tanh,
                                      Activation::quick_gelu, Activation::silu, Activation::relu};
    switch (which) {
      case 0: k.rms_norm(x.data(), weights, n, 1e-5, y.data()); break;
      case 1: k.layer_norm(x.data(), weights, weights, n, 1e-5, y.data()); break;
      case 2: k.softmax(x.data(), n), y = x; break;
      case 3: k.swiglu_clamped(x.data(), n / 2, 1.1, 1.702, y.data()); break;
      case 4: k.rope(x.data(), 1, n, angle, angle), y = x; break;
      case 5: k.axpy(T(.7), x.data(), y.data(), n); break;
      case 6: k.scale_add(weights, x.data(), y.data(), n); break;
      case 7: {
        const WeightView w{Format::f32, reinterpret_cast<const std::byte*>(weights), nullptr, 2, 3};
        k.matmul({.x = {x.data(), 2, 3},
                  .w = w,
                  .bias = weights,
                  .y = {y.data(), 2, 2},
                  .first = 0,
                  .last = 2});
        break;
      }
      case 8: {  // one query over itself and two keys; the values are the keys
        AttentionArgs<T> args;
        args.query = x.data(), args.out = y.data(), args.head_dim = 2;
        args.pieces[0] = {x.data(), x.data(), 2}, args.pieces[1] = {x.data() + 4, x.data() + 4, 1};
        args.key_stride = 2, args.sinks = sinks, args.scores = scratch.data();
        k.attention(args);
        break;
      }
      default: k.activate(activations[which - 9], x.data(), n), y = x;
    }
    return y;
  };
  Rng rng(3);
  for (int which = 0; which < 14; ++which) {
    CAPTURE(which);
    std::vector<double> x, direction;
    std::vector<Dual> dual;
    for (index_t i = 0; i < n; ++i) {
      x.push_back(rng.normal()), direction.push_back(rng.normal());
      dual.emplace_back(x.back(), direction.back());
    }
    constexpr double step = 1e-6;
    auto up = x, down = x;
    for (std::size_t i = 0; i < x.size(); ++i)
      up[i] += step * direction[i], down[i] -= step * direction[i];
    const auto high = apply(which, up), low = apply(which, down), middle = apply(which, x);
    const auto found = apply(which, dual);
    for (std::size_t i = 0; i < x.size(); ++i) {
      CHECK(found[i].value == doctest::Approx(middle[i]));
      CHECK(std::abs(found[i].slope - (high[i] - low[i]) / (2 * step)) <= 1e-8);
    }
  }
}
