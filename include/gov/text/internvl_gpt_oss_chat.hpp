// The chat template of InternVL3.5-GPT-OSS: harmony's tokens without its system block. The system
// text is the first message's, or the one the checkpoint was trained with; the assistant answers on
// the final channel. Earlier answers end in <|end|>, the last one of a training sample in
// <|return|>. Analysis (of thinking models) is kept for the last answer of a training sample only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "gov/text/chat.hpp"

namespace gov {

inline constexpr std::string_view internvl_gpt_oss_system =
    "You are InternVL, a large language model trained by Shanghai AI Laboratory.\n"
    "Knowledge cutoff: 2024-06\nCurrent date: 2025-08-06\n\nReasoning: low\n\n"
    "# Valid channels: final. Channel must be included for every message.";

struct InternVlGptOssChatOptions {
  std::string default_system = std::string(internvl_gpt_oss_system);  // "" for none
  bool add_generation_prompt = true;
  VisualFormat visual = {};
};

inline Prompt render_internvl_gpt_oss_chat(const Tokenizer& tokenizer,
                                           std::span<const Message> messages,
                                           const InternVlGptOssChatOptions& options = {},
                                           const VisualTokens& visuals = {}) {
  PromptBuilder prompt(tokenizer, visuals, options.visual);
  const auto open = [&](std::string_view role, std::string_view channel = {}) {
    prompt.control("<|start|>").text(role);
    if (!channel.empty()) prompt.control("<|channel|>").text(channel);
    prompt.control("<|message|>");
  };
  if (!options.default_system.empty() &&
      (messages.empty() || messages.front().role != Role::system)) {
    open("system");
    prompt.text(options.default_system).control("<|end|>");
  }
  const std::size_t count = messages.size();
  const bool ends_in_answer = count > 0 && messages[count - 1].role == Role::assistant;
  const bool training = ends_in_answer && !options.add_generation_prompt;
  for (std::size_t i = 0; i < count; ++i) {
    const Message& message = messages[i];
    if (message.role != Role::assistant) {
      open(to_string(message.role));
      prompt.content(message.content).control("<|end|>");
      continue;
    }
    const bool analysis = message.channel == "analysis";
    if (analysis && !(training && i + 2 == count)) continue;
    open("assistant", message.channel.empty() ? std::string_view("final") : message.channel);
    prompt.content(message.content).control(training && i + 1 == count ? "<|return|>" : "<|end|>");
  }
  if (options.add_generation_prompt) prompt.control("<|start|>").text("assistant");
  return prompt.finish();
}

}  // namespace gov
