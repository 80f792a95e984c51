// Random weights as transformers initialises a fresh model: matrices, embeddings and sinks N(0,
// 0.02), norms 1, layer scales 0.1, biases 0. For benchmarks and prototypes of any geometry, in any
// storage.
#pragma once

#include "gov/core/arena.hpp"
#include "gov/core/rng.hpp"
#include "gov/kernel/quantize.hpp"
#include "gov/model/parameter_list.hpp"
#include "gov/model/storage_policy.hpp"

namespace gov {

// Fills the parameters, stored as the policy says (default f32), and returns the block they lie in.
inline AlignedBuffer fill_random(const std::vector<ParameterRef>& parameters, std::uint64_t seed,
                                 const StoragePolicy& policy = {}) {
  const auto ends = [](const std::string& name, std::string_view end) {
    return name.ends_with(end);
  };
  const auto format_of = [&](const ParameterRef& p) {
    return p.is_matrix ? held_format(policy, Format::f32, p.name, p.is_expert, p.in) : Format::f32;
  };
  const auto room = [](const ParameterRef& p, Format format) {
    return round_up(p.data_bytes(format), cache_line) +
           round_up(p.scales_bytes(format), cache_line);
  };
  index_t bytes = 0;
  for (const auto& p : parameters) bytes += room(p, format_of(p));
  AlignedBuffer block(bytes);
  std::byte* at = block.data();
  Rng rng(seed);
  std::vector<float> row;
  for (const auto& p : parameters) {
    const Format format = format_of(p);
    Storage& storage = *p.storage;
    storage = {format, is_blocked(format) ? DType::U8 : DType::F32, at, nullptr};
    if (is_blocked(format)) storage.scales = at + round_up(p.data_bytes(format), cache_line);
    at += room(p, format);
    const bool norm = p.name.find("norm") != p.name.npos && ends(p.name, "weight");
    const bool lambda = p.name.find("lambda_") != p.name.npos;
    const bool bias =
        ends(p.name, "bias") || ends(p.name, "cls_token") || ends(p.name, "position_embeddings");
    row.resize(static_cast<std::size_t>(p.in));
    for (index_t n = 0; n < p.experts * p.out; ++n) {
      for (float& value : row)
        value = norm ? 1.0f : lambda ? 0.1f : bias ? 0.0f : static_cast<float>(0.02 * rng.normal());
      kernel::quantize_row(
          format, row.data(), p.in, storage.data + n * row_bytes(format, p.in),
          is_blocked(format) ? storage.scales + n * scale_bytes(format, p.in) : nullptr);
    }
  }
  return block;
}

}  // namespace gov
