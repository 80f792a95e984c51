// Random weights as transformers initialises a fresh model: matrices, embeddings and sinks N(0,
// 0.02), norms 1 (0 where 1 is added), layer scales 0.1 or 1, biases 0. For benchmarks and
// prototypes of any geometry, in any storage: numbers are drawn in the format that holds them, so
// 21 billion take seconds. Each row's depend on the seed, its parameter and its own number, never
// on threads.
//
// Not quite normal: f32 are sums of four uniforms (kurtosis 2.7, within 3.5 sigma); bf16 and f16
// take 4,096 normal quantiles (within 3.7 sigma), q8 and mxfp4 256 (kurtosis above 2.4, within 2.9
// sigma), rounded to codes under one of two scales a block.
#pragma once

#include <array>
#include <cstring>
#include <mutex>
#include <stop_token>

#include "gov/core/arena.hpp"
#include "gov/core/parallel.hpp"
#include "gov/core/rng.hpp"
#include "gov/kernel/quantize.hpp"
#include "gov/model/load.hpp"
#include "gov/model/parameter_list.hpp"
#include "gov/model/storage_policy.hpp"

namespace gov {

inline constexpr double fresh_deviation = 0.02;  // initializer_range

namespace random_detail {

// The middles of N equally likely parts of a standard normal, by bisection.
template <std::size_t N>
std::array<double, N> normal_quantiles() {
  std::array<double, N> quantiles{};
  for (std::size_t i = 0; i < N; ++i) {
    double low = -8, high = 8;
    for (int step = 0; step < 60; ++step) {
      const double middle = (low + high) / 2, below = 0.5 * std::erfc(-middle * std::sqrt(0.5));
      (below < (static_cast<double>(i) + 0.5) / N ? low : high) = middle;
    }
    quantiles[i] = (low + high) / 2;
  }
  return quantiles;
}

// The code of each of 256 equally likely numbers, and the block scale that goes with them.
struct Codes {
  std::array<std::uint8_t, 256> of{};
  std::uint16_t scale = 0;  // E8M0 in mxfp4, bf16 in q8
};

// `value(code)` is the code's number in units of `unit`. Quantiles are stretched so that the
// rounded numbers have the deviation asked for.
template <class Encode, class Value>
Codes make_codes(double unit, const Encode& encode, const Value& value) {
  static const auto quantiles = normal_quantiles<256>();
  Codes codes;
  double low = 0.5, high = 2;
  for (int step = 0; step < 40; ++step) {
    const double stretch = (low + high) / 2;
    double sum = 0;
    for (std::size_t i = 0; i < 256; ++i) {
      codes.of[i] = encode(quantiles[i] * stretch * fresh_deviation / unit);
      const double x = value(codes.of[i]) * unit;
      sum += x * x;
    }
    (std::sqrt(sum / 256) < fresh_deviation ? low : high) = stretch;
  }
  return codes;
}

inline Codes mxfp4_codes(int exponent) {
  Codes codes = make_codes(
      std::ldexp(1.0, exponent), [](double x) { return kernel::to_fp4(static_cast<float>(x)); },
      [](std::uint8_t code) { return static_cast<double>(kernel::fp4_values[code]); });
  codes.scale = static_cast<std::uint16_t>(exponent + 127);
  return codes;
}

inline Codes q8_codes(double largest) {
  const bf16 scale = to_bf16(static_cast<float>(largest / 127));
  Codes codes = make_codes(
      static_cast<double>(to_float(scale)),
      [](double x) {
        return static_cast<std::uint8_t>(
            static_cast<std::int8_t>(std::clamp(std::nearbyint(x), -127.0, 127.0)));
      },
      [](std::uint8_t code) { return static_cast<double>(static_cast<std::int8_t>(code)); });
  codes.scale = scale.bits;
  return codes;
}

struct Tables {
  std::array<Codes, 2> mxfp4{mxfp4_codes(-7), mxfp4_codes(-6)};
  std::array<Codes, 2> q8{q8_codes(0.06), q8_codes(0.09)};
  std::array<std::uint16_t, 4096> bf16, f16;

