// Latent passes over a small random model: the bits of passes without a cache, in any batch; each
// pass is counted; whatever stops a call leaves its sessions as they were.
#include "gov/model/coconut.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/zoo.hpp"
#include "tests/support/session_cases.hpp"

namespace coconut_test {

using namespace gov;
using namespace gov::test;

constexpr int latent = 253;  // random_ids gives no such id
const CoconutOptions all{.latent_token_id = latent};

// A prompt of parts as Prompt has them; 1000 + n stands for n latents.
Prompt thinking(const std::vector<int>& parts, std::uint64_t seed = 1) {
  std::vector<int> plain = parts;
  for (int& part : plain) part = part >= 1000 ? part - 1000 : part;
  Prompt prompt(plain, seed);
  auto at = prompt.ids.begin();
  for (const int part : parts) {
    const int count = part >= 1000 ? part - 1000
                      : part < 0   ? static_cast<int>(-part * Prompt::tokens_per_tile)
                                   : part;
    if (part >= 1000) std::fill_n(at, count, latent);
    at += count;
  }
  return prompt;
}

struct Uncached {
  std::vector<float> logits, thoughts;
  index_t passes = 0;
};

// The definition: latents + 1 passes over the whole row, each on a fresh session, and the k-th
// latent filled before pass k + 1. f32 only, as inputs_embeds are.
template <class Cfg>
Uncached uncached(const Setup<Cfg>& setup, const Prompt& prompt) {
  constexpr index_t width = Architecture<Cfg>::hidden_size;
  const LatentSpan latents = find_latents(prompt.ids, latent);
  Uncached result;
  Recorder<float> embeds;
  setup.session().forward(prompt.inputs(), {}, embeds);
  std::vector<float> x = embeds.rows["inputs_embeds"];
  const Rows<float> rows(x.data(), prompt.size(), width);
  for (index_t pass = 0; pass <= latents.count; ++pass) {
    ++result.passes;
    auto session = setup.session();
    const auto out = session.forward({.inputs_embeds = rows});
    if (pass == latents.count) {
      result.logits = Kept<float>(out).logits;
      break;
    }
    const float* const from = out.last_hidden_state.row(latents.first + pass - 1);
    std::copy_n(from, width, rows.row(latents.first + pass));
    result.thoughts.insert(result.thoughts.end(), from, from + width);
  }
  return result;
}

template <class Cfg>
void check_against_uncached(const Setup<Cfg>& setup, const Prompt& prompt) {
  CAPTURE(setup.label);
  const auto want = uncached(setup, prompt);
  auto session = setup.session();
  const auto result = coconut_forward(session, prompt.inputs(), all);
  CHECK(result.passes == want.passes);
  CHECK(same_bits(result.rows[0].logits, want.logits));
  CHECK(same_bits(result.rows[0].thoughts, want.thoughts));
  CHECK(session.length() == prompt.size());
  CHECK(all_finite(want.logits));
}

TEST_CASE("the bits of passes without a cache") {
  for (const auto& setup : invariant_setups<TinyGptOss>())
    for (const int count : {1, 3})
      check_against_uncached(setup, thinking({9, 1000 + count, 12}, 5));
  const auto plain = plain_setup<TinyGptOss>();
  for (const auto& parts :
       {std::vector<int>{7}, {1, 1001}, {1, 1005}, {4, 1009}, {70, 1002, 70}, {2, 1020, 1}})
    check_against_uncached(plain, thinking(parts, 6));
  check_against_uncached(plain_setup<OneSlidingLayer>(), thinking({11, 1007, 5}, 7));
}

template <class Cfg>
Setup<Cfg> scalar_setup() {
  return {kernel::find_kernels<float>("scalar"), std::string(Cfg::name), tiny_model<Cfg>()};
}

TEST_CASE(
    "other language models: Gemma's scale is not a thought's, MPT's ALiBi, Mixtral's router") {
  const auto gemma = scalar_setup<zoo::ZooGemma>();
  for (const auto& parts : {std::vector<int>{1, 1001}, {5, 1003, 4}, {20, 1006, 9}}) {
    check_against_uncached(gemma, thinking(parts, 5));
    check_against_uncached(scalar_setup<zoo::ZooMpt>(), thinking(parts, 6));
    check_against_uncached(scalar_setup<zoo::ZooMixtral>(), thinking(parts, 7));
  }
  // Gemma's looked-up rows are sqrt(32) times the table's, and a thought is as the norm left it.
  const Prompt prompt = thinking({5, 1001, 2}, 5);
  auto session = gemma.session();
  Recorder<float> seen;
  const auto result = coconut_forward(session, prompt.inputs(), all, seen);
  const auto& x = seen.rows["inputs_embeds"];
  const auto row = [&](std::ptrdiff_t i) { return std::vector(&x[i * 32], &x[i * 32] + 32); };
  REQUIRE(x.size() == 8 * 32);
  CHECK(row(5) == result.rows[0].thoughts);
  const auto& table = gemma.model->params.language_model().embed_tokens.weight;
  const auto* const looked_up = reinterpret_cast<const float*>(table.data) + prompt.ids[6] * 32;
  CHECK(row(6)[0] == doctest::Approx(std::sqrt(32.0) * looked_up[0]));
}

TEST_CASE("images before the latents, behind them, and on both sides") {
  for (const auto& setup : invariant_setups<TinyGov>())
    check_against_uncached(setup, thinking({3, -1, 4, 1003, 5}, 5));
  for (const auto& parts : {std::vector<int>{3, 1002, 2, -2, 4}, {2, -2, 1003, -1, 2, -1}, {-1, 5}})
    check_against_uncached(plain_setup<TinyGov>(), thinking(parts, 8));

  // Each tile goes through the tower once.
  const Prompt prompt = thinking({2, -2, 3, 1003, -1, 2}, 9);
  auto session = plain_setup<TinyGov>().session();
  Recorder<float> seen;
  coconut_forward(session, prompt.inputs(), all, seen);
  CHECK(std::ssize(seen.rows["image_features"]) ==
        prompt.tiles() * Prompt::tokens_per_tile * Architecture<TinyGov>::hidden_size);
}

TEST_CASE("rows with other latents share the passes, and have the bits of each alone") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    const std::vector<Prompt> prompts{
        thinking({5, 1003, 4}, 1),  thinking({9, 1001, 2}, 2),     thinking({6}, 3),
        thinking({3, -1, 1004}, 4), thinking({2, 1002, -2, 3}, 5), thinking({-1, 3}, 6)};
    std::vector<Session<TinyGov>> sessions;
    for (std::size_t i = 0; i < prompts.size(); ++i) sessions.push_back(setup.session());
    std::vector<Session<TinyGov>::Item> items;
    for (std::size_t i = 0; i < prompts.size(); ++i)
      items.push_back({&sessions[i], prompts[i].inputs()});
    CoconutOptions options = all;
    options.thought_logits = true;
    const auto together = coconut_forward<TinyGov>(items, options);
    CHECK(together.passes == 5);
    REQUIRE(together.rows.size() == prompts.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      CAPTURE(i);
      auto session = setup.session();
      const auto alone = coconut_forward(session, prompts[i].inputs(), options);
      const auto& row = together.rows[i];
      CHECK(row.latents == find_latents(prompts[i].ids, latent));
      CHECK(alone.passes == row.latents.count + 1);
      CHECK(same_bits(row.logits, alone.rows[0].logits));
      CHECK(same_bits(row.thoughts, alone.rows[0].thoughts));
      CHECK(same_bits(row.thought_logits, alone.rows[0].thought_logits));
      // A thought's logits are those of the token before its latent.
      constexpr index_t vocabulary = Architecture<TinyGov>::vocab_size;
      const auto from = row.logits.begin() + (row.latents.first - 1) * vocabulary;
      if (row.latents.count > 0)
        CHECK(row.thought_logits ==
              std::vector<float>(from, from + row.latents.count * vocabulary));
      // And the sessions go on alike.
      const int next = 17;
      CHECK(same_bits(Kept<float>(sessions[i].forward({.input_ids = {&next, 1}})),
                      Kept<float>(session.forward({.input_ids = {&next, 1}}))));
    }
  }
}

