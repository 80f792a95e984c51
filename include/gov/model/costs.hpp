// What a model must do at least, from its geometry and the formats that hold its weights: flops of
// a prefill and of a tile (a multiply-add is two), bytes that they and a decoding step read.
// Against the limits of a machine (kernel/limits.hpp) these say how near to them a run came.
//
//   prefill of n tokens   2 n (dense + experts k/E) + 2 head + 4 sum over layers and tokens of
//                         heads head_dim min(position + 1, window)
//   step of B sequences   dense + head + E (1 - (1 - k/E)^B) experts, an embedding row each, and
//                         2 kv_heads head_dim min(length, window) of each cache
//   prefill in chunks     a chunk of B tokens reads what a step of B does, but of the one cache
//                         once what any of them sees, and the head only at the end
// Norms, softmax and activations are left out of the flops, activations out of the bytes.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "gov/model/architecture.hpp"
#include "gov/model/parameter_list.hpp"

namespace gov {

// Sizes of a language model's parts, as stored.
struct LanguageSizes {
  double dense = 0, experts = 0, head = 0, embedding_row = 0;

  // Numbers of the matrices.
  template <class Cfg>
  static LanguageSizes numbers(const std::vector<ParameterRef>& parameters) {
    return sum<Cfg>(parameters, [](const ParameterRef& p) {
      return p.is_matrix ? static_cast<double>(p.size()) : 0.0;
    });
  }
  // Bytes of everything.
  template <class Cfg>
  static LanguageSizes bytes(const std::vector<ParameterRef>& parameters) {
    return sum<Cfg>(parameters, [](const ParameterRef& p) {
      const Format format = p.storage->format;
      return static_cast<double>(p.data_bytes(format) + p.scales_bytes(format));
    });
  }

