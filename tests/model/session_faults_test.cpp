// A call that is refused, cancelled or fails leaves the session as it was, bit for bit: what it
// showed last, and everything it will compute. So do forking and truncating.
#include "gov/model/session.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/session_cases.hpp"

namespace session_faults_test {

using namespace gov;
using namespace gov::test;

const Prompt history({29}, 3);            // wraps the rings of 7 + chunk positions
const Prompt next({4, -1, 2, -2, 6}, 4);  // 24 tokens
constexpr SessionOptions small{.context = 96, .chunk = 6};

Inputs few_tokens() { return history.part(0, 9); }

// The two show and will compute the same; `session` and `other` are used up.
void check_same(Session<TinyGov>& session, Session<TinyGov>& other, const Inputs& then) {
  CHECK(session.length() == other.length());
  CHECK(session.earliest() == other.earliest());
  const Kept<float> shown(session.outputs()), expected(other.outputs());
  CHECK(same_bits(shown, expected));
  CHECK(same_bits(shown.features, expected.features));
  auto back = session.fork(), other_back = other.fork();
  back.truncate(back.earliest()), other_back.truncate(other_back.earliest());
  CHECK(same_bits(Kept<float>(back.forward(few_tokens())),
                  Kept<float>(other_back.forward(few_tokens()))));
  CHECK(same_bits(Kept<float>(session.forward(then)), Kept<float>(other.forward(then))));
}

struct Stopped : std::runtime_error {
  Stopped() : std::runtime_error("stopped by the observer") {}
};

// Runs `call(session, options, observer)` once for each call of the observer, stopping there: by
// the stop token, or by throwing. Returns how often the call did not reach its end.
template <class Call>
int stop_everywhere(const Session<TinyGov>& before, bool by_token, Call call) {
  index_t calls = 0;
  {
    auto session = before.fork();
    Recorder<float> count;
    call(session, ForwardOptions{}, count);
    calls = count.calls;
  }
  int stopped = 0;
  for (index_t k = 0; k < calls; ++k) {
    CAPTURE(k);
    auto session = before.fork();
    std::stop_source source;
    Recorder<float> observer;
    observer.before = [&](index_t at) {
      if (at != k) return;
      by_token ? (void)source.request_stop() : throw Stopped();
    };
    bool ended = false;
    try {
      call(session, ForwardOptions{.stop = source.get_token()}, observer);
      ended = true;
    } catch (const Error& error) {
      CHECK(by_token);
      CHECK(error.code() == Errc::cancelled);
      // Within one layer (four values) and what lies between two chunks: hidden_states, logits,
      // inputs_embeds, modality.
      CHECK(observer.calls - k <= 8);
    } catch (const Stopped&) {
      CHECK_FALSE(by_token);
    }
    auto expected = before.fork();
    if (ended) {
      CHECK(by_token);
      CHECK(k >= calls - 6);  // in the last layer there is nothing left to stop
      call(expected, ForwardOptions{}, Recorder<float>());
    }
    stopped += !ended;
    check_same(session, expected, few_tokens());
  }
  return stopped;
}

template <class Call>
void stop_in_both_ways(const Setup<TinyGov>& setup, Call call) {
  CAPTURE(setup.label);
  auto before = setup.session(1, small);
  before.forward(history.inputs());
  for (const bool by_token : {true, false}) {
    CAPTURE(by_token);
    CHECK(stop_everywhere(before, by_token, call) > 2);
  }
}

TEST_CASE("a prefill of several chunks with images, stopped at every point") {
  for (const auto& setup : invariant_setups<TinyGov>())
    if (setup.label.ends_with("mxfp4"))
      stop_in_both_ways(setup, [](auto& session, const ForwardOptions& options, auto&& observer) {
        session.forward(next.inputs(), options, observer);
      });
}

TEST_CASE("one step of decoding, stopped at every point") {
  for (const auto& setup : invariant_setups<TinyGov>())
    stop_in_both_ways(setup, [](auto& session, const ForwardOptions& options, auto&& observer) {
      const int id = 17;
      session.forward({.input_ids = {&id, 1}}, options, observer);
    });
}

TEST_CASE("a prompt longer than everything a ring holds, stopped at every point") {
  const Prompt longer({40}, 5);
  stop_in_both_ways(plain_setup<TinyGov>(),
                    [&](auto& session, const ForwardOptions& options, auto&& observer) {
                      session.forward(longer.inputs(), options, observer);
                    });
}

TEST_CASE("image features alone, stopped at every point") {
  stop_in_both_ways(
      plain_setup<TinyGov>(), [](auto& session, const ForwardOptions& options, auto&& observer) {
        session.get_image_features({.pixel_values = next.view()}, options.stop, observer);
      });
}

TEST_CASE("a batch moves on as a whole or not at all") {
  const auto setup = plain_setup<TinyGov>();
  auto first = setup.session(1, small), second = setup.session(1, small);
  first.forward(history.inputs()), second.forward(next.inputs());
  const auto run = [](auto& a, auto& b, const ForwardOptions& options, auto&& observer) {
    const Session<TinyGov>::Item items[] = {{&a, history.inputs()}, {&b, next.inputs()}};
    Session<TinyGov>::forward_batch(items, options, observer);
  };
  index_t calls = 0;
  {
    auto a = first.fork(), b = second.fork();
    Recorder<float> count;
    run(a, b, {}, count), calls = count.calls;
  }
  for (index_t k = 0; k < calls; k += 3) {
    CAPTURE(k);
    auto a = first.fork(), b = second.fork();
    Recorder<float> observer;
    observer.before = [&](index_t at) {
      if (at == k) throw Stopped();
    };
    CHECK_THROWS_AS(run(a, b, {}, observer), Stopped);
    auto a_expected = first.fork(), b_expected = second.fork();
    check_same(a, a_expected, next.inputs());
    check_same(b, b_expected, next.inputs());
  }
}

TEST_CASE("a stop requested before the call stops it") {
  auto session = plain_setup<TinyGov>().session(1, small);
  std::stop_source source;
  source.request_stop();
  CHECK(code_of([&] { session.forward(history.inputs(), {.stop = source.get_token()}); }) ==
        "cancelled");
  CHECK(code_of([&] {
          session.get_image_features({.pixel_values = next.view()}, source.get_token());
        }) == "cancelled");
  CHECK(session.length() == 0);
}

TEST_CASE("what is refused is refused before anything changes, naming what was wrong") {
  const auto setup = plain_setup<TinyGov>();
  auto before = setup.session(1, small);
  before.forward(history.inputs());
  const std::vector<float> embeds(64 * 3);
  const int ids[] = {5, 6, 7}, negative[] = {5, -1, 7}, beyond[] = {5, 6, 256};
  const Prompt two_tiles({1, -2}), one_tile({1, -1, 1});
  PixelView wide = two_tiles.view(), grey = two_tiles.view(), empty = two_tiles.view(),
            ragged = two_tiles.view();
  wide.width = 64, grey.channels = 1, empty.height = 0, ragged.height = ragged.width = 24;
  const Prompt too_long({68}, 6);
  struct Case {
    std::string about;
    Inputs inputs;
    Errc code;
    std::string field;
  };
  const Case cases[] = {
      {"no tokens", {}, Errc::bad_argument, "inputs"},
      {"both kinds",
       {.input_ids = ids, .inputs_embeds = {embeds.data(), 3, 64}},
       Errc::bad_argument,
       "inputs"},
      {"width", {.inputs_embeds = {embeds.data(), 3, 60}}, Errc::bad_argument, "inputs_embeds"},
      {"negative id", {.input_ids = negative}, Errc::bad_argument, "input_ids"},
      {"id too large", {.input_ids = beyond}, Errc::bad_argument, "input_ids"},
      {"context", too_long.inputs(), Errc::context_full, "context"},
      {"too few places",
       {.input_ids = one_tile.ids, .pixel_values = two_tiles.view()},
       Errc::image_count_mismatch,
       "image tokens in the prompt"},
      {"too many places",
       {.input_ids = two_tiles.ids, .pixel_values = one_tile.view()},
       Errc::image_count_mismatch,
       "image tokens in the prompt"},
      {"no places",
       {.input_ids = ids, .pixel_values = one_tile.view()},
       Errc::image_count_mismatch,
       "image tokens in the prompt"},
      {"not square",
       {.input_ids = two_tiles.ids, .pixel_values = wide},
       Errc::bad_argument,
       "pixel_values"},
      {"channels",
       {.input_ids = two_tiles.ids, .pixel_values = grey},
       Errc::bad_argument,
       "pixel_values"},
      {"no height",
       {.input_ids = two_tiles.ids, .pixel_values = empty},
       Errc::bad_argument,
       "pixel_values"},
      {"3 x 3 patches",
       {.input_ids = two_tiles.ids, .pixel_values = ragged},
       Errc::bad_argument,
       "pixel_values"},
  };
  for (const auto& each : cases) {
    CAPTURE(each.about);
    auto session = before.fork();
    const auto error = error_of([&] { session.forward(each.inputs); });
    REQUIRE(error);
    CHECK(error->code() == each.code);
    CHECK(error->field() == each.field);
    CHECK_FALSE(error->expected().empty());
    CHECK_FALSE(error->found().empty());
    auto expected = before.fork();
    check_same(session, expected, next.inputs());
    // As the second of a batch it stops the first as well.
    auto first = before.fork(), second = before.fork();
    const Session<TinyGov>::Item items[] = {{&first, next.inputs()}, {&second, each.inputs}};
    CHECK(code_of([&] { Session<TinyGov>::forward_batch(items); }) == to_string(each.code));
    auto first_expected = before.fork();
    check_same(first, first_expected, next.inputs());
  }
  CHECK(error_of([&] { before.forward(too_long.inputs()); })->found() == "68");
  CHECK(before.forward(too_long.part(0, 67)).logits.rows == 67);  // exactly full
  CHECK(code_of([&] { before.forward({.input_ids = {ids, 1}}); }) == "context_full");
}

TEST_CASE("batches of sessions that do not belong together are refused") {
  const auto setup = plain_setup<TinyGov>();
  const auto other_model = tiny_model<TinyGov>({}, 2);
  auto a = setup.session(1, small),
       other_chunk = setup.session(1, SessionOptions{.context = 96, .chunk = 7});
  Session<TinyGov> other(other_model, setup.pool, *setup.kernels, small);
  for (Session<TinyGov>* b : {&a, &other_chunk, &other}) {
    const Session<TinyGov>::Item items[] = {{&a, history.inputs()}, {b, next.inputs()}};
    CHECK(error_of([&] { Session<TinyGov>::forward_batch(items); })->field() == "batch");
    CHECK(a.length() == 0);
  }
  Session<TinyGov>::forward_batch({});  // nothing to do
}

TEST_CASE("session options out of range") {
  const auto setup = plain_setup<TinyGov>();
  const SessionOptions wrong[] = {
      {.context = 2049}, {.chunk = 0}, {.chunk = -1}, {.context = 1 << 30}};
  for (const auto& options : wrong)
    CHECK(code_of([&] { setup.session(1, options); }) == "bad_argument");
  CHECK(setup.session(1, SessionOptions{.context = 2048}).context() == 2048);
  CHECK(setup.session(1, SessionOptions{.context = 16, .chunk = 1000})
            .forward(history.part(0, 16))
            .logits.rows == 16);
}

TEST_CASE("a language model alone takes no images") {
  const auto setup = plain_setup<TinyGptOss>();
  auto session = setup.session();
  const auto error = error_of([&] { session.forward(next.inputs()); });
  REQUIRE(error);
  CHECK(error->field() == "pixel_values");
  CHECK(session.length() == 0);
}

TEST_CASE("a fork goes its own way") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    for (const index_t length : {3, 13, 14, 29}) {
      CAPTURE(length);
      auto original = setup.session(1, small), twin = setup.session(1, small);
      original.forward(history.part(0, length)), twin.forward(history.part(0, length));
      auto fork = original.fork();
      CHECK(same_bits(Kept<float>(fork.outputs()), Kept<float>(original.outputs())));
      const Prompt other({20}, 7);
      fork.forward(other.inputs());  // overwrites the fork's rings
      check_same(original, twin, next.inputs());
      auto fresh = setup.session(1, small);
      fresh.forward(history.part(0, length)), fresh.forward(other.inputs());
      check_same(fork, fresh, next.inputs());
    }
  }
}

