// Rotary positions turn pairs of numbers: an odd head is a mistake in the Config.
// expect: gov: head_dim must be even for rotary positions
#include <gov/nn/self_attention.hpp>

struct Geometry {
#ifdef GOV_FAIL
  gov::index_t head_dim = 15;
#else
  gov::index_t head_dim = 16;
#endif
  gov::index_t hidden_size = 64, num_attention_heads = 4, num_key_value_heads = 2;
};

struct Config {
  static constexpr Geometry config{};
  static constexpr gov::AttentionParts attention(const Geometry&) { return {}; }
};

template struct gov::SelfAttention<Config>;
