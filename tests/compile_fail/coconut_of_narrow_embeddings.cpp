// A decoder whose embeddings are narrower than the hidden states that would stand in for them.
// expect: gov: COCONUT feeds hidden states back as embeddings
#include <gov/model/coconut.hpp>
#include <gov/model/presets.hpp>

struct Mine : gov::TinyGptOss {
  static constexpr std::string_view name = "Mine";
};

template <>
struct gov::Decoder<Mine> : gov::Decoder<gov::TinyGptOss> {
#ifdef GOV_FAIL
  using Tokens = gov::Embedding<geometry.vocab_size, hidden_size - 16>;
#endif
};

void run(gov::Session<Mine>& session) { gov::coconut_forward(session, {}, {}); }
