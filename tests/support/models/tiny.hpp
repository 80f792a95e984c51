// Models that several tests use, compiled once (tiny.cpp).
#pragma once

#include "gov/model/presets.hpp"
#include "tests/support/tiny_model.hpp"

namespace gov::test {

inline constexpr int image_token = 2;  // of the multimodal models below

// One layer with a window of 5: what lies beyond it cannot be seen at all.
struct OneSlidingLayer : GptOss {
  static constexpr std::string_view name = "OneSlidingLayer";
  static constexpr GptOssConfig config{.hidden_size = 32,
                                       .intermediate_size = 32,
                                       .num_hidden_layers = 1,
                                       .num_attention_heads = 4,
                                       .num_key_value_heads = 2,
                                       .head_dim = 16,
                                       .num_local_experts = 4,
                                       .num_experts_per_tok = 2,
                                       .vocab_size = 256,
                                       .sliding_window = 5,
                                       .max_position_embeddings = 256};
};

// TinyGov whose language model may have layers without positions, and biases on images' rows.
struct TinyGovVision : InternVl {
  static constexpr std::string_view name = "TinyGovVision";
  using Vision = TinyInternVit;
  using Language = TinyGptOssVision;
  static constexpr InternVlConfig config{};
};

// Prefix fusion: 18 rows an image of 32x32 before the text, around the same language model.
struct TinyPrefixVision : GptOssVisionAdapter {
  static constexpr std::string_view name = "TinyPrefixVision";
  using Vision = TinyVit;
  using Language = TinyGptOssVision;
  static constexpr GptOssVisionAdapterConfig config{};
};

template <class Cfg>
std::shared_ptr<ModelData<Cfg>> tiny_model(Formats formats = {}, std::uint64_t seed = 1) {
  auto model = random_model<Cfg>(formats, seed);
  if constexpr (Multimodal<Cfg> && !Architecture<Cfg>::prefix_fusion)
    model->tokens.image_token_id = image_token;
  return model;
}

}  // namespace gov::test

namespace gov {

#define GOV_TEST_SESSION(prefix, Cfg, T)                                                 \
  prefix template class Session<Cfg, T>;                                                 \
  prefix template Outputs<T> Session<Cfg, T>::forward<NoObserver>(                       \
      const Inputs&, const ForwardOptions&, NoObserver&&);                               \
  prefix template Outputs<T> Session<Cfg, T>::forward<test::Recorder<T>&>(               \
      const Inputs&, const ForwardOptions&, test::Recorder<T>&);                         \
  prefix template void Session<Cfg, T>::forward_batch<NoObserver>(                       \
      std::span<const Item>, const ForwardOptions&, NoObserver&&);                       \
  prefix template void Session<Cfg, T>::forward_batch<test::Recorder<T>&>(               \
      std::span<const Item>, const ForwardOptions&, test::Recorder<T>&);                 \
  prefix template Rows<const T> Session<Cfg, T>::get_image_features<NoObserver>(         \
      const Inputs&, std::stop_token, NoObserver&&);                                     \
  prefix template Rows<const T> Session<Cfg, T>::get_image_features<test::Recorder<T>&>( \
      const Inputs&, std::stop_token, test::Recorder<T>&);

#define GOV_TEST_MODELS(prefix)                           \
  GOV_TEST_SESSION(prefix, TinyGov, float)                \
  GOV_TEST_SESSION(prefix, TinyGov, double)               \
  GOV_TEST_SESSION(prefix, TinyGptOss, float)             \
  GOV_TEST_SESSION(prefix, test::TinyGovVision, float)    \
  GOV_TEST_SESSION(prefix, test::TinyPrefixVision, float) \
  GOV_TEST_SESSION(prefix, test::OneSlidingLayer, float)

GOV_TEST_MODELS(extern)

}  // namespace gov
