// Where tokens go: how often each expert of each layer was chosen, apart for the rows of images and
// of text. An observer (core/observer.hpp) of any model with a mixture of experts; several calls
// add up.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gov/model/aux_loss.hpp"

namespace gov {

// Of one layer and one modality.
struct ExpertLoad {
  std::vector<index_t> histogram;  // [experts], choices
  index_t tokens = 0;
  double entropies = 0;  // of each token's softmax over all experts, added up

  // Of the histogram, in nats: ln(experts) when all are chosen equally often, 0 when one is.
  double entropy() const {
    const double choices = total();
    double sum = 0;
    for (const index_t count : histogram)
      if (count > 0) {
        const double share = static_cast<double>(count) / choices;
        sum -= share * std::log(share);
      }
    return sum;
  }
  // The mean entropy of what the router says of a token: how undecided it is.
  double token_entropy() const { return tokens > 0 ? entropies / static_cast<double>(tokens) : 0; }
  // Standard deviation of the histogram over its mean: 0 when all are chosen equally often.
  double load_variation() const {
    if (tokens == 0) return 0;
    const double mean = total() / static_cast<double>(histogram.size());
    double sum = 0;
    for (const index_t count : histogram)
      sum += (static_cast<double>(count) - mean) * (static_cast<double>(count) - mean);
    return std::sqrt(sum / static_cast<double>(histogram.size())) / mean;
  }

 private:
  double total() const {
    index_t sum = 0;
    for (const index_t count : histogram) sum += count;
    return static_cast<double>(sum);
  }
};

class RouterStatistics {
 public:
  struct Layer {
    ExpertLoad text, image;
  };

  explicit RouterStatistics(AuxInput input = AuxInput::raw_logits) : input_(input) {}

  const std::vector<Layer>& layers() const { return layers_; }
  // The load-balancing loss of what was seen, without its coefficient.
  double aux_loss() const { return aux_ ? aux_->value() : 0; }

  template <class T>
  void on(const std::string& name, Rows<T> rows) {
    if (name == "inputs_embeds") modality_.assign(static_cast<std::size_t>(rows.rows), 0);
    if (layer_of(name, "router.") < 0) return;
    logits_.clear();
    for (index_t t = 0; t < rows.rows; ++t)
      logits_.insert(logits_.end(), rows.row(t), rows.row(t) + rows.cols);
  }
  void on(const std::string& name, Rows<index_t> rows) {
    if (name == "modality") modality_.assign(rows.data, rows.data + rows.rows);
    if (const index_t layer = layer_of(name, "router_indices."); layer >= 0) count(layer, rows);
  }

 private:
  // The number behind a prefix; -1 for any other name.
  static index_t layer_of(std::string_view name, std::string_view prefix) {
    index_t layer = -1;
    if (name.starts_with(prefix))
      std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
    return layer;
  }

  void count(index_t layer, Rows<index_t> chosen) {
    const auto experts = static_cast<index_t>(logits_.size()) / std::max<index_t>(1, chosen.rows);
    if (layer >= std::ssize(layers_)) layers_.resize(static_cast<std::size_t>(layer + 1));
    Layer& loads = layers_[static_cast<std::size_t>(layer)];
    for (ExpertLoad* load : {&loads.text, &loads.image})
      load->histogram.resize(static_cast<std::size_t>(experts));
    for (index_t t = 0; t < chosen.rows; ++t) {
      ExpertLoad& load = modality_[static_cast<std::size_t>(t)] ? loads.image : loads.text;
      ++load.tokens;
      load.entropies += softmax_entropy(logits_.data() + t * experts, experts);
      for (index_t k = 0; k < chosen.cols; ++k)
        ++load.histogram[static_cast<std::size_t>(chosen(t, k))];
    }
    if (!aux_) aux_.emplace(experts, chosen.cols, input_);
    aux_->add(Rows<const double>(logits_.data(), chosen.rows, experts));
  }

  // ln sum exp(x) - sum p x
  static double softmax_entropy(const double* x, index_t count) {
    const double largest = *std::max_element(x, x + count);
    double sum = 0, weighted = 0;
    for (index_t e = 0; e < count; ++e) {
      const double share = std::exp(x[e] - largest);
      sum += share, weighted += share * (x[e] - largest);
    }
    return std::log(sum) - weighted / sum;
  }

  AuxInput input_;
  std::vector<Layer> layers_;
  std::optional<AuxLoss> aux_;
  std::vector<index_t> modality_;  // of the rows of the call
  std::vector<double> logits_;     // of the layer whose choice comes next
};

}  // namespace gov