 private:
  template <class Cfg, class Size>
  static LanguageSizes sum(const std::vector<ParameterRef>& parameters, const Size& size) {
    LanguageSizes sizes;
    for (const auto& p : parameters) {
      const auto has = [&](std::string_view part) { return p.name.find(part) != p.name.npos; };
      if (p.of_images()) continue;
      if (has("embed_positions")) continue;  // one row of it is read
      if (has("embed_tokens")) {
        sizes.embedding_row = size(p) / static_cast<double>(p.out);
        if (Architecture<Cfg>::tied) sizes.head = size(p);
      } else if (has("lm_head")) {
        sizes.head = size(p);
      } else {
        (has(".experts.") ? sizes.experts : sizes.dense) += size(p);
      }
    }
    return sizes;
  }
};

namespace costs_detail {

// Keys that queries at positions [first, last) see in all layers together.
template <class C>
double keys_seen(const C& config, index_t first, index_t last) {
  double keys = 0;
  for (index_t layer = 0; layer < geometry_of(config).num_hidden_layers; ++layer) {
    const index_t window = config.window(layer);
    for (index_t position = first; position < last; ++position)
      keys += static_cast<double>(window ? std::min(position + 1, window) : position + 1);
  }
  return keys;
}

inline double chosen_share(const LanguageGeometry& g) {
  return static_cast<double>(g.num_experts_per_tok) / static_cast<double>(g.num_experts);
}

// Experts that at least one of so many tokens chooses.
inline double share_of_any(const LanguageGeometry& g, double tokens) {
  return 1 - std::pow(1 - chosen_share(g), tokens);
}

}  // namespace costs_detail

// Tokens at positions [first, first + count) of one sequence, with the logits of the last.
template <class Cfg>
double prefill_flops(const std::vector<ParameterRef>& parameters, index_t first, index_t count) {
  using namespace costs_detail;
  constexpr auto& c = Architecture<Cfg>::language_config;
  constexpr LanguageGeometry g = Architecture<Cfg>::geometry;
  const auto sizes = LanguageSizes::numbers<Cfg>(parameters);
  return 2 * static_cast<double>(count) * (sizes.dense + sizes.experts * chosen_share(g)) +
         2 * sizes.head +
         4 * static_cast<double>(g.num_attention_heads * g.head_dim) *
             keys_seen(c, first, first + count);
}

struct StepBytes {
  double weights = 0, caches = 0;
  double total() const { return weights + caches; }
};

// One step of `batch` sequences whose new token has position `position`. Which experts are chosen
// is taken as even chance: what several tokens share is read once.
template <class Cfg, class T = float>
StepBytes decode_bytes(const std::vector<ParameterRef>& parameters, index_t position,
                       index_t batch = 1, index_t cache_number_bytes = 4) {
  using namespace costs_detail;
  constexpr auto& c = Architecture<Cfg>::language_config;
  constexpr LanguageGeometry g = Architecture<Cfg>::geometry;
  const auto sizes = LanguageSizes::bytes<Cfg>(parameters);
  const auto sequences = static_cast<double>(batch);
  return {sizes.dense + sizes.head + sizes.experts * share_of_any(g, sequences) +
              sequences * sizes.embedding_row,
          sequences * keys_seen(c, position, position + 1) *
              static_cast<double>(2 * g.num_key_value_heads * g.head_dim) *
              static_cast<double>(cache_number_bytes)};
}

// Tokens at positions [first, first + count) of one sequence, `chunk` at a time.
template <class Cfg>
StepBytes prefill_bytes(const std::vector<ParameterRef>& parameters, index_t first, index_t count,
                        index_t chunk, index_t cache_number_bytes = 4) {
  using namespace costs_detail;
  constexpr auto& c = Architecture<Cfg>::language_config;
  constexpr LanguageGeometry g = Architecture<Cfg>::geometry;
  const auto sizes = LanguageSizes::bytes<Cfg>(parameters);
  StepBytes bytes{sizes.head, 0};
  for (index_t done = 0; done < count; done += chunk) {
    const index_t tokens = std::min(chunk, count - done), seen = first + done + tokens;
    bytes.weights += sizes.dense + sizes.experts * share_of_any(g, static_cast<double>(tokens)) +
                     static_cast<double>(tokens) * sizes.embedding_row;
    for (index_t layer = 0; layer < g.num_hidden_layers; ++layer) {
      const index_t window = c.window(layer);
      bytes.caches += static_cast<double>(window ? std::min(seen, window - 1 + tokens) : seen) *
                      static_cast<double>(2 * g.num_key_value_heads * g.head_dim) *
                      static_cast<double>(cache_number_bytes);
    }
  }
  return bytes;
}

// Weights of the tower and the projector, which each tile reads once.
inline double tile_bytes(const std::vector<ParameterRef>& parameters) {
  double bytes = 0;
  for (const auto& p : parameters)
    if (p.of_images())
      bytes +=
          static_cast<double>(p.data_bytes(p.storage->format) + p.scales_bytes(p.storage->format));
  return bytes;
}

// One tile or picture of the usual size, to projected features.
template <class Cfg>
double tile_flops(const std::vector<ParameterRef>& parameters) {
  if constexpr (!Multimodal<Cfg>) {
    (void)parameters;
    return 0;
  } else {
    using A = Architecture<Cfg>;
    using Vision = typename A::Vision;
    constexpr Extent size = A::picture_size;
    const index_t tokens = Vision::tokens(size.height, size.width),
                  features = A::Images::image_tokens(size.height, size.width),
                  layers = A::Images::deepest;
    double flops = 4.0 * static_cast<double>(layers * tokens * tokens * Vision::hidden_size);
    for (const auto& p : parameters) {
      const auto has = [&](std::string_view part) { return p.name.find(part) != p.name.npos; };
      if (!p.is_matrix) continue;
      const double numbers = 2 * static_cast<double>(p.size());
      if (has("multi_modal_projector"))
        flops += numbers * static_cast<double>(features);
      else if (has("vision_tower") && (has("patch_embedding") || has("vision_tower.projection")))
        flops += numbers * static_cast<double>(tokens - Vision::prefix_tokens);
      else if (has("vision_tower"))
        flops += numbers * static_cast<double>(tokens * layers) /
                 static_cast<double>(Vision::num_hidden_layers);
    }
    return flops;
  }
}

}  // namespace gov
