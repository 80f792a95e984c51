// Attention against softmax written out in double, over every mix of heads, windows, rings and
// sinks.
#include "gov/nn/attention.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"

namespace attention_test {

using namespace gov;
using namespace gov::test;

struct Case {
  AttentionShape shape;
  index_t window, chunk;
  bool sinks;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = [] {
    std::vector<Case> all;
    for (const AttentionShape shape :
         {AttentionShape{1, 1, 2}, {4, 2, 16}, {6, 2, 7}, {8, 1, 32}, {5, 5, 3}, {12, 3, 64}})
      for (const auto& [window, chunk] :
           {std::pair<index_t, index_t>{0, 40}, {0, 3}, {1, 1}, {3, 5}, {8, 1}, {8, 40}, {100, 7}})
        for (const bool sinks : {false, true}) all.push_back({shape, window, chunk, sinks});
    return all;
  }();
  return list;
}

constexpr index_t length = 40;

template <class T>
std::vector<T> values(index_t count, std::uint64_t seed) {
  const auto single = normal_values(count, seed);
  return {single.begin(), single.end()};
}

// p[key] of one head of one query; keys before `first` get 0.
std::vector<double> naive_probabilities(const Case& c, const std::vector<double>& q,
                                        const std::vector<double>& k,
                                        const std::vector<float>& sinks, index_t head, index_t t,
                                        index_t first, index_t last) {
  const index_t d = c.shape.head_dim, kv = head / (c.shape.heads / c.shape.kv_heads);
  std::vector<double> p(static_cast<std::size_t>(last));
  double most = c.sinks ? static_cast<double>(sinks[static_cast<std::size_t>(head)]) : -1e300;
  for (index_t s = first; s < last; ++s) {
    double dot = 0;
    for (index_t i = 0; i < d; ++i)
      dot += q[static_cast<std::size_t>((t * c.shape.heads + head) * d + i)] *
             k[static_cast<std::size_t>((s * c.shape.kv_heads + kv) * d + i)];
    p[static_cast<std::size_t>(s)] = dot / std::sqrt(static_cast<double>(d));
    most = std::max(most, p[static_cast<std::size_t>(s)]);
  }
  double sum =
      c.sinks ? std::exp(static_cast<double>(sinks[static_cast<std::size_t>(head)]) - most) : 0;
  for (index_t s = first; s < last; ++s)
    sum += p[static_cast<std::size_t>(s)] = std::exp(p[static_cast<std::size_t>(s)] - most);
  for (index_t s = first; s < last; ++s) p[static_cast<std::size_t>(s)] /= sum;
  return p;
}

struct Maps {
  static constexpr bool attention_maps = true;
  std::vector<double> rows;  // of the last call
  index_t width = 0;
  template <class T>
  void on(const std::string& name, Rows<T> x) {
    CHECK(name == "attention.3");
    rows.assign(x.data, x.data + x.rows * x.cols);
    width = x.cols;
  }
};

template <class T, class O>
void check_causal(const kernel::Kernels<T>& kernels, const Case& c, double bar, int threads,
                  O&& observer, Format format = Format::f32) {
  CAPTURE(kernels.name);
  CAPTURE(c.shape.heads);
  CAPTURE(c.shape.head_dim);
  CAPTURE(c.window);
  CAPTURE(c.chunk);
  CAPTURE(c.sinks);
  const index_t q_width = c.shape.heads * c.shape.head_dim,
                kv_width = c.shape.kv_heads * c.shape.head_dim;
  auto q = values<T>(length * q_width, 1), k = values<T>(length * kv_width, 2),
       v = values<T>(length * kv_width, 3);
  const auto sinks = normal_values(c.shape.heads, 4, 2);
  const auto held = [&](const std::vector<T>& values) {
    std::vector<double> list;
    for (const T x : values)
      list.push_back(format == Format::bf16 ? double{to_float(to_bf16(static_cast<float>(x)))}
                                            : static_cast<double>(x));
    return list;
  };
  const std::vector<double> q64(q.begin(), q.end()), k64 = held(k), v64 = held(v);
  ThreadPool pool(threads);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  KvCache<T> cache(c.shape.kv_heads, c.shape.head_dim, c.window, length,
                   c.window ? c.window - 1 + c.chunk : 0, format);
  double worst = 0, worst_map = 0;
  bool masked_is_zero = true, sums_fit = true;
  for (index_t at = 0; at < length; at += c.chunk) {
    const index_t count = std::min(c.chunk, length - at);
    for (index_t t = at; t < at + count; ++t)
      cache.write(t, k.data() + t * kv_width, v.data() + t * kv_width);
    std::vector<T> out(static_cast<std::size_t>(count * q_width), T(99));
    causal_attention(context, c.shape, Rows<T>(q.data() + at * q_width, count, q_width), cache, at,
                     c.sinks ? sinks.data() : nullptr, Rows<T>(out.data(), count, q_width),
                     observer, 3);
    for (index_t t = at; t < at + count; ++t)
      for (index_t h = 0; h < c.shape.heads; ++h) {
        const index_t first = c.window ? std::max<index_t>(0, t - c.window + 1) : 0;
        const auto p = naive_probabilities(c, q64, k64, sinks, h, t, first, t + 1);
        const index_t kv = h / (c.shape.heads / c.shape.kv_heads);
        for (index_t i = 0; i < c.shape.head_dim; ++i) {
          double sum = 0;
          for (index_t s = first; s <= t; ++s)
            sum +=
                p[static_cast<std::size_t>(s)] *
                v64[static_cast<std::size_t>((s * c.shape.kv_heads + kv) * c.shape.head_dim + i)];
          const double got = static_cast<double>(
              out[static_cast<std::size_t>((t - at) * q_width + h * c.shape.head_dim + i)]);
          worst = std::max(worst, std::abs(got - sum));
          if (!(got == got)) worst = 1e30;
        }
        if constexpr (observes_attention<O>) {
          sums_fit = sums_fit && observer.width == at + count;
          if (!sums_fit) break;
          double total = 0;
          for (index_t s = 0; s < observer.width; ++s) {
            const double got = observer.rows[static_cast<std::size_t>(
                ((t - at) * c.shape.heads + h) * observer.width + s)];
            const double want = s <= t ? p[static_cast<std::size_t>(s)] : 0;
            masked_is_zero = masked_is_zero && ((first <= s && s <= t) || got == 0);
            worst_map = std::max(worst_map, std::abs(got - want));
            total += got;
          }
          sums_fit = sums_fit && (c.sinks ? total < 1 : std::abs(total - 1) < 1e-5);
        }
      }
    cache.commit(count);
  }
  CHECK(worst < bar);
  CHECK(worst_map < bar);
  CHECK(masked_is_zero);
  CHECK(sums_fit);
}

TEST_CASE("causal attention: heads, groups, windows, rings that wrap, sinks") {
  for (const auto& c : cases())
    for (const auto* kernels : available_kernels())
      check_causal(*kernels, c, 3e-6, 1, NoObserver{});
}

TEST_CASE("a cache in bf16: nothing is lost but the rounding of keys and values") {
  for (const auto& c : cases())
    for (const auto* kernels : available_kernels())
      check_causal(*kernels, c, 3e-6, 2, NoObserver{}, Format::bf16);
}

// A sequence longer than a block of the cache, taken in chunks.
std::vector<float> chunked(const kernel::Kernels<float>& kernels, Format format, index_t chunk,
                           int threads, index_t window, index_t head_dim = 20,
                           Arithmetic arithmetic = Arithmetic::invariant, bool may_round = false) {
  constexpr index_t long_length = 600;
  const AttentionShape shape{6, 2, head_dim};
  const index_t width = 6 * head_dim, kv_width = 2 * head_dim;
  auto q = normal_values(long_length * width, 1);
  const auto k = normal_values(long_length * kv_width, 2),
             v = normal_values(long_length * kv_width, 3), sinks = normal_values(6, 4);
  ThreadPool pool(threads);
  Arena arena;
  Context<float> context{kernels, pool, arena, {}, arithmetic};
  KvCache<float> cache(2, head_dim, window, long_length, window ? window - 1 + chunk : 0, format);
  NoObserver none;
  std::vector<float> out(q.size());
  for (index_t at = 0; at < long_length; at += chunk) {
    const index_t count = std::min(chunk, long_length - at);
    for (index_t t = at; t < at + count; ++t)
      cache.write(t, k.data() + t * kv_width, v.data() + t * kv_width);
    causal_attention(context, shape, Rows<float>(q.data() + at * width, count, width), cache, at,
                     sinks.data(), Rows<float>(out.data() + at * width, count, width), none, 0,
                     may_round);
    cache.commit(count);
  }
  return out;
}

TEST_CASE("chunks, threads and rings give the same bits, in f32 and bf16") {
  for (const auto* kernels : invariant_kernels())
    for (const index_t window : {0, 100, 300}) {
      CAPTURE(kernels->name);
      CAPTURE(window);
      std::vector<float> of_format[2];
      for (const Format format : {Format::f32, Format::bf16}) {
        const auto whole = chunked(*kernels, format, 600, 1, window);
        for (const auto& [chunk, threads] :
             {std::pair<index_t, int>{600, 3}, {1, 2}, {97, 1}, {97, 2}, {256, 2}})
          CHECK(same_bits(chunked(*kernels, format, chunk, threads, window), whole));
        of_format[format == Format::bf16] = whole;
      }
      CHECK(nmse(of_format[1], of_format[0]) < 1e-4);
      CHECK(nmse(of_format[1], of_format[0]) > 1e-8);  // it is rounded
    }
}

TEST_CASE("many tokens in fast arithmetic: its error, threads, and what is never rounded") {
  for (const auto* kernels : available_kernels())
    for (const index_t window : {0, 100})
      for (const Format format : {Format::f32, Format::bf16}) {
        CAPTURE(kernels->name);
        CAPTURE(window);
        const auto run = [&](index_t chunk, int threads, Arithmetic arithmetic, bool may_round) {
          return chunked(*kernels, format, chunk, threads, window, 32, arithmetic, may_round);
        };
        const auto exact = run(200, 1, Arithmetic::invariant, true);
        CHECK(same_bits(run(200, 2, Arithmetic::fast, false), exact));  // f32 weights around it
        CHECK(same_bits(run(8, 2, Arithmetic::fast, true), run(8, 1, Arithmetic::invariant, true)));
        const bool rounds = kernels->rounded() != nullptr;
        for (const index_t chunk : {200, 97, 16}) {
          const auto fast = run(chunk, 2, Arithmetic::fast, true);
          CHECK(same_bits(fast, run(chunk, 3, Arithmetic::fast, true)));
          CHECK(nmse(fast, exact) <= (rounds ? 2e-5 : 0));
          if (chunk == 200) CHECK(same_bits(fast, exact) != rounds);
        }
      }
}

TEST_CASE("in double to the last digits") {
  for (const auto& c : cases())
    check_causal(*kernel::find_kernels<double>("scalar"), c, 1e-13, 3, NoObserver{});
}

TEST_CASE("attention maps are the probabilities, and sum to one less the sink's share") {
  for (const auto& c : cases())
    if (c.shape.head_dim < 32)
      for (const auto* kernels : available_kernels()) {
        Maps maps;
        check_causal(*kernels, c, 3e-6, 2, maps);
      }
}

TEST_CASE("every token of an image sees every token") {
  for (const AttentionShape shape : {AttentionShape{1, 1, 2}, {4, 4, 16}, {3, 3, 7}, {6, 2, 8}})
    for (const index_t tokens : {1, 2, 17, 65})
      for (const auto* kernels : available_kernels()) {
        CAPTURE(kernels->name);
        CAPTURE(shape.heads);
        CAPTURE(tokens);
        const index_t width = shape.heads * shape.head_dim,
                      kv_width = shape.kv_heads * shape.head_dim;
        auto q = normal_values(tokens * width, 1), k = normal_values(tokens * kv_width, 2),
             v = normal_values(tokens * kv_width, 3);
        const std::vector<double> q64(q.begin(), q.end()), k64(k.begin(), k.end());
        ThreadPool pool(2);
        Arena arena;
        Context<float> context{*kernels, pool, arena};
        std::vector<float> out(q.size());
        full_attention(context, shape, Rows<float>(q.data(), tokens, width),
                       Rows<float>(k.data(), tokens, kv_width),
                       Rows<float>(v.data(), tokens, kv_width),
                       Rows<float>(out.data(), tokens, width));
        double worst = 0;
        for (index_t t = 0; t < tokens; ++t)
          for (index_t h = 0; h < shape.heads; ++h) {
            const auto p = naive_probabilities({shape, 0, 0, false}, q64, k64, {}, h, t, 0, tokens);
            for (index_t i = 0; i < shape.head_dim; ++i) {
              double sum = 0;
              for (index_t s = 0; s < tokens; ++s)
                sum +=
                    p[static_cast<std::size_t>(s)] *
                    static_cast<double>(v[static_cast<std::size_t>(
                        s * kv_width + h / (shape.heads / shape.kv_heads) * shape.head_dim + i)]);
              worst = std::max(
                  worst,
                  std::abs(static_cast<double>(
                               out[static_cast<std::size_t>(t * width + h * shape.head_dim + i)]) -
                           sum));
            }
          }
        CHECK(worst < 3e-6);
      }
}

TEST_CASE("one token alone equals the same token among others, bit for bit") {
  const AttentionShape shape{4, 2, 16};
  for (const auto* kernels : invariant_kernels()) {
    CAPTURE(kernels->name);
    auto q = normal_values(30 * 64, 1);
    const auto kv = normal_values(30 * 64, 2);
    ThreadPool pool(2);
    Arena arena;
    Context<float> context{*kernels, pool, arena};
    KvCache<float> cache(2, 16, 6, 30, 0);
    for (index_t t = 0; t < 30; ++t) cache.write(t, kv.data() + t * 64, kv.data() + t * 64 + 32);
    NoObserver none;
    std::vector<float> all(q.size()), one(64);
    causal_attention(context, shape, Rows<float>(q.data(), 30, 64), cache, 0, nullptr,
                     Rows<float>(all.data(), 30, 64), none, 0);
    for (index_t t = 0; t < 30; ++t) {
      causal_attention(context, shape, Rows<float>(q.data() + t * 64, 1, 64), cache, t, nullptr,
                       Rows<float>(one.data(), 1, 64), none, 0);
      CHECK(std::equal(one.begin(), one.end(), all.begin() + t * 64));
    }
  }
}

}  // namespace attention_test
