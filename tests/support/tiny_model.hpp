// A model with random weights (random_params.hpp), an observer that keeps what it is shown, and
// comparison by bits.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gov/model/model_data.hpp"
#include "gov/model/session.hpp"
#include "tests/support/random_params.hpp"

namespace gov::test {

template <class Cfg>
std::shared_ptr<ModelData<Cfg>> random_model(Formats formats = {}, std::uint64_t seed = 1) {
  auto model = std::make_shared<ModelData<Cfg>>();
  model->weights = random_params(model->params, formats, seed);
  return model;
}

// Keeps all rows it is shown, by name, later calls behind earlier ones. `before` is called first at
// every call, with the call's number; `rewrite` may change rows that are kept.
template <class T>
struct Recorder {
  std::map<std::string, std::vector<T>> rows;
  std::map<std::string, std::vector<index_t>> indices;
  std::function<void(index_t)> before;
  std::function<void(const std::string&, Rows<T>)> rewrite;
  index_t calls = 0;

  void on(const std::string& name, Rows<T> x) {
    if (before) before(calls);
    ++calls;
    if (rewrite) rewrite(name, x);
    auto& to = rows[name];
    for (index_t i = 0; i < x.rows; ++i) to.insert(to.end(), x.row(i), x.row(i) + x.cols);
  }
  void on(const std::string& name, Rows<index_t> x) {
    if (before) before(calls);
    ++calls;
    auto& to = indices[name];
    for (index_t i = 0; i < x.rows; ++i) to.insert(to.end(), x.row(i), x.row(i) + x.cols);
  }
};

// Outputs taken out of a session, to be compared.
template <class T>
struct Kept {
  std::vector<T> logits, hidden, features;

  Kept() = default;
  explicit Kept(const Outputs<T>& out)
      : logits(copy(out.logits)),
        hidden(copy(out.last_hidden_state)),
        features(copy(out.image_hidden_states)) {}
  void append(const Outputs<T>& out) {
    const auto add = [](std::vector<T>& to, const std::vector<T>& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    add(logits, copy(out.logits)), add(hidden, copy(out.last_hidden_state));
  }
  static std::vector<T> copy(Rows<const T> rows) {
    std::vector<T> values;
    for (index_t i = 0; i < rows.rows; ++i)
      values.insert(values.end(), rows.row(i), rows.row(i) + rows.cols);
    return values;
  }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T>
bool same_bits(const Kept<T>& a, const Kept<T>& b) {
  return same_bits(a.logits, b.logits) && same_bits(a.hidden, b.hidden);
}

template <class T>
bool all_finite(const std::vector<T>& values) {
  for (const T value : values)
    if (!std::isfinite(value)) return false;
  return !values.empty();
}

}  // namespace gov::test
