// Generation over a small random model: its tokens are those of a loop by hand; it ends for each
// reason and leaves the session where it says; text streams in whole characters.
#include "gov/infer/generate.hpp"

#include <doctest/doctest.h>

#include <cstring>

#include "gov/model/gov_model.hpp"
#include "gov/text/utf8.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/tiny.hpp"

namespace generate_test {

using namespace gov;
using namespace gov::test;
using Model = GovModel<TinyGptOss>;  // 256 ids: the bytes of byte_tokenizer

Model model_with_eos(std::vector<int> eos = {}) {
  auto data = tiny_model<TinyGptOss>();
  data->tokens.eos_token_id = std::move(eos);
  return Model(data, {.threads = 2});
}
const Model& model() {
  static const Model shared = model_with_eos();
  return shared;
}
std::vector<int> prompt_of(index_t count, std::uint64_t seed = 1) {
  return random_ids(count, seed, 250);
}

// Feeds token after token and takes the first of the largest logits.
std::vector<int> by_hand(std::vector<int> ids, int count) {
  auto session = model().session({.context = 200});
  std::vector<int> tokens;
  auto out = session.forward({.input_ids = ids});
  for (;;) {
    const auto logits = out.logits;
    const float* const row = logits.row(logits.rows - 1);
    tokens.push_back(static_cast<int>(std::max_element(row, row + logits.cols) - row));
    if (static_cast<int>(tokens.size()) == count) return tokens;
    out = session.forward({.input_ids = {&tokens.back(), 1}});
  }
}

Generated run(const std::vector<int>& ids, const GenerateOptions& options,
              const Model& with = model()) {
  auto session = with.session({.context = 200});
  return generate(session, {.input_ids = ids}, options);
}

TEST_CASE("greedy equals a loop over forward") {
  for (const index_t length : {1, 7, 30}) {
    const auto ids = prompt_of(length);
    const auto result = run(ids, {.max_new_tokens = 24});
    CHECK(result.tokens == by_hand(ids, 24));
    CHECK(result.finish_reason == FinishReason::length);
    CHECK(result.prompt_tokens == length);
    CHECK(result.image_tokens == 0);
    CHECK(result.text.empty());  // no sink, no text
    CHECK(result.logprobs.empty());
    CHECK(run(ids, {.max_new_tokens = 1}).tokens == by_hand(ids, 1));
  }
}

TEST_CASE("a batch equals each sequence alone, though they end at different times") {
  const auto second = by_hand(prompt_of(6, 3), 30);
  GenerateOptions options{.max_new_tokens = 30, .stop_tokens = {second[11]}, .logprobs = 2};
  for (const bool sample : {false, true}) {
    options.sampling.do_sample = sample, options.sampling.temperature = 3,
    options.sampling.seed = 5;
    std::vector<Session<TinyGptOss>> sessions;
    std::vector<std::vector<int>> prompts;
    for (int i = 0; i < 4; ++i) {
      sessions.push_back(model().session({.context = i == 2 ? 20 : 200, .chunk = 16}));
      prompts.push_back(prompt_of(i == 2 ? 12 : 3 + 3 * i, static_cast<std::uint64_t>(i) + 2));
    }
    std::vector<Session<TinyGptOss>::Item> items;
    for (std::size_t i = 0; i < 4; ++i) items.push_back({&sessions[i], {.input_ids = prompts[i]}});
    const auto results = generate_batch<TinyGptOss>(items, options);
    REQUIRE(results.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      CAPTURE(i);
      auto session = model().session({.context = i == 2 ? 20 : 200, .chunk = 16});
      GenerateOptions own = options;
      own.sampling.seed += i;
      const auto alone = generate(session, {.input_ids = prompts[i]}, own);
      CHECK(results[i].tokens == alone.tokens);
      CHECK(results[i].finish_reason == alone.finish_reason);
      REQUIRE(results[i].logprobs.size() == alone.logprobs.size());
      for (std::size_t t = 0; t < alone.logprobs.size(); ++t)
        CHECK(results[i].logprobs[t].chosen.logprob == alone.logprobs[t].chosen.logprob);
      CHECK(sessions[i].length() == session.length());
    }
    CHECK(results[2].finish_reason == FinishReason::context);
    CHECK(results[2].tokens.size() == 9);  // 12 + 8 positions; the last token needs none
    if (!sample) CHECK(results[1].finish_reason == FinishReason::stop);
  }
}

constexpr int latent = 253;  // prompt_of gives no such id

std::vector<int> thinking_prompt(index_t before, index_t latents, std::uint64_t seed) {
  auto ids = prompt_of(before, seed);
  ids.insert(ids.end(), static_cast<std::size_t>(latents), latent);
  ids.push_back(254);
  return ids;
}

// COCONUT's own loop, without a cache: embeddings with the thoughts in their places, and a whole
// pass for each token. The first token is not looked at for an eos, and none is kept.
std::vector<int> coconut_loop(const std::vector<int>& ids, int count, int eos) {
  constexpr index_t width = Architecture<TinyGptOss>::hidden_size;
  const auto invariant = [] {
    return model().session({.context = 200, .arithmetic = Arithmetic::invariant});
  };
  const auto embed = [&](int id) {
    const auto row = model().embed_tokens().weight.view().row(id);
    std::vector<float> x(width);
    std::memcpy(x.data(), row, x.size() * sizeof(float));
    return x;
  };
  std::vector<float> x;
  const auto rows = [&] { return Rows<float>(x.data(), std::ssize(x) / width, width); };
  for (const int id : ids)
    for (const float value : embed(id)) x.push_back(value);
  for (std::size_t t = 0; t < ids.size(); ++t)
    if (ids[t] == latent) {
      auto session = invariant();
      const auto out = session.forward({.inputs_embeds = rows()});
      const auto at = static_cast<index_t>(t);
      std::copy_n(out.last_hidden_state.row(at - 1), width, rows().row(at));
    }
  std::vector<int> tokens;
  while (static_cast<int>(tokens.size()) < count) {
    auto session = invariant();
    const auto logits = session.forward({.inputs_embeds = rows()}).logits;
    const float* const last = logits.row(logits.rows - 1);
    const int token = static_cast<int>(std::max_element(last, last + logits.cols) - last);
    if (token == eos && !tokens.empty()) break;
    tokens.push_back(token);
    for (const float value : embed(token)) x.push_back(value);
  }
  return tokens;
}

TEST_CASE("greedy after latents equals COCONUT's own loop, in a batch too") {
  const SessionOptions invariant{.context = 200, .arithmetic = Arithmetic::invariant};
  std::vector<Session<TinyGptOss>> sessions;
  std::vector<std::vector<int>> prompts;
  for (const index_t latents : {0, 1, 3, 6}) {
    sessions.push_back(model().session(invariant));
    prompts.push_back(thinking_prompt(5 + latents, latents, static_cast<std::uint64_t>(latents)));
  }
  std::vector<Session<TinyGptOss>::Item> items;
  for (std::size_t i = 0; i < 4; ++i) items.push_back({&sessions[i], {.input_ids = prompts[i]}});
  GenerateOptions options{.max_new_tokens = 10};
  options.latent_token_id = latent;
  const auto together = generate_batch<TinyGptOss>(items, options);
  for (std::size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(together[i].tokens == coconut_loop(prompts[i], 10, -1));
    CHECK(together[i].latent_passes == 7);
    CHECK(together[i].thoughts.empty());
    auto session = model().session(invariant);
    const auto alone = generate(session, {.input_ids = prompts[i]}, options);
    CHECK(alone.tokens == together[i].tokens);
    CHECK(session.length() == sessions[i].length());
  }
  // The thoughts matter: the latent token's own embedding gives other tokens.
  auto session = model().session(invariant);
  CHECK(generate(session, {.input_ids = prompts[3]}, {.max_new_tokens = 10}).tokens !=
        together[3].tokens);
}

TEST_CASE("an eos as the first token, as COCONUT's own loop takes it and as everything else does") {
  const auto ids = thinking_prompt(4, 2, 3);
  const auto all = coconut_loop(ids, 12, -1);
  const Model with_eos = model_with_eos({all[0]});
  GenerateOptions options{.max_new_tokens = 12};
  options.latent_token_id = latent;
  const auto generated = [&] {
    auto session = with_eos.session({.context = 200, .arithmetic = Arithmetic::invariant});
    return generate(session, {.input_ids = ids}, options);
  };
  CHECK(generated().tokens == std::vector<int>{all[0]});
  options.first_eos_ends = false;
  auto passed = generated();
  if (passed.finish_reason == FinishReason::stop) passed.tokens.pop_back();  // we keep the eos
  CHECK(passed.tokens == coconut_loop(ids, 12, all[0]));
  CHECK(passed.tokens.size() > 1);
  options.stop_tokens = {all[0]};  // the caller's own stop tokens always stop
  CHECK(generated().tokens.size() == 1);
}

TEST_CASE("thoughts: a hidden state each, and the tokens that the head finds nearest") {
  const auto ids = thinking_prompt(6, 3, 9);
  auto session = model().session({.context = 200}), other = model().session({.context = 200});
  GenerateOptions options{.max_new_tokens = 4, .thoughts = 5};
  options.latent_token_id = latent;
  std::vector<Thought> streamed;
  std::size_t tokens_before = 99;
  options.on_thought = [&](const Thought& thought) { streamed.push_back(thought); };
  options.on_token_id = [&](int) { tokens_before = std::min(tokens_before, streamed.size()); };
  const auto result = generate(session, {.input_ids = ids}, options);
  CoconutOptions coconut{.latent_token_id = latent};
  const auto row = coconut_forward(other, {.input_ids = ids}, coconut).rows[0];
  REQUIRE(result.thoughts.size() == 3);
  CHECK(streamed.size() == 3);
  CHECK(tokens_before == 3);
  constexpr std::size_t width = Architecture<TinyGptOss>::hidden_size;
  constexpr std::size_t vocabulary = Architecture<TinyGptOss>::vocab_size;
  for (std::size_t k = 0; k < 3; ++k) {
    const auto& [hidden, nearest] = result.thoughts[k];
    CHECK(std::equal(hidden.begin(), hidden.end(), row.thoughts.begin() + k * width));
    CHECK(hidden.size() == width);
    const auto logits = std::span(row.logits).subspan((5 + k) * vocabulary, vocabulary);
    REQUIRE(nearest.size() == 5);
    CHECK(nearest[0].token == std::max_element(logits.begin(), logits.end()) - logits.begin());
    CHECK(nearest[0].logprob == Sampler::logprob(logits, nearest[0].token));
    CHECK(nearest[3].logprob >= nearest[4].logprob);
    CHECK(streamed[k].hidden_state == hidden);
  }
  options.thoughts = 0;  // the hidden states alone
  session.truncate(0);
  const auto bare = generate(session, {.input_ids = ids}, options);
  CHECK(bare.tokens == result.tokens);
  CHECK(bare.thoughts[1].nearest.empty());
  CHECK(bare.thoughts[1].hidden_state == result.thoughts[1].hidden_state);
}

TEST_CASE("sampling, stop tokens and cancelling work after latents as ever") {
  const auto ids = thinking_prompt(6, 3, 9);
  GenerateOptions options{.max_new_tokens = 10};
  options.latent_token_id = latent;
  const auto generated = [&] {
    auto session = model().session({.context = 200});
    return generate(session, {.input_ids = ids}, options);
  };
  const auto all = generated().tokens;
  options.stop_tokens = {all[4]};
  CHECK(generated().finish_reason == FinishReason::stop);
  options.stop_tokens.clear();
  options.sampling = {.do_sample = true, .temperature = 4, .seed = 3};
  const auto sampled = generated().tokens;
  CHECK(sampled == generated().tokens);
  CHECK(sampled != all);

  std::stop_source source;
  source.request_stop();
  options.sampling = {};
  options.stop_token = source.get_token();
  auto session = model().session({.context = 200});
  const auto cancelled = generate(session, {.input_ids = ids}, options);
  CHECK(cancelled.finish_reason == FinishReason::cancelled);
  CHECK(cancelled.tokens.empty());
  CHECK(cancelled.latent_passes == 0);
  CHECK(session.length() == 0);
  options.stop_token = {};
  CHECK(generate(session, {.input_ids = ids}, options).tokens == all);
  options.latent_token_id = 256;
  CHECK(code_of([&] { generate(session, {.input_ids = ids}, options); }) == "bad_argument");
}

TEST_CASE("stop tokens, the model's own and the caller's, are kept and end the sequence") {
  const auto ids = prompt_of(5);
  const auto all = by_hand(ids, 20);
  const auto first = [&](int token) {
    return std::find(all.begin(), all.end(), token) - all.begin() + 1;
  };
  const Model with_eos = model_with_eos({all[8], all[15]});
  const auto eos = run(ids, {.max_new_tokens = 20}, with_eos);
  CHECK(eos.finish_reason == FinishReason::stop);
  CHECK(std::ssize(eos.tokens) == std::min(first(all[8]), first(all[15])));
  CHECK(eos.tokens.back() == all[eos.tokens.size() - 1]);
  const auto ignored = run(ids, {.max_new_tokens = 20, .ignore_eos = true}, with_eos);
  CHECK(ignored.finish_reason == FinishReason::length);
  CHECK(ignored.tokens == all);
  const auto own =
      run(ids, {.max_new_tokens = 20, .stop_tokens = {all[3]}, .ignore_eos = true}, with_eos);
  CHECK(own.finish_reason == FinishReason::stop);
  CHECK(std::ssize(own.tokens) == first(all[3]));
  // A stop token that is also the last one allowed stopped it.
  const auto both = run(ids, {.max_new_tokens = first(all[3]), .stop_tokens = {all[3]}});
  CHECK(both.finish_reason == FinishReason::stop);
}

TEST_CASE("the end of the context") {
  for (const index_t length : {20, 17, 12}) {
    auto session = model().session({.context = 20});
    const auto result = generate(session, {.input_ids = prompt_of(length)}, {.max_new_tokens = 50});
    CHECK(result.finish_reason == FinishReason::context);
    CHECK(std::ssize(result.tokens) == 20 - length + 1);
    CHECK(session.length() == 20);
  }
  auto session = model().session({.context = 20});
  const auto ids = prompt_of(21);
  CHECK(code_of([&] { generate(session, {.input_ids = ids}); }) == "context_full");
  CHECK(session.length() == 0);
}

TEST_CASE("what is wrong is refused before anything is done") {
  auto session = model().session({.context = 20});
  const auto ids = prompt_of(5);
  for (const index_t limit : {0, -1})
    CHECK(code_of([&] { generate(session, {.input_ids = ids}, {.max_new_tokens = limit}); }) ==
          "bad_argument");
  GenerateOptions cold;
  cold.sampling.temperature = 0;
  CHECK(code_of([&] { generate(session, {.input_ids = ids}, cold); }) == "bad_argument");
  CHECK(code_of([&] { generate(session, {}); }) == "bad_argument");
  const int outside = 256;
  CHECK(code_of([&] { generate(session, {.input_ids = {&outside, 1}}); }) == "bad_argument");
  CHECK(session.length() == 0);
}

TEST_CASE("a request to stop keeps what there is, and the session can go on from there") {
  const auto ids = prompt_of(6);
  const auto all = by_hand(ids, 20);
  SUBCASE("before the first token") {
    std::stop_source source;
    source.request_stop();
    auto session = model().session({.context = 200});
    const auto result = generate(session, {.input_ids = ids}, {.stop_token = source.get_token()});
    CHECK(result.finish_reason == FinishReason::cancelled);
    CHECK(result.tokens.empty());
    CHECK(session.length() == 0);
    CHECK(generate(session, {.input_ids = ids}, {.max_new_tokens = 20}).tokens == all);
  }
  SUBCASE("after any token") {
    for (std::size_t after = 1; after < 6; ++after) {
      std::stop_source source;
      GenerateOptions options{.max_new_tokens = 20, .stop_token = source.get_token()};
      std::size_t seen = 0;
      options.on_token_id = [&](int token) {
        CHECK(token == all[seen]);
        if (++seen == after) source.request_stop();
      };
      auto session = model().session({.context = 200});
      const auto result = generate(session, {.input_ids = ids}, options);
      CHECK(result.finish_reason == FinishReason::cancelled);
      CHECK(result.tokens ==
            std::vector<int>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(after)));
      CHECK(session.length() == static_cast<index_t>(6 + after - 1));  // the last token was not fed
      const int last = result.tokens.back();
      const auto rest = generate(session, {.input_ids = {&last, 1}},
                                 {.max_new_tokens = 20 - static_cast<index_t>(after)});
      CHECK(rest.tokens ==
            std::vector<int>(all.begin() + static_cast<std::ptrdiff_t>(after), all.end()));
    }
  }
  SUBCASE("a callback that throws") {
    GenerateOptions options{.max_new_tokens = 20};
    int seen = 0;
    options.on_token_id = [&](int) {
      if (++seen == 3) throw std::runtime_error("from the callback");
    };
    auto session = model().session({.context = 200});
    CHECK_THROWS_WITH(generate(session, {.input_ids = ids}, options), "from the callback");
    CHECK(session.length() == 8);
    session.truncate(0);
    CHECK(generate(session, {.input_ids = ids}, {.max_new_tokens = 20}).tokens == all);
  }
}