TEST_CASE("as many passes over the layers as the longest row has latents, and one") {
  const auto setup = plain_setup<TinyGptOss>();
  const Prompt one = thinking({4, 1003, 4}, 1), other = thinking({2, 1001, 6}, 2), none({9}, 3);
  auto a = setup.session(), b = setup.session(), c = setup.session();
  const Session<TinyGptOss>::Item items[] = {
      {&a, one.inputs()}, {&b, other.inputs()}, {&c, none.inputs()}};
  Recorder<float> seen;
  std::vector<index_t> rows;
  std::vector<std::pair<std::string, index_t>> thoughts;
  seen.rewrite = [&](const std::string& name, Rows<float> x) {
    if (name == "hidden_states.0") rows.push_back(x.rows);
    if (name.starts_with("latent.")) thoughts.emplace_back(name, x.rows);
  };
  CHECK(coconut_forward<TinyGptOss>(items, all, seen).passes == 4);
  // [0, first latent) of the first two; 1 and 1; 1; the last latents and the rests.
  CHECK(rows == std::vector<index_t>{4 + 2, 1, 1, 5 + 7 + 9});
  CHECK(thoughts == std::vector<std::pair<std::string, index_t>>{
                        {"latent.0", 2}, {"latent.1", 1}, {"latent.2", 1}});
}

