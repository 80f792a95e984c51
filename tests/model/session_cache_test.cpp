// Sessions whose caches are in bf16: as indifferent to how the work is cut as those in f32, at half
// the bytes, and undone, forked and truncated bit for bit.
#include "gov/model/session.hpp"

#include <doctest/doctest.h>

#include "gov/model/memory_plan.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/session_cases.hpp"

namespace session_cache_test {

using namespace gov;
using namespace gov::test;

const Prompt prompt({5, -1, 3, -2, 17});  // 37 tokens; the window is 8
const Prompt text({37}, 2), next({2, -1, 6}, 4);

constexpr SessionOptions rounded(index_t context = 160, index_t chunk = 64) {
  return {.context = context, .chunk = chunk, .cache = Format::bf16};
}

Kept<float> one_more(Session<TinyGov>& session, int id) {
  return Kept<float>(session.forward({.input_ids = {&id, 1}}));
}

TEST_CASE("chunks, calls, threads and batches give the same bits") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto session = setup.session(rounded());
    const Kept<float> whole(session.forward(prompt.inputs()));
    const Kept<float> after = one_more(session, 9);
    for (const auto& [chunk, threads] : {std::pair<index_t, int>{1, 2}, {7, 1}, {36, 3}}) {
      auto cut = setup.session(threads, rounded(40, chunk));
      CHECK(same_bits(Kept<float>(cut.forward(prompt.inputs())), whole));
      CHECK(same_bits(one_more(cut, 9), after));
    }
    auto alone = setup.session(rounded()), calls = setup.session(rounded(37, 7));
    const Kept<float> at_once(alone.forward(text.inputs()));
    Kept<float> joined;
    for (index_t at = 0; at < text.size(); at += 2)
      joined.append(calls.forward(text.part(at, std::min(text.size(), at + 2))));
    CHECK(same_bits(joined, at_once));
    // Sessions of either format share a batch.
    auto a = setup.session(rounded(96, 5)),
         b = setup.session(SessionOptions{.context = 96, .chunk = 5});
    const Session<TinyGov>::Item items[] = {{&a, prompt.inputs()}, {&b, prompt.inputs()}};
    Session<TinyGov>::forward_batch(items);
    CHECK(same_bits(Kept<float>(a.outputs()), whole));
    CHECK(same_bits(Kept<float>(b.outputs()), run_whole(setup, prompt.inputs())));
  }
}

TEST_CASE("near what caches in f32 give, but not the same") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto session = setup.session(rounded()), exact_session = setup.session();
    Recorder<float> seen, seen_exact;
    const Kept<float> found(session.forward(prompt.inputs(), {}, seen)),
        exact(exact_session.forward(prompt.inputs(), {}, seen_exact));
    CHECK(same_bits(found.features, exact.features));  // the tower has no cache
    // Up to the first token that takes other experts than before, in the first layer or the second.
    index_t alike = prompt.size();
    for (const char* name : {"router_indices.0", "router_indices.1"})
      for (index_t i = 0; i < alike * 2; ++i)
        if (seen.indices.at(name)[static_cast<std::size_t>(i)] !=
            seen_exact.indices.at(name)[static_cast<std::size_t>(i)])
          alike = i / 2;
    REQUIRE(alike >= 5);
    const auto rows = [&](const std::vector<float>& logits) {
      return std::vector<float>(logits.begin(), logits.begin() + alike * 256);
    };
    CHECK(nmse(rows(found.logits), rows(exact.logits)) < 1e-4);
    CHECK(nmse(rows(found.logits), rows(exact.logits)) > 1e-9);
  }
}

TEST_CASE("half the bytes, as planned") {
  const auto setup = plain_setup<TinyGov>();
  for (SessionOptions options :
       {SessionOptions{.context = 100, .chunk = 16}, SessionOptions{.context = 1000, .chunk = 64},
        SessionOptions{.context = 300, .chunk = 8, .full_history = true}}) {
    const auto wide = setup.session(options);
    options.cache = Format::bf16;
    const auto half = setup.session(options);
    CHECK(wide.cache_format() == Format::f32);
    CHECK(half.cache_format() == Format::bf16);
    CHECK(2 * half.cache_bytes() == wide.cache_bytes());
    CHECK(cache_bytes<TinyGov>(settled<TinyGov>(options)) == half.cache_bytes());
    CHECK(half.fork().cache_bytes() == half.cache_bytes());
    CHECK(half.fork().cache_format() == Format::bf16);
  }
}

TEST_CASE("a call that fails leaves the rings as they were, bit for bit") {
  struct Stopped {};
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto before = setup.session(1, rounded(96, 6));
    before.forward(text.part(0, 29));  // wraps the rings of 7 + 6
    for (const index_t stop : {3, 10, 17, 24}) {
      CAPTURE(stop);
      auto session = before.fork(), twin = before.fork();
      Recorder<float> observer;
      observer.before = [&](index_t at) {
        if (at == stop) throw Stopped();
      };
      CHECK_THROWS_AS(session.forward(next.inputs(), {}, observer), Stopped);
      CHECK(session.length() == 29);
      CHECK(same_bits(Kept<float>(session.forward(next.inputs())),
                      Kept<float>(twin.forward(next.inputs()))));
      CHECK(same_bits(one_more(session, 8), one_more(twin, 8)));
    }
  }
}

TEST_CASE("truncate and refill equals fresh, and a fork lives alone") {
  for (const auto& setup : invariant_setups<TinyGov>())
    for (const bool full_history : {false, true}) {
      CAPTURE(setup.label);
      CAPTURE(full_history);
      SessionOptions options = rounded(96, 6);
      options.full_history = full_history;
      auto session = setup.session(1, options), fresh = setup.session(1, options);
      session.forward(text.inputs());
      auto kept = session.fork();
      const index_t length = full_history ? 11 : session.earliest() + 1;
      session.truncate(length);
      fresh.forward(text.part(0, length));
      CHECK(same_bits(Kept<float>(session.forward(next.inputs())),
                      Kept<float>(fresh.forward(next.inputs()))));
      auto whole = setup.session(1, options);
      whole.forward(text.inputs());
      CHECK(same_bits(one_more(kept, 8), one_more(whole, 8)));
    }
}

TEST_CASE("other formats, and bf16 where a session computes in double, are refused") {
  const auto setup = plain_setup<TinyGov>();
  for (const Format format : {Format::f16, Format::q8, Format::mxfp4})
    CHECK(code_of([&] { setup.session(SessionOptions{.context = 64, .cache = format}); }) ==
          "bad_argument");
  const auto exact = [&](Format format) {
    return Session<TinyGov, double>(setup.model, setup.pool,
                                    *kernel::find_kernels<double>("scalar"),
                                    {.context = 64, .cache = format});
  };
  CHECK(code_of([&] { exact(Format::bf16); }) == "bad_argument");
  CHECK(exact(Format::f32).cache_bytes() ==
        2 * setup.session(SessionOptions{.context = 64}).cache_bytes());
}

}  // namespace session_cache_test
