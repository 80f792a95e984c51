// Chats as messages, and prompts as token lists. A template puts control tokens in by id;
// everything else (its own words and the users') is encoded as plain text, so that no content can
// become a control token. Adjacent texts are encoded together, as Hugging Face does with the
// rendered string. The templates themselves: harmony.hpp, internvl_chat.hpp,
// internvl_gpt_oss_chat.hpp, chat_style.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov {

enum class Role { system, developer, user, assistant, tool };

constexpr std::string_view to_string(Role role) {
  switch (role) {
    case Role::system: return "system";
    case Role::developer: return "developer";
    case Role::user: return "user";
    case Role::assistant: return "assistant";
    case Role::tool: return "tool";
  }
  return "user";
}

// A part of a message: text, or where the next image or video of the prompt belongs.
struct Content {
  enum class Kind { text, image, video };
  Kind kind = Kind::text;
  std::string text;
  index_t frames = 0;  // of a video: how many it has, to be checked; 0 takes what VisualTokens says
  bool inside = false;  // the text around says itself what stands behind the image or video

  static Content of_text(std::string text) { return {Kind::text, std::move(text), 0, false}; }
  static Content image() { return {Kind::image, {}, 0, false}; }
  static Content video(index_t frames = 0) { return {Kind::video, {}, frames, false}; }
};

struct Message {
  Role role = Role::user;
  std::vector<Content> content;
  // The rest is harmony's.
  std::string channel = {};       // of the assistant: analysis, commentary or final ("" is final)
  std::string recipient = {};     // of a tool call: "functions.get_weather"
  std::string content_type = {};  // of a tool call: "" is "json"
  std::string name = {};  // of a tool's answer: "functions.get_weather"; "" answers the last call

  // The text parts joined.
  std::string text() const {
    std::string joined;
    for (const Content& part : content) joined += part.text;
    return joined;
  }
};

inline Message message(Role role, std::string text, std::string channel = {}) {
  return {
      .role = role, .content = {Content::of_text(std::move(text))}, .channel = std::move(channel)};
}

// How many context tokens the images and video frames of a prompt take, in order of appearance:
// num_image_token * num_patches for an image, num_image_token for a frame.
struct VisualTokens {
  std::vector<index_t> images;
  std::vector<std::vector<index_t>> videos;  // per video, per frame or VisualFormat::tracks
};

// A run of image context tokens in a prompt; where markers are counted, they belong to it.
struct VisualSpan {
  index_t begin = 0, count = 0;
};

struct Prompt {
  std::vector<int> ids;
  std::vector<VisualSpan> visuals;  // in order
  int image_token_id = -1;          // the id that fills them; -1 in a prompt without any
};

// The added tokens of a run; "" for none at the start or the end.
struct VisualMarks {
  std::string start = "<img>", context = "<IMG_CONTEXT>", end = "</img>";
  bool counted = false;             // start and end stand for features as well (LLaVA-ST)
  std::optional<int> context_id{};  // of a context that is no token: LLaVA's -200
};

// How images and videos are written between texts.
struct VisualFormat {
  VisualMarks image{};
  std::vector<VisualMarks> tracks{};  // of a video that is one visual; none: its frames are images
  std::string after = "\n";           // text behind an image or a video
  std::string frame = "Frame{i}: ";   // text before a frame; {i} counts from 1
  std::string between_frames = "\n";
};

class PromptBuilder {
 public:
  static constexpr index_t max_tokens = index_t{1} << 26;

  PromptBuilder(Tokenizer tokenizer, VisualTokens visuals, VisualFormat format = {})
      : tokenizer_(std::move(tokenizer)),
        visuals_(std::move(visuals)),
        format_(std::move(format)) {}

  // Text of the template or of a user, never parsed for control tokens.
  PromptBuilder& text(std::string_view text) {
    run_ += text;
    return *this;
  }
  // A control token: one of the tokenizer's added tokens that plain text cannot become.
  PromptBuilder& control(std::string_view token) {
    flush();
    prompt_.ids.push_back(control_id(token));
    return *this;
  }
  // What the tokenizer puts before every text: <s>, <bos>.
  PromptBuilder& beginning() {
    flush();
    const auto before = tokenizer_.beginning();
    prompt_.ids.insert(prompt_.ids.end(), before.begin(), before.end());
    beginning_ = prompt_.ids.size();
    return *this;
  }
  // Words of a template whose control tokens a tokenizer may have or not ([INST] is text to some).
  PromptBuilder& markup(std::string_view words, std::span<const std::string_view> controls) {
    while (!words.empty()) {
      std::size_t at = words.npos;
      std::string_view token;
      for (const std::string_view control : controls)
        if (const std::size_t found = words.find(control);
            found < at && tokenizer_.has_added_token(control))
          at = found, token = control;
      text(words.substr(0, at));
      if (at == words.npos) break;
      control(token);
      words.remove_prefix(at + token.size());
    }
    return *this;
  }
  PromptBuilder& content(const std::vector<Content>& parts) {
    for (const Content& part : parts) {
      switch (part.kind) {
        case Content::Kind::text: text(part.text); break;
        case Content::Kind::image: image(); break;
        case Content::Kind::video: video(part.frames); break;
      }
      if (part.kind != Content::Kind::text && !part.inside) text(format_.after);
    }
    return *this;
  }

