// From the prompt options of the command line to a conversation's first turn.
#pragma once

#include "gov/tool/arguments.hpp"

namespace gov::tool {

// Of a video a model takes the frames that it was made for, or 8.
inline Attachments attachments_of(const PromptArguments& arguments, const Processor& processor) {
  Attachments attachments;
  FrameSampling sampling = processor.usual_sampling();
  if (!sampling.num_frames) sampling.num_frames = 8, sampling.shorten = true;
  if (arguments.video_frames) sampling.num_frames = *arguments.video_frames;
  if (!arguments.video_rule.empty()) sampling.rule = frame_rule(arguments.video_rule);
  for (const auto& path : arguments.images) attachments.images.push_back(image(path));
  for (const auto& path : arguments.videos) attachments.videos.push_back(video(path, sampling));
  return attachments;
}

inline Message turn_of(const PromptArguments& arguments) {
  Message turn = message(Role::user, {});
  turn.content = place_visuals(arguments.prompt, arguments.images.size(), arguments.videos.size());
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
