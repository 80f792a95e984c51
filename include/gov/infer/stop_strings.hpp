// StopStrings: finds the first stop string in streamed text. Text that could still become one is
// held back, so that nothing of a stop string is ever shown.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gov {

class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops = {}) : stops_(std::move(stops)) {
    stops_.erase(std::remove(stops_.begin(), stops_.end(), std::string()), stops_.end());
  }

  bool found() const { return found_; }

  // What may be shown now. After a stop string was found: the text before it, then nothing.
  std::string push(std::string_view text) {
    if (found_) return {};
    held_ += text;
    // The one that is complete first, so that the answer does not hang on how the text was cut.
    std::size_t first = held_.npos, end = held_.npos;
    for (const auto& stop : stops_) {
      const std::size_t at = held_.find(stop);
      if (at == held_.npos || at + stop.size() > end || (at + stop.size() == end && at > first))
        continue;
      first = at, end = at + stop.size();
    }
    if (first != held_.npos) {
      found_ = true;
      return take(first);
    }
    std::size_t keep = 0;
    for (const auto& stop : stops_) {
      for (std::size_t length = std::min(stop.size() - 1, held_.size()); length > keep; --length)
        if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) keep = length;
    }
    // The cut stays between characters: a stop string in UTF-8 begins with a whole one.
    return take(held_.size() - keep);
  }

  // The end of the text: nothing can become a stop string any more.
  std::string finish() { return found_ ? std::string() : take(held_.size()); }

 private:
  std::string take(std::size_t count) {
    std::string shown = held_.substr(0, count);
    held_.erase(0, count);
    return shown;
  }

  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
};

}  // namespace gov