  Tables() {
    const auto quantiles = normal_quantiles<4096>();
    for (std::size_t i = 0; i < 4096; ++i) {
      const auto value = static_cast<float>(quantiles[i] * fresh_deviation);
      bf16[i] = to_bf16(value).bits, f16[i] = to_f16(value).bits;
    }
  }
};

// Of which table each block is: one draw serves 64 blocks.
class Coins {
 public:
  bool flip(Rng& rng) {
    if (left_ == 0) bits_ = rng.next(), left_ = 64;
    const bool side = bits_ & 1;
    bits_ >>= 1, --left_;
    return side;
  }

 private:
  std::uint64_t bits_ = 0;
  int left_ = 0;
};

inline void draw_q8(Rng& rng, const std::array<Codes, 2>& tables, index_t in, std::byte* data,
                    std::byte* scales) {
  Coins coins;
  for (index_t b = 0; b < in / block_size; ++b) {
    const Codes& codes = tables[coins.flip(rng)];
    std::memcpy(scales + b * 2, &codes.scale, 2);
    for (index_t i = 0; i < block_size; i += 8) {
      std::uint64_t bits = rng.next(), packed = 0;
      for (int k = 0; k < 8; ++k, bits >>= 8)
        packed |= std::uint64_t{codes.of[bits & 255]} << (8 * k);
      std::memcpy(data + b * block_size + i, &packed, 8);
    }
  }
}

inline void draw_mxfp4(Rng& rng, const std::array<Codes, 2>& tables, index_t in, std::byte* data,
                       std::byte* scales) {
  Coins coins;
  for (index_t b = 0; b < in / block_size; ++b) {
    const Codes& codes = tables[coins.flip(rng)];
    scales[b] = static_cast<std::byte>(codes.scale);
    for (index_t i = 0; i < block_size; i += 8) {
      std::uint64_t bits = rng.next();
      std::uint32_t packed = 0;
      for (int k = 0; k < 8; ++k, bits >>= 8)
        packed |= std::uint32_t{codes.of[bits & 255]} << (4 * k);
      std::memcpy(data + (b * block_size + i) / 2, &packed, 4);
    }
  }
}

// The sum of four 16-bit uniforms, centred: variance 4 (2^32 - 1) / 12.
inline float draw_float(Rng& rng) {
  const std::uint64_t bits = rng.next();
  const auto sum = static_cast<std::int32_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) +
                                             ((bits >> 32) & 0xffff) + (bits >> 48));
  constexpr double deviation = 37837.2273;
  return static_cast<float>(sum - 2 * 65535) * static_cast<float>(fresh_deviation / deviation);
}

inline void draw_f32(Rng& rng, index_t in, std::byte* data) {
  for (index_t i = 0; i < in; ++i) {
    const float value = draw_float(rng);
    std::memcpy(data + i * 4, &value, 4);
  }
}

inline void draw_16(Rng& rng, const std::array<std::uint16_t, 4096>& values, index_t in,
                    std::byte* data) {
  for (index_t i = 0; i < in; i += 4) {
    const std::uint64_t bits = rng.next();
    const std::uint16_t drawn[4]{values[bits & 4095], values[(bits >> 16) & 4095],
                                 values[(bits >> 32) & 4095], values[(bits >> 48) & 4095]};
    std::memcpy(data + i * 2, drawn, static_cast<std::size_t>(std::min<index_t>(4, in - i)) * 2);
  }
}

// Parameters that are not drawn.
inline std::optional<float> constant_of(std::string_view name, bool is_offset = false) {
  if (is_offset) return 0.0f;
  const bool norm = name.find("norm") != name.npos || name.find(".ln_") != name.npos;
  if (norm && name.ends_with("weight")) return 1.0f;
  if (name.find("lambda_") != name.npos) return 0.1f;  // InternViT's
  if (name.ends_with("lambda1")) return 1.0f;          // DINOv2's
  for (const std::string_view end :
       {"bias", "cls_token", "position_embeddings", "mask_token", "register_tokens"})
    if (name.ends_with(end)) return 0.0f;
  return std::nullopt;
}

}  // namespace random_detail