TEST_CASE("a session that has a history, and a prompt longer than a chunk") {
  const auto setup = plain_setup<TinyGptOss>();
  const Prompt before({30}, 3), prompt = thinking({20, 1003, 25}, 4);
  const Prompt whole = [&] {
    Prompt joined = before;
    joined.ids.insert(joined.ids.end(), prompt.ids.begin(), prompt.ids.end());
    return joined;
  }();
  auto together = setup.session();
  const auto want = coconut_forward(together, whole.inputs(), all);
  for (const index_t chunk : {1, 7, 64}) {
    CAPTURE(chunk);
    auto session = setup.session({.context = 160, .chunk = chunk});
    session.forward(before.inputs());
    const auto result = coconut_forward(session, prompt.inputs(), all);
    const auto part = want.rows[0].logits.begin() + 30 * Architecture<TinyGptOss>::vocab_size;
    CHECK(result.rows[0].logits == std::vector<float>(part, want.rows[0].logits.end()));
    CHECK(same_bits(result.rows[0].thoughts, want.rows[0].thoughts));
  }
}

TEST_CASE("logits of the tokens that are wanted") {
  const auto setup = plain_setup<TinyGptOss>();
  const Prompt prompt = thinking({4, 1003, 2}, 4);  // passes end at 4, 5, 6, 9
  auto session = setup.session();
  const auto want = coconut_forward(session, prompt.inputs(), all).rows[0].logits;
  constexpr index_t vocabulary = Architecture<TinyGptOss>::vocab_size;
  for (const index_t keep : {-1, 1, 2, 3, 4, 6, 9, 20}) {
    CAPTURE(keep);
    CoconutOptions options = all;
    options.logits_to_keep = keep;
    auto again = setup.session();
    const auto got = coconut_forward(again, prompt.inputs(), options).rows[0];
    const index_t kept = std::clamp<index_t>(keep, 0, 9);
    CHECK(got.logits == std::vector<float>(want.end() - kept * vocabulary, want.end()));
    CHECK(got.thought_logits.empty());
    CHECK(again.outputs().last_hidden_state.rows == 1);
  }
}

TEST_CASE("in double, and what f32 is worth beside it") {
  const auto model = tiny_model<TinyGov>();
  const auto pool = std::make_shared<ThreadPool>(2);
  const Prompt prompt = thinking({3, -1, 4, 1004, 5}, 5);
  Session<TinyGov, double> exact(model, pool, *kernel::find_kernels<double>("scalar"));
  Session<TinyGov> plain(model, pool, *kernel::find_kernels<float>("scalar"));
  const auto truth = coconut_forward(exact, prompt.inputs(), all).rows[0];
  const auto f32 = coconut_forward(plain, prompt.inputs(), all).rows[0];
  REQUIRE(truth.logits.size() == f32.logits.size());
  double worst = 0, scale = 0;
  for (std::size_t i = 0; i < truth.logits.size(); ++i) {
    worst = std::max(worst, std::abs(truth.logits[i] - static_cast<double>(f32.logits[i])));
    scale = std::max(scale, std::abs(truth.logits[i]));
  }
  CHECK(worst <= 1e-5 * scale);
  CHECK(worst > 0);
  // Thoughts are fed back in double: by hand it is the same.
  Session<TinyGov, double> hand(model, pool, *kernel::find_kernels<double>("scalar"));
  std::span<const int> ids(prompt.ids);
  hand.forward({.input_ids = ids.first(11), .pixel_values = prompt.view()});
  for (std::size_t i = 0; i < 3; ++i)
    hand.forward({.input_ids = ids.subspan(11 + i, 1), .feedback = true});
  const Kept<double> rest(hand.forward({.input_ids = ids.subspan(14), .feedback = true}));
  CHECK(same_bits(rest.logits,
                  std::vector<double>(truth.logits.begin() + 14 * Architecture<TinyGov>::vocab_size,
                                      truth.logits.end())));
}

