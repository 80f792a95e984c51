// COCONUT against a reference run on models of transformers, one or more of each kind of position:
// logits of every row, every thought, the number of passes, the collated batch, and greedy tokens
// (the reference's without a cache), on every backend. GOV_PARITY_TABLE=1 prints the table.
#include "tests/parity/coconut.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

namespace {

using namespace gov;
using namespace gov::test;

const std::filesystem::path fixtures = "tests/fixtures";
constexpr double bar = 1e-5;

TEST_CASE("every folder of cases has a compiled geometry") {
  index_t folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures / "coconut")) {
    ++folders;
    const std::string name = entry.path().filename().string();
    const auto& all = coconut_geometries();
    CHECK_MESSAGE(
        std::any_of(all.begin(), all.end(), [&](const auto& g) { return g.name == name; }), name);
  }
  CHECK(folders >= 6);
}

TEST_CASE("COCONUT's reference run") {
  const bool table = std::getenv("GOV_PARITY_TABLE") != nullptr;
  for (const auto& geometry : coconut_geometries()) {
    index_t cases = 0, latents = 0;
    for (const std::string backend : {"scalar", "avx2", "avx512", "eigen", "double", "chunks"}) {
      ParityOptions options;
      options.in_double = backend == "double";
      if (backend == "chunks") options.chunk = 3;
      if (!options.in_double && backend != "chunks") options.backend = backend;
      if (!kernel::find_kernels<float>(options.backend)) {
        MESSAGE("SKIPPED: this machine has no " << backend);
        continue;
      }
      for (const auto& r : geometry.run(fixtures, geometry.name, options)) {
        if (table)
          std::printf(
              "%-24s %-18s %-8s logits %9.1e thoughts %9.1e passes %3ld tokens %3ld/%-3ld\n",
              r.geometry.c_str(), r.name.c_str(), backend.c_str(), r.logits, r.thoughts,
              static_cast<long>(r.passes), static_cast<long>(r.tokens_equal),
              static_cast<long>(r.tokens));
        INFO(r.geometry << " / " << r.name << ", " << backend);
        CHECK(r.logits <= bar);
        CHECK(r.thoughts <= bar);
        CHECK(r.passes == r.passes_wanted);
        CHECK(r.collated);
        CHECK(r.tokens_equal == r.tokens);
        CHECK((r.tokens > 0) != options.in_double);
        latents = std::max(latents, r.latents);
        ++cases;
      }
    }
    CHECK(cases >= 9);
    CHECK(latents >= 6);
  }
}

}  // namespace
