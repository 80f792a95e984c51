// InternVL's chat template over Qwen (ChatML): <|im_start|>role\n ... <|im_end|>\n per message,
// images as <img> + context tokens + </img>. As Hugging Face's template by default; OpenGVLab's
// original code also starts with a system sentence: default_system = internvl_system.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gov/text/chat.hpp"

namespace gov {

inline constexpr std::string_view internvl_system =
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模"
    "态大语言模型。";

struct InternVlChatOptions {
  std::string default_system =
      {};  // used when the first message is not from the system; "" for none
  bool add_generation_prompt = true;
  VisualFormat visual = {};
};

inline Prompt render_internvl_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                                   const InternVlChatOptions& options = {},
                                   const VisualTokens& visuals = {}) {
  PromptBuilder prompt(tokenizer, visuals, options.visual);
  const auto open = [&](std::string_view role) {
    prompt.control("<|im_start|>").text(role).text("\n");
  };
  const auto close = [&] { prompt.control("<|im_end|>").text("\n"); };
  if (!options.default_system.empty() &&
      (messages.empty() || messages.front().role != Role::system)) {
    open("system");
    prompt.text(options.default_system);
    close();
  }
  for (const Message& message : messages) {
    open(to_string(message.role));
    prompt.content(message.content);
    close();
  }
  if (options.add_generation_prompt) open("assistant");
  return prompt.finish();
}

}  // namespace gov
