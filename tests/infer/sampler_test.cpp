// The scores equal those of transformers' own processors (tests/reference/sampling.py); draws
// follow their softmax and the seed; what no token can be chosen from is refused.
#include "gov/infer/sampler.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "gov/io/json.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> scores_of(const Json& json) {
  std::vector<float> values;
  for (const Json& value : json.elements())
    values.push_back(value.is_null() ? -infinity : value.as<float>());
  return values;
}

SamplingOptions options_of(const Json& json) {
  SamplingOptions options;
  options.do_sample = json.at("do_sample").as_bool();
  options.temperature = json.at("temperature").as_double();
  options.top_k = json.at("top_k").as<int>();
  options.top_p = json.at("top_p").as_double();
  if (json.has_value("min_p")) options.min_p = json.at("min_p").as_double();
  options.repetition_penalty = json.at("repetition_penalty").as_double();
  return options;
}

TEST_CASE("scores equal transformers'") {
  const Json root = load_json("tests/fixtures/sampling/cases.json");
  int cases = 0;
  for (const Json& json : root.at("cases").elements()) {
    CAPTURE(json.at("name").as<std::string>());
    const auto logits = scores_of(json.at("logits")), expected = scores_of(json.at("scores"));
    Sampler sampler(options_of(json.at("options")));
    const auto scores = sampler.filter(logits, json.at("history").as_vector<int>());
    REQUIRE(scores.size() == expected.size());
    std::vector<int> kept;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      CAPTURE(i);
      if (scores[i] > -infinity) kept.push_back(static_cast<int>(i));
      if (is_finite(expected[i]))
        CHECK(std::fabs(scores[i] - expected[i]) <= 2e-7f * std::fabs(expected[i]));
    }
    CHECK(kept == json.at("kept").as_vector<int>());
    ++cases;
  }
  CHECK(cases >= 60);
}

TEST_CASE("greedy takes the lowest of equally likely tokens, and no random number") {
  const std::vector<std::pair<std::vector<float>, int>> cases{{{1, 3, 3, 2}, 1},
                                                              {{0, 0, 0}, 0},
                                                              {{-1, -2, -0.5f}, 2},
                                                              {{-infinity, -7, -7}, 1},
                                                              {{-0.0f, 0.0f}, 0}};
  for (const auto& [logits, token] : cases)
    for (const std::uint64_t seed : {0, 1, 2}) {
      SamplingOptions options;
      options.seed = seed;
      CHECK(Sampler(options).next(logits, {}) == token);
    }
  SamplingOptions penalised;
  penalised.repetition_penalty = 2;
  const std::vector<int> history{1, 77, -3};  // ids outside of the vocabulary count for nothing
  CHECK(Sampler(penalised).next(std::vector<float>{2, 3, 1}, history) == 0);
}

TEST_CASE("logits that no token can be chosen from") {
  struct Case {
    std::vector<float> logits;
    const char *field, *found;
  };
  const Case cases[] = {{{1, nan, 2}, "logits[1]", "NaN"},
                        {{nan, nan}, "logits[0]", "NaN"},
                        {{-infinity, -infinity}, "logits", "none"},
                        {{1, 2, infinity}, "logits[2]", "infinity"},
                        {{}, "logits", "none"}};
  for (const auto& each : cases)
    for (const bool do_sample : {false, true}) {
      SamplingOptions options;
      options.do_sample = do_sample;
      const auto error = error_of([&] { Sampler(options).next(each.logits, {}); });
      REQUIRE(error);
      CHECK(error->code() == Errc::bad_logits);
      CHECK(error->field() == each.field);
      CHECK(error->found() == each.found);
    }
}

