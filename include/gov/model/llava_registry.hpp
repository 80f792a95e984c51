// The models of LLaVA's own repositories: their seven wrappers by model_type, the wrapper that a
// model's name stands for, and the vision towers that config.json's mm_vision_tower names.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/vision/any_tower.hpp"

namespace gov {

struct LlavaWrapper {
  std::string_view model_type;    // llava_llama
  std::string_view architecture;  // the class's name
  std::string_view language;      // model_type of the language model alone
};

inline constexpr std::array<LlavaWrapper, 7> available_models{
    {{"llava_llama", "LlavaLlamaForCausalLM", "llama"},
     {"llava_mistral", "LlavaMistralForCausalLM", "mistral"},
     {"llava_mixtral", "LlavaMixtralForCausalLM", "mixtral"},
     {"llava_qwen", "LlavaQwenForCausalLM", "qwen2"},
     {"llava_gemma", "LlavaGemmaForCausalLM", "gemma"},
     {"llava_mpt", "LlavaMptForCausalLM", "mpt"},
     {"llava_gpt2", "LlavaGPT2ForCausalLM", "gpt2"}}};

// nullptr for a model_type of no wrapper. "llava" is what the first checkpoints call llava_llama
// (transformers gives the name to a config.json with text_config).
constexpr const LlavaWrapper* find_llava_wrapper(std::string_view model_type) {
  for (const LlavaWrapper& wrapper : available_models)
    if (wrapper.model_type == model_type || (model_type == "llava" && wrapper.language == "llama"))
      return &wrapper;
  return nullptr;
}

inline std::string available_model_types() {
  std::string names;
  for (const LlavaWrapper& wrapper : available_models)
    names += (names.empty() ? "" : ", ") + std::string(wrapper.model_type);
  return names;
}

// What LLaVA's loader calls a model at this path: the last folder, or the last two of a checkpoint.
inline std::string llava_model_name(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  const std::string last(path.substr(slash + 1));  // npos + 1 is 0
  if (!last.starts_with("checkpoint-") || slash == path.npos) return last;
  return llava_model_name(path.substr(0, slash)) + "_" + last;
}

// The wrapper by parts of a model's name, the first rule that fits, as LLaVA-NeXT's loader has it
// for checkpoints whose config.json does not tell. Unlike there, a name that no rule knows is an
// error, not a Llama.
inline const LlavaWrapper& detect_llava_wrapper(std::string_view path) {
  std::string name = llava_model_name(path);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return 'A' <= c && c <= 'Z' ? c + 32 : c; });
  const auto has = [&name](auto... parts) { return ((name.find(parts) != name.npos) || ...); };
  const auto wrapper = [](std::string_view type) -> const LlavaWrapper& {
    return *find_llava_wrapper(type);
  };
  if (has("mixtral")) return wrapper("llava_mixtral");
  if (has("mistral", "zephyr")) return wrapper("llava_mistral");
  if (has("llama", "vicuna", "yi", "nous-hermes", "llava-v1.6-34b", "llava-v1.5"))
    return wrapper("llava_llama");
  const bool qwen_moe = has("qwen", "quyen") && has("moe", "a14b");
  if (has("qwen", "quyen") && !qwen_moe) return wrapper("llava_qwen");
  if (has("gemma")) return wrapper("llava_gemma");
  if (has("gpt2", "bambi")) return wrapper("llava_gpt2");
  if (has("mpt") && !has("prompt")) return wrapper("llava_mpt");
  throw Error({.code = Errc::unsupported,
               .file = std::string(path),
               .field = "model name",
               .expected = "a part that tells the language model: mixtral, mistral, zephyr, llama, "
                           "vicuna, yi, nous-hermes, llava-v1.6-34b, llava-v1.5, qwen, quyen, "
                           "gemma, gpt2, bambi or mpt",
               .found = qwen_moe ? name + ", a Qwen with experts" : name});
}

struct LlavaTower {
  std::string_view name;  // as published
  AnyTower config;
  // What LLaVA reads is fixed: all tokens of the last hidden state, before the final norm.
  bool is_cut = false;
};

// Towers whose geometry is known by name.
inline const std::vector<LlavaTower>& llava_towers() {
  static const std::vector<LlavaTower> towers{
      {"openai/clip-vit-large-patch14-336", ClipVitLarge336::config},
      {"openai/clip-vit-large-patch14",
       [] {
         ClipVitConfig config = ClipVitLarge336::config;
         config.image_size = {224, 224};
         return config;
       }()},
      {"google/siglip-so400m-patch14-384", SiglipSo400m384OfLlava::config, true},
      {"facebook/dinov2-small", Dinov2Small::config},
      {"facebook/dinov2-base", Dinov2Base::config},
      {"facebook/dinov2-large", Dinov2Large::config},
      {"facebook/dinov2-giant", Dinov2Giant::config},
      {"facebook/dinov2-with-registers-small", Dinov2WithRegisters<Dinov2Small>::config},
      {"facebook/dinov2-with-registers-base", Dinov2WithRegisters<Dinov2Base>::config},
      {"facebook/dinov2-with-registers-large", Dinov2WithRegisters<Dinov2Large>::config},
      {"facebook/dinov2-with-registers-giant", Dinov2WithRegisters<Dinov2Giant>::config}};
  return towers;
}

// By its published name, or by a local folder of that name; nullptr for another.
inline const LlavaTower* find_llava_tower(std::string_view name) {
  const auto last = [](std::string_view path) {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path.substr(path.rfind('/') + 1);
  };
  for (const LlavaTower& tower : llava_towers())
    if (last(tower.name) == last(name)) return &tower;
  return nullptr;
}

inline std::string llava_tower_names() {
  std::string names;
  for (const LlavaTower& tower : llava_towers())
    names += (names.empty() ? "" : ", ") + std::string(tower.name);
  return names;
}

}  // namespace gov
