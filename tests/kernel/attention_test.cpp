#include "gov/kernel/scalar/attention.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "tests/support/kernel_cases.hpp"

namespace attention_test {

using namespace gov;
using namespace gov::test;
using kernel::AttentionArgs;
using kernel::Kernels;

constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// A group of heads over `keys` keys; the ring is cut after `cut` of them. `run` rows lie together.
struct Case {
  index_t group, head_dim, keys, cut, key_stride, query_stride;
  bool with_sinks;
  Format format = Format::f32;
  index_t run = 0, begin = 0;  // run 0: all; begin: rows of the first run that are no keys
  std::vector<float> query, key, value, sinks;

  Case(index_t heads, index_t dim, index_t key_count, bool sink, std::uint64_t seed = 1)
      : group(heads),
        head_dim(dim),
        keys(key_count),
        cut(key_count),
        key_stride(dim + 5),
        query_stride(dim + 3),
        with_sinks(sink),
        query(normal_values((heads - 1) * query_stride + dim, seed)),
        key(normal_values(span(), seed + 1)),
        value(normal_values(span(), seed + 2)),
        sinks(normal_values(heads, seed + 3)) {}

  index_t span() const { return keys == 0 ? 0 : (keys - 1) * key_stride + head_dim; }

  struct Result {
    std::vector<float> out, scores;
  };

  // Rounded to bf16, and widened again.
  Case rounded() const {
    Case c = *this;
    for (auto* values : {&c.key, &c.value})
      for (float& x : *values) x = to_float(to_bf16(x));
    return c;
  }

  template <class T = float>
  auto run_on(const Kernels<T>& kernels) const {
    return format == Format::bf16 ? run_stored<T>(kernels, [](float x) { return to_bf16(x); })
                                  : run_stored<T>(kernels, [](float x) { return T(x); });
  }

  // Rows [first, last) in runs from row `skip` on, as S, ending at a guard page. Gaps hold NaN.
  template <class S, class Store>
  GuardedBuffer<S> laid_out(const std::vector<float>& from, index_t first, index_t last,
                            index_t skip, Store&& store) const {
    const index_t rows = skip + last - first;
    const auto place = [&](index_t row) {
      return run ? row / run * run_stride() + row % run * key_stride : row * key_stride;
    };
    std::vector<S> to(static_cast<std::size_t>(first == last ? 0 : place(rows - 1) + head_dim),
                      store(quiet_nan));
    for (index_t j = first; j < last; ++j)
      for (index_t d = 0; d < head_dim; ++d)
        to[static_cast<std::size_t>(place(skip + j - first) + d)] =
            store(from[static_cast<std::size_t>(j * key_stride + d)]);
    return GuardedBuffer<S>(to);
  }
  index_t run_stride() const { return run * key_stride + 11; }

