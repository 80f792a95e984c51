#include "gov/kernel/backend.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

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
  CHECK(available_backends().find("scalar") != std::string::npos);
  try {
    kernels_by_name("amiga");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::bad_argument);
    CHECK(error.field() == "backend");
    CHECK(error.expected() == "one of " + available_backends());
    CHECK(error.found() == "amiga");
  }
}

TEST_CASE("the best backend is the widest that this machine runs, never eigen") {
  const std::string_view expected = avx512::available() ? "avx512"
                                    : avx2::available() ? "avx2"
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