TEST_CASE("log-probabilities are the model's own, whatever the sampling") {
  GenerateOptions options{.max_new_tokens = 6, .logprobs = 4};
  options.sampling = {
      .do_sample = true, .temperature = 5, .top_k = 20, .repetition_penalty = 1.5, .seed = 2};
  const auto ids = prompt_of(6);
  const auto result = run(ids, options);
  REQUIRE(result.logprobs.size() == 6);
  auto session = model().session({.context = 200});
  std::vector<int> all = ids;
  all.insert(all.end(), result.tokens.begin(), result.tokens.end() - 1);
  const auto logits = session.forward({.input_ids = all}).logits;
  for (std::size_t t = 0; t < 6; ++t) {
    const float* const row = logits.row(static_cast<index_t>(5 + t));
    double total = 0;
    for (index_t i = 0; i < logits.cols; ++i) total += std::exp(static_cast<double>(row[i]));
    const auto& entry = result.logprobs[t];
    CHECK(entry.chosen.token == result.tokens[t]);
    CHECK(entry.chosen.logprob ==
          doctest::Approx(row[result.tokens[t]] - std::log(total)).epsilon(1e-9));
    REQUIRE(entry.likeliest.size() == 4);
    CHECK(entry.likeliest[0].token == std::max_element(row, row + logits.cols) - row);
    CHECK(entry.likeliest[0].logprob >= entry.likeliest[3].logprob);
  }
  options.logprobs = 0;
  CHECK(run(ids, options).logprobs.front().likeliest.empty());
}

