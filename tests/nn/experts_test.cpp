// The mixture against a loop over tokens and their experts in double.
#include "gov/nn/experts.hpp"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

struct Seen {
  std::map<std::string, std::vector<double>> rows;
  std::vector<index_t> chosen;
  template <class T>
  void on(const std::string& name, Rows<T> x) {
    rows[name].assign(x.data, x.data + x.rows * x.cols);
  }
  void on(const std::string& name, Rows<index_t> x) {
    CHECK(name == "router_indices.5");
    chosen.assign(x.data, x.data + x.rows * x.cols);
  }
};

struct Naive {
  std::vector<double> logits, weights, y;
  std::vector<index_t> chosen;
  index_t clamped = 0;
};

template <index_t H, index_t I, index_t E, index_t K>
Naive naive(const typename MixtureOfExperts<H, I, E, K>::Params& p, const SwiGlu& glu,
            const std::vector<double>& x, const std::vector<double>& y) {
  Naive result{naive_linear(x, p.router.weight.view(), p.router.bias.values()), {}, y, {}, 0};
  const auto tokens = static_cast<index_t>(x.size()) / H;
  for (index_t t = 0; t < tokens; ++t) {
    const double* const logits = result.logits.data() + t * E;
    std::vector<index_t> order(static_cast<std::size_t>(E));
    for (std::size_t e = 0; e < order.size(); ++e) order[e] = static_cast<index_t>(e);
    std::stable_sort(order.begin(), order.end(),
                     [&](index_t a, index_t b) { return logits[a] > logits[b]; });
    double sum = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(K); ++k)
      sum += std::exp(logits[order[k]] - logits[order[0]]);
    const std::vector<double> row(x.begin() + t * H, x.begin() + (t + 1) * H);
    for (std::size_t k = 0; k < static_cast<std::size_t>(K); ++k) {
      const index_t e = order[k];
      const double weight = std::exp(logits[e] - logits[order[0]]) / sum;
      result.weights.push_back(weight), result.chosen.push_back(e);
      const auto gate_up =
          naive_linear(row, p.gate_up_proj.view(e), p.gate_up_proj_bias.values() + e * 2 * I);
      std::vector<double> inner(static_cast<std::size_t>(I));
      for (std::size_t i = 0; i < inner.size(); ++i) {
        const double gate = std::min(gate_up[2 * i], glu.limit);
        const double up = std::max(-glu.limit, std::min(glu.limit, gate_up[2 * i + 1]));
        result.clamped += gate != gate_up[2 * i] || up != gate_up[2 * i + 1];
        inner[i] = (up + 1) * gate / (1 + std::exp(-glu.alpha * gate));
      }
      const auto down = naive_linear(inner, p.down_proj.view(e), p.down_proj_bias.values() + e * H);
      for (index_t i = 0; i < H; ++i)
        result.y[static_cast<std::size_t>(t * H + i)] += weight * down[static_cast<std::size_t>(i)];
    }
  }
  return result;
}

template <class T, index_t H, index_t I, index_t E, index_t K>
void check(const kernel::Kernels<T>& kernels, Formats formats, index_t tokens, double spread,
           SwiGlu glu, double bar) {
  using Mixture = MixtureOfExperts<H, I, E, K>;
  CAPTURE(kernels.name);
  CAPTURE(to_string(formats.experts));
  CAPTURE(tokens);
  CAPTURE(E);
  CAPTURE(K);
  typename Mixture::Params params;
  const auto memory = random_params(params, formats);
  const auto x32 = random_values(tokens * H, 2, spread), y32 = random_values(tokens * H, 3);
  const std::vector<double> x64(x32.begin(), x32.end()), y64(y32.begin(), y32.end());
  std::vector<T> x(x32.begin(), x32.end()), y(y32.begin(), y32.end());
  const auto truth = naive<H, I, E, K>(params, glu, x64, y64);
  if (spread > 5) CHECK(truth.clamped > 0);
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  Seen seen;
  Mixture::forward(context, params, glu, Rows<T>(x.data(), tokens, H), Rows<T>(y.data(), tokens, H),
                   seen, 5);
  CHECK(relative_gap(seen.rows.at("router.5"), truth.logits) < bar);
  CHECK(seen.chosen == truth.chosen);
  CHECK(relative_gap(seen.rows.at("router_weights.5"), truth.weights) < 10 * bar);
  CHECK(relative_gap(y, truth.y) < bar);
  CHECK(relative_gap(y, y64) > 0.01);  // it did something

  if (kernels.name == "eigen" || tokens > 50) return;
  std::vector<T> alone(y32.begin(), y32.end());
  NoObserver none;
  for (index_t t = 0; t < tokens; ++t)
    Mixture::forward(context, params, glu, Rows<T>(x.data() + t * H, 1, H),
                     Rows<T>(alone.data() + t * H, 1, H), none, 0);
  CHECK(std::equal(alone.begin(), alone.end(), y.begin()));
}

template <index_t H, index_t I, index_t E, index_t K>
void check_all(index_t tokens, double spread, SwiGlu glu = {}) {
  for (const Formats formats : {Formats{},
                                {Format::bf16, Format::bf16},
                                {Format::bf16, Format::mxfp4},
                                {Format::f16, Format::q8}}) {
    if (is_blocked(formats.experts) && (H % 32 != 0 || I % 32 != 0)) continue;
    for (const auto* kernels : available_kernels())
      check<float, H, I, E, K>(*kernels, formats, tokens, spread, glu, 3e-6);
  }
  check<double, H, I, E, K>(*kernel::find_kernels<double>("scalar"), {}, tokens, spread, glu,
                            1e-13);
}

