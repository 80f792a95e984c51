// Every case of every geometry against transformers, on every backend: f32 within 1e-5 of each
// tensor's scale, the same routes, the same greedy tokens; and with rounded activations on the best
// backend, whose error is held against the error of transformers in bf16. GOV_PARITY_TABLE=1 prints
// the table.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/parity/parity.hpp"

namespace {

using namespace gov;
using namespace gov::test;

const std::filesystem::path fixtures = "tests/fixtures/parity";
constexpr double bar = 1e-5;

void print_row(const ParityResult& r, const char* backend) {
  std::printf("%-24s %-18s %-8s %9.1e %9.1e %9.1e %9.1e %9.1e %5ld/%-5ld %4ld/%-4ld\n",
              r.geometry.c_str(), r.name.c_str(), backend, r.features, r.hidden, r.router, r.logits,
              r.logits_nmse, static_cast<long>(r.routes_equal), static_cast<long>(r.routes),
              static_cast<long>(r.tokens_equal), static_cast<long>(r.tokens));
}

void check(const ParityResult& r, Arithmetic arithmetic) {
  INFO(r.geometry << " / " << r.name);
  if (arithmetic != Arithmetic::invariant) {  // an expert or a token that nearly ties may turn
    CHECK(r.routes - r.routes_equal <= 2);
    if (r.routes_equal == r.routes) CHECK(r.logits_nmse <= 5e-4);
    return;
  }
  CHECK(r.logits_nmse <= std::min(1e-4, r.bf16_nmse));  // bf16 weights included
  CHECK(r.features <= bar);
  CHECK(r.hidden <= bar);
  CHECK(r.router <= bar);
  CHECK(r.logits <= bar);
  CHECK(r.routes_equal == r.routes);
  CHECK(r.tokens_equal == r.tokens);
  CHECK(r.tokens > 0);
}

#ifndef GOV_PARITY_SOME
TEST_CASE("every fixture folder has a compiled geometry, and there are enough of them") {
  index_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures)) {
    if (!entry.is_directory()) continue;
    ++folders;
    const std::string name = entry.path().filename().string();
    const auto& all = parity_geometries();
    CHECK_MESSAGE(
        std::any_of(all.begin(), all.end(), [&](const auto& g) { return g.name == name; }), name);
  }
  CHECK(folders == static_cast<index_t>(parity_geometries().size()));
  CHECK(folders >= 50);
}
#endif

TEST_CASE("parity with transformers") {
  const bool table = std::getenv("GOV_PARITY_TABLE") != nullptr;
  if (table)
    std::printf("%-24s %-18s %-8s %9s %9s %9s %9s %9s %11s %9s\n", "geometry", "case", "backend",
                "features", "hidden", "router", "logits", "nmse", "routes", "tokens");
  index_t cases = 0;
  for (const auto& geometry : parity_geometries()) {
    for (const char* backend : {"scalar", "avx2", "avx512", "eigen", "double", "fast"}) {
      ParityOptions options;
      options.backend = backend;
      options.in_double = options.backend == "double";
      if (options.in_double) options.backend = "scalar";
      if (options.backend == "fast") {
        options.backend = kernel::best_kernels<float>().name;
        options.arithmetic = Arithmetic::fast;
      }
      if (!kernel::find_kernels<float>(options.backend)) {
        MESSAGE("SKIPPED: this machine has no " << backend);
        continue;
      }
      for (const auto& result : geometry.run(fixtures / geometry.name, options)) {
        if (table) print_row(result, backend);
        check(result, options.arithmetic);
        ++cases;
      }
    }
  }
  MESSAGE(cases << " runs");
}

}  // namespace
