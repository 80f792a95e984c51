// The probe's loops do all of the work that they count, on every tag; timings are not tested.
#include "gov/kernel/limits.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "gov/kernel/backend.hpp"
#include "tests/support/emulated_tiles.hpp"

namespace {

using namespace gov;
using namespace gov::kernel;

template <class Call>
void each_backend(const Call& call) {
  for (const auto& entry : Tags::entries) {
    if (!entry.available()) continue;
    CAPTURE(entry.name);
    call(std::string(entry.name));
  }
}

TEST_CASE("random bytes: the same for a seed and any threads, and not zeros") {
  ThreadPool one(1), two(2);
  const auto a = random_bytes(one, 9'000'001), b = random_bytes(two, 9'000'001),
             c = random_bytes(one, 9'000'001, 2);
  REQUIRE(a.size() >= 9'000'001);
  CHECK(std::equal(a.data(), a.data() + a.size(), b.data()));
  CHECK(!std::equal(a.data(), a.data() + a.size(), c.data()));
  index_t counts[256]{};
  for (index_t i = 0; i < a.size(); ++i) ++counts[static_cast<std::size_t>(a.data()[i])];
  for (const index_t count : counts) CHECK(std::abs(count - a.size() / 256) < 2000);
}

TEST_CASE("every pattern reads every byte once") {
  constexpr index_t bytes = 256 * 37;
  ThreadPool pool(1);
  each_backend([&](const std::string& backend) {
    const auto kernels = LimitKernels::by_name(backend);
    for (const ReadPattern pattern : read_patterns) {
      AlignedBuffer memory(bytes + 1024);
      std::memset(memory.data(), 0, static_cast<std::size_t>(memory.size()));
      CHECK(kernels.read(pattern, memory.data(), bytes) == 0);
      index_t missed = 0;
      for (index_t i = 0; i < bytes; i += 8) {
        memory.data()[i] = std::byte{1};
        missed += kernels.read(pattern, memory.data(), bytes) != 1;
        memory.data()[i] = std::byte{0};
      }
      CHECK(missed == 0);
      memory.data()[bytes] = std::byte{1};  // what lies behind is not counted
      CHECK(kernels.read(pattern, memory.data(), bytes) == 0);
    }
  });
}

TEST_CASE("the loop on tiles adds up what it multiplies") {
  const std::vector<float> ones(64, 1.f);
  const auto probe = multiply_add_tiles<test::EmulatedTiles>(ones.data(), 3);
  CHECK(probe.sum * 2 == probe.operations);
}

TEST_CASE("multiply-adds: as many as counted, with finite sums that depend on the data") {
  float random[64];
  Rng rng(7);
  for (float& value : random) value = static_cast<float>(0.5 + 0.49 * rng.uniform());
  each_backend([&](const std::string& backend) {
    const auto kernels = LimitKernels::by_name(backend);
    for (const auto probe : {kernels.f32, kernels.bf16, kernels.int8}) {
      const auto one = probe(random, 1), ten = probe(random, 10);
      CHECK(ten.operations == 10 * one.operations);
      if (one.operations == 0) continue;
      CHECK(std::isfinite(ten.sum));
      CHECK(ten.sum != one.sum);
    }
    CHECK(kernels.f32(random, 1).operations > 0);
    const bool narrow = backend == "avx512" && cpu_features().avx512_bf16;
    if (backend == "scalar" || backend == "avx2" || backend == "avx512") {
      CHECK((kernels.bf16(random, 1).operations > 0) == narrow);
      CHECK((kernels.int8(random, 1).operations > 0) == narrow);
    }
  });
  // One step of the plain loop, by hand.
  double expected = 0;
  for (int i = 0; i < 10; ++i)
    expected += static_cast<double>(random[i] * random[16 + i % 2] + random[20 + i % 2]);
  CHECK(multiply_add_f32(scalar{}, random, 1).sum == doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("a small probe gives rates above nothing") {
  ThreadPool pool(2);
  each_backend([&](const std::string& backend) {
    CHECK(limit_read_bytes_per_s(pool, backend, index_t{1} << 20, 1) > 1e6);
    const auto limits = limit_arithmetic(pool, backend, 0.001);
    CHECK(limits.f32_flops_per_s > 1e6);
    CHECK(limits.flops_per_s(Arithmetic::invariant) == limits.f32_flops_per_s);
    CHECK(limits.flops_per_s() == std::max(limits.f32_flops_per_s, limits.bf16_flops_per_s));
    CHECK(limits.flops_per_s(Arithmetic::int8) ==
          std::max(limits.flops_per_s(), limits.int8_ops_per_s));
    CHECK((limits.bf16_flops_per_s > 0) == (limits.int8_ops_per_s > 0));
  });
}

}  // namespace