struct FillOptions {
  ThreadPool* pool = nullptr;  // null: the caller's thread alone
  Progress progress{};
  std::stop_token stop{};
};

// Fills the parameters, stored as the policy says (default f32), and returns the block they lie in.
inline AlignedBuffer fill_random(const std::vector<ParameterRef>& parameters, std::uint64_t seed,
                                 const StoragePolicy& policy = {},
                                 const FillOptions& options = {}) {
  using namespace random_detail;
  static const Tables tables;
  struct Task {
    const ParameterRef* parameter;
    std::uint64_t stream;
    index_t first, last;  // rows of all experts
  };
  index_t bytes = 0;
  std::vector<Format> formats;
  for (const auto& p : parameters) {
    formats.push_back(p.is_matrix ? fresh_format(policy, p.name, p.is_expert, p.in) : Format::f32);
    bytes += round_up(p.data_bytes(formats.back()), cache_line) +
             round_up(p.scales_bytes(formats.back()), cache_line);
  }
  AlignedBuffer block(bytes);
  std::byte* at = block.data();
  std::vector<Task> tasks;
  Rng streams(seed);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const ParameterRef& p = parameters[i];
    const Format format = formats[i];
    const DType stored_as = is_blocked(format)       ? DType::U8
                            : format == Format::bf16 ? DType::BF16
                            : format == Format::f16  ? DType::F16
                                                     : DType::F32;
    std::byte* const scales =
        is_blocked(format) ? at + round_up(p.data_bytes(format), cache_line) : nullptr;
    *p.storage = {format, stored_as, at, scales};
    at += round_up(p.data_bytes(format), cache_line) + round_up(p.scales_bytes(format), cache_line);
    constexpr index_t piece = index_t{2} << 20;
    const index_t rows = p.experts * p.out,
                  step =
                      std::max<index_t>(1, piece / std::max<index_t>(1, row_bytes(format, p.in)));
    const std::uint64_t stream = streams.next();
    for (index_t first = 0; first < rows; first += step)
      tasks.push_back({&p, stream, first, std::min(rows, first + step)});
  }
  const auto fill = [&](const Task& task) {
    const ParameterRef& p = *task.parameter;
    const Storage& storage = *p.storage;
    const auto constant = constant_of(p.name, p.is_offset);
    const std::vector<float> same(constant ? static_cast<std::size_t>(p.in) : 0,
                                  constant.value_or(0));
    for (index_t n = task.first; n < task.last; ++n) {
      std::byte* const data = storage.data + n * row_bytes(storage.format, p.in);
      std::byte* const scales =
          storage.scales ? storage.scales + n * scale_bytes(storage.format, p.in) : nullptr;
      Rng rng(Rng(task.stream + static_cast<std::uint64_t>(n)).next());
      if (constant) {
        kernel::quantize_row(storage.format, same.data(), p.in, data, scales);
        continue;
      }
      switch (storage.format) {
        case Format::f32: draw_f32(rng, p.in, data); break;
        case Format::bf16: draw_16(rng, tables.bf16, p.in, data); break;
        case Format::f16: draw_16(rng, tables.f16, p.in, data); break;
        case Format::q8: draw_q8(rng, tables.q8, p.in, data, scales); break;
        case Format::mxfp4: draw_mxfp4(rng, tables.mxfp4, p.in, data, scales); break;
      }
    }
  };
  std::mutex reporting;
  index_t done = 0;
  const auto count = static_cast<index_t>(tasks.size());
  const auto run = [&](index_t i) {
    if (options.stop.stop_requested())
      throw Error({.code = Errc::cancelled,
                   .file = {},
                   .field = "random weights",
                   .expected = "to run to their end",
                   .found = "a request to stop"});
    fill(tasks[static_cast<std::size_t>(i)]);
    if (!options.progress) return;
    const std::lock_guard<std::mutex> lock(reporting);  // so that shares only rise
    ++done;
    if (done % 16 == 0 || done == count)
      options.progress("filling", static_cast<double>(done) / static_cast<double>(count));
  };
  if (options.pool)
    options.pool->parallel_for(count, run);
  else
    for (index_t i = 0; i < count; ++i) run(i);
  return block;
}

}  // namespace gov
