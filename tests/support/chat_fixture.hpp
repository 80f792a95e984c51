// The conversations of tests/fixtures/tokenizer/chat.json (made by
// tests/reference/chat_fixtures.py).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/io/json.hpp"
#include "gov/text/harmony.hpp"
#include "tests/support/tokenizer_fixture.hpp"

namespace gov::test {

struct ChatCase {
  std::vector<Message> messages;
  HarmonyOptions harmony;
  VisualTokens visuals;  // 4 tokens per tile or frame
  std::string text;      // the rendered template
  std::vector<int> ids;  // by the fixture's tokenizer
};

inline Role role_of(std::string_view name) {
  for (const Role role : {Role::system, Role::developer, Role::assistant, Role::tool})
    if (name == to_string(role)) return role;
  return Role::user;
}

inline std::vector<ChatCase> chat_cases(std::string_view kind) {
  const Json root = load_json(tokenizer_fixtures + "chat.json");
  std::vector<ChatCase> cases;
  for (const Json& json : root.at("cases").elements()) {
    if (json.at("kind").as_string() != kind) continue;
    ChatCase chat;
    for (const Json& m : json.at("messages").elements()) {
      Message message{.role = role_of(m.at("role").as_string()), .content = {}};
      message.channel = m.get_or("channel", "");
      message.recipient = m.get_or("recipient", "");
      message.content_type = m.get_or("content_type", "");
      if (const auto text = m.find("text"))
        message.content.push_back(Content::of_text(text->as<std::string>()));
      if (const auto parts = m.find("content"))
        for (const Json& part : parts->elements()) {
          if (part.is_string())
            message.content.push_back(Content::of_text(part.as<std::string>()));
          else
            message.content.push_back(part.at("kind").as_string() == "image" ? Content::image()
                                                                             : Content::video());
        }
      chat.messages.push_back(std::move(message));
    }
    const Json options = json.at("options");
    chat.harmony.add_generation_prompt = options.at("add_generation_prompt").as_bool();
    chat.harmony.current_date = options.get_or("current_date", "");
    chat.harmony.reasoning_effort = options.get_or("reasoning_effort", "medium");
    if (const auto identity = options.find("model_identity"))
      chat.harmony.model_identity = identity->as<std::string>();
    if (const auto tools = json.find("tools"))
      for (const Json& tool : tools->elements())
        chat.harmony.tools.push_back(HarmonyTool::from_json(tool));
    if (const auto images = json.find("images"))
      for (const Json& tiles : images->elements())
        chat.visuals.images.push_back(4 * tiles.as<index_t>());
    if (const auto videos = json.find("videos"))
      for (const Json& frames : videos->elements())
        chat.visuals.videos.emplace_back(frames.as<std::size_t>(), index_t{4});
    chat.text = json.at("text").as<std::string>();
    chat.ids = json.at("ids").as_vector<int>();
    cases.push_back(std::move(chat));
  }
  return cases;
}

inline int count_special(const Tokenizer& tokenizer, const std::vector<int>& ids) {
  int count = 0;
  for (const int id : ids) count += tokenizer.is_added(id);
  return count;
}

}  // namespace gov::test