// Writes given tokens instead of the model's: a sink sees what it is pushed, so text is tested
// apart from the model.
struct Script : TextSink {
  explicit Script(std::vector<int> all)
      : ids(std::move(all)), decoder(byte_tokenizer(SplitPattern::o200k)) {}
  std::string push(int) override {
    return next < ids.size() ? decoder.push(ids[next++]) : std::string();
  }
  std::string finish() override { return decoder.finish(); }
  std::vector<int> ids;
  StreamDecoder decoder;
  std::size_t next = 0;
};

struct Streamed {
  Generated result;
  std::vector<std::string> pieces;
};
Streamed stream(const std::string& bytes, std::vector<std::string> stop) {
  std::vector<int> ids;
  for (const char c : bytes) ids.push_back(static_cast<unsigned char>(c));
  Streamed streamed;
  GenerateOptions options{.max_new_tokens = std::ssize(ids), .stop = std::move(stop)};
  options.on_token = [&](std::string_view piece) { streamed.pieces.emplace_back(piece); };
  auto session = model().session({.context = 200});
  streamed.result =
      generate(session, {.input_ids = prompt_of(4)}, options, std::make_unique<Script>(ids));
  return streamed;
}

TEST_CASE("streamed pieces make up the text and never split a character") {
  struct Case {
    std::string bytes;
    std::vector<std::string> stop;
    std::string text;
    FinishReason reason;
  };
  const Case cases[] = {
      {"plain text", {}, "plain text", FinishReason::length},
      {"é, 日本語, 😀!", {}, "é, 日本語, 😀!", FinishReason::length},
      {"cut \xf0\x9f\x98", {}, "cut \xef\xbf\xbd", FinishReason::length},
      {"bad \xff byte", {}, "bad \xef\xbf\xbd byte", FinishReason::length},
      {"Answer: 42\n\nQuestion: 5", {"\nQ", "\n\nQuestion"}, "Answer: 42\n", FinishReason::stop},
      {"日本語", {"語"}, "日本", FinishReason::stop},
      {"almost EN", {"END"}, "almost EN", FinishReason::length},
      {"END at once", {"END"}, "", FinishReason::stop}};
  for (const auto& each : cases) {
    CAPTURE(each.bytes);
    const auto [result, pieces] = stream(each.bytes, each.stop);
    CHECK(result.text == each.text);
    CHECK(result.finish_reason == each.reason);
    std::string joined;
    for (const auto& piece : pieces) {
      CHECK(!piece.empty());
      CHECK(is_valid_utf8(piece));
      joined += piece;
    }
    CHECK(joined == each.text);
  }
}