TEST_CASE("one token, few tokens, experts that nobody chose") {
  check_all<32, 32, 8, 2>(1, 1);
  check_all<64, 32, 4, 2>(9, 1);
}

TEST_CASE("odd sizes, one expert of one, all experts") {
  check_all<36, 20, 5, 3>(7, 1);
  check_all<18, 10, 1, 1>(4, 1);
  check_all<32, 64, 4, 4>(5, 1);
}

TEST_CASE("values past the clamp, other limits and slopes") {
  check_all<32, 32, 4, 2>(20, 12);
  check_all<32, 32, 4, 2>(20, 1, {.limit = 0.5, .alpha = 1});
}

TEST_CASE("more tokens than one tile of rows") { check_all<32, 32, 2, 1>(300, 1); }

TEST_CASE("a bias of the rows of images: there and nowhere else") {
  using Mixture = MixtureOfExperts<32, 32, 4, 2, true>;
  using Plain = MixtureOfExperts<32, 32, 4, 2>;
  static_assert(parameter_count<Mixture> == parameter_count<Plain> + 4);
  Mixture::Params params;
  const auto memory = random_params(params, {});
  Plain::Params plain;
  plain.router = params.router;
  plain.gate_up_proj = params.gate_up_proj, plain.gate_up_proj_bias = params.gate_up_proj_bias;
  plain.down_proj = params.down_proj, plain.down_proj_bias = params.down_proj_bias;
  for (index_t e = 0; e < 4; ++e) params.vision_bias.values()[e] = e == 3 ? 50.0f : 0.25f;
  const auto x = random_values(9 * 32, 2);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
  const auto run = [&]<class M>(std::type_identity<M>, const auto& p) {
    std::pair<Seen, std::vector<float>> result{{}, random_values(9 * 32, 3)};
    auto values = x;
    M::forward(context, p, {}, Rows<float>(values.data(), 9, 32),
               Rows<float>(result.second.data(), 9, 32), result.first, 5);
    return result;
  };
  const auto [truth, expected] = run(std::type_identity<Plain>{}, plain);
  CHECK(run(std::type_identity<Mixture>{}, params).second == expected);  // all of it is text
  const index_t modality[] = {0, 0, 1, 1, 0, 0, 0, 1, 0};
  context.modality = modality;
  CHECK(run(std::type_identity<Plain>{}, plain).second == expected);
  const auto [seen, found] = run(std::type_identity<Mixture>{}, params);
  for (std::size_t t = 0; t < 9; ++t) {
    const bool image = modality[t] == 1;
    CAPTURE(t);
    for (std::size_t e = 0; e < 4; ++e) {
      const auto before = static_cast<float>(truth.rows.at("router.5")[t * 4 + e]);
      const float bias = image ? params.vision_bias.values()[e] : 0.0f;
      CHECK(seen.rows.at("router.5")[t * 4 + e] == static_cast<double>(before + bias));
    }
    if (image) CHECK(seen.chosen[t * 2] == 3);
    const auto row = static_cast<index_t>(t * 32);
    CHECK(image !=
          std::equal(found.begin() + row, found.begin() + row + 32, expected.begin() + row));
  }
}

TEST_CASE("all tokens to one expert") {
  using Mixture = MixtureOfExperts<32, 32, 4, 2>;
  Mixture::Params params;
  const auto memory = random_params(params, {});
  for (index_t e = 0; e < 4; ++e)
    params.router.bias.values()[e] = static_cast<float>(100 * (e == 2 ? 2 : e == 1));
  const auto x32 = random_values(40 * 32, 2);
  std::vector<double> x(x32.begin(), x32.end()), y(x.size());
  const auto truth = naive<32, 32, 4, 2>(params, {}, x, std::vector<double>(x.size()));
  ThreadPool pool(1);
  Arena arena;
  Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
  Seen seen;
  Mixture::forward(context, params, {}, Rows<double>(x.data(), 40, 32),
                   Rows<double>(y.data(), 40, 32), seen, 5);
  CHECK(std::count(seen.chosen.begin(), seen.chosen.end(), 2) == 40);
  CHECK(seen.rows.at("router_weights.5")[0] == doctest::Approx(1));
  CHECK(relative_gap(y, truth.y) < 1e-13);
}

TEST_CASE("what an observer writes into the router decides") {
  struct Force {
    void on(const std::string& name, Rows<float> x) {
      if (name == "router.0")
        for (index_t t = 0; t < x.rows; ++t) x(t, 3) = 1000;
    }
    void on(const std::string&, Rows<index_t> x) {
      for (index_t t = 0; t < x.rows; ++t) CHECK(x(t, 0) == 3);
    }
  } force;
  MixtureOfExperts<32, 32, 4, 2>::Params params;
  const auto memory = random_params(params, {});
  auto x = random_values(5 * 32, 2);
  std::vector<float> y(x.size());
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::best_kernels<float>(), pool, arena};
  MixtureOfExperts<32, 32, 4, 2>::forward(context, params, {}, Rows<float>(x.data(), 5, 32),
                                          Rows<float>(y.data(), 5, 32), force, 0);
}

}  // namespace
