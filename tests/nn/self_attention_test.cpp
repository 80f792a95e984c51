// The whole attention part of a layer against plain loops: projections, rotation, mask, sinks,
// residual.
#include "gov/nn/self_attention.hpp"

#include <doctest/doctest.h>

#include "gov/nn/rotary.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace self_attention_test {

using namespace gov;
using namespace gov::test;

struct Numbers {
  index_t hidden_size, num_attention_heads, num_key_value_heads, head_dim;
  AttentionParts parts;
  index_t sliding_window;
  double rms_norm_eps = 1e-3;
};
struct Modules {
  static constexpr AttentionParts attention(const Numbers& numbers) { return numbers.parts; }
};
struct Small : Modules {
  static constexpr Numbers config{32, 4, 2, 16, {true, true, true, false}, 3};
};
struct Plain : Modules {  // one key head, no biases, no sinks
  static constexpr Numbers config{36, 3, 1, 10, {}, 0};
};
struct Normed : Modules {  // Qwen3's norm of each head, Qwen2's biases
  static constexpr Numbers config{24, 4, 2, 8, {true, false, false, true}, 0};
};

template <class T>
struct Step {
  KvCache<T>* held;
  index_t rows;
  KvCache<T>& cache(index_t) const { return *held; }
};

std::vector<float> frequencies(index_t head_dim) {
  return RopeConfig{.rope_theta = 100}.inverse_frequencies(head_dim);
}
constexpr double scaling = 1.25;

template <class C>
std::vector<double> naive(const typename SelfAttention<C>::Params& p, const std::vector<double>& x,
                          std::vector<double> y, Format format) {
  constexpr auto c = C::config;
  auto q = naive_linear(x, p.q_proj.weight.view(), p.q_proj.bias_values());
  auto k = naive_linear(x, p.k_proj.weight.view(), p.k_proj.bias_values());
  auto v = naive_linear(x, p.v_proj.weight.view(), p.v_proj.bias_values());
  if constexpr (c.parts.qk_norm) {
    q = naive_norm(q, c.head_dim, p.q_norm.weight.values(), nullptr, c.rms_norm_eps, false);
    k = naive_norm(k, c.head_dim, p.k_norm.weight.values(), nullptr, c.rms_norm_eps, false);
  }
  naive_rope(q, c.num_attention_heads, frequencies(c.head_dim), scaling, 0);
  naive_rope(k, c.num_key_value_heads, frequencies(c.head_dim), scaling, 0);
  if (format == Format::bf16)
    for (auto* held : {&k, &v})
      for (double& number : *held) number = double{to_float(to_bf16(static_cast<float>(number)))};
  const float* sinks = nullptr;
  if constexpr (c.parts.sinks) sinks = p.sinks.values();
  const NaiveAttention mix{c.num_attention_heads, c.num_key_value_heads, c.head_dim,
                           c.sliding_window};
  const auto out =
      naive_linear(mix(q, k, v, sinks), p.o_proj.weight.view(), p.o_proj.bias_values());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += out[i];
  return y;
}

