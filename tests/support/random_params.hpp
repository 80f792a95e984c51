// Parameters filled with random numbers that are the same on every machine, in any Format, and
// random activations.
#pragma once

#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "gov/core/arena.hpp"
#include "gov/core/rng.hpp"
#include "gov/model/parameter_list.hpp"

namespace gov::test {

// Dense: all matrices but the experts'. Where 32 does not divide a row's length, blocks become
// bf16.
struct Formats {
  Format dense = Format::f32, experts = Format::f32;
};

inline std::uint64_t hash_name(std::string_view name, std::uint64_t seed) {
  std::uint64_t value = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return value;
}

// The values depend on the name, the seed and the format alone. Routers are kept out of blocks, so
// that no two experts tie.
inline void fill_random(const ParameterRef& p, Format format, std::byte* data, std::byte* scales,
                        std::uint64_t seed) {
  Rng rng(hash_name(p.name, seed));
  const std::string_view name = p.name;
  const bool norm = !p.is_matrix && name.ends_with("weight"),
             scale = name.find("lambda_") != name.npos;
  const double spread = norm || scale             ? 0.1
                        : p.is_matrix             ? 1.5 / std::sqrt(static_cast<double>(p.in))
                        : name.ends_with("sinks") ? 1.0
                                                  : 0.2;
  const double offset = norm ? 1 : scale ? 0.5 : 0;
  const auto put = [&](std::byte*& at, const auto& value) {
    std::memcpy(at, &value, sizeof value);
    at += sizeof value;
  };
  for (index_t i = 0; i < p.size(); ++i) {
    const auto value = static_cast<float>(offset + spread * rng.normal());
    switch (format) {
      case Format::f32: put(data, value); break;
      case Format::bf16: put(data, to_bf16(value)); break;
      case Format::f16: put(data, to_f16(value)); break;
      case Format::q8:
        put(data, static_cast<std::int8_t>(static_cast<int>(rng.next() % 255) - 127));
        break;
      case Format::mxfp4:
        if (i % 2 == 0) put(data, static_cast<std::uint8_t>(rng.next()));
        break;
    }
    if (i % block_size != 0) continue;
    if (format == Format::q8)
      put(scales, to_bf16(static_cast<float>(spread / 73 * (0.5 + rng.uniform()))));
    if (format == Format::mxfp4)
      put(scales,
          static_cast<std::uint8_t>(126 + static_cast<int>(std::floor(std::log2(spread / 3))) +
                                    static_cast<int>(rng.next() % 3)));
  }
}

// Fills all of a Params struct; the result is the memory it lies in.
template <class Params>
AlignedBuffer random_params(Params& params, Formats formats = {}, std::uint64_t seed = 1) {
  const auto list = parameter_list(params);
  const auto format_of = [&](const ParameterRef& p) {
    if (!p.is_matrix) return Format::f32;
    const Format wanted = p.is_expert ? formats.experts : formats.dense;
    const bool router = p.name.find("router.") != p.name.npos;
    return is_blocked(wanted) && (p.in % block_size != 0 || router) ? Format::bf16 : wanted;
  };
  const auto room = [&](const ParameterRef& p) {
    return round_up(p.data_bytes(format_of(p)), cache_line) +
           round_up(p.scales_bytes(format_of(p)), cache_line);
  };
  index_t bytes = 0;
  for (const auto& p : list) bytes += room(p);
  AlignedBuffer memory(bytes);
  std::byte* at = memory.data();
  for (const auto& p : list) {
    const Format format = format_of(p);
    std::byte* const scales =
        is_blocked(format) ? at + round_up(p.data_bytes(format), cache_line) : nullptr;
    fill_random(p, format, at, scales, seed);
    *p.storage = {format, DType::F32, at, scales};
    at += room(p);
  }
  return memory;
}

// Ids in [3, 3 + range), the same for the same seed.
inline std::vector<int> random_ids(index_t count, std::uint64_t seed, int range = 250) {
  Rng rng(seed);
  std::vector<int> ids(static_cast<std::size_t>(count));
  for (int& id : ids) id = 3 + static_cast<int>(rng.next() % static_cast<std::uint64_t>(range));
  return ids;
}

inline std::vector<float> random_values(index_t count, std::uint64_t seed, double spread = 1) {
  Rng rng(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(spread * rng.normal());
  return values;
}

}  // namespace gov::test