TEST_CASE("an observer sees the thoughts and may rewrite them") {
  const auto setup = plain_setup<TinyGptOss>();
  const Prompt prompt = thinking({4, 1002, 3}, 4);
  auto session = setup.session();
  Recorder<float> seen;
  const auto plain = coconut_forward(session, prompt.inputs(), all, seen).rows[0];
  std::vector<float> thoughts = seen.rows["latent.0"];
  thoughts.insert(thoughts.end(), seen.rows["latent.1"].begin(), seen.rows["latent.1"].end());
  CHECK(same_bits(thoughts, plain.thoughts));

  Recorder<float> steer;
  steer.rewrite = [](const std::string& name, Rows<float> x) {
    if (name == "latent.1") x(0, 0) += 1;
  };
  auto steered_session = setup.session();
  const auto steered = coconut_forward(steered_session, prompt.inputs(), all, steer).rows[0];
  constexpr index_t width = Architecture<TinyGptOss>::hidden_size;
  constexpr index_t vocabulary = Architecture<TinyGptOss>::vocab_size;
  CHECK(steered.thoughts[width] == plain.thoughts[width] + 1);
  CHECK(std::equal(plain.logits.begin(), plain.logits.begin() + 5 * vocabulary,
                   steered.logits.begin()));
  CHECK(steered.logits[5 * vocabulary] != plain.logits[5 * vocabulary]);
}

// Shows the same, is as long, and goes on alike from here and from as far back as it can.
template <class Cfg>
void check_untouched(Session<Cfg>& session, Session<Cfg>& other) {
  CHECK(session.length() == other.length());
  CHECK(session.earliest() == other.earliest());
  CHECK(same_bits(Kept<float>(session.outputs()), Kept<float>(other.outputs())));
  CHECK(same_bits(session.outputs().image_hidden_states.rows == 0
                      ? std::vector<float>{}
                      : Kept<float>(session.outputs()).features,
                  Kept<float>(other.outputs()).features));
  const auto ids = random_ids(12, 77);
  auto back = session.fork(), other_back = other.fork();
  back.truncate(back.earliest()), other_back.truncate(other_back.earliest());
  CHECK(same_bits(Kept<float>(back.forward({.input_ids = ids})),
                  Kept<float>(other_back.forward({.input_ids = ids}))));
  auto on = session.fork(), other_on = other.fork();
  CHECK(same_bits(Kept<float>(on.forward({.input_ids = ids})),
                  Kept<float>(other_on.forward({.input_ids = ids}))));
}

TEST_CASE("a call that fails or is cancelled anywhere leaves every session as it was") {
  const auto setup = plain_setup<TinyGov>();
  const Prompt first = thinking({8, -1, 1002, 9, -1, 3}, 2), second = thinking({3, 1003, 2}, 3);
  auto a = setup.session({.context = 96, .chunk = 6}),
       b = setup.session({.context = 96, .chunk = 6});
  a.forward(Prompt({29}, 3).inputs());  // wraps the rings of 7 + chunk positions
  b.forward(Prompt({2, -1, 3}, 4).inputs());
  const auto run = [&](Session<TinyGov>& x, Session<TinyGov>& y, CoconutOptions options,
                       Recorder<float>& observer) {
    const Session<TinyGov>::Item items[] = {{&x, first.inputs()}, {&y, second.inputs()}};
    return coconut_forward<TinyGov>(items, options, observer);
  };
  index_t calls = 0;
  {
    auto x = a.fork(), y = b.fork();
    Recorder<float> count;
    run(x, y, all, count);
    calls = count.calls;
    CHECK(x.length() == 29 + first.size());
  }
  REQUIRE(calls > 20);
  int stopped = 0;
  for (index_t k = 0; k < calls; ++k)
    for (const bool by_token : {false, true}) {
      CAPTURE(k);
      auto x = a.fork(), y = b.fork();
      std::stop_source source;
      Recorder<float> observer;
      observer.before = [&](index_t at) {
        if (at != k) return;
        by_token ? (void)source.request_stop() : throw std::runtime_error("stop");
      };
      CoconutOptions options = all;
      options.stop = source.get_token();
      try {
        run(x, y, options, observer);
        CHECK(by_token);  // too late to be noticed
        continue;
      } catch (const Error& error) {
        CHECK(error.code() == Errc::cancelled);
      } catch (const std::runtime_error&) {
        CHECK(!by_token);
      }
      ++stopped;
      if (k % 5 == 0 || k + 5 > calls) {
        check_untouched(x, a), check_untouched(y, b);
      } else {
        CHECK(x.length() == a.length());
        CHECK(same_bits(Kept<float>(y.outputs()), Kept<float>(b.outputs())));
      }
    }
  CHECK(stopped > calls);
}