  template <class T, class Store>
  auto run_stored(const Kernels<T>& kernels, Store&& store) const {
    using S = decltype(store(0.f));
    std::vector<T> q(query.begin(), query.end());
    // Two pieces in blocks of their own, each ending at a guard page.
    auto k0 = laid_out<S>(key, 0, cut, begin, store), v0 = laid_out<S>(value, 0, cut, begin, store),
         k1 = laid_out<S>(key, cut, keys, 0, store), v1 = laid_out<S>(value, cut, keys, 0, store);
    GuardedBuffer<T> in(q), out(static_cast<index_t>(q.size())), scores(group * keys);
    GuardedBuffer<float> sink(sinks);
    AttentionArgs<T> args;
    args.query = in.data(), args.out = out.data(), args.query_stride = query_stride;
    args.group = group, args.head_dim = head_dim;
    args.pieces[0] = {k0.data(), v0.data(), cut, begin};
    args.pieces[1] = {k1.data(), v1.data(), keys - cut, 0};
    args.format = format;
    if (run) args.run = run, args.run_stride = run_stride();
    args.key_stride = key_stride, args.sinks = with_sinks ? sink.data() : nullptr;
    args.scale = 0.3, args.scores = scores.data();
    const std::vector<T> before(out.begin(), out.end());
    kernels.attention(args);
    REQUIRE(out.intact());
    REQUIRE(scores.intact());
    std::vector<T> rows;
    for (index_t h = 0; h < group; ++h)
      for (index_t d = 0; d < query_stride && h * query_stride + d < out.size(); ++d) {
        const index_t at = h * query_stride + d;
        if (d < head_dim)
          rows.push_back(out[at]);
        else
          REQUIRE(std::memcmp(&out[at], &before[static_cast<std::size_t>(at)], sizeof(T)) == 0);
      }
    return std::pair(rows, std::vector<T>(scores.begin(), scores.end()));
  }
};

TEST_CASE("attention agrees with f64 for every backend, head_dim, group and number of keys") {
  for (const auto* kernels : available_kernels())
    for (const index_t head_dim : {1, 7, 8, 15, 16, 17, 31, 33, 64, 72, 80, 128, 131})
      for (const index_t keys : {1, 2, 3, 4, 5, 15, 16, 17, 35, 64, 67, 129})
        for (const index_t group : {1, 2, 3, 4, 7, 8}) {
          CAPTURE(kernels->name);
          CAPTURE(head_dim);
          CAPTURE(keys);
          CAPTURE(group);
          const Case c(group, head_dim, keys, keys % 2 == 0);
          const auto [out, scores] = c.run_on(*kernels);
          const auto [exact, exact_scores] = c.run_on(kernel::kernels_of<kernel::scalar, double>);
          REQUIRE(nmse(out, exact) <= 1e-11);
          REQUIRE(nmse(scores, exact_scores) <= 1e-11);
        }
}

TEST_CASE("keys and values in bf16 give the bits of the same numbers in f32, in any runs") {
  for (const auto* kernels : available_kernels())
    for (const index_t head_dim : {1, 7, 8, 15, 16, 17, 31, 33, 64, 72, 80, 131})
      for (const index_t keys : {1, 3, 5, 16, 35, 64, 67, 129})
        for (const index_t group : {1, 3, 8}) {
          CAPTURE(kernels->name);
          CAPTURE(head_dim);
          CAPTURE(keys);
          CAPTURE(group);
          Case c(group, head_dim, keys, keys % 2 == 0);
          const Case wide = c.rounded();
          c.format = Format::bf16;
          const auto expected = wide.run_on(*kernels);
          const auto exact = wide.run_on(kernel::kernels_of<kernel::scalar, double>);
          REQUIRE(nmse(expected.first, exact.first) <= 1e-11);
          for (const index_t run : {0, 1, 7, 64, 100}) {
            CAPTURE(run);
            for (Case cut : {c, wide}) {
              cut.run = run, cut.begin = run / 3, cut.cut = keys - keys / 4;
              const auto found = cut.run_on(*kernels);
              REQUIRE(same_bits(found.first, expected.first));
              REQUIRE(same_bits(found.second, expected.second));
            }
          }
          REQUIRE(nmse(c.run_on(*kernels).first, exact.first) <= 1e-11);
        }
}

TEST_CASE("the scores that are left are the probabilities: 1 in all, less the sink's share") {
  for (const auto* kernels : available_kernels())
    for (const bool sinks : {false, true}) {
      CAPTURE(kernels->name);
      const Case c(5, 64, 100, sinks);
      const auto scores = c.run_on(*kernels).second;
      for (std::size_t h = 0; h < 5; ++h) {
        double sum = 0;
        for (std::size_t j = 0; j < 100; ++j) sum += static_cast<double>(scores[h * 100 + j]);
        if (sinks)
          CHECK(sum < 1 - 1e-4);
        else
          CHECK(sum == doctest::Approx(1).epsilon(1e-6));
      }
    }
}

TEST_CASE("neither the cut of a ring nor the size of the group changes a bit") {
  for (const auto* kernels : invariant_kernels())
    for (const index_t head_dim : {24, 64, 80})
      for (const index_t keys : {1, 5, 63, 64, 130}) {
        CAPTURE(kernels->name);
        CAPTURE(head_dim);
        CAPTURE(keys);
        Case whole(8, head_dim, keys, true);
        const auto expected = whole.run_on(*kernels);
        for (const index_t cut : {index_t{0}, index_t{1}, keys / 3, keys / 2, keys - 1}) {
          Case ring = whole;
          ring.cut = cut;
          const auto found = ring.run_on(*kernels);
          REQUIRE(same_bits(found.first, expected.first));
          REQUIRE(same_bits(found.second, expected.second));
        }
        for (index_t h = 0; h < 8; ++h) {
          Case one = whole;
          one.group = 1;
          one.query.assign(whole.query.begin() + h * whole.query_stride,
                           whole.query.begin() + h * whole.query_stride + head_dim);
          one.sinks.assign(1, whole.sinks[static_cast<std::size_t>(h)]);
          const std::vector<float> row(expected.first.begin() + h * head_dim,
                                       expected.first.begin() + (h + 1) * head_dim);
          REQUIRE(same_bits(one.run_on(*kernels).first, row));
        }
      }
}

TEST_CASE("without keys the output is 0; a sink of -inf is no sink; a large sink takes all") {
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    const auto none = Case(3, 20, 0, true).run_on(*kernels).first;
    CHECK(none == std::vector<float>(60, 0.f));
    Case off(4, 20, 9, true);
    off.sinks.assign(4, -infinity);
    Case without = off;
    without.with_sinks = false;
    CHECK(same_bits(off.run_on(*kernels).first, without.run_on(*kernels).first));
    off.sinks.assign(4, 1000.f);
    CHECK(off.run_on(*kernels).first == std::vector<float>(80, 0.f));
  }
}

