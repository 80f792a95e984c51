// Fusion by spans (LLaVA-ST): features overwrite the embeddings from a start marker to its end
// marker, both included, so that a sequence keeps its length. The i-th start marker takes the i-th
// features: write_spans does it, SpanFinder says where.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/model/inputs.hpp"

namespace gov {

struct MarkedSpan {
  int start_id = 0, end_id = 0;
  std::string_view name = "video";  // for errors
};

// Ids of LLaVA-ST's tokens (text/visual_placeholders.hpp); -1: a model has no such token.
struct VisualMarkerIds {
  int im_start = -1, im_patch = -1, im_end = -1, vid_start = -1, vid_patch = -1, vid_end = -1,
      slow_vid_start = -1, slow_vid_end = -1;
  friend constexpr bool operator==(const VisualMarkerIds&, const VisualMarkerIds&) = default;

  // v(name, id) for each: config.json's key is name + "_token_id", the token "<name>".
  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("im_start", self.im_start), v("im_patch", self.im_patch), v("im_end", self.im_end);
    v("vid_start", self.vid_start), v("vid_patch", self.vid_patch), v("vid_end", self.vid_end);
    v("slow_vid_start", self.slow_vid_start), v("slow_vid_end", self.slow_vid_end);
  }
  // Eight ids in a row, in the order of keys().
  static constexpr VisualMarkerIds from(int first) {
    VisualMarkerIds ids;
    keys(ids, [&first](std::string_view, int& id) { id = first++; });
    return ids;
  }
};

// Positions of place-holders, span by span in the order of the prompt.
class SpanFinder {
 public:
  enum Kind { image, video, slow };

  SpanFinder(std::span<const int> ids, const VisualMarkerIds& m)
      : ids_(ids),
        spans_{{{m.im_start, m.im_end, "image"},
                {m.vid_start, m.vid_end, "video"},
                {m.slow_vid_start, m.slow_vid_end, "slow video"}}} {}

  // The next span must be of this kind and of so many tokens, markers included.
  void take(Kind kind, index_t count) {
    const MarkedSpan& span = spans_[kind];
    const std::size_t start = next_start();
    if (start == ids_.size())
      refuse(Errc::image_count_mismatch, span.name,
             "one more, for as many visuals as there are pixel_values", "no further start marker");
    if (ids_[start] != span.start_id)
      refuse(Errc::image_count_mismatch, span.name,
             "the start marker, id " + std::to_string(span.start_id),
             "id " + std::to_string(ids_[start]) + " at position " + std::to_string(start));
    const auto last = start + static_cast<std::size_t>(count) - 1;
    if (last >= ids_.size() || ids_[last] != span.end_id)
      refuse(Errc::bad_prompt, span.name,
             "the end marker " + std::to_string(count) + " tokens on from position " +
                 std::to_string(start),
             last >= ids_.size() ? "the end of the prompt" : "id " + std::to_string(ids_[last]));
    at_ = last + 1;
    for (std::size_t i = start; i <= last; ++i) positions_.push_back(static_cast<index_t>(i));
  }
  // All that were taken; refuses a prompt with more.
  std::vector<index_t> finish() {
    if (const std::size_t start = next_start(); start < ids_.size())
      refuse(Errc::image_count_mismatch, "visual", "as many as there are pixel_values",
             "another start marker at position " + std::to_string(start));
    return std::move(positions_);
  }

 private:
  [[noreturn]] static void refuse(Errc code, std::string_view name, std::string expected,
                                  std::string found) {
    throw Error({.code = code,
                 .file = {},
                 .field = std::string(name) + " markers",
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
  std::size_t next_start() const {
    std::size_t i = at_;
    while (i < ids_.size() && std::none_of(spans_.begin(), spans_.end(), [&](const MarkedSpan& s) {
             return ids_[i] == s.start_id;
           }))
      ++i;
    return i;
  }

  std::span<const int> ids_;
  std::array<MarkedSpan, 3> spans_;
  std::size_t at_ = 0;
  std::vector<index_t> positions_;
};

// embeds [ids, hidden]; each of features [tokens, hidden]. Nothing is written unless all fits.
template <class T>
void write_spans(std::span<const int> ids, const MarkedSpan& span,
                 std::span<const std::type_identity_t<Rows<const T>>> features, Rows<T> embeds) {
  const auto refuse = [&](Errc code, std::string expected, std::string found) {
    throw Error({.code = code,
                 .file = {},
                 .field = std::string(span.name) + " markers",
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  std::vector<index_t> starts;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] == span.start_id) starts.push_back(static_cast<index_t>(i));
  if (starts.size() != features.size())
    refuse(Errc::image_count_mismatch, std::to_string(features.size()),
           std::to_string(starts.size()));
  if (embeds.rows != static_cast<index_t>(ids.size()))
    refuse(Errc::bad_argument, std::to_string(ids.size()) + " embeddings",
           std::to_string(embeds.rows));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const index_t last = starts[i] + features[i].rows - 1;
    if (features[i].cols != embeds.cols || features[i].rows < 1)
      refuse(Errc::bad_argument, "features of " + std::to_string(embeds.cols) + " columns",
             std::to_string(features[i].rows) + " of " + std::to_string(features[i].cols));
    if (last >= embeds.rows || ids[static_cast<std::size_t>(last)] != span.end_id)
      refuse(Errc::bad_prompt,
             "the end marker " + std::to_string(features[i].rows) + " tokens on from position " +
                 std::to_string(starts[i]),
             last >= embeds.rows ? "the end of the prompt"
                                 : "id " + std::to_string(ids[static_cast<std::size_t>(last)]));
  }
  for (std::size_t i = 0; i < starts.size(); ++i)
    for (index_t t = 0; t < features[i].rows; ++t)
      std::copy_n(features[i].row(t), embeds.cols, embeds.row(starts[i] + t));
}

}  // namespace gov