TEST_CASE("what cannot be run is refused, and nothing has moved") {
  const auto setup = plain_setup<TinyGov>();
  auto session = setup.session({.context = 40});
  session.forward(Prompt({5}, 1).inputs());
  auto before = session.fork();
  const auto code = [&](const Inputs& inputs, int id = latent) {
    const auto found = code_of([&] { coconut_forward(session, inputs, {.latent_token_id = id}); });
    check_untouched(session, before);
    return found;
  };
  const std::vector<int> at_front{latent, 4, 5}, split{4, latent, 5, latent},
      outside{4, latent, 999};
  CHECK(code({.input_ids = at_front}) == "bad_prompt");
  CHECK(code({.input_ids = split}) == "bad_prompt");
  CHECK(code({.input_ids = outside}) == "bad_argument");
  CHECK(code({}) == "bad_argument");
  const Prompt good = thinking({3, 1002, 4}, 2);
  for (const int id : {-1, 256, image_token}) CHECK(code(good.inputs(), id) == "bad_argument");
  CHECK(code(thinking({3, 1002, 31}, 2).inputs()) == "context_full");
  std::vector<float> embeds(Architecture<TinyGov>::hidden_size);
  CHECK(code({.inputs_embeds = {embeds.data(), 1, std::ssize(embeds)}}) == "bad_argument");

  const Prompt image = thinking({3, -2, 1002, 4}, 2);
  Inputs fewer = image.inputs();
  fewer.pixel_values.count = 1;
  CHECK(code(fewer) == "image_count_mismatch");
  Inputs wrong_size = image.inputs();
  wrong_size.pixel_values.height = 30;
  CHECK(code(wrong_size) == "bad_argument");
  Prompt cut = image;  // latents inside an image
  std::rotate(cut.ids.begin() + 9, cut.ids.begin() + 11, cut.ids.begin() + 13);
  CHECK(code(cut.inputs()) == "image_count_mismatch");

  const Session<TinyGov>::Item twice[] = {{&session, good.inputs()}, {&session, good.inputs()}};
  CHECK(code_of([&] { coconut_forward<TinyGov>(twice, all); }) == "bad_argument");
  auto other = plain_setup<TinyGov>().session({.context = 40, .chunk = 5});
  const Prompt short_one = thinking({6}, 3);
  const Session<TinyGov>::Item mixed[] = {{&session, good.inputs()}, {&other, short_one.inputs()}};
  CHECK(code_of([&] { coconut_forward<TinyGov>(mixed, all); }) == "bad_argument");
  check_untouched(session, before);
  CHECK(other.length() == 0);
  CHECK(coconut_forward<TinyGov>({}, all).passes == 0);

  // Feedback by hand needs something to feed back.
  auto fresh = setup.session();
  const int id = 4;
  CHECK(code_of([&] {
          fresh.forward({.input_ids = {&id, 1}, .feedback = true});
        }) == "bad_argument");
  fresh.forward({.input_ids = {&id, 1}}, {.hidden_to_keep = -1});
  CHECK(fresh.thought().rows == 0);
  CHECK(code_of([&] {
          fresh.forward({.input_ids = {&id, 1}, .feedback = true});
        }) == "bad_argument");
  fresh.forward({.input_ids = {&id, 1}});
  CHECK(
      code_of([&] {
        fresh.forward({.inputs_embeds = {embeds.data(), 1, std::ssize(embeds)}, .feedback = true});
      }) == "bad_argument");
  CHECK(fresh.length() == 2);
}

}  // namespace coconut_test
