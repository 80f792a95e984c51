// Decoding allocates nothing per token once its buffers are warm.
#include "gov/model/session.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/support/session_cases.hpp"

namespace {
std::atomic<long> allocations{0};

void* counted(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace gov;
using namespace gov::test;

TEST_CASE("the count counts") {
  const long before = allocations;
  delete new int(1);
  CHECK(allocations == before + 1);
}

TEST_CASE("decoding allocates nothing once it is warm") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto session = setup.session(2, {.context = 128, .chunk = 8});
    session.forward({.input_ids = random_ids(20, 1)}, {.logits_to_keep = 1});
    long before = 0;
    for (int step = 0; step < 40; ++step) {
      if (step == 2) before = allocations;
      const int id = 3 + step;
      session.forward({.input_ids = {&id, 1}}, {.logits_to_keep = 1});
    }
    const long after = allocations;
    CHECK(after == before);
  }
}

TEST_CASE("nor does decoding a batch") {
  const auto setup = plain_setup<TinyGov>();
  std::vector<Session<TinyGov>> sessions;
  std::vector<Session<TinyGov>::Item> items;
  const int ids[] = {5, 6, 7};
  for (int i = 0; i < 3; ++i) sessions.push_back(setup.session(2, {.context = 128, .chunk = 8}));
  for (std::size_t i = 0; i < 3; ++i) items.push_back({&sessions[i], {.input_ids = {&ids[i], 1}}});
  long before = 0;
  for (int step = 0; step < 40; ++step) {
    if (step == 20) before = allocations;  // the rings have wrapped
    Session<TinyGov>::forward_batch(items);
  }
  const long after = allocations;
  CHECK(after == before);
}

}  // namespace
