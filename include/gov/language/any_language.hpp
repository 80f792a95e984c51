// AnyLanguage: the config of one of the language models that the library knows, at run time. A new
// one is added to the list of alternatives.
#pragma once

#include "gov/core/any_config.hpp"
#include "gov/language/gemma.hpp"
#include "gov/language/gpt2.hpp"
#include "gov/language/gpt_oss.hpp"
#include "gov/language/gpt_oss_vision.hpp"
#include "gov/language/llama.hpp"
#include "gov/language/mistral.hpp"
#include "gov/language/mixtral.hpp"
#include "gov/language/mpt.hpp"
#include "gov/language/qwen2.hpp"
#include "gov/language/qwen3.hpp"

namespace gov {

class AnyLanguage
    : public AnyConfig<GptOssConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config,
                       GemmaConfig, MixtralConfig, Gpt2Config, MptConfig, GptOssVisionConfig> {
 public:
  AnyLanguage() = default;
  template <class C>
    requires requires { C::architecture; }
  AnyLanguage(const C& config) : AnyConfig(resolved(config)) {}

  LanguageGeometry geometry() const {
    return visit([](const auto& c) { return geometry_of(c); });
  }
  bool tied() const {
    return visit([](const auto& c) { return c.tie_word_embeddings; });
  }
  void set_tied(bool tied) {
    visit([tied](auto& c) { c.tie_word_embeddings = tied; });
  }
  index_t max_position_embeddings() const { return geometry().max_position_embeddings; }
  void set_max_position_embeddings(index_t positions) {
    visit([positions](auto& c) { position_limit(c) = positions; });
  }
  // Values of keys that may be changed after loading become `other`'s, where it is of this
  // model_type.
  void take_run_time(const AnyLanguage& other) {
    visit([&]<class C>(C& config) {
      if constexpr (requires { C::run_time_keys; })
        if (other.is<C>()) config.take_run_time(other.as<C>());
    });
  }
};

}  // namespace gov