  // The prompt; refuses images or videos that no placeholder took.
  Prompt finish() {
    flush();
    if (next_image_ != visuals_.images.size())
      mismatch("images", next_image_, visuals_.images.size());
    if (next_video_ != visuals_.videos.size())
      mismatch("videos", next_video_, visuals_.videos.size());
    return std::move(prompt_);
  }

 private:
  int control_id(std::string_view token) {
    for (const auto& [known, id] : controls_)
      if (known == token) return id;
    const int id = tokenizer_.added_token_id(token);
    for (const int part : tokenizer_.encode(token, plain_text))
      if (part == id)
        throw Error(
            {.code = Errc::bad_tokenizer,
             .file = tokenizer_.file(),
             .field = "added_tokens",
             .expected = "control tokens that text cannot spell",
             .found = std::string(token) + ", which the model's vocabulary spells as well"});
    controls_.emplace_back(token, id);
    return id;
  }

  [[noreturn]] static void mismatch(std::string_view what, std::size_t places, std::size_t given) {
    throw Error({.code = Errc::image_count_mismatch,
                 .file = {},
                 .field = std::string(what),
                 .expected = "as many as the messages have places for, " + std::to_string(places),
                 .found = std::to_string(given)});
  }
  std::size_t places(Content::Kind kind) const {
    return kind == Content::Kind::image ? next_image_ + 1 : next_video_ + 1;
  }

  void image() {
    if (next_image_ == visuals_.images.size())
      mismatch("images", places(Content::Kind::image), visuals_.images.size());
    visual(visuals_.images[next_image_++], format_.image, "images");
  }

  void video(index_t frames) {
    if (next_video_ == visuals_.videos.size())
      mismatch("videos", places(Content::Kind::video), visuals_.videos.size());
    const auto& counts = visuals_.videos[next_video_++];
    if (counts.empty() || (frames != 0 && frames != std::ssize(counts)))
      throw Error({.code = Errc::image_count_mismatch,
                   .file = {},
                   .field = "video frames",
                   .expected = frames ? std::to_string(frames) : "at least one",
                   .found = std::to_string(counts.size())});
    if (!format_.tracks.empty()) return tracks(counts);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (i > 0) text(format_.between_frames);
      std::string label = format_.frame;
      if (const std::size_t at = label.find("{i}"); at != label.npos)
        label.replace(at, 3, std::to_string(i + 1));
      text(label);
      visual(counts[i], format_.image, "video frames");
    }
  }

  // One span over all tracks; a track without tokens is not written.
  void tracks(const std::vector<index_t>& counts) {
    const std::size_t first = prompt_.visuals.size();
    for (std::size_t i = 0; i < std::min(counts.size(), format_.tracks.size()); ++i)
      if (counts[i] != 0) visual(counts[i], format_.tracks[i], "video tracks");
    for (std::size_t i = prompt_.visuals.size(); i-- > first + 1; prompt_.visuals.pop_back())
      prompt_.visuals[i - 1].count += prompt_.visuals[i].count;
  }

  void visual(index_t count, const VisualMarks& marks, std::string_view field) {
    const index_t counted =
        marks.counted ? index_t{!marks.start.empty()} + index_t{!marks.end.empty()} : 0;
    if (count < 1 + counted || count > max_tokens)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = std::string(field),
                   .expected = std::to_string(1 + counted) + " to " + std::to_string(max_tokens) +
                               " tokens each",
                   .found = std::to_string(count)});
    flush();
    auto begin = std::ssize(prompt_.ids);
    if (!marks.start.empty()) control(marks.start);
    if (!marks.counted) begin = std::ssize(prompt_.ids);
    prompt_.image_token_id = marks.context_id ? *marks.context_id : control_id(marks.context);
    if (begin > max_tokens - count)
      throw Error({.code = Errc::limit_exceeded,
                   .file = {},
                   .field = "prompt",
                   .expected = "at most " + std::to_string(max_tokens) + " tokens",
                   .found = "more"});
    prompt_.visuals.push_back({begin, count});
    prompt_.ids.resize(prompt_.ids.size() + static_cast<std::size_t>(count - counted),
                       prompt_.image_token_id);
    if (!marks.end.empty()) control(marks.end);
  }

  void flush() {
    if (run_.empty()) return;
    EncodeOptions options = plain_text;
    options.at_start = prompt_.ids.size() == beginning_;
    tokenizer_.encode_to(run_, prompt_.ids, options);
    run_.clear();
  }

  Tokenizer tokenizer_;
  VisualTokens visuals_;
  VisualFormat format_;
  Prompt prompt_;
  std::string run_;
  std::vector<std::pair<std::string, int>> controls_;  // those asked for so far
  std::size_t next_image_ = 0, next_video_ = 0, beginning_ = 0;
};

}  // namespace gov