TEST_CASE("the plain sink leaves control tokens out") {
  const Tokenizer tokenizer = byte_tokenizer(SplitPattern::o200k);
  PlainSink sink(tokenizer);
  std::string text;
  for (const int id : {int{'a'}, tokenizer.added_token_id("<|end|>"), 0xc3, 0xa9, int{'b'}})
    text += sink.push(id);
  text += sink.finish();
  CHECK(text == "aéb");
}

TEST_CASE("with a sink of the tokenizer, text is the tokens' text") {
  const Tokenizer tokenizer = byte_tokenizer(SplitPattern::o200k);
  std::string streamed;
  GenerateOptions options{.max_new_tokens = 40};
  options.on_token = [&](std::string_view piece) { streamed += piece; };
  auto session = model().session({.context = 200});
  const auto result = generate(session, {.input_ids = prompt_of(4)}, options,
                               std::make_unique<PlainSink>(tokenizer));
  CHECK(result.text == tokenizer.decode(result.tokens));
  CHECK(streamed == result.text);
}

TEST_CASE("router statistics see the prompt and every step, and change nothing") {
  const auto prompt = prompt_of(9);
  auto watched = model().session({.context = 200}), plain = model().session({.context = 200});
  RouterStatistics routers;
  const auto with = generate(watched, {.input_ids = prompt},
                             {.max_new_tokens = 6, .router_statistics = &routers});
  CHECK(with.tokens == generate(plain, {.input_ids = prompt}, {.max_new_tokens = 6}).tokens);
  REQUIRE(routers.layers().size() == 2);
  for (const auto& layer : routers.layers()) {
    CHECK(layer.text.tokens == 9 + 5);  // the last token is not fed back
    CHECK(layer.image.tokens == 0);
  }
}

}  // namespace generate_test
