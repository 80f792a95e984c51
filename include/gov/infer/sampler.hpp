// Sampler: the next token from logits, by transformers' rules in transformers' order: repetition
// penalty; then, when sampling, temperature, top-k, top-p, min-p; then the most likely token
// (greedy, the lowest id of equals) or a draw from the softmax of what is left.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/core/rng.hpp"
#include "gov/core/tensor.hpp"

namespace gov {

struct SamplingOptions {
  bool do_sample = false;  // false: greedy
  double temperature = 1;
  int top_k = 50;  // 0: off. 50 is transformers' default when sampling
  double top_p = 1, min_p = 0;
  double repetition_penalty = 1;
  std::uint64_t seed = 0;

  void check() const {
    const auto require = [](bool holds, const char* field, const char* expected, double found) {
      if (!holds)
        throw Error({.code = Errc::bad_argument,
                     .file = {},
                     .field = field,
                     .expected = expected,
                     .found = std::to_string(found)});
    };
    require(temperature > 0 && temperature < 1e6, "temperature", "a number above 0", temperature);
    require(top_k >= 0, "top_k", "0 (off) or more", top_k);
    require(top_p > 0 && top_p <= 1, "top_p", "a number in (0, 1]", top_p);
    require(min_p >= 0 && min_p <= 1, "min_p", "a number in [0, 1]", min_p);
    require(repetition_penalty > 0 && repetition_penalty < 1e6, "repetition_penalty",
            "a number above 0", repetition_penalty);
  }
};

struct Candidate {
  int token = 0;
  double logprob = 0;  // natural logarithm
};

class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options = {}) : options_(options), rng_(options.seed) {
    options_.check();
  }

  // history: every token of the sequence so far, for the repetition penalty.
  int next(std::span<const float> logits, std::span<const int> history) {
    filter(logits, history);
    const auto best = std::max_element(scores_.begin(), scores_.end());
    if (!options_.do_sample) return static_cast<int>(best - scores_.begin());
    double total = 0;
    for (const float score : scores_) total += std::exp(static_cast<double>(score) - *best);
    double left = rng_.uniform() * total;
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      left -= std::exp(static_cast<double>(scores_[i]) - *best);
      if (left < 0) return static_cast<int>(i);
    }
    return static_cast<int>(best - scores_.begin());
  }

  // The processed scores, -infinity where a token was ruled out.
  std::span<const float> filter(std::span<const float> logits, std::span<const int> history) {
    require_usable(logits);
    scores_.assign(logits.begin(), logits.end());
    if (options_.repetition_penalty != 1) penalise(history);
    if (!options_.do_sample) return scores_;
    if (options_.temperature != 1)
      for (float& score : scores_) score = static_cast<float>(score / options_.temperature);
    if (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < scores_.size())
      keep_top_k();
    if (options_.top_p < 1) keep_top_p();
    if (options_.min_p > 0) keep_min_p();
    return scores_;
  }

  // A token's log-probability under the model's own softmax, and the `count` likeliest tokens with
  // theirs. Nothing of the options is applied.
  static double logprob(std::span<const float> logits, int token) {
    return Softmax(logits).log(logits[static_cast<std::size_t>(token)]);
  }
  static std::vector<Candidate> likeliest(std::span<const float> logits, int count) {
    std::vector<int> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto kept = std::min(order.size(), static_cast<std::size_t>(std::max(0, count)));
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                      [&](int a, int b) {
                        const float x = logits[static_cast<std::size_t>(a)],
                                    y = logits[static_cast<std::size_t>(b)];
                        return x != y ? x > y : a < b;
                      });
    const Softmax softmax(logits);
    std::vector<Candidate> result;
    for (std::size_t i = 0; i < kept; ++i)
      result.push_back({order[i], softmax.log(logits[static_cast<std::size_t>(order[i])])});
    return result;
  }

  // NaN, +infinity, or nothing above -infinity: no token can be chosen honestly.
  static void require_usable(std::span<const float> logits) {
    bool any = false;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (is_nan(logits[i]) || (!is_finite(logits[i]) && logits[i] > 0))
        throw Error({.code = Errc::bad_logits,
                     .file = {},
                     .field = "logits[" + std::to_string(i) + "]",
                     .expected = "a number",
                     .found = is_nan(logits[i]) ? "NaN" : "infinity"});
      any = any || is_finite(logits[i]);
    }
    if (!any)
      throw Error({.code = Errc::bad_logits,
                   .file = {},
                   .field = "logits",
                   .expected = "at least one token above -infinity",
                   .found = "none"});
  }

 private:
  static constexpr float ruled_out = -std::numeric_limits<float>::infinity();

  struct Softmax {
    double top, log_total;  // of the exponentials of (logit - top)
    explicit Softmax(std::span<const float> logits)
        : top(*std::max_element(logits.begin(), logits.end())) {
      double total = 0;
      for (const float logit : logits) total += std::exp(logit - top);
      log_total = std::log(total);
    }
    double log(float logit) const { return logit - top - log_total; }
  };

  void penalise(std::span<const int> history) {
    order_.assign(history.begin(), history.end());
    std::sort(order_.begin(), order_.end());
    order_.erase(std::unique(order_.begin(), order_.end()), order_.end());
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    for (const int token : order_) {
      if (token < 0 || static_cast<std::size_t>(token) >= scores_.size()) continue;
      float& score = scores_[static_cast<std::size_t>(token)];
      score = score < 0 ? score * penalty : score / penalty;
    }
  }

  // Ties at the threshold stay, as in transformers.
  void keep_top_k() {
    std::vector<float>& sorted = sorted_;
    sorted = scores_;
    const auto kth = sorted.begin() + options_.top_k - 1;
    std::nth_element(sorted.begin(), kth, sorted.end(), std::greater<>());
    const float threshold = *kth;
    for (float& score : scores_)
      if (score < threshold) score = ruled_out;
  }

  // Drops from the unlikely end while what was dropped, this token included, is at most 1 - top_p.
  void keep_top_p() {
    order_.resize(scores_.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto score = [&](int token) { return scores_[static_cast<std::size_t>(token)]; };
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int a, int b) { return score(a) < score(b); });
    const double top = score(order_.back());
    double total = 0, mass = 0;
    for (const int token : order_) total += std::exp(score(token) - top);
    for (std::size_t i = 0; i + 1 < order_.size(); ++i) {
      mass += std::exp(score(order_[i]) - top) / total;
      if (mass > 1 - options_.top_p) break;
      scores_[static_cast<std::size_t>(order_[i])] = ruled_out;
    }
  }

  void keep_min_p() {
    const float best = *std::max_element(scores_.begin(), scores_.end());
    const double least = best + std::log(options_.min_p);
    for (float& score : scores_)
      if (score < least && score != best) score = ruled_out;
  }

  SamplingOptions options_;
  Rng rng_;
  std::vector<float> scores_, sorted_;
  std::vector<int> order_;
};

}  // namespace gov
