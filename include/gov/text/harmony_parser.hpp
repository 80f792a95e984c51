// Reads what a harmony model answers, token by token: messages by channel, so that a user is shown
// the final channel only, analysis apart, tool calls by recipient. Lenient: a model may write
// anything, and whatever it writes ends up in some message. Expects the tokens after the prompt's
// "<|start|>assistant".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/text/chat.hpp"
#include "gov/text/stream_decoder.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov {

class HarmonyParser {
 public:
  // New text of the message under way. Empty for tokens of a header.
  struct Delta {
    std::string channel, recipient, text;
  };

  explicit HarmonyParser(const Tokenizer& tokenizer)
      : tokenizer_(tokenizer),
        body_(tokenizer),
        start_(tokenizer.added_token_id("<|start|>")),
        message_(tokenizer.added_token_id("<|message|>")),
        channel_(tokenizer.added_token_id("<|channel|>")),
        end_(tokenizer.added_token_id("<|end|>")),
        return_(optional_id("<|return|>")),
        call_(optional_id("<|call|>")) {}

  Delta push(int id) {
    if (id == start_) {
      Delta rest = close();
      header_.clear();
      in_header_ = true;
      return rest;
    }
    if (id == end_ || id == return_ || id == call_) {
      stopped_ = id != end_;
      return close();
    }
    if (id == message_ && in_header_) {
      read_header();
      in_header_ = false, open_ = true;
      return delta({});
    }
    if (in_header_) {
      header_ += tokenizer_.piece(id);
      return {};
    }
    open_ = true;
    return delta(body_.push(id));
  }

  // The end of the answer: a message that was cut is kept as far as it came.
  Delta finish() { return close(); }

  // The messages read so far, without the one under way.
  const std::vector<Message>& messages() const { return messages_; }
  // The answer is complete: <|return|>, or <|call|> for a tool.
  bool stopped() const { return stopped_; }

  // The text on the final channel (of all such messages).
  std::string final_text() const {
    std::string text;
    for (const Message& message : messages_)
      if (message.recipient.empty() && (message.channel == "final" || message.channel.empty()))
        text += message.text();
    return text;
  }

 private:
  int optional_id(std::string_view token) const {
    const auto id = tokenizer_.token_to_id(token);
    return id && tokenizer_.is_added(*id) ? *id : -1;
  }

  Delta delta(std::string text) {
    text_ += text;
    return {current_.channel, current_.recipient, std::move(text)};
  }

  Delta close() {
    if (!open_) return {};
    Delta rest = delta(body_.finish());
    current_.content = {Content::of_text(std::exchange(text_, {}))};
    messages_.push_back(std::exchange(current_, fresh()));
    open_ = in_header_ = false;
    return rest;
  }

  static Message fresh() { return {.role = Role::assistant, .content = {}}; }

  // "assistant to=functions.f<|channel|>commentary <|constrain|>json", in any order the models use.
  void read_header() {
    current_ = fresh();
    const std::string_view header = header_;
    const auto word_at = [&](std::size_t at) {
      return std::string(header.substr(at, header.find_first_of(" \n<", at) - at));
    };
    if (const std::size_t at = header.find("<|channel|>"); at != header.npos)
      current_.channel = word_at(at + 11);
    if (const std::size_t at = header.find("to="); at != header.npos)
      current_.recipient = word_at(at + 3);
    if (const std::size_t at = header.find("<|constrain|>"); at != header.npos)
      current_.content_type = word_at(at + 13);
    else if (!current_.recipient.empty() && header.ends_with(" json"))
      current_.content_type = "json";
  }

  Tokenizer tokenizer_;
  StreamDecoder body_;
  int start_, message_, channel_, end_, return_, call_;
  std::string header_ = "assistant";
  bool in_header_ = true, open_ = false, stopped_ = false;
  Message current_ = fresh();
  std::string text_;
  std::vector<Message> messages_;
};

inline std::vector<Message> parse_harmony(const Tokenizer& tokenizer, std::span<const int> ids) {
  HarmonyParser parser(tokenizer);
  for (const int id : ids) parser.push(id);
  parser.finish();
  return parser.messages();
}

}  // namespace gov
