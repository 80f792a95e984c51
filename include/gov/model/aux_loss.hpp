// The load-balancing loss of a mixture's routers (Fedus et al. 2021, equations 4 to 6;
// transformers: load_balancing_loss_func), as a value; its gradient is training's.
//   p = softmax over all experts of a token's router input
//   f_e = tokens that have e among their top k / tokens,  P_e = mean of p_e
//   loss = E sum_e f_e P_e, over the tokens of all layers together
// It is k where the load is even, and the more the less even it is. The coefficient is the caller's
// (router_aux_loss_coef).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/core/tensor.hpp"
#include "gov/kernel/topk.hpp"

namespace gov {

// What p is the softmax of.
enum class AuxInput {
  raw_logits,     // the router's logits, as the paper has it and transformers 5.23 does
  sparse_scores,  // the weights of the chosen experts, 0 for others: older transformers with
                  // GPT-OSS, and GPT-OSS-Vision; p is then nearly even
};

class AuxLoss {
 public:
  AuxLoss(index_t experts, index_t top_k, AuxInput input = AuxInput::raw_logits)
      : top_k_(top_k),
        input_(input),
        chosen_(static_cast<std::size_t>(experts)),
        shares_(static_cast<std::size_t>(experts)),
        scratch_(static_cast<std::size_t>(experts)),
        order_(static_cast<std::size_t>(top_k)) {}

  // The rows of one layer, [tokens, experts]; those where a mask is 0 are padding and do not count.
  template <class T>
  void add(Rows<const T> logits, std::span<const int> attention_mask = {}) {
    if (logits.cols != std::ssize(shares_) ||
        (!attention_mask.empty() && std::ssize(attention_mask) != logits.rows))
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "router logits",
                   .expected = std::to_string(shares_.size()) +
                               " experts and a mask, if any, with a number for each token",
                   .found = std::to_string(logits.cols) + " experts, " +
                            std::to_string(logits.rows) + " tokens, " +
                            std::to_string(attention_mask.size()) + " in the mask"});
    for (index_t t = 0; t < logits.rows; ++t)
      if (attention_mask.empty() || attention_mask[static_cast<std::size_t>(t)] != 0)
        add_token(logits.row(t));
  }

  index_t rows() const { return rows_; }  // tokens of all layers together
  double value() const {
    double sum = 0;
    for (std::size_t e = 0; e < shares_.size(); ++e)
      sum += static_cast<double>(chosen_[e]) * shares_[e];
    const auto rows = static_cast<double>(rows_);
    return rows_ == 0 ? 0 : sum * static_cast<double>(shares_.size()) / (rows * rows);
  }

 private:
  template <class T>
  void add_token(const T* logits) {
    const auto experts = static_cast<index_t>(shares_.size());
    kernel::top_k(logits, experts, top_k_, order_.data());
    for (const index_t e : order_) ++chosen_[static_cast<std::size_t>(e)];
    if (input_ == AuxInput::raw_logits) {
      scratch_.assign(logits, logits + experts);
    } else {
      std::fill(scratch_.begin(), scratch_.end(), 0.0);
      double sum = 0;
      const auto largest = static_cast<double>(logits[order_[0]]);
      for (const index_t e : order_) {
        double& score = scratch_[static_cast<std::size_t>(e)];
        sum += score = std::exp(static_cast<double>(logits[e]) - largest);
      }
      for (double& score : scratch_) score /= sum;
    }
    double sum = 0;
    const double largest = scratch_[static_cast<std::size_t>(order_[0])];
    for (double& x : scratch_) sum += x = std::exp(x - largest);
    for (std::size_t e = 0; e < shares_.size(); ++e) shares_[e] += scratch_[e] / sum;
    ++rows_;
  }

  index_t top_k_;
  AuxInput input_;
  std::vector<index_t> chosen_;  // [experts]
  std::vector<double> shares_;   // [experts], sums of p
  std::vector<double> scratch_;  // [experts]
  std::vector<index_t> order_;   // [top_k], best first
  index_t rows_ = 0;
};

}  // namespace gov