// Two sequences of 11 and 7 tokens, stepped together by the given numbers of rows.
template <class C, class T>
std::vector<double> check(const kernel::Kernels<T>& kernels,
                          const std::vector<std::pair<index_t, index_t>>& plan, double bar,
                          Format format = Format::f32) {
  CAPTURE(kernels.name);
  CAPTURE(plan.size());
  using Attention = SelfAttention<C>;
  constexpr index_t H = C::config.hidden_size, half = C::config.head_dim / 2;
  typename Attention::Params params;
  const auto memory = random_params(params, {Format::bf16, Format::bf16});
  const std::vector<float> x32[2] = {random_values(11 * H, 1), random_values(7 * H, 2)};
  std::vector<double> truth[2], got[2];
  for (int s = 0; s < 2; ++s)
    truth[s] = naive<C>(params, {x32[s].begin(), x32[s].end()},
                        std::vector<double>(x32[s].size(), 0.5), format);
  constexpr index_t window = C::config.sliding_window, ring = window ? 8 : 0;
  constexpr AttentionShape shape = Attention::shape;
  KvCache<T> caches[2] = {{shape.kv_heads, shape.head_dim, window, 16, ring, format},
                          {shape.kv_heads, shape.head_dim, window, 16, ring, format}};
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  NoObserver none;
  for (const auto& [first, second] : plan) {
    std::vector<T> x, cos, sin;
    std::vector<Step<T>> steps;
    for (std::size_t s = 0; s < 2; ++s) {
      const index_t rows = s == 0 ? first : second, at = caches[s].length();
      if (rows == 0) continue;
      steps.push_back({&caches[s], rows});
      x.insert(x.end(), x32[s].begin() + at * H, x32[s].begin() + (at + rows) * H);
      for (index_t t = at; t < at + rows; ++t) {
        cos.resize(cos.size() + half), sin.resize(sin.size() + half);
        rope_angles(frequencies(C::config.head_dim), scaling, t, &*cos.end() - half,
                    &*sin.end() - half);
      }
    }
    const index_t rows = first + second;
    std::vector<T> y(static_cast<std::size_t>(rows * H), T(0.5));
    const RotaryAngles<T> angles{Rows<T>(cos.data(), rows, half), Rows<T>(sin.data(), rows, half)};
    Attention::forward(context, params, steps, angles, Rows<T>(x.data(), rows, H),
                       Rows<T>(y.data(), rows, H), none, 0);
    got[0].insert(got[0].end(), y.begin(), y.begin() + first * H);
    got[1].insert(got[1].end(), y.begin() + first * H, y.end());
    CHECK(caches[0].length() + caches[1].length() ==
          static_cast<index_t>(got[0].size() + got[1].size()) / H - rows);
    caches[0].commit(first), caches[1].commit(second);  // the caller's part
  }
  for (int s = 0; s < 2; ++s) {
    REQUIRE(got[s].size() == truth[s].size());
    CHECK(relative_gap(got[s], truth[s]) < bar);
  }
  got[0].insert(got[0].end(), got[1].begin(), got[1].end());
  return got[0];
}

template <class C>
void check_all() {
  const std::vector<std::pair<index_t, index_t>> plans[] = {
      {{6, 0}, {5, 0}, {0, 6}, {0, 1}},
      {{5, 1}, {1, 5}, {3, 0}, {1, 0}, {1, 1}},
      {{2, 2}, {4, 0}, {1, 4}, {0, 1}, {4, 0}}};
  for (const auto& plan : plans) {
    for (const auto* kernels : available_kernels()) {
      check<C, float>(*kernels, plan, 5e-6);
      // A key that lies at a tie may round the other way than the truth's: one step of bf16.
      const auto found = check<C, float>(*kernels, plan, 1e-3, Format::bf16);
      if (kernels->name != "eigen")
        CHECK(same_bits(found, check<C, float>(*kernels, plans[0], 1e-3, Format::bf16)));
    }
    check<C, double>(*kernel::find_kernels<double>("scalar"), plan,
                     1e-6);  // f32 angles, double elsewhere
  }
}

TEST_CASE("window, sinks, biases, grouped heads, rings") { check_all<Small>(); }
TEST_CASE("full attention, one key head, no biases, odd sizes") { check_all<Plain>(); }

TEST_CASE("a norm of each head, biases on q, k and v alone") { check_all<Normed>(); }

TEST_CASE("parameters: names in the checkpoint's order, sinks only where asked for") {
  const auto names = [](auto params) {
    std::string list;
    for (const auto& p : parameter_list(params)) list += p.name + " ";
    return list;
  };
  CHECK(names(SelfAttention<Small>::Params{}) ==
        "q_proj.weight q_proj.bias k_proj.weight k_proj.bias v_proj.weight v_proj.bias "
        "o_proj.weight o_proj.bias sinks ");
  CHECK(names(SelfAttention<Plain>::Params{}) ==
        "q_proj.weight k_proj.weight v_proj.weight o_proj.weight ");
  CHECK(names(SelfAttention<Normed>::Params{}) ==
        "q_proj.weight q_proj.bias k_proj.weight k_proj.bias v_proj.weight v_proj.bias "
        "o_proj.weight q_norm.weight k_norm.weight ");
  static_assert(parameter_count<SelfAttention<Small>> ==
                2 * (32 * 64 + 32 * 32) + 64 + 2 * 32 + 32 + 4);
}

}  // namespace self_attention_test
