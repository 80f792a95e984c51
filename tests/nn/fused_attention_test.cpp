// Fused attention against plain loops: the projection's cut, the limit, the lean, the scale.
#include "gov/nn/fused_attention.hpp"

#include <doctest/doctest.h>

#include "gov/nn/alibi.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace fused_attention_test {

using namespace gov;
using namespace gov::test;

struct Numbers {
  index_t hidden_size, num_attention_heads;
  FusedAttentionParts parts;
};
struct Modules {
  static constexpr FusedAttentionParts fused_attention(const Numbers& numbers) {
    return numbers.parts;
  }
};
struct Gpt2Like : Modules {
  static constexpr Numbers config{35, 5, {.bias = true, .turned = true}};
};
struct MptLike : Modules {
  static constexpr Numbers config{24, 3, {.clip_qkv = 0.5, .softmax_scale = 0.7}};
};

struct Plain {};
struct Leaning {
  const float* slopes;
};
template <class T>
struct Step {
  KvCache<T>* held;
  index_t rows;
  KvCache<T>& cache(index_t) const { return *held; }
};

constexpr index_t tokens = 9;

template <class C>
std::vector<double> naive(const typename FusedAttention<C>::Params& p, const std::vector<double>& x,
                          const std::vector<float>& slopes) {
  constexpr auto c = C::config;
  constexpr index_t H = c.hidden_size, heads = c.num_attention_heads, d = H / heads;
  auto qkv = naive_linear(x, p.qkv_proj.weight.view(), p.qkv_proj.bias_values());
  if (c.parts.clip_qkv > 0)
    for (double& v : qkv) v = std::clamp(v, -c.parts.clip_qkv, c.parts.clip_qkv);
  const double scale =
      c.parts.softmax_scale > 0 ? c.parts.softmax_scale : 1 / std::sqrt(static_cast<double>(d));
  std::vector<double> mixed(static_cast<std::size_t>(tokens * H), 0.0);
  const auto at = [&](index_t t, index_t part, index_t h, index_t i) {
    return qkv[static_cast<std::size_t>(t * 3 * H + part * H + h * d + i)];
  };
  for (index_t t = 0; t < tokens; ++t)
    for (index_t h = 0; h < heads; ++h) {
      double sum = 0;
      std::vector<double> p_of;
      for (index_t j = 0; j <= t; ++j) {
        double z = 0;
        for (index_t i = 0; i < d; ++i) z += at(t, 0, h, i) * at(j, 1, h, i);
        z *= scale;
        if (!slopes.empty())
          z -=
              static_cast<double>(slopes[static_cast<std::size_t>(h)]) * static_cast<double>(t - j);
        p_of.push_back(std::exp(z)), sum += p_of.back();
      }
      for (index_t j = 0; j <= t; ++j)
        for (index_t i = 0; i < d; ++i)
          mixed[static_cast<std::size_t>(t * H + h * d + i)] +=
              p_of[static_cast<std::size_t>(j)] / sum * at(j, 2, h, i);
    }
  auto y = naive_linear(mixed, p.o_proj.weight.view(), p.o_proj.bias_values());
  for (double& v : y) v += 0.5;
  return y;
}

// Stepped by the given numbers of rows, through a cache.
template <class C, class T, class Place>
std::vector<T> run(const kernel::Kernels<T>& kernels, const typename FusedAttention<C>::Params& p,
                   const std::vector<float>& x32, const Place& place,
                   const std::vector<index_t>& plan) {
  using Attention = FusedAttention<C>;
  constexpr index_t H = C::config.hidden_size;
  KvCache<T> cache(Attention::shape.kv_heads, Attention::shape.head_dim, 0, 16, 0);
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  NoObserver none;
  std::vector<T> all;
  for (const index_t rows : plan) {
    const auto from = x32.begin() + cache.length() * H;
    const std::vector<T> x(from, from + rows * H);
    std::vector<T> y(x.size(), T(0.5));
    const std::vector<Step<T>> steps{{&cache, rows}};
    Attention::forward(context, p, steps, place, Rows<const T>(x.data(), rows, H),
                       Rows<T>(y.data(), rows, H), none, 0);
    cache.commit(rows);
    all.insert(all.end(), y.begin(), y.end());
  }
  return all;
}

template <class C, class Place>
void check(const Place& place, const std::vector<float>& slopes) {
  typename FusedAttention<C>::Params params;
  const auto memory = random_params(params, {Format::bf16, Format::bf16});
  const auto x = random_values(tokens * C::config.hidden_size, 1);
  const auto truth = naive<C>(params, {x.begin(), x.end()}, slopes);
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    const auto whole = run<C>(*kernels, params, x, place, {tokens});
    CHECK(relative_gap(whole, truth) < 5e-6);
    if (kernels->name != "eigen") CHECK(run<C>(*kernels, params, x, place, {4, 1, 1, 3}) == whole);
  }
  const auto exact = run<C>(*kernel::find_kernels<double>("scalar"), params, x, place, {tokens});
  CHECK(relative_gap(exact, truth) < 1e-7);  // slopes are f32
}

TEST_CASE("biases, odd heads, nothing that leans") { check<Gpt2Like>(Plain{}, {}); }

TEST_CASE("a limit on q, k, v, a scale of its own, and scores that lean back") {
  const auto slopes = alibi_slopes(3, 8);
  check<MptLike>(Leaning{slopes.data()}, slopes);
}

}  // namespace fused_attention_test
