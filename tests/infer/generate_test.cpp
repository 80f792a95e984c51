// Generation over a small random model: its tokens are those of a loop by hand; it ends for each
// reason and leaves the session where it says; text streams in whole characters.
#include "gov/infer/generate.hpp"

#include <doctest/doctest.h>

#include "gov/model/gov_model.hpp"
#include "gov/text/utf8.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/models/tiny.hpp"

namespace {

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

}  // namespace
