// Long sequences: 16,384 and 65,536 positions in a cache, whose memory is what the formula says.
#include "gov/model/session.hpp"

#include <doctest/doctest.h>

#include "gov/language/gpt_oss_vision.hpp"
#include "gov/model/memory_plan.hpp"
#include "tests/support/tiny_model.hpp"

namespace {

using namespace gov;
using namespace gov::test;

constexpr GptOssVisionConfig slight{.hidden_size = 8,
                                    .intermediate_size = 4,
                                    .num_hidden_layers = 2,
                                    .num_attention_heads = 1,
                                    .num_key_value_heads = 1,
                                    .head_dim = 8,
                                    .num_local_experts = 2,
                                    .num_experts_per_tok = 1,
                                    .vocab_size = 16,
                                    .sliding_window = 128,
                                    .use_nope = true,
                                    .nope_stride = 2};

// A sliding layer with positions and a full one without.
struct SlidingAndNope : GptOssVision {
  [[maybe_unused]] static constexpr std::string_view name = "SlidingAndNope";
  static constexpr GptOssVisionConfig config = slight;
};
// Both slide, so that the work grows with the length and not with its square.
struct Sliding : GptOssVision {
  [[maybe_unused]] static constexpr std::string_view name = "Sliding";
  static constexpr GptOssVisionConfig config = [] {
    GptOssVisionConfig c = slight;
    c.layer_types = LayerTypes("ss");
    return c;
  }();
};

constexpr index_t position_bytes = 2 * 8 * 4;  // a key and a value of one head, in f32

std::vector<int> some_ids(index_t count) {
  Rng rng(1);
  std::vector<int> ids(static_cast<std::size_t>(count));
  for (int& id : ids) id = static_cast<int>(rng.next() % 16);
  return ids;
}

// Fills the session but for four positions, and these by steps.
template <class Cfg>
std::vector<float> fill(Session<Cfg>& session) {
  const ForwardOptions last{.logits_to_keep = 1, .hidden_to_keep = 1};
  const auto ids = some_ids(session.context());
  const auto prompt = std::span(ids).first(ids.size() - 4);
  std::vector<float> logits = Kept<float>(session.forward({.input_ids = prompt}, last)).logits;
  for (std::size_t i = prompt.size(); i < ids.size(); ++i) {
    const auto more = Kept<float>(session.forward({.input_ids = {&ids[i], 1}}, last)).logits;
    logits.insert(logits.end(), more.begin(), more.end());
  }
  CHECK(session.length() == session.context());
  CHECK(all_finite(logits));
  return logits;
}

template <class Cfg>
Session<Cfg> session_of(const SessionOptions& options) {
  return {random_model<Cfg>(), std::make_shared<ThreadPool>(1), kernel::best_kernels<float>(),
          options};
}

TEST_CASE("16,384 positions, half of the layers full and without positions") {
  const SessionOptions options{.context = 16384, .chunk = 512, .arithmetic = Arithmetic::invariant};
  auto session = session_of<SlidingAndNope>(options);
  const index_t ring = 127 + 512, full = 16384;
  CHECK(session.cache_bytes() == (ring + full) * position_bytes);
  CHECK(session.cache_bytes() == cache_bytes<SlidingAndNope>(options));
  fill(session);
  CHECK(session.cache_bytes() == (ring + full) * position_bytes);  // it has not grown
  SessionOptions rounded = options;
  rounded.cache = Format::bf16;
  CHECK(session_of<SlidingAndNope>(rounded).cache_bytes() == (ring + full) * position_bytes / 2);
}

TEST_CASE("65,536 positions: rings of a few hundred, or all of them, to the same bits") {
  SessionOptions options{.context = 65536, .chunk = 512, .arithmetic = Arithmetic::invariant};
  auto rings = session_of<Sliding>(options);
  CHECK(rings.cache_bytes() == 2 * (127 + 512) * position_bytes);
  CHECK(rings.cache_bytes() == cache_bytes<Sliding>(options));
  const auto logits = fill(rings);
  options.full_history = true;
  auto whole = session_of<Sliding>(options);
  CHECK(whole.cache_bytes() == 2 * 65536 * position_bytes);
  CHECK(whole.cache_bytes() == cache_bytes<Sliding>(options));
  CHECK(fill(whole) == logits);
  CHECK(whole.cache_bytes() == 2 * 65536 * position_bytes);
}

}  // namespace
