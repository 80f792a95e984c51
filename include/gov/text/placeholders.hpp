// A question as content: "<image>" and "<video>" in it say where the images and videos go, in
// order, with nothing added behind them, as OpenGVLab's chat() has it; without any they come first.
// Marks of what is not given are text. Wrong counts are refused where the prompt is made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gov/text/chat.hpp"

namespace gov {

inline std::vector<Content> place_visuals(std::string_view question, std::size_t images,
                                          std::size_t videos) {
  constexpr std::string_view image_mark = "<image>", video_mark = "<video>";
  static_assert(image_mark.size() == video_mark.size());
  std::vector<Content> parts;
  std::size_t image_places = 0, video_places = 0;
  while (!question.empty()) {
    const std::size_t at_image = images > 0 ? question.find(image_mark) : question.npos;
    const std::size_t at_video = videos > 0 ? question.find(video_mark) : question.npos;
    const std::size_t at = std::min(at_image, at_video);
    if (at != 0) parts.push_back(Content::of_text(std::string(question.substr(0, at))));
    if (at == question.npos) break;
    parts.push_back(at == at_image ? Content::image() : Content::video());
    parts.back().inside = true;
    ++(at == at_image ? image_places : video_places);
    question.remove_prefix(at + image_mark.size());
  }
  std::vector<Content> first;
  if (image_places == 0) first.insert(first.end(), images, Content::image());
  if (video_places == 0) first.insert(first.end(), videos, Content::video());
  parts.insert(parts.begin(), first.begin(), first.end());
  return parts;
}

}  // namespace gov
