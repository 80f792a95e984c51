// Harmony, the chat format of gpt-oss: a system message with identity, date, reasoning effort and
// channels; a developer message with the instructions (a first system or developer message) and
// tools; then the conversation. Token for token what the published chat template gives, but for its
// built-in browser and python tools, which are not here. To read what the model answers:
// harmony_parser.hpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/text/chat.hpp"
#include "gov/text/harmony_tools.hpp"

namespace gov {

struct HarmonyOptions {
  std::string model_identity = "You are ChatGPT, a large language model trained by OpenAI.";
  std::string knowledge_cutoff = "2024-06";
  std::string current_date = {};  // "2025-06-28", given by the caller; "" leaves the line out
  std::string reasoning_effort = "medium";  // low, medium, high
  std::vector<HarmonyTool> tools = {};
  bool add_generation_prompt = true;
  bool quote_tool_results = true;  // as a JSON string, as the published template does
  VisualFormat visual = {};
};

class HarmonyRenderer {
 public:
  // `options` must outlive the renderer.
  HarmonyRenderer(const Tokenizer& tokenizer, const HarmonyOptions& options,
                  const VisualTokens& visuals)
      : options_(options), prompt_(tokenizer, visuals, options.visual) {}

  Prompt render(std::span<const Message> messages) {
    system();
    const bool instructed = !messages.empty() && (messages.front().role == Role::system ||
                                                  messages.front().role == Role::developer);
    developer(instructed ? &messages.front() : nullptr);
    if (instructed) messages = messages.subspan(1);
    for (std::size_t i = 0; i < messages.size(); ++i) {
      switch (messages[i].role) {
        case Role::user:
          open("user");
          prompt_.content(messages[i].content).control("<|end|>");
          break;
        case Role::assistant: assistant(messages, i); break;
        case Role::tool: tool(messages[i]); break;
        default:
          throw Error({.code = Errc::bad_prompt,
                       .file = {},
                       .field = "messages",
                       .expected = "one system or developer message, the first",
                       .found = std::string(to_string(messages[i].role)) + " later on"});
      }
    }
    if (options_.add_generation_prompt) prompt_.control("<|start|>").text("assistant");
    return prompt_.finish();
  }

 private:
  PromptBuilder& open(std::string_view author, std::string_view channel = {}) {
    prompt_.control("<|start|>").text(author);
    if (!channel.empty()) prompt_.control("<|channel|>").text(channel);
    return prompt_.control("<|message|>");
  }

  void system() {
    open("system").text(options_.model_identity);
    prompt_.text("\nKnowledge cutoff: ").text(options_.knowledge_cutoff);
    if (!options_.current_date.empty())
      prompt_.text("\nCurrent date: ").text(options_.current_date);
    prompt_.text("\n\nReasoning: ").text(options_.reasoning_effort);
    prompt_.text(
        "\n\n# Valid channels: analysis, commentary, final. Channel must be included for every "
        "message.");
    if (!options_.tools.empty())
      prompt_.text("\nCalls to these tools must go to the commentary channel: 'functions'.");
    prompt_.control("<|end|>");
  }

  void developer(const Message* instructions) {
    const bool told = instructions && !instructions->content.empty() &&
                      (instructions->content.size() > 1 ||
                       instructions->content.front().kind != Content::Kind::text ||
                       !instructions->content.front().text.empty());
    if (!told && options_.tools.empty()) return;
    open("developer");
    if (told) prompt_.text("# Instructions\n\n").content(instructions->content).text("\n\n");
    if (!options_.tools.empty())
      prompt_.text("# Tools\n\n").text(render_harmony_tools(options_.tools));
    prompt_.control("<|end|>");
  }

  // Analysis is for one answer: it is dropped once the assistant has spoken on the final channel,
  // except that the last answer of a training sample (no generation prompt) keeps its own.
  static bool is_answer(const Message& message) {
    return message.role == Role::assistant && message.recipient.empty() &&
           (message.channel.empty() || message.channel == "final");
  }
  bool keeps_analysis(std::span<const Message> messages, std::size_t i) const {
    for (std::size_t later = i + 1; later < messages.size(); ++later)
      if (is_answer(messages[later]))
        return !options_.add_generation_prompt && later == i + 1 && later + 1 == messages.size();
    return true;
  }

  void assistant(std::span<const Message> messages, std::size_t i) {
    const Message& message = messages[i];
    if (!message.recipient.empty()) {
      prompt_.control("<|start|>").text("assistant to=").text(message.recipient);
      prompt_.control("<|channel|>").text("commentary ");
      prompt_.text(message.content_type.empty() ? std::string_view("json") : message.content_type);
      prompt_.control("<|message|>").content(message.content).control("<|call|>");
      last_call_ = message.recipient;
      return;
    }
    if (message.channel == "analysis" && !keeps_analysis(messages, i)) return;
    open("assistant", message.channel.empty() ? std::string_view("final") : message.channel);
    const bool last = is_answer(message) && i + 1 == messages.size();
    const bool returns = last && !options_.add_generation_prompt;
    prompt_.content(message.content).control(returns ? "<|return|>" : "<|end|>");
    if (is_answer(message)) last_call_.clear();
  }

  void tool(const Message& message) {
    const std::string& author = message.name.empty() ? last_call_ : message.name;
    if (author.empty())
      throw Error({.code = Errc::bad_prompt,
                   .file = {},
                   .field = "messages",
                   .expected = "a tool call before a tool's answer, or its name",
                   .found = "neither"});
    prompt_.control("<|start|>").text(author).text(" to=assistant");
    prompt_.control("<|channel|>").text("commentary").control("<|message|>");
    if (options_.quote_tool_results)
      prompt_.text(harmony_detail::quoted(message.text()));
    else
      prompt_.content(message.content);
    prompt_.control("<|end|>");
  }

  const HarmonyOptions& options_;
  PromptBuilder prompt_;
  std::string last_call_;
};

inline Prompt render_harmony(const Tokenizer& tokenizer, std::span<const Message> messages,
                             const HarmonyOptions& options = {}, const VisualTokens& visuals = {}) {
  return HarmonyRenderer(tokenizer, options, visuals).render(messages);
}

}  // namespace gov
