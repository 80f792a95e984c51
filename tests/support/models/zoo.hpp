// One small model of every family, with room in its vocabulary for byte_tokenizer.hpp's tokens.
#pragma once

#include <gov/language/gemma.hpp>
#include <gov/language/gpt2.hpp>
#include <gov/language/gpt_oss.hpp>
#include <gov/language/llama.hpp>
#include <gov/language/mistral.hpp>
#include <gov/language/mixtral.hpp>
#include <gov/language/mpt.hpp>
#include <gov/language/qwen2.hpp>
#include <gov/language/qwen3.hpp>
#include <gov/model/internvl.hpp>
#include <gov/model/llava.hpp>
#include <gov/model/llava_gpt2.hpp>
#include <gov/model/llava_next.hpp>
#include <gov/vision/clip_vit.hpp>
#include <gov/vision/intern_vit.hpp>

namespace gov::test::zoo {

inline constexpr index_t vocab_size = 288;

// What the configs of Llama's relatives have in common.
template <class Config>
constexpr Config small() {
  Config c;
  c.hidden_size = 32, c.intermediate_size = 40;
  c.num_hidden_layers = 2, c.num_attention_heads = 4, c.num_key_value_heads = 2;
  c.vocab_size = vocab_size, c.max_position_embeddings = 512;
  return c;
}

struct ZooGpt2 : Gpt2 {
  static constexpr std::string_view name = "ZooGpt2";
  static constexpr Gpt2Config config{
      .vocab_size = vocab_size, .n_positions = 512, .n_embd = 32, .n_layer = 2, .n_head = 4};
};
struct ZooLlama : Llama {
  static constexpr std::string_view name = "ZooLlama";
  static constexpr LlamaConfig config = small<LlamaConfig>();
};
struct ZooMistral : Mistral {
  static constexpr std::string_view name = "ZooMistral";
  static constexpr MistralConfig config = [] {
    auto c = small<MistralConfig>();
    c.sliding_window = 16;
    return c;
  }();
};
struct ZooMixtral : Mixtral {
  static constexpr std::string_view name = "ZooMixtral";
  static constexpr MixtralConfig config = [] {
    auto c = small<MixtralConfig>();
    c.intermediate_size = 32, c.num_local_experts = 4;
    return c;
  }();
};
struct ZooQwen2 : Qwen2 {
  static constexpr std::string_view name = "ZooQwen2";
  static constexpr Qwen2Config config = small<Qwen2Config>();
};
struct ZooQwen3 : Qwen3 {
  static constexpr std::string_view name = "ZooQwen3";
  static constexpr Qwen3Config config = [] {
    auto c = small<Qwen3Config>();
    c.head_dim = 16;
    return c;
  }();
};
struct ZooGemma : Gemma {
  static constexpr std::string_view name = "ZooGemma";
  static constexpr GemmaConfig config = [] {
    auto c = small<GemmaConfig>();
    c.num_key_value_heads = 1, c.head_dim = 16;
    return c;
  }();
};
struct ZooMpt : Mpt {
  static constexpr std::string_view name = "ZooMpt";
  static constexpr MptConfig config{
      .d_model = 48, .n_heads = 3, .n_layers = 2, .max_seq_len = 512, .vocab_size = vocab_size};
};
struct ZooGptOss : GptOss {
  static constexpr std::string_view name = "ZooGptOss";
  static constexpr GptOssConfig config = [] {
    auto c = small<GptOssConfig>();
    c.intermediate_size = 32, c.head_dim = 16, c.sliding_window = 16;
    c.num_local_experts = 4, c.num_experts_per_tok = 2;
    return c;
  }();
};

struct InternVit4 : InternVitModules {  // 4 tokens of a 32 x 32 tile
  static constexpr InternVitConfig config{.hidden_size = 16,
                                          .intermediate_size = 24,
                                          .num_hidden_layers = 2,
                                          .num_attention_heads = 2,
                                          .image_size = {32, 32},
                                          .patch_size = {8, 8},
                                          .attention_bias = true};
};
struct ClipVit4 : ClipVitModules {  // 4 tokens of a 28 x 28 picture
  static constexpr ClipVitConfig config{.hidden_size = 16,
                                        .intermediate_size = 24,
                                        .num_hidden_layers = 2,
                                        .num_attention_heads = 2,
                                        .image_size = {28, 28},
                                        .patch_size = {14, 14}};
};
struct Dinov2 : Dinov2Modules {  // 16 of a 56 x 56 frame, before they are packed
  static constexpr Dinov2Config config{.hidden_size = 16,
                                       .num_hidden_layers = 2,
                                       .num_attention_heads = 2,
                                       .image_size = {56, 56},
                                       .patch_size = {14, 14}};
};

struct ZooGov : InternVl {
  static constexpr std::string_view name = "ZooGov";
  using Vision = InternVit4;
  using Language = ZooGptOss;
  static constexpr InternVlConfig config{};
};
struct ZooInternVl : InternVl {
  static constexpr std::string_view name = "ZooInternVl";
  using Vision = InternVit4;
  using Language = ZooQwen2;
  static constexpr InternVlConfig config{};
};
struct ZooLlavaMixtral : Llava {
  static constexpr std::string_view name = "ZooLlavaMixtral";
  using Vision = ClipVit4;
  using Language = ZooMixtral;
  static constexpr LlavaConfig config{};
};
struct ZooLlavaMpt : Llava {
  static constexpr std::string_view name = "ZooLlavaMpt";
  using Vision = ClipVit4;
  using Language = ZooMpt;
  static constexpr LlavaConfig config{.tie_word_embeddings = true};
};
struct ZooLlavaNext : LlavaNext {
  static constexpr std::string_view name = "ZooLlavaNext";
  using Vision = ClipVit4;
  using Language = ZooMistral;
  static constexpr LlavaNextConfig config{
      .image_grid_pinpoints = {Extent{28, 56}, Extent{56, 28}, Extent{56, 56}}};
};
struct ZooLlavaGpt2 : LlavaGpt2 {
  static constexpr std::string_view name = "ZooLlavaGpt2";
  using Vision = Dinov2;
  using Language = ZooGpt2;
  static constexpr LlavaGpt2Config config{.num_frames = 4,
                                          .mm_projector_hidden_size = 20,
                                          .mm_packer_fast = {4, 1, 2},
                                          .mm_packer_slow = {2, 2, 2},
                                          .mm_packer_grid = 4,
                                          .mm_packer_hidden_size = 8,
                                          .mm_packer_num_heads = 2};
};

}  // namespace gov::test::zoo
