#include "gov/kernel/arithmetic.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "gov/core/arena.hpp"
#include "tests/support/emulated_tiles.hpp"
#include "tests/support/kernel_cases.hpp"

namespace arithmetic_test {

using namespace gov;
using namespace gov::test;
using kernel::Packing;
using kernel::RoundedProducts;

constexpr Format stored[] = {Format::bf16, Format::q8, Format::mxfp4};
constexpr Packing layouts[] = {
    Packing::bf16_pairs, Packing::bf16_fours_pairs, Packing::bf16,      Packing::bf16_fours,
    Packing::bf16_tiles, Packing::bf16_tiles_fours, Packing::int16,     Packing::int16_fours,
    Packing::int8,       Packing::int8_fours,       Packing::int8_quads};

bool is_bf16(Packing packing) {
  return packing == Packing::bf16 || packing == Packing::bf16_fours ||
         packing == Packing::bf16_pairs || packing == Packing::bf16_fours_pairs ||
         packing == Packing::bf16_tiles || packing == Packing::bf16_tiles_fours;
}

bool reads(const RoundedProducts& rounded, Packing packing, Format format) {
  if (rounded.row_unit(packing) == 0) return false;
  const bool fours = packing == Packing::bf16_fours || packing == Packing::bf16_fours_pairs ||
                     packing == Packing::bf16_tiles_fours || packing == Packing::int16_fours ||
                     packing == Packing::int8_fours;
  if (packing == Packing::int8_quads) return is_blocked(format);
  if (format == Format::mxfp4) return fours;
  if (packing == Packing::bf16_tiles || packing == Packing::bf16_pairs) return true;
  return !fours && (format == Format::bf16) == is_bf16(packing);
}

double allowed(Packing packing) {
  if (is_bf16(packing)) return 5e-6;
  return packing == Packing::int16 || packing == Packing::int16_fours ? 1e-8 : 2e-4;
}

struct Rounding {
  std::string_view name;
  const RoundedProducts* products;
  const RoundedProducts* rounded() const { return products; }
};

// Every tag that rounds, and amx's kernels on tiles in plain C++ where avx512's run.
std::vector<Rounding> rounding_kernels() {
  std::vector<Rounding> found;
  for (const auto* kernels : available_kernels())
    if (kernels->rounded()) found.push_back({kernels->name, kernels->rounded()});
  if (kernel::cpu_features().avx512_bf16)
    found.push_back({"amx on emulated tiles", &kernel::on_amx::products<EmulatedTiles>});
  return found;
}

// x w^T + bias with the activations in this layout; y and packed end at guard pages.
std::vector<float> run(const RoundedProducts& rounded, Packing packing, const WeightView& w,
                       const std::vector<float>& x, const float* bias, index_t first, index_t last,
                       const index_t* pick = nullptr, index_t picked = 0) {
  const index_t in = w.in, rows = static_cast<index_t>(x.size()) / in;
  const index_t used = pick ? picked : rows;
  const GuardedBuffer<float> input(x);
  GuardedBuffer<std::byte> packed(rounded.packed_bytes(packing, used, in));
  REQUIRE(rounded.row_bytes(packing, in) % cache_line == 0);
  rounded.pack({{input.data(), rows, in}, packing, pick, 0, used, packed.data()});
  GuardedBuffer<float> y(std::vector<float>(static_cast<std::size_t>(used * w.out), 3.f));
  rounded.matmul({packing, packed.data(), w, bias, {y.data(), used, w.out}, first, last, false});
  REQUIRE(y.intact());
  return {y.begin(), y.end()};
}

std::vector<double> exact(const GuardedWeight& w, const std::vector<float>& x, const float* bias) {
  const index_t in = w.view.in, out = w.view.out;
  const auto weights = w.widened<double>();
  std::vector<double> y;
  for (index_t m = 0; m < static_cast<index_t>(x.size()) / in; ++m)
    for (index_t n = 0; n < out; ++n) {
      double sum = bias ? static_cast<double>(bias[n]) : 0;
      for (index_t k = 0; k < in; ++k)
        sum += static_cast<double>(x[static_cast<std::size_t>(m * in + k)]) *
               weights[static_cast<std::size_t>(n * in + k)];
      y.push_back(sum);
    }
  return y;
}

TEST_CASE("names") {
  for (const auto each : {Arithmetic::invariant, Arithmetic::fast, Arithmetic::int8})
    CHECK(parse_arithmetic(to_string(each)) == each);
  CHECK_THROWS_WITH_AS((void)parse_arithmetic("exact"),
                       doctest::Contains("invariant, fast or int8"), Error);
}

TEST_CASE("rounded products keep their stated error at every odd size, between guard pages") {
  for (const Rounding& kernels : rounding_kernels())
    for (const Format format : stored)
      for (const Packing packing : layouts) {
        if (!reads(*kernels.rounded(), packing, format)) continue;
        for (const index_t in : {1, 7, 31, 32, 33, 64, 96, 128, 160, 224, 257, 320, 1056, 2880}) {
          if (is_blocked(format) && in % block_size != 0) continue;
          const index_t out = in == 2880 ? 21 : in % 2 ? 19 : 9;
          const GuardedWeight w(format, out, in, 1, in % 3 * 2);
          const GuardedBuffer<float> bias(normal_values(out, 2, 1e-3));
          for (const index_t rows : {1, 2, 3, 4, 5, 8, 9, 31, 130}) {
            CAPTURE(kernels.name);
            CAPTURE(to_string(format));
            CAPTURE(static_cast<int>(packing));
            CAPTURE(in);
            CAPTURE(rows);
            const auto x = normal_values(rows * in, 3);
            const auto y = run(*kernels.rounded(), packing, w.view, x, bias.data(), 0, out);
            const auto truth = exact(w, x, bias.data());
            // A handful of numbers may be unlucky; many may not.
            REQUIRE(nmse(y, truth) <= allowed(packing) * (rows * out < 100 || in < 32 ? 20 : 1));
          }
        }
      }
}

TEST_CASE("a rounded row's bits depend on its layout alone, not on other rows or the columns") {
  for (const Rounding& kernels : rounding_kernels())
    for (const Format format : stored)
      for (const Packing packing : layouts) {
        if (!reads(*kernels.rounded(), packing, format)) continue;
        const index_t in = 1056, out = 23, rows = 37;
        const GuardedWeight w(format, out, in, 4);
        const auto x = normal_values(rows * in, 5), bias = normal_values(out, 6);
        const RoundedProducts& rounded = *kernels.rounded();
        const auto y = run(rounded, packing, w.view, x, bias.data(), 0, out);
        for (const index_t count : {1, 3, 4, 6, 36}) {
          std::vector<float> parts;
          for (index_t m = 0; m < rows; m += count) {
            const std::vector<float> some(x.begin() + m * in,
                                          x.begin() + std::min(rows, m + count) * in);
            const auto part = run(rounded, packing, w.view, some, bias.data(), 0, out);
            parts.insert(parts.end(), part.begin(), part.end());
          }
          REQUIRE(same_bits(parts, y));
        }
        const auto middle = run(rounded, packing, w.view, x, bias.data(), 5, 18);
        for (index_t i = 0; i < rows * out; ++i)
          REQUIRE(middle[static_cast<std::size_t>(i)] ==
                  (i % out >= 5 && i % out < 18 ? y[static_cast<std::size_t>(i)] : 3.f));
        const std::vector<index_t> pick{5, 0, 36, 5, 7, 9};
        const auto picked = run(rounded, packing, w.view, x, bias.data(), 0, out, pick.data(),
                                static_cast<index_t>(pick.size()));
        for (std::size_t i = 0; i < pick.size(); ++i)
          for (index_t n = 0; n < out; ++n)
            REQUIRE(picked[i * out + static_cast<std::size_t>(n)] ==
                    y[static_cast<std::size_t>(pick[i] * out + n)]);
      }
}

TEST_CASE("extreme MXFP4 scales are as exact as the others") {
  for (const Rounding& kernels : rounding_kernels())
    for (const int scale : {2, 100, 127, 128, 200, 250}) {
      GuardedWeight w(Format::mxfp4, 8, 128, 1);
      for (std::ptrdiff_t i = 0; i < w.scales.size(); ++i)
        w.scales[i] = static_cast<std::byte>(scale);
      const float size = scale < 127 ? 1e3f : 1e-3f;
      const auto x = normal_values(9 * 128, 3, static_cast<double>(size));
      for (const Packing packing :
           {Packing::bf16_fours, Packing::bf16_fours_pairs, Packing::bf16_tiles_fours,
            Packing::int16_fours, Packing::int8_fours, Packing::int8_quads}) {
        if (kernels.rounded()->row_unit(packing) == 0) continue;
        CAPTURE(scale);
        CHECK(nmse(run(*kernels.rounded(), packing, w.view, x, nullptr, 0, 8),
                   exact(w, x, nullptr)) <= 2 * allowed(packing));
      }
    }
}

TEST_CASE("an extreme MXFP4 scale of one block leaves the rest of its panel as it was") {
  const index_t in = 544, out = 41, rows = 37;
  GuardedWeight w(Format::mxfp4, out, in, 1);
  for (const int scale : {0, 253}) {
    for (const index_t n : {0, 18, 40}) {
      w.scales[n * (in / block_size) + 9] = static_cast<std::byte>(scale);
      for (index_t i = 0; i < block_size / 2; ++i)  // 0.5 and -1, finite times 2^126
        w.data[n * (in / 2) + 9 * block_size / 2 + i] = std::byte{0xa1};
    }
    const auto x = normal_values(rows * in, 3, 1e-3);
    const auto truth = exact(w, x, nullptr);
    for (const Rounding& kernels : rounding_kernels())
      for (const Packing packing : layouts) {
        if (!reads(*kernels.rounded(), packing, Format::mxfp4)) continue;
        const auto y = run(*kernels.rounded(), packing, w.view, x, nullptr, 0, out);
        CAPTURE(static_cast<int>(packing));
        for (index_t n = 0; n < out; ++n) {
          std::vector<float> column;
          std::vector<double> true_column;
          for (index_t m = 0; m < rows; ++m) {
            column.push_back(y[static_cast<std::size_t>(m * out + n)]);
            true_column.push_back(truth[static_cast<std::size_t>(m * out + n)]);
          }
          CHECK(nmse(column, true_column) <= 20 * allowed(packing));
        }
      }
  }
}

TEST_CASE("scales beyond bf16's range give infinity where f32 has it, not nonsense") {
  for (const Rounding& kernels : rounding_kernels()) {
    GuardedWeight w(Format::mxfp4, 1, 128, 1);
    for (std::ptrdiff_t i = 0; i < w.data.size(); ++i) w.data[i] = std::byte{0x11};  // 0.5
    for (std::ptrdiff_t i = 0; i < w.scales.size(); ++i) w.scales[i] = std::byte{254};
    std::vector<float> x(8 * 128, 0.f);
    for (std::size_t m = 0; m < 8; ++m) x[m * 128 + 3] = 0.25f;
    for (const Packing packing :
         {Packing::bf16_fours, Packing::bf16_fours_pairs, Packing::bf16_tiles_fours})
      if (kernels.rounded()->row_unit(packing) > 0)
        for (const float y : run(*kernels.rounded(), packing, w.view, x, nullptr, 0, 1))
          CHECK(y == 0x1p124f);
  }
}

TEST_CASE("NaN and infinity in activations show in the product") {
  for (const Rounding& kernels : rounding_kernels())
    for (const Format format : stored)
      for (const Packing packing : layouts) {
        if (!reads(*kernels.rounded(), packing, format)) continue;
        const GuardedWeight w(format, 4, 160, 1);
        for (const float bad :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
          auto x = normal_values(2 * 160, 3);
          x[133] = bad;
          const auto y = run(*kernels.rounded(), packing, w.view, x, nullptr, 0, 4);
          CAPTURE(static_cast<int>(packing));
          int finite = 0;
          for (std::size_t n = 0; n < 4; ++n) finite += is_finite(y[n]);
          CHECK(finite <= (is_nan(bad) ? 0 : 1));  // a weight may be 0
          for (std::size_t n = 4; n < 8; ++n) CHECK(is_finite(y[n]));
        }
      }
}

TEST_CASE("invariant arithmetic and f32 weights are never rounded") {
  for (const Rounding& kernels : rounding_kernels())
    for (const index_t rows : {1, 5, 100}) {
      CHECK(kernels.rounded()->packing(Arithmetic::fast, Format::f32, rows) == Packing::none);
      CHECK(kernels.rounded()->packing(Arithmetic::int8, Format::f32, rows) == Packing::none);
      CHECK(kernels.rounded()->packing(Arithmetic::fast, Format::mxfp4, rows) != Packing::none);
      for (const Format format : all_formats) {
        CHECK(kernels.rounded()->packing(Arithmetic::invariant, format, rows) == Packing::none);
        const Packing fast = kernels.rounded()->packing(Arithmetic::fast, format, rows);
        CHECK((fast == Packing::none ||
               (reads(*kernels.rounded(), fast, format) && allowed(fast) <= 5e-6)));
      }
    }
}

TEST_CASE("attention in bf16: its error, and a query's bits do not depend on its block") {
  struct Case {
    index_t width, group, tokens, keys;
    bool causal;
    index_t window;
    bool sinks;
  };
  std::vector<Case> cases;
  for (const index_t width : {16, 32, 64, 80, 128, 256})
    for (const index_t keys : {1, 2, 15, 31, 32, 33, 197, 1025})
      if (keys < 200 || width == 64) cases.push_back({width, 1, keys, keys, false, 0, false});
  for (const index_t group : {1, 3, 8})
    for (const index_t window : {0, 1, 24, 128})
      for (const auto& [tokens, keys] : {std::pair<index_t, index_t>{16, 16}, {37, 90}, {20, 333}})
        cases.push_back({64, group, tokens, keys, true, window, window != 1});
  for (const Rounding& kernels : rounding_kernels()) {
    const kernel::RoundedAttention& attention = kernels.rounded()->attention;
    CHECK_FALSE(attention.serves(24));
    for (const Case& c : cases) {
      const index_t width = c.width, group = c.group, tokens = c.tokens, keys = c.keys,
                    window = c.window;
      const bool causal = c.causal;
      REQUIRE(attention.serves(width));
      CAPTURE(kernels.name);
      CAPTURE(width);
      CAPTURE(group);
      CAPTURE(keys);
      CAPTURE(window);
      const GuardedBuffer<float> q(normal_values(tokens * group * width, 1)),
          k(normal_values(keys * width, 2)), v(normal_values(keys * width, 3)),
          sinks(normal_values(group, 4));
      GuardedBuffer<std::byte> packed(round_up(attention.packed_bytes(keys, width), 64)),
          scratch(round_up(attention.scratch_bytes(keys), 64));
      for (index_t first = 0; first < keys; first += 96) {
        const index_t count = std::min<index_t>(96, keys - first);
        attention.pack({{k.data() + first * width, count, width},
                        {v.data() + first * width, count, width},
                        first,
                        keys,
                        packed.data()});
      }
      const index_t row = group * width;
      GuardedBuffer<float> out(tokens * row), alone(row);
      kernel::RoundedAttentionArgs args{.q = {q.data(), tokens, row},
                                        .out = {out.data(), tokens, row},
                                        .group = group,
                                        .packed = packed.data(),
                                        .keys = keys,
                                        .causal = causal,
                                        .seen = keys - tokens + 1,
                                        .window = window,
                                        .sinks = c.sinks ? sinks.data() : nullptr,
                                        .scale = 1 / std::sqrt(static_cast<double>(width)),
                                        .scratch = scratch.data()};
      attention.attend(args);
      std::vector<double> truth;
      for (index_t t = 0; t < tokens; ++t)
        for (index_t g = 0; g < group; ++g) {
          const index_t last = causal ? keys - tokens + 1 + t : keys,
                        first = window > 0 ? std::max<index_t>(0, last - window) : 0;
          std::vector<double> weights;
          double sum = c.sinks ? std::exp(static_cast<double>(sinks[g])) : 0;
          for (index_t j = first; j < last; ++j) {
            double dot = 0;
            for (index_t d = 0; d < width; ++d)
              dot += static_cast<double>(q[t * row + g * width + d]) *
                     static_cast<double>(k[j * width + d]);
            sum += weights.emplace_back(std::exp(dot * args.scale));
          }
          for (index_t d = 0; d < width; ++d) {
            double mixed = 0;
            for (index_t j = first; j < last; ++j)
              mixed += weights[static_cast<std::size_t>(j - first)] *
                       static_cast<double>(v[j * width + d]);
            truth.push_back(mixed / sum);
          }
        }
      CHECK(nmse(out, truth) <= (keys < 15 ? 1e-4 : 2e-5));  // few numbers may be unlucky
      CHECK(out.intact());
      for (index_t t = 0; t < tokens; t += 1 + tokens / 10) {
        args.q = {q.data() + t * row, 1, row}, args.out = {alone.data(), 1, row};
        args.seen = keys - tokens + 1 + t;
        attention.attend(args);
        CHECK(std::memcmp(alone.data(), out.data() + t * row,
                          static_cast<std::size_t>(row) * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("tiny activations are not turned into others") {
  for (const Rounding& kernels : rounding_kernels())
    for (const Format format : stored)
      for (const Packing packing : layouts) {
        if (!reads(*kernels.rounded(), packing, format)) continue;
        const GuardedWeight w(format, 4, 128, 1);
        for (const float y : run(*kernels.rounded(), packing, w.view,
                                 std::vector<float>(128, 1e-36f), nullptr, 0, 4)) {
          CAPTURE(static_cast<int>(packing));
          CHECK(std::abs(y) < 1e-32f);
          CHECK((y == 0 || is_bf16(packing)));
        }
      }
}

}  // namespace arithmetic_test
