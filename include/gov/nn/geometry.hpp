// The numbers that everything around a language model asks of its config, whatever the config.json
// of its family calls them: n_embd and d_model are hidden_size, n_positions and max_seq_len are
// max_position_embeddings. What a file may leave to others (head_dim, num_key_value_heads) is 0
// there and settled here.
#pragma once

#include "gov/nn/rope.hpp"

namespace gov {

struct LanguageGeometry {
  index_t hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
  index_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
  index_t num_experts = 1, num_experts_per_tok = 1;  // 1 and 1: no mixture
  index_t vocab_size = 0, max_position_embeddings = 0;
  double norm_eps = 0;
};

// The number of positions, to be read or set.
template <class C>
constexpr auto& position_limit(C& config) {
  if constexpr (requires { config.max_position_embeddings; })
    return config.max_position_embeddings;
  else if constexpr (requires { config.n_positions; })
    return config.n_positions;
  else
    return config.max_seq_len;
}

template <class C>
constexpr LanguageGeometry geometry_of(const C& c) {
  LanguageGeometry g;
  if constexpr (requires { c.hidden_size; })
    g.hidden_size = c.hidden_size;
  else if constexpr (requires { c.n_embd; })
    g.hidden_size = c.n_embd;
  else
    g.hidden_size = c.d_model;
  if constexpr (requires { c.num_hidden_layers; })
    g.num_hidden_layers = c.num_hidden_layers;
  else if constexpr (requires { c.n_layer; })
    g.num_hidden_layers = c.n_layer;
  else if constexpr (requires { c.n_layers; })
    g.num_hidden_layers = c.n_layers;
  if constexpr (requires { c.num_attention_heads; })
    g.num_attention_heads = c.num_attention_heads;
  else if constexpr (requires { c.n_head; })
    g.num_attention_heads = c.n_head;
  else
    g.num_attention_heads = c.n_heads;
  if constexpr (requires { c.intermediate_size; })
    g.intermediate_size = c.intermediate_size;
  else
    g.intermediate_size = 4 * g.hidden_size;
  if constexpr (requires { c.n_inner; })
    if (c.n_inner > 0) g.intermediate_size = c.n_inner;
  g.num_key_value_heads = g.num_attention_heads;
  if constexpr (requires { c.num_key_value_heads; })
    if (c.num_key_value_heads > 0) g.num_key_value_heads = c.num_key_value_heads;
  g.head_dim = g.num_attention_heads > 0 ? g.hidden_size / g.num_attention_heads : 0;
  if constexpr (requires { c.head_dim; })
    if (c.head_dim > 0) g.head_dim = c.head_dim;
  if constexpr (requires { c.num_local_experts; })
    g.num_experts = c.num_local_experts, g.num_experts_per_tok = c.num_experts_per_tok;
  if constexpr (requires { c.vocab_size; })
    g.vocab_size = c.vocab_size, g.max_position_embeddings = position_limit(c);
  if constexpr (requires { c.rms_norm_eps; })
    g.norm_eps = c.rms_norm_eps;
  else if constexpr (requires { c.layer_norm_epsilon; })
    g.norm_eps = c.layer_norm_epsilon;
  return g;
}

// The config with everything said that it may leave to others, as transformers' classes do when
// they are made.
template <class C>
constexpr C resolved(C config) {
  const LanguageGeometry g = geometry_of(config);
  if constexpr (requires { config.head_dim; }) config.head_dim = g.head_dim;
  if constexpr (requires { config.num_key_value_heads; })
    config.num_key_value_heads = g.num_key_value_heads;
  if constexpr (requires { config.use_sliding_window; })
    if (!config.use_sliding_window) config.sliding_window = 0;
  if constexpr (requires { config.layer_types; })
    if (!config.layer_types.given) {
      LayerTypes types;
      for (index_t layer = 0; layer < g.num_hidden_layers; ++layer)
        types.set(layer, config.window(layer) > 0);
      config.layer_types = types;
    }
  if constexpr (requires { config.settle(); }) config.settle();
  if constexpr (requires { config.max_window_layers; })
    config.max_window_layers = C{}.max_window_layers;  // layer_types has said what it says
  return config;
}

// Whether the number of positions decides what the weights compute, and not only how many there may
// be: a table of learned ones, or dynamic rotation.
template <class C>
constexpr bool positions_are_geometry(const C& config) {
  if constexpr (requires { config.rope_parameters; })
    return config.rope_parameters.rope_type == RopeType::dynamic;
  else
    return requires { config.n_positions; };
}

// The longest sequence that may be run: dynamic rotation goes beyond what the model was made for.
template <class C>
constexpr index_t longest_sequence(const C& config, index_t max_position_embeddings) {
  if constexpr (requires { config.rope_parameters; })
    if (config.rope_parameters.rope_type == RopeType::dynamic && config.rope_parameters.factor > 1)
      return static_cast<index_t>(static_cast<double>(max_position_embeddings) *
                                  config.rope_parameters.factor);
  (void)config;
  return max_position_embeddings;
}

}  // namespace gov