TEST_CASE("huge scores do not overflow") {
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    Case c(2, 16, 21, false);
    for (float& value : c.query) value *= 3000;
    const auto out = c.run_on(*kernels).first;
    const auto exact = c.run_on(kernel::kernels_of<kernel::scalar, double>).first;
    CHECK(nmse(out, exact) <= 1e-5);  // scores near 1e4 carry f32 errors near 1e-3
  }
}

TEST_CASE("a NaN in a query, key, value or sink shows") {
  for (const auto* kernels : available_kernels())
    for (const index_t keys : {1, 4, 19, 70})
      for (const index_t bad : {index_t{0}, keys / 2, keys - 1}) {
        CAPTURE(kernels->name);
        CAPTURE(keys);
        const auto check = [&](const Case& c, index_t from, index_t to, index_t every) {
          const auto out = c.run_on(*kernels).first;
          for (index_t i = 0; i < static_cast<index_t>(out.size()); ++i) {
            const bool expected = i >= from && i < to && (i - from) % every == 0;
            REQUIRE(is_nan(out[static_cast<std::size_t>(i)]) == expected);
          }
        };
        const Case clean(5, 20, keys, true);
        Case c = clean;
        c.query[static_cast<std::size_t>(c.query_stride + 19)] = quiet_nan;
        check(c, 20, 40, 1);
        c = clean;
        c.key[static_cast<std::size_t>(bad * c.key_stride + 3)] = quiet_nan;
        check(c, 0, 100, 1);
        c = clean;
        c.key[static_cast<std::size_t>(bad * c.key_stride + 3)] = infinity;  // inf - inf, or all
        const auto out = c.run_on(*kernels).first;
        bool shows = false;
        for (const float value : out) shows = shows || is_nan(value);
        REQUIRE(shows);
        c = clean;
        c.value[static_cast<std::size_t>(bad * c.key_stride + 3)] = quiet_nan;
        check(c, 3, 100, 20);
        c = clean;
        c.sinks[4] = quiet_nan;
        check(c, 80, 100, 1);
      }
}

TEST_CASE("softmax: f64, any length, rows of -inf, NaN and +inf") {
  for (const auto* kernels : available_kernels()) {
    CAPTURE(kernels->name);
    for (const index_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 67, 1000}) {
      CAPTURE(n);
      const auto values = normal_values(n, 3, 4);
      std::vector<double> exact(values.begin(), values.end());
      kernel::softmax(kernel::scalar{}, exact.data(), n);
      GuardedBuffer<float> x(values);
      kernels->softmax(x.data(), n);
      REQUIRE(nmse(x, exact) <= 1e-12);
      REQUIRE(x.intact());

      std::vector<float> masked(static_cast<std::size_t>(n), -infinity);
      kernels->softmax(masked.data(), n);
      REQUIRE(masked == std::vector<float>(static_cast<std::size_t>(n), 0.f));

      for (const float bad : {quiet_nan, infinity}) {
        auto planted = values;
        planted[static_cast<std::size_t>(n / 2)] = bad;
        kernels->softmax(planted.data(), n);
        REQUIRE(is_nan(planted[static_cast<std::size_t>(n / 2)]));
      }
      masked.assign(static_cast<std::size_t>(n), -infinity);
      masked.back() = quiet_nan;
      kernels->softmax(masked.data(), n);
      REQUIRE(is_nan(masked.front()));
      masked.assign(static_cast<std::size_t>(n), -infinity);
      masked.back() = -300.f;
      kernels->softmax(masked.data(), n);
      REQUIRE(masked.back() == 1.f);
    }
    kernels->softmax(nullptr, 0);
  }
}

}  // namespace attention_test
