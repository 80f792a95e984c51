// Chat templates that differ only in the words around a turn: those of LLaVA's conversation.py
// (names as there) and of the language models that its checkpoints are made from. What a template
// does in Jinja is here a row of a table.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/text/chat.hpp"
#include "gov/text/trim.hpp"

namespace gov {

struct ChatStyle {
  std::string_view name;
  std::string_view system{};  // the system text if the first message is none; "" for no such turn
  std::string_view system_open{}, system_close{};
  bool system_in_turn = false;  // behind the first user turn's opening
  std::string_view user_open{}, user_close{}, assistant_open{}, assistant_close{};
  std::string_view between{};     // before every user turn but the first
  std::string_view generation{};  // asks for an answer
  std::string_view stop{};        // the token that ends an answer, beside those of the checkpoint
  bool trims = false;             // white space around a message goes
  bool visuals_first = true;      // where the text does not say itself where they stand
  std::string_view between_texts{};
  std::string_view after_image = "\n";
};

namespace chat_styles {

inline constexpr std::string_view llava_assistant =
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the human's questions.";
inline constexpr std::string_view vicuna_assistant =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions.";
inline constexpr std::string_view vision_assistant =
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language.";

// What the template of llava-hf's 1.5 and 1.6 checkpoints over Vicuna does.
inline constexpr ChatStyle llava_hf{.name = "llava_hf",
                                    .system_close = " ",
                                    .user_open = "USER: ",
                                    .user_close = " ",
                                    .assistant_open = "ASSISTANT: ",
                                    .assistant_close = " ",
                                    .generation = "ASSISTANT:",
                                    .stop = "</s>",
                                    .between_texts = " "};
inline constexpr ChatStyle vicuna_v1 = [] {
  ChatStyle style = llava_hf;
  style.name = "vicuna_v1", style.system = vicuna_assistant, style.assistant_close = "</s>";
  return style;
}();
inline constexpr ChatStyle llava_v1 = [] {
  ChatStyle style = vicuna_v1;
  style.name = "llava_v1", style.system = llava_assistant;
  return style;
}();

inline constexpr ChatStyle mistral_instruct{.name = "mistral_instruct",
                                            .system_open = "<<SYS>>\n",
                                            .system_close = "\n<</SYS>>\n\n",
                                            .system_in_turn = true,
                                            .user_open = "[INST] ",
                                            .user_close = " [/INST]",
                                            .assistant_open = " ",
                                            .assistant_close = " </s>",
                                            .stop = "</s>"};
// What the template of llava-hf's 1.6 checkpoint over Mistral does.
inline constexpr ChatStyle llava_hf_mistral = [] {
  ChatStyle style = mistral_instruct;
  style.name = "llava_hf_mistral", style.system_in_turn = false, style.assistant_close = "</s> ";
  return style;
}();
inline constexpr ChatStyle llama_2 = [] {
  ChatStyle style = mistral_instruct;
  style.name = "llama_2", style.between = "<s>";
  return style;
}();
inline constexpr ChatStyle llava_llama_2 = [] {
  ChatStyle style = llama_2;
  style.name = "llava_llama_2", style.system = vision_assistant;
  return style;
}();

inline constexpr ChatStyle llama_3{
    .name = "llama_3",
    .system_open = "<|start_header_id|>system<|end_header_id|>\n\n",
    .system_close = "<|eot_id|>",
    .user_open = "<|start_header_id|>user<|end_header_id|>\n\n",
    .user_close = "<|eot_id|>",
    .assistant_open = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .assistant_close = "<|eot_id|>",
    .generation = "<|start_header_id|>assistant<|end_header_id|>\n\n",
    .stop = "<|eot_id|>",
    .trims = true};
inline constexpr ChatStyle llava_llama_3 = [] {
  ChatStyle style = llama_3;
  style.name = "llava_llama_3", style.system = vision_assistant;
  return style;
}();

// ChatML with a line break behind every turn.
inline constexpr ChatStyle qwen_2{.name = "qwen_2",
                                  .system = "You are a helpful assistant.",
                                  .system_open = "<|im_start|>system\n",
                                  .system_close = "<|im_end|>\n",
                                  .user_open = "<|im_start|>user\n",
                                  .user_close = "<|im_end|>\n",
                                  .assistant_open = "<|im_start|>assistant\n",
                                  .assistant_close = "<|im_end|>\n",
                                  .generation = "<|im_start|>assistant\n",
                                  .stop = "<|im_end|>"};
// And without.
inline constexpr ChatStyle mpt = [] {
  ChatStyle style = qwen_2;
  style.name = "mpt";
  style.system =
      "A conversation between a user and an LLM-based AI assistant. The assistant gives helpful "
      "and honest answers.";
  style.system_close = style.user_close = style.assistant_close = "<|im_end|>";
  return style;
}();
inline constexpr ChatStyle chatml_direct = [] {
  ChatStyle style = mpt;
  style.name = "chatml_direct", style.system = "Answer the questions.";
  return style;
}();

inline constexpr ChatStyle gemma_instruct{.name = "gemma_instruct",
                                          .system_close = "\n\n",
                                          .system_in_turn = true,
                                          .user_open = "<start_of_turn>user\n",
                                          .user_close = "<end_of_turn>\n",
                                          .assistant_open = "<start_of_turn>model\n",
                                          .assistant_close = "<end_of_turn>\n",
                                          .generation = "<start_of_turn>model\n",
                                          .stop = "<end_of_turn>",
                                          .trims = true};

// The texts, line by line: what a language model sees while only its projector is trained.
inline constexpr ChatStyle plain{
    .name = "plain", .system_close = "\n", .user_close = "\n", .assistant_close = "\n"};
// For language models that were never taught to chat: an answer goes on where the text ends.
inline constexpr ChatStyle completion{.name = "completion",
                                      .system_close = "\n",
                                      .assistant_open = "\n",
                                      .between = "\n",
                                      .visuals_first = false,
                                      .after_image = ""};

inline constexpr std::array all{llava_hf,         vicuna_v1, llava_v1,      mistral_instruct,
                                llava_hf_mistral, llama_2,   llava_llama_2, llama_3,
                                llava_llama_3,    qwen_2,    mpt,           chatml_direct,
                                gemma_instruct,   plain,     completion};

// Control tokens in the words of these styles.
inline constexpr std::array<std::string_view, 11> controls{
    "<s>",          "</s>",       "[INST]",       "[/INST]",           "<|start_header_id|>",
    "<|eot_id|>",   "<|im_end|>", "<|im_start|>", "<|end_header_id|>", "<start_of_turn>",
    "<end_of_turn>"};

}  // namespace chat_styles

// nullptr for a name of no style.
constexpr const ChatStyle* find_chat_style(std::string_view name) {
  for (const ChatStyle& style : chat_styles::all)
    if (style.name == name) return &style;
  return nullptr;
}

// system: what stands in the style's system turn when the first message is not one.
inline Prompt render_chat_style(const Tokenizer& tokenizer, std::span<const Message> messages,
                                const ChatStyle& style, std::string_view system,
                                VisualFormat visual = {}, const VisualTokens& visuals = {},
                                bool add_generation_prompt = true) {
  visual.after = style.after_image;
  PromptBuilder prompt(tokenizer, visuals, std::move(visual));
  const auto words = [&prompt](std::string_view text) {
    prompt.markup(text, chat_styles::controls);
  };
  const auto content = [&](std::vector<Content> parts) {
    const auto is_text = [](const Content& part) { return part.kind == Content::Kind::text; };
    if (style.visuals_first && std::ranges::none_of(parts, &Content::inside)) {
      const auto texts = std::stable_partition(parts.begin(), parts.end(), std::not_fn(is_text));
      for (auto text = texts; parts.end() - text > 1; ++text) text->text += style.between_texts;
    }
    if (style.trims && !parts.empty()) {
      if (std::string& text = parts.front().text; is_text(parts.front()))
        text = std::string(trim_start(text));
      if (std::string& text = parts.back().text; is_text(parts.back()))
        text = std::string(trim_end(text));
    }
    prompt.content(parts);
  };
  prompt.beginning();
  const bool has_system = !messages.empty() && messages.front().role == Role::system;
  std::vector<Content> instruction;
  if (has_system) instruction = messages.front().content, messages = messages.subspan(1);
  if (!has_system && !system.empty()) instruction = {Content::of_text(std::string(system))};
  const auto instruct = [&] {
    if (instruction.empty()) return;
    words(style.system_open), content(instruction), words(style.system_close);
    instruction.clear();
  };
  if (!style.system_in_turn || messages.empty()) instruct();
  bool first = true;
  for (const Message& message : messages) {
    const bool answer = message.role == Role::assistant;
    if (message.role != Role::user && !answer)
      throw Error({.code = Errc::bad_prompt,
                   .file = {},
                   .field = "role",
                   .expected = "a system message first, then user and assistant, for " +
                               std::string(style.name),
                   .found = std::string(to_string(message.role))});
    if (!answer && !first) words(style.between);
    words(answer ? style.assistant_open : style.user_open);
    if (!answer) instruct();
    content(message.content);
    words(answer ? style.assistant_close : style.user_close);
    first = false;
  }
  if (add_generation_prompt) words(style.generation);
  return prompt.finish();
}

}  // namespace gov
