// Geometries of folders in tests/fixtures/parity, as gov_config writes them.
#pragma once

#include <gov/language/gpt2.hpp>
#include <gov/language/gpt_oss.hpp>
#include <gov/language/gpt_oss_vision.hpp>
#include <gov/language/mixtral.hpp>
#include <gov/model/internvl.hpp>
#include <gov/vision/intern_vit.hpp>

namespace gov::test {

struct VlmBf16 : InternVl {
  static constexpr std::string_view name = "VlmBf16";
  struct Vision : InternVitModules {
    static constexpr InternVitConfig config{.hidden_size = 32,
                                            .intermediate_size = 64,
                                            .num_hidden_layers = 2,
                                            .num_attention_heads = 4,
                                            .image_size = {32, 32},
                                            .patch_size = {8, 8},
                                            .attention_bias = true};
  };
  struct Language : GptOss {
    static constexpr GptOssConfig config{
        .hidden_size = 64,
        .intermediate_size = 32,
        .num_hidden_layers = 2,
        .num_attention_heads = 4,
        .num_key_value_heads = 2,
        .head_dim = 16,
        .num_local_experts = 4,
        .num_experts_per_tok = 2,
        .vocab_size = 128,
        .sliding_window = 8,
        .max_position_embeddings = 512,
        .rope_parameters = {.rope_type = RopeType::yarn,
                            .rope_theta = 150000,
                            .factor = 32,
                            .truncate = false,
                            .original_max_position_embeddings = 64}};
  };
  static constexpr InternVlConfig config{};
};

struct VlmTiny : InternVl {
  static constexpr std::string_view name = "VlmTiny";
  struct Vision : InternVitModules {
    static constexpr InternVitConfig config{.hidden_size = 32,
                                            .intermediate_size = 64,
                                            .num_hidden_layers = 2,
                                            .num_attention_heads = 4,
                                            .image_size = {32, 32},
                                            .patch_size = {8, 8},
                                            .attention_bias = true};
  };
  struct Language : GptOss {
    static constexpr GptOssConfig config{
        .hidden_size = 48,
        .intermediate_size = 32,
        .num_hidden_layers = 2,
        .num_attention_heads = 4,
        .num_key_value_heads = 2,
        .head_dim = 16,
        .num_local_experts = 4,
        .num_experts_per_tok = 2,
        .vocab_size = 128,
        .sliding_window = 5,
        .max_position_embeddings = 512,
        .rope_parameters = {.rope_type = RopeType::yarn,
                            .rope_theta = 150000,
                            .factor = 8,
                            .truncate = false,
                            .original_max_position_embeddings = 64}};
  };
  static constexpr InternVlConfig config{};
};

struct TextMxfp4 : GptOss {
  static constexpr std::string_view name = "TextMxfp4";
  static constexpr GptOssConfig config{.hidden_size = 64,
                                       .intermediate_size = 96,
                                       .num_hidden_layers = 2,
                                       .num_attention_heads = 4,
                                       .num_key_value_heads = 2,
                                       .head_dim = 16,
                                       .num_local_experts = 4,
                                       .num_experts_per_tok = 2,
                                       .vocab_size = 112,
                                       .sliding_window = 6,
                                       .max_position_embeddings = 512,
                                       .rope_parameters = {.rope_type = RopeType::yarn,
                                                           .rope_theta = 150000,
                                                           .factor = 32,
                                                           .truncate = false,
                                                           .original_max_position_embeddings = 96}};
};

struct TextNope : GptOssVision {
  static constexpr std::string_view name = "TextNope";
  static constexpr GptOssVisionConfig config{
      .hidden_size = 32,
      .intermediate_size = 16,
      .num_hidden_layers = 3,
      .num_attention_heads = 4,
      .num_key_value_heads = 2,
      .head_dim = 8,
      .num_local_experts = 6,
      .num_experts_per_tok = 2,
      .vocab_size = 64,
      .sliding_window = 5,
      .max_position_embeddings = 512,
      .rope_parameters = {.rope_type = RopeType::yarn,
                          .factor = 8,
                          .truncate = false,
                          .original_max_position_embeddings = 16}};
};

struct MistralFullBf16 : Mistral {
  static constexpr std::string_view name = "MistralFullBf16";
  static constexpr MistralConfig config{.hidden_size = 32,
                                        .intermediate_size = 40,
                                        .num_hidden_layers = 2,
                                        .num_attention_heads = 4,
                                        .num_key_value_heads = 2,
                                        .vocab_size = 64,
                                        .sliding_window = 0,
                                        .max_position_embeddings = 128,
                                        .rms_norm_eps = 1e-5,
                                        .tie_word_embeddings = true,
                                        .rope_parameters = {.rope_theta = 1e6}};
};

struct MixtralBf16 : Mixtral {
  static constexpr std::string_view name = "MixtralBf16";
  static constexpr MixtralConfig config{.hidden_size = 32,
                                        .intermediate_size = 32,
                                        .num_hidden_layers = 2,
                                        .num_attention_heads = 4,
                                        .num_key_value_heads = 1,
                                        .head_dim = 16,
                                        .num_local_experts = 4,
                                        .num_experts_per_tok = 2,
                                        .vocab_size = 64,
                                        .max_position_embeddings = 128,
                                        .tie_word_embeddings = true};
};

struct Gpt2Bf16 : Gpt2 {
  static constexpr std::string_view name = "Gpt2Bf16";
  static constexpr Gpt2Config config{.vocab_size = 64,
                                     .n_positions = 64,
                                     .n_embd = 32,
                                     .n_layer = 2,
                                     .n_head = 4,
                                     .n_inner = 40,
                                     .activation_function = kernel::Activation::gelu,
                                     .tie_word_embeddings = false};
};

}  // namespace gov::test