TEST_CASE("truncate and refill equals fresh, to every length that is remembered") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    for (const bool full_history : {false, true}) {
      CAPTURE(full_history);
      auto filled =
          setup.session(1, SessionOptions{.context = 96, .chunk = 6, .full_history = full_history});
      filled.forward(history.inputs());
      // A ring of 7 + 6 positions holds 16..28; the query at 23 is the first that misses nothing.
      CHECK(filled.earliest() == (full_history ? 0 : 23));
      for (const index_t length : {0, 1, 10, 22, 23, 24, 28, 29}) {
        CAPTURE(length);
        auto session = filled.fork();
        if (length > 0 && length < filled.earliest()) {
          const auto error = error_of([&] { session.truncate(length); });
          REQUIRE(error);
          CHECK(error->code() == Errc::truncated_too_far);
          CHECK(error->expected().find("at least 23") != std::string::npos);
          auto expected = filled.fork();
          check_same(session, expected, next.inputs());
          continue;
        }
        session.truncate(length);
        CHECK(session.length() == length);
        auto fresh = setup.session(
            1, SessionOptions{.context = 96, .chunk = 6, .full_history = full_history});
        if (length > 0) fresh.forward(history.part(0, length));
        CHECK(same_bits(Kept<float>(session.forward(next.inputs())),
                        Kept<float>(fresh.forward(next.inputs()))));
      }
    }
  }
}

