// ChatFormat: which template makes a prompt of a conversation, by name or told by a folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "gov/io/json.hpp"
#include "gov/model/architecture_names.hpp"
#include "gov/text/chat_style.hpp"

namespace gov {

struct ChatFormat {
  std::string_view name;
  bool channels = false;             // answers are harmony's messages
  const ChatStyle* style = nullptr;  // none: a template of its own
  std::string_view stop{};           // the token that ends an answer, beside the checkpoint's
  static const ChatFormat harmony, internvl, internvl_gpt_oss;
  friend constexpr bool operator==(const ChatFormat& a, const ChatFormat& b) {
    return a.name == b.name;
  }
};
inline constexpr ChatFormat ChatFormat::harmony{"harmony", true};
inline constexpr ChatFormat ChatFormat::internvl{"internvl", false, nullptr, "<|im_end|>"};
inline constexpr ChatFormat ChatFormat::internvl_gpt_oss{"internvl-gpt-oss", true};

constexpr ChatFormat chat_format(const ChatStyle& style) {
  return {style.name, false, &style, style.stop};
}

inline std::string chat_format_names() {
  std::string names = "harmony, internvl, internvl-gpt-oss";
  for (const ChatStyle& style : chat_styles::all) names += ", " + std::string(style.name);
  return names;
}

inline ChatFormat parse_chat_format(std::string_view name) {
  for (const ChatFormat& format :
       {ChatFormat::harmony, ChatFormat::internvl, ChatFormat::internvl_gpt_oss})
    if (name == format.name) return format;
  if (const ChatStyle* style = find_chat_style(name)) return chat_format(*style);
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "chat format",
               .expected = chat_format_names(),
               .found = std::string(name)});
}

namespace detail {

// A folder's Jinja template, wherever it lies; "" for none.
inline std::string chat_template(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  if (const auto jinja = folder / "chat_template.jinja"; fs::exists(jinja))
    return read_text(jinja.string(), std::uint64_t{1} << 20);
  for (const char* name : {"chat_template.json", "processor_config.json", "tokenizer_config.json"})
    if (const auto path = folder / name; fs::exists(path))
      if (const auto text = load_json(path.string()).find("chat_template");
          text && text->is_string())
        return text->as<std::string>();
  return {};
}

// model_type of a folder's model, and of its language model where a template depends on it.
struct ModelTypes {
  std::string whole, language;

  explicit ModelTypes(const std::filesystem::path& folder) {
    const auto path = folder / "config.json";
    if (!std::filesystem::exists(path)) return;
    const Json config = load_json(path.string());
    whole = config.get_or("model_type", "");
    if (const auto text = config.find("text_config"))
      language = text->get_or("model_type", "llama");
    else if (const LlavaWrapper* wrapper = llava_wrapper_of(config, whole))
      whole = wrapper->model_type, language = wrapper->language;
  }
};

}  // namespace detail

// Jinja is not executed: what a template writes tells which of ours it is. Without one the control
// tokens tell, then, for LLaVA's original folders, the model's name; at last it is text to
// complete.
inline ChatFormat find_chat_format(const std::filesystem::path& folder,
                                   const Tokenizer& tokenizer) {
  using namespace chat_styles;
  const auto knows = [&](std::string_view token) { return tokenizer.has_added_token(token); };
  if (knows("<|start|>"))
    return knows("<IMG_CONTEXT>") ? ChatFormat::internvl_gpt_oss : ChatFormat::harmony;
  if (knows("<IMG_CONTEXT>") && knows("<|im_start|>")) return ChatFormat::internvl;
  const std::string jinja = detail::chat_template(folder);
  const auto writes = [&](std::string_view words) { return jinja.find(words) != jinja.npos; };
  const auto speaks = [&](std::string_view token) {
    return jinja.empty() ? knows(token) : writes(token) && knows(token);
  };
  const detail::ModelTypes types(folder);
  const bool llava = types.whole.starts_with("llava");
  if (speaks("<|im_start|>")) {
    if (llava && jinja.empty()) return chat_format(types.language == "mpt" ? mpt : qwen_2);
    return writes(qwen_2.system) ? chat_format(qwen_2) : ChatFormat::internvl;
  }
  if (speaks("<|start_header_id|>"))
    return chat_format(llava && jinja.empty() ? llava_llama_3 : llama_3);
  if (speaks("<start_of_turn>")) return chat_format(gemma_instruct);
  if (writes("ASSISTANT")) return chat_format(writes("</s>") ? vicuna_v1 : llava_hf);
  if (writes("[INST]")) {
    if (writes("bos_token + '[INST]")) return chat_format(llama_2);
    return chat_format(writes("</s> ") ? llava_hf_mistral : mistral_instruct);
  }
  if (!llava) return chat_format(completion);
  const std::string_view language = types.language;
  if (language == "mistral" || language == "mixtral") return chat_format(mistral_instruct);
  if (language == "mpt") return chat_format(mpt);
  if (language == "llama") return chat_format(vicuna_v1);
  return chat_format(completion);
}

}  // namespace gov