TEST_CASE("options out of range are named") {
  using Set = void (*)(SamplingOptions&, double);
  struct Case {
    const char* field;
    Set set;
    std::vector<double> good, bad;
  };
  const double huge = 1e300, none = std::numeric_limits<double>::quiet_NaN();
  const Case cases[] = {
      {"temperature",
       [](SamplingOptions& o, double v) { o.temperature = v; },
       {1e-5, 1, 100},
       {0, -1, huge, none}},
      {"top_k",
       [](SamplingOptions& o, double v) { o.top_k = static_cast<int>(v); },
       {0, 1, 2e9},
       {-1, -5}},
      {"top_p",
       [](SamplingOptions& o, double v) { o.top_p = v; },
       {1e-9, 1},
       {0, 1.0001, -1, none}},
      {"min_p", [](SamplingOptions& o, double v) { o.min_p = v; }, {0, 1}, {-0.1, 1.1, none}},
      {"repetition_penalty",
       [](SamplingOptions& o, double v) { o.repetition_penalty = v; },
       {0.1, 2},
       {0, -1, huge, none}}};
  for (const auto& each : cases) {
    for (const double value : each.good) {
      SamplingOptions options;
      each.set(options, value);
      CHECK_NOTHROW(Sampler{options});
    }
    for (const double value : each.bad) {
      CAPTURE(each.field);
      CAPTURE(value);
      SamplingOptions options;
      each.set(options, value);
      const auto error = error_of([&] { Sampler{options}; });
      REQUIRE(error);
      CHECK(error->code() == Errc::bad_argument);
      CHECK(error->field() == each.field);
    }
  }
}

std::vector<int> draws(std::span<const float> logits, const SamplingOptions& options, int count) {
  Sampler sampler(options);
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(sampler.next(logits, {}));
  return tokens;
}

TEST_CASE("the same seed draws the same tokens, another seed others") {
  const std::vector<float> logits{0.5f, 0.4f, 0.3f, 0.2f, 0.1f, 0};
  SamplingOptions options;
  options.do_sample = true, options.seed = 7;
  const auto first = draws(logits, options, 200);
  CHECK(draws(logits, options, 200) == first);
  options.seed = 8;
  CHECK(draws(logits, options, 200) != first);
}

TEST_CASE("draws follow the softmax of what is left") {
  const std::vector<float> logits{2, 1.5f, 1, 0.5f, 0, -0.5f, -1, -2, 0.25f, 1.75f};
  SamplingOptions options;
  options.do_sample = true, options.seed = 3;
  SUBCASE("of everything") {}
  SUBCASE("hotter") { options.temperature = 1.7; }
  SUBCASE("top-k") { options.top_k = 4; }
  SUBCASE("top-p and min-p") { options.top_p = 0.8, options.min_p = 0.15; }
  const auto scores = [&] {
    Sampler sampler(options);
    const auto kept = sampler.filter(logits, {});
    return std::vector<float>(kept.begin(), kept.end());
  }();
  double total = 0;
  for (const float score : scores) total += std::exp(static_cast<double>(score));
  constexpr int count = 20000;
  std::vector<int> seen(logits.size());
  for (const int token : draws(logits, options, count)) ++seen[static_cast<std::size_t>(token)];
  double chi_square = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double expected = count * std::exp(static_cast<double>(scores[i])) / total;
    if (expected == 0)
      CHECK(seen[i] == 0);
    else
      chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
  }
  CHECK(chi_square < 27.9);  // 9 degrees of freedom at most: 1 in 1,000
}

TEST_CASE("log-probabilities equal a softmax in double, whatever the options") {
  std::vector<float> logits;
  for (int i = 0; i < 50; ++i) logits.push_back(static_cast<float>((i * 37) % 50) * 0.3f - 4);
  logits[10] = logits[11] = 20;  // tied tops
  logits[12] = -infinity;
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  for (int i = 0; i < 50; ++i) {
    if (i == 12) continue;
    CHECK(Sampler::logprob(logits, i) ==
          doctest::Approx(logits[static_cast<std::size_t>(i)] - std::log(total)).epsilon(1e-12));
  }
  CHECK(Sampler::logprob(logits, 12) == -static_cast<double>(infinity));
  const auto best = Sampler::likeliest(logits, 5);
  REQUIRE(best.size() == 5);
  CHECK(best[0].token == 10);
  CHECK(best[1].token == 11);
  for (std::size_t i = 1; i < best.size(); ++i) CHECK(best[i].logprob <= best[i - 1].logprob);
  CHECK(best[4].logprob == Sampler::logprob(logits, best[4].token));
  CHECK(Sampler::likeliest(logits, 0).empty());
  CHECK(Sampler::likeliest(logits, 1000).size() == logits.size());
  // Values whose exponential is no float.
  const std::vector<float> large{3e38f, 3e38f, -3e38f};
  CHECK(Sampler::logprob(large, 0) == doctest::Approx(-std::log(2)));
}

}  // namespace
