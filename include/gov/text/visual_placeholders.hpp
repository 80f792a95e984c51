// Where pictures and videos stand in the text of LLaVA's family:
//   tokenizer_image_token  LLaVA: "<image>" becomes one pseudo-id, -200, whose place the features
//                          take later, as many as they are
//   expand_placeholders    LLaVA-ST: "<image>" and "<video>" become as many tokens as there will be
//                          features, markers included; the features overwrite all of them
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/error.hpp"
#include "gov/text/trim.hpp"

namespace gov {

inline constexpr int image_token_index = -200;  // LLaVA's IMAGE_TOKEN_INDEX; never embedded
inline constexpr int ignore_index = -100;       // a label that is no target

// encode(chunk) gives ids with whatever the tokenizer puts before a text; if that is bos_token_id,
// only the first chunk keeps it.
template <class Encode>
std::vector<int> tokenizer_image_token(std::string_view prompt, const Encode& encode,
                                       int bos_token_id, int image_token = image_token_index) {
  constexpr std::string_view mark = "<image>";
  std::vector<int> ids;
  std::size_t dropped = 0;
  for (bool first = true;; first = false) {
    const std::size_t end = prompt.find(mark);
    const std::vector<int> chunk = encode(prompt.substr(0, end));
    if (first && !chunk.empty() && chunk.front() == bos_token_id) {
      dropped = 1;
      ids.push_back(bos_token_id);
    }
    if (chunk.size() > dropped)
      ids.insert(ids.end(), chunk.begin() + static_cast<std::ptrdiff_t>(dropped), chunk.end());
    if (end == prompt.npos) return ids;
    ids.push_back(image_token);
    prompt.remove_prefix(end + mark.size());
  }
}

// The added tokens of LLaVA-ST. `video` and `image` stand for the rest in a prompt.
struct VisualMarkers {
  std::string image = "<image>", image_start = "<im_start>", image_end = "<im_end>",
              image_patch = "<im_patch>";
  std::string video = "<video>", video_start = "<vid_start>", video_end = "<vid_end>",
              video_patch = "<vid_patch>";
  std::string slow_start = "<slow_vid_start>", slow_end = "<slow_vid_end>";
};

// Tokens of one picture and of one video's tracks; a video without a slow track has slow = 0.
struct PlaceholderCounts {
  index_t image = 0, fast = 0, slow = 0;
};

// If `mark` occurs once and not at the front, it is moved there, a line break behind it, and what
// is left is trimmed.
inline std::string mark_to_front(std::string_view text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == text.npos || at == 0 || text.find(mark, at + 1) != text.npos) return std::string(text);
  std::string rest(text.substr(0, at));
  rest += text.substr(at + mark.size());
  return std::string(trimmed(std::string(mark) + "\n" + std::string(trimmed(rest))));
}

inline std::string expand_placeholders(std::string_view text, const PlaceholderCounts& counts,
                                       const VisualMarkers& markers = {}) {
  constexpr index_t most = index_t{1} << 20;
  std::string result = mark_to_front(mark_to_front(text, markers.image), markers.video);
  const auto span = [](const std::string& start, const std::string& patch, const std::string& end,
                       index_t count, std::string_view field) {
    if (count < 2 || count > most)
      throw Error({.code = Errc::bad_prompt,
                   .file = {},
                   .field = std::string(field),
                   .expected = "2 to " + std::to_string(most) + " tokens, the markers included",
                   .found = std::to_string(count)});
    std::string tokens = start;
    for (index_t i = 2; i < count; ++i) tokens += patch;
    return tokens + end;
  };
  const auto replace = [&result](const std::string& mark, const auto& make) {
    std::size_t at = result.find(mark);
    if (at == result.npos) return;
    const std::string tokens = make();
    for (; at != result.npos; at = result.find(mark, at + tokens.size()))
      result.replace(at, mark.size(), tokens);
  };
  replace(markers.image, [&] {
    return span(markers.image_start, markers.image_patch, markers.image_end, counts.image,
                "tokens of an image");
  });
  replace(markers.video, [&] {
    std::string tokens = span(markers.video_start, markers.video_patch, markers.video_end,
                              counts.fast, "fast tokens of a video");
    if (counts.slow != 0)
      tokens += span(markers.slow_start, markers.video_patch, markers.slow_end, counts.slow,
                     "slow tokens of a video");
    return tokens;
  });
  return result;
}

// Placeholders are no targets: labels at the given ids become ignore_index.
inline void ignore_labels(std::span<const int> ids, std::span<const int> placeholder_ids,
                          std::span<int> labels) {
  for (std::size_t i = 0; i < ids.size() && i < labels.size(); ++i)
    for (const int id : placeholder_ids)
      if (ids[i] == id) labels[i] = ignore_index;
}

}  // namespace gov
