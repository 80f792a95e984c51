// From the prompt options of the command line to a conversation's first turn.
#pragma once

#include "gov/tool/arguments.hpp"

namespace gov::tool {

inline Attachments attachments_of(const PromptArguments& arguments) {
  Attachments attachments;
  for (const auto& path : arguments.images) attachments.images.push_back(image(path));
  for (const auto& folder : arguments.videos) {
    FrameSampling sampling;
    sampling.num_frames =
        std::min<index_t>(arguments.video_frames, std::ssize(frame_files(folder)));
    attachments.videos.push_back(video(folder, sampling));
  }
  return attachments;
}

// "<image>" and "<video>" in the prompt say where they go; without any they come first.
inline Message turn_of(const PromptArguments& arguments) {
  Message turn = message(Role::user, {});
  turn.content.clear();
  std::size_t images = 0, videos = 0;
  std::vector<Content> parts;
  std::string_view rest = arguments.prompt;
  constexpr std::string_view image_mark = "<image>", video_mark = "<video>";
  while (!rest.empty()) {
    const std::size_t at_image = arguments.images.empty() ? rest.npos : rest.find(image_mark);
    const std::size_t at_video = arguments.videos.empty() ? rest.npos : rest.find(video_mark);
    const std::size_t at = std::min(at_image, at_video);
    if (at != 0) parts.push_back(Content::of_text(std::string(rest.substr(0, at))));
    if (at == rest.npos) break;
    const bool is_image = at == at_image;
    parts.push_back(is_image ? Content::image() : Content::video());
    ++(is_image ? images : videos);
    rest.remove_prefix(at + image_mark.size());  // both marks are equally long
  }
  if (images == 0)
    for (std::size_t i = 0; i < arguments.images.size(); ++i)
      turn.content.push_back(Content::image());
  if (videos == 0)
    for (std::size_t i = 0; i < arguments.videos.size(); ++i)
      turn.content.push_back(Content::video());
  turn.content.insert(turn.content.end(), parts.begin(), parts.end());
  return turn;
}

inline ChatOptions chat_options_of(const PromptArguments& arguments) {
  ChatOptions options;
  options.session = arguments.session_options();
  options.system = arguments.system;
  if (!arguments.chat_format.empty()) options.format = parse_chat_format(arguments.chat_format);
  return options;
}

}  // namespace gov::tool