TEST_CASE("after truncating to nothing a session remembers as much as a fresh one") {
  const auto setup = plain_setup<TinyGov>();
  auto session = setup.session(1, small), fresh = setup.session(1, small);
  session.forward(history.inputs());
  session.truncate(0);
  CHECK(session.earliest() == 0);
  session.forward(history.part(0, 10)), fresh.forward(history.part(0, 10));
  CHECK(session.earliest() == fresh.earliest());
  session.truncate(4), fresh.truncate(4);
  check_same(session, fresh, next.inputs());
}

TEST_CASE("lengths that cannot be truncated to") {
  auto session = plain_setup<TinyGov>().session(1, small);
  session.forward(history.part(0, 5));
  for (const index_t length : {-1, 6, 1000}) {
    const auto error = error_of([&] { session.truncate(length); });
    REQUIRE(error);
    CHECK(error->code() == Errc::bad_argument);
    CHECK(error->expected() == "a length in [0, 5]");
  }
  session.truncate(5);
  CHECK(session.length() == 5);
}

// Numbers of a parameter of which at least one is used: in every expert, for not all are chosen; in
// the row of a token of the prompt; of a router one that is not first in line.
std::vector<index_t> places(const ParameterRef& p) {
  const auto has = [&](std::string_view part) { return p.name.find(part) != p.name.npos; };
  if (has("embed_tokens")) return {next.ids[0] * p.in};
  if (has("router")) return {p.is_matrix ? 2 * p.in : 2};
  if (!has("experts")) return {0};
  const index_t each = p.size() / 4;
  return {0, each, 2 * each, 3 * each};
}

// No clamp, maximum or choice of experts may hide it.
TEST_CASE("a NaN in any parameter surfaces") {
  for (const auto* kernels : invariant_kernels()) {
    CAPTURE(kernels->name);
    const auto model = tiny_model<TinyGov>();
    const auto pool = std::make_shared<ThreadPool>(1);
    for (const auto& p : parameter_list(model->params)) {
      CAPTURE(p.name);
      auto* const values = reinterpret_cast<float*>(p.storage->data);
      const std::vector<float> old(values, values + p.size());
      for (const index_t at : places(p)) values[at] = std::numeric_limits<float>::quiet_NaN();
      Session<TinyGov> session(model, pool, *kernels, small);
      const auto out = session.forward(next.inputs());
      CHECK(std::any_of(out.logits.data, out.logits.data + out.logits.rows * out.logits.cols,
                        [](float x) { return is_nan(x); }));
      std::copy(old.begin(), old.end(), values);
    }
  }
}

}  // namespace session_faults_test
