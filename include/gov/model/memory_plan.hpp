// Memory, planned before anything is loaded: weights under a storage policy, the caches of sessions
// and the scratch of their calls, held against what the system has left. Weights and caches are
// exact; scratch is an estimate from above of the largest rows that live at the same time.
#pragma once

#include <array>
#include <cstdio>
#include <optional>
#include <vector>

#include "gov/model/load.hpp"
#include "gov/model/session.hpp"
#include "gov/model/system_memory.hpp"

namespace gov {

struct MemoryPlan {
  index_t weights = 0;  // copied ones; what stays in mapped files is the system's to drop
  index_t caches = 0, scratch = 0;
  index_t total() const { return weights + caches + scratch; }
};

// Of parameters that are drawn at random under a policy.
inline index_t fresh_weight_bytes(const std::vector<ParameterRef>& parameters,
                                  const StoragePolicy& policy) {
  index_t bytes = 0;
  for (const auto& p : parameters) {
    const Format format =
        p.is_matrix ? fresh_format(policy, p.name, p.is_expert, p.in) : Format::f32;
    bytes +=
        round_up(p.data_bytes(format), cache_line) + round_up(p.scales_bytes(format), cache_line);
  }
  return bytes;
}

// Positions that a session will have, and tokens that it computes at a time, by its options. What
// no machine has room for is cut to a size that can still be reckoned with.
template <class Cfg>
SessionOptions settled(SessionOptions options) {
  constexpr index_t limit = Architecture<Cfg>::geometry.max_position_embeddings;
  if (options.context <= 0) options.context = std::min<index_t>(limit, 8192);
  options.context = std::min(options.context, index_t{1} << 40);
  options.chunk =
      std::clamp<index_t>(options.chunk, 1, std::min(options.context, index_t{1} << 30));
  return options;
}

// Keys and values of one session whose options are settled: a sliding layer keeps a ring of
// window - 1 + chunk positions, any other the whole context in blocks of cache_run.
template <class Cfg, class T = float>
index_t cache_bytes(const SessionOptions& options) {
  using A = Architecture<Cfg>;
  constexpr LanguageGeometry c = A::geometry;
  index_t positions = 0;
  for (index_t layer = 0; layer < c.num_hidden_layers; ++layer) {
    const index_t window = A::language_config.window(layer);
    const bool ring = window > 0 && !options.full_history;
    positions += cache_positions(options.context, ring ? window - 1 + options.chunk : 0);
  }
  return checked_mul(positions,
                     2 * c.num_key_value_heads * c.head_dim * cache_number_bytes<T>(options.cache),
                     "cache");
}

// Activations of one chunk of tokens: the residual stream and its norm, what attention or a
// feed-forward layer needs beside them, and the logits that are kept.
template <class Cfg, class T = float>
index_t text_scratch_bytes(const SessionOptions& options, int threads) {
  constexpr LanguageGeometry c = Architecture<Cfg>::geometry;
  const index_t rows = options.chunk;
  const index_t q = c.num_attention_heads * c.head_dim, kv = c.num_key_value_heads * c.head_dim;
  const index_t group = c.num_attention_heads / c.num_key_value_heads;
  // The scores of few tokens, or for many all keys and values in bf16 and scores by six.
  const index_t scores = threads * round_up(group * options.context, cache_line / 4),
                packed = (kv + threads * 9) * (options.context + cache_line / 2);
  const index_t attention = rows * 2 * (q + kv) + std::max(scores, packed);
  const index_t rounded = (rows * c.num_experts_per_tok + c.num_experts * 16) *
                          (std::max(c.hidden_size, c.intermediate_size) / 2 + cache_line);
  const index_t experts =
      rows * (c.num_experts +
              c.num_experts_per_tok * (2 * c.hidden_size + 2 * c.intermediate_size + 4)) +
      rounded;
  const index_t values = rows * (3 * c.hidden_size + c.head_dim) + std::max(attention, experts) +
                         2 * Architecture<Cfg>::vocab_size;
  return values * index_t{sizeof(T)};
}

// Of one tile in the tower and the projector; 0 without a tower.
template <class Cfg, class T = float>
index_t tile_scratch_bytes() {
  if constexpr (!Multimodal<Cfg>) {
    return 0;
  } else {
    using A = Architecture<Cfg>;
    if constexpr (requires { A::Images::scratch(); }) {
      return A::Images::scratch() * index_t{sizeof(T)};
    } else {
      using Vision = typename A::Vision;
      constexpr Extent size = Vision::image_size;
      constexpr auto count = static_cast<index_t>(A::Images::feature_layers.size());
      constexpr index_t layers = count > 1 ? count + 1 : 1;  // side by side, and the tower's own
      const index_t tokens = Vision::tokens(size.height, size.width),
                    features = A::Images::image_tokens(size.height, size.width);
      return (tokens * layers * Vision::hidden_size + features * A::hidden_size +
              std::max(Vision::scratch(tokens), A::Projector::scratch(features))) *
             index_t{sizeof(T)};
    }
  }
}

// `sessions` of them share the weights; their calls share one scratch, which grows by doubling.
// What a call keeps for its caller (ForwardOptions) comes on top.
template <class Cfg, class T = float>
MemoryPlan plan_memory(index_t weight_bytes, const SessionOptions& options, index_t sessions = 1,
                       int threads = 1) {
  const SessionOptions each = settled<Cfg>(options);
  const index_t scratch =
      std::max(text_scratch_bytes<Cfg, T>(each, threads), tile_scratch_bytes<Cfg, T>());
  const index_t logits = sessions * Architecture<Cfg>::vocab_size * index_t{sizeof(T)};
  return {weight_bytes, checked_mul(sessions, cache_bytes<Cfg, T>(each), "caches"),
          2 * scratch + logits};
}

inline std::string gigabytes(index_t bytes) {
  char text[32];
  const auto value = static_cast<double>(bytes);
  std::snprintf(text, sizeof text, bytes < 100'000'000 ? "%.4g MB" : "%.2f GB",
                value / (bytes < 100'000'000 ? 1e6 : 1e9));
  return text;
}

// Another way to hold the weights, and what it would take.
struct MemoryChoice {
  std::string storage;
  MemoryPlan plan;
};

// Throws Errc::out_of_memory, saying what is needed, what there is, and which choices would fit.
inline void require_memory(const MemoryPlan& plan, std::optional<index_t> available,
                           const std::vector<MemoryChoice>& choices = {},
                           const std::string& file = {}) {
  if (!available || plan.total() <= *available) return;
  std::string found = gigabytes(*available) + " available";
  std::string fitting;
  for (const auto& choice : choices)
    if (choice.plan.total() <= *available)
      fitting.append(fitting.empty() ? "" : ", ")
          .append(choice.storage)
          .append(" (")
          .append(gigabytes(choice.plan.total()))
          .append(")");
  if (!fitting.empty())
    found.append("; storage that would fit: ").append(fitting);
  else if (plan.weights + plan.weights / 50 <= *available)
    found.append("; a shorter context would fit");
  else if (!choices.empty())
    found.append("; no storage would fit");
  throw Error({.code = Errc::out_of_memory,
               .file = file,
               .field = "memory",
               .expected = gigabytes(plan.total()) + " (weights " + gigabytes(plan.weights) +
                           ", caches " + gigabytes(plan.caches) + ", scratch " +
                           gigabytes(plan.scratch) + ")",
               .found = std::move(found)});
}

inline constexpr std::array<std::string_view, 7> storages{
    "as-stored", "f32", "bf16", "f16", "mxfp4", "mxfp4-bf16", "mxfp4-q8"};

// What a checkpoint would take under each storage policy.
template <class Cfg>
std::vector<MemoryChoice> memory_choices(const std::shared_ptr<const CheckpointFiles>& files,
                                         const SessionOptions& options, index_t sessions = 1,
                                         int threads = 1) {
  std::vector<MemoryChoice> choices;
  for (const auto name : storages) {
    ModelData<Cfg> data;
    LoadOptions load;
    load.storage = parse_storage(name);
    const Loader loader(files, parameter_list(data.params), naming_of<Cfg>(), load);
    choices.push_back(
        {std::string(name), plan_memory<Cfg>(loader.block_bytes(), options, sessions, threads)});
  }
  return choices;
}

// The same for random weights.
template <class Cfg>
std::vector<MemoryChoice> fresh_memory_choices(const SessionOptions& options, index_t sessions = 1,
                                               int threads = 1) {
  typename Architecture<Cfg>::Params params;
  const auto parameters = parameter_list(params);
  std::vector<MemoryChoice> choices;
  for (const auto name : storages)
    if (name != "as-stored" && name != "mxfp4")  // nothing is stored
      choices.push_back(
          {std::string(name), plan_memory<Cfg>(fresh_weight_bytes(parameters, parse_storage(name)),
                                               options, sessions, threads)});
  return choices;
}

// Refuses, before a byte is loaded, what this machine has no memory for.
template <class Cfg>
void check_memory(const std::shared_ptr<const CheckpointFiles>& files, const Loader& loader,
                  const SessionOptions& options, std::optional<index_t> available,
                  index_t sessions = 1, int threads = 1) {
  const MemoryPlan plan = plan_memory<Cfg>(loader.block_bytes(), options, sessions, threads);
  if (available && plan.total() > *available)
    require_memory(plan, available, memory_choices<Cfg>(files, options, sessions, threads),
                   files->path());
}

// The same for random weights.
template <class Cfg>
void check_fresh_memory(const StoragePolicy& policy, const SessionOptions& options,
                        std::optional<index_t> available, index_t sessions = 1, int threads = 1) {
  typename Architecture<Cfg>::Params params;
  const MemoryPlan plan = plan_memory<Cfg>(fresh_weight_bytes(parameter_list(params), policy),
                                           options, sessions, threads);
  if (available && plan.total() > *available)
    require_memory(plan, available, fresh_memory_choices<Cfg>(options, sessions, threads),
                   std::string(Cfg::name));
}

}  // namespace gov
