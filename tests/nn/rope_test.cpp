// Inverse frequencies against the published numbers of gpt-oss, and the angles against their
// formula.
#include "gov/nn/rope.hpp"

#include <doctest/doctest.h>

namespace {

using namespace gov;

constexpr RopeConfig gpt_oss{.rope_type = RopeType::yarn,
                             .rope_theta = 150000,
                             .factor = 32,
                             .truncate = false,
                             .original_max_position_embeddings = 4096};

// The channel at which a wavelength makes r turns over the original context, as stated by the
// paper.
double channel(const RopeConfig& rope, double head_dim, double r) {
  return head_dim *
         std::log(static_cast<double>(rope.original_max_position_embeddings) /
                  (2 * std::acos(-1.0) * r)) /
         (2 * std::log(rope.rope_theta));
}

TEST_CASE("YaRN of gpt-oss: the numbers that transformers computes") {
  CHECK(channel(gpt_oss, 64, 32) == doctest::Approx(8.092779115512402).epsilon(1e-14));
  CHECK(channel(gpt_oss, 64, 1) == doctest::Approx(17.39802450158856).epsilon(1e-14));
  CHECK(gpt_oss.attention_scaling() == doctest::Approx(1.3465735902799727).epsilon(1e-15));
  const auto frequencies = gpt_oss.inverse_frequencies(64);
  REQUIRE(frequencies.size() == 32);
  const std::pair<std::size_t, double> expected[] = {{0, 1},
                                                     {1, .689044306},
                                                     {8, .0508132748},
                                                     {9, .0317056962},
                                                     {10, .0193350011},
                                                     {13, .00386035932},
                                                     {16, .000456483919},
                                                     {17, .000129318701},
                                                     {18, 3.83088124e-05},
                                                     {31, 3.02351143e-07}};
  for (const auto& [i, value] : expected) {
    const auto shown_i = i;  // clang 14: no capture of bindings
    CAPTURE(shown_i);
    CHECK(static_cast<double>(frequencies[i]) == doctest::Approx(value).epsilon(2e-6));
  }
}

// The same in double, from models' documentation: keep what turns fast, divide what turns slowly.
std::vector<double> yarn_in_double(const RopeConfig& rope, index_t head_dim) {
  double low = channel(rope, static_cast<double>(head_dim), rope.beta_fast);
  double high = channel(rope, static_cast<double>(head_dim), rope.beta_slow);
  if (rope.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;
  std::vector<double> result;
  for (index_t i = 0; i < head_dim / 2; ++i) {
    const double plain =
        std::pow(rope.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double ramp = std::min(1.0, std::max(0.0, (static_cast<double>(i) - low) / (high - low)));
    result.push_back(plain / rope.factor * ramp + plain * (1 - ramp));
  }
  return result;
}

TEST_CASE("YaRN elsewhere: truncated bounds, other sizes, bounds that meet or leave the range") {
  RopeConfig truncated = gpt_oss;
  truncated.truncate = true;
  RopeConfig small = gpt_oss;
  small.original_max_position_embeddings = 64, small.factor = 8;
  RopeConfig tiny = gpt_oss;  // both bounds below 0
  tiny.original_max_position_embeddings = 4;
  RopeConfig same = gpt_oss;
  same.beta_fast = same.beta_slow = 2;
  for (const auto& rope : {gpt_oss, truncated, small, tiny, same})
    for (const index_t head_dim : {2, 16, 64, 128}) {
      CAPTURE(rope.original_max_position_embeddings);
      CAPTURE(head_dim);
      const auto ours = rope.inverse_frequencies(head_dim);
      const auto truth = yarn_in_double(rope, head_dim);
      REQUIRE(ours.size() == truth.size());
      for (std::size_t i = 0; i < truth.size(); ++i)
        CHECK(static_cast<double>(ours[i]) == doctest::Approx(truth[i]).epsilon(1e-5));
    }
  CHECK(truncated.inverse_frequencies(64) != gpt_oss.inverse_frequencies(64));
  CHECK(static_cast<double>(truncated.inverse_frequencies(64)[17]) ==
        doctest::Approx(std::pow(150000.0, -34.0 / 64) * (0.1 + 0.9 / 32)).epsilon(1e-5));
}

TEST_CASE("plain and linear") {
  const RopeConfig plain{.rope_theta = 10000};
  const RopeConfig linear{.rope_type = RopeType::linear, .rope_theta = 10000, .factor = 4};
  const auto a = plain.inverse_frequencies(8), b = linear.inverse_frequencies(8);
  const double expected[] = {1, 0.1, 0.01, 0.001};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(static_cast<double>(a[i]) == doctest::Approx(expected[i]).epsilon(1e-6));
    CHECK(static_cast<double>(b[i]) == doctest::Approx(expected[i] / 4).epsilon(1e-6));
  }
  CHECK(plain.attention_scaling() == 1);
  CHECK(linear.attention_scaling() == 1);
}

TEST_CASE("what scales cos and sin") {
  RopeConfig rope = gpt_oss;
  rope.mscale = 1, rope.mscale_all_dim = 0.5;
  CHECK(rope.attention_scaling() ==
        doctest::Approx((0.1 * std::log(32) + 1) / (0.05 * std::log(32) + 1)).epsilon(1e-14));
  rope.mscale_all_dim = 0;  // needs both
  CHECK(rope.attention_scaling() == doctest::Approx(1.3465735902799727).epsilon(1e-15));
  rope.attention_factor = 2.5;
  CHECK(rope.attention_scaling() == 2.5);
  rope.attention_factor = 0, rope.factor = 0.5;
  CHECK(rope.attention_scaling() == 1);
}

TEST_CASE("angles: f32 angle, scaled cosine and sine, also far out") {
  const auto frequencies = gpt_oss.inverse_frequencies(64);
  std::vector<float> cos(32), sin(32);
  std::vector<double> exact_cos(32), exact_sin(32);
  for (const index_t position : {0, 1, 4095, 131071}) {
    CAPTURE(position);
    rope_angles(frequencies, 1.5, position, cos.data(), sin.data());
    rope_angles(frequencies, 1.5, position, exact_cos.data(), exact_sin.data());
    for (std::size_t i = 0; i < 32; ++i) {
      const float angle = static_cast<float>(position) * frequencies[i];
      CHECK(std::abs(static_cast<double>(cos[i]) - 1.5 * std::cos(static_cast<double>(angle))) <
            2e-7);
      CHECK(std::abs(static_cast<double>(sin[i]) - 1.5 * std::sin(static_cast<double>(angle))) <
            2e-7);
      CHECK(exact_cos[i] * exact_cos[i] + exact_sin[i] * exact_sin[i] ==
            doctest::Approx(2.25).epsilon(1e-14));
    }
  }
  rope_angles(frequencies, 1, 0, cos.data(), sin.data());
  CHECK(cos[31] == 1);
  CHECK(sin[31] == 0);
}

TEST_CASE("llama3 of Llama 3.1: the numbers that transformers computes") {
  const RopeConfig rope{.rope_type = RopeType::llama3,
                        .rope_theta = 500000,
                        .factor = 8,
                        .original_max_position_embeddings = 8192};
  const auto found = rope.inverse_frequencies(128);
  const auto plain = RopeConfig{.rope_theta = 500000}.inverse_frequencies(128);
  REQUIRE(found.size() == 64);
  const std::pair<std::size_t, double> expected[] = {{0, 1},
                                                     {1, 0.814617217},
                                                     {20, 0.0165604409},
                                                     {28, 0.00321144611},
                                                     {29, 0.00216657063},
                                                     {30, 0.00137189368},
                                                     {31, 0.00085675146},
                                                     {33, 0.00031269365},
                                                     {34, 0.000178507791},
                                                     {35, 9.55621217e-05},
                                                     {36, 7.78465546e-05},
                                                     {40, 3.42810235e-05},
                                                     {63, 3.06892588e-07}};
  for (const auto& [i, value] : expected) {
    const auto shown_i = i;  // clang 14: no capture of bindings
    CAPTURE(shown_i);
    CHECK(static_cast<double>(found[i]) == doctest::Approx(value).epsilon(2e-6));
  }
  for (std::size_t i = 0; i < 64; ++i) {
    const double wavelength = 2 * std::acos(-1.0) / static_cast<double>(plain[i]);
    if (wavelength < 2048) CHECK(found[i] == plain[i]);
    if (wavelength > 8192) CHECK(found[i] == plain[i] / 8);
  }
  CHECK(rope.attention_scaling() == 1);
}

TEST_CASE("dynamic: the base grows with the length beyond the limit") {
  const RopeConfig rope{.rope_type = RopeType::dynamic, .rope_theta = 1e6, .factor = 2};
  CHECK(rope.stretched_theta(64, 32768, 1) == 1e6);
  CHECK(rope.stretched_theta(64, 32768, 32768) == 1e6);
  CHECK(rope.stretched_theta(64, 32768, 65536) ==
        doctest::Approx(1e6 * std::pow(3.0, 64.0 / 62)).epsilon(1e-12));
  CHECK(rope.inverse_frequencies(64) == RopeConfig{.rope_theta = 1e6}.inverse_frequencies(64));
  CHECK(rope.attention_scaling() == 1);
}

}  // namespace
