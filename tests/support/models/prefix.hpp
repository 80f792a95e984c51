// GPT-OSS-Vision in small, with the shipped tokenizer's vocabulary.
#pragma once

#include <gov/model/gpt_oss_vision_adapter.hpp>

namespace gov::test {

struct Prefix : GptOssVisionAdapter {
  static constexpr std::string_view name = "Prefix";
  using Vision = TinyVit;
  struct Language : GptOssVision {
    static constexpr GptOssVisionConfig config = [] {
      GptOssVisionConfig c = TinyGptOssVision::config;
      c.vocab_size = 448;
      return c;
    }();
  };
  static constexpr GptOssVisionAdapterConfig config{};
};

}  // namespace gov::test
