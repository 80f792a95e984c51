// LLaVA's inputs (the original's prepare_inputs_labels_for_multimodal): a padded batch of ids in
// which -200 stands for a picture becomes embeddings with the picture's features in its place, as
// many rows as they are, with labels, mask and positions to match. A row without -200 still
// consumes one picture: batches bring a dummy for each text.
//
// Unlike there, pictures that nothing consumes are an error.
#pragma once

#include <algorithm>
#include <optional>
#include <type_traits>

#include "gov/model/fusion.hpp"
#include "gov/text/visual_placeholders.hpp"

namespace gov {

// [batch, length] each; the mask is 0 for padding. What is empty was not given: the mask is then
// all ones, labels all ignore_index. Of position_ids only that they are given counts.
struct LlavaBatch {
  index_t batch = 0, length = 0;
  std::span<const int> input_ids{}, attention_mask{}, position_ids{}, labels{};
};

enum class PaddingSide { right, left };

struct LlavaInputOptions {
  index_t tokenizer_model_max_length = 0;  // rows are cut there, features too; 0: not at all
  PaddingSide tokenizer_padding_side = PaddingSide::right;
};

// One row without padding: what Session::forward_batch takes.
template <class T>
struct LlavaRow {
  std::vector<T> inputs_embeds;  // [length, hidden]
  std::vector<int> labels;       // [length]
};

// [batch, length] and inputs_embeds [batch, length, hidden]. What was not given is empty. Without
// pictures nothing is embedded, and all but `embedded` is as it was.
template <class T>
struct LlavaInputs {
  bool embedded = false;
  index_t batch = 0, length = 0;
  std::vector<int> input_ids;
  std::vector<T> inputs_embeds;
  std::vector<int> attention_mask, position_ids, labels;
};

namespace detail {

inline void check_llava_batch(const LlavaBatch& in) {
  const auto fits = [&](std::span<const int> values, std::string_view field, bool needed) {
    const index_t size =
        in.batch >= 0 && in.length >= 0 ? checked_mul(in.batch, in.length, field) : -1;
    if ((needed || !values.empty()) && static_cast<index_t>(values.size()) != size)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = std::string(field),
                   .expected = std::to_string(in.batch) + " rows of " + std::to_string(in.length),
                   .found = std::to_string(values.size()) + " values"});
  };
  fits(in.input_ids, "input_ids", true);
  fits(in.attention_mask, "attention_mask", false);
  fits(in.position_ids, "position_ids", false);
  fits(in.labels, "labels", false);
}

}  // namespace detail

// images: the features of each, [tokens, hidden], in the order of the batch.
// embed(ids, rows) looks ids up into rows [ids, hidden].
template <class T, class Embed>
std::vector<LlavaRow<T>> llava_rows(const LlavaBatch& in,
                                    std::span<const std::type_identity_t<Rows<const T>>> images,
                                    index_t hidden, const Embed& embed,
                                    const LlavaInputOptions& options = {}) {
  detail::check_llava_batch(in);
  for (const auto& image : images)
    if (image.cols != hidden)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "image features",
                   .expected = std::to_string(hidden) + " columns",
                   .found = std::to_string(image.cols)});
  index_t needed = 0;
  std::vector<std::vector<index_t>> kept(static_cast<std::size_t>(in.batch));  // not padding
  for (index_t row = 0; row < in.batch; ++row) {
    index_t marks = 0;
    for (index_t i = row * in.length; i < (row + 1) * in.length; ++i) {
      if (!in.attention_mask.empty() && in.attention_mask[static_cast<std::size_t>(i)] == 0)
        continue;
      kept[static_cast<std::size_t>(row)].push_back(i);
      marks += in.input_ids[static_cast<std::size_t>(i)] == image_token_index;
    }
    needed += std::max<index_t>(marks, 1);
  }
  if (needed != static_cast<index_t>(images.size()))
    throw Error(
        {.code = Errc::image_count_mismatch,
         .file = {},
         .field = "images",
         .expected = std::to_string(needed) + ": one for each -200, one for each row of text",
         .found = std::to_string(images.size())});
  std::vector<LlavaRow<T>> rows(static_cast<std::size_t>(in.batch));
  std::size_t next = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    LlavaRow<T>& row = rows[r];
    std::vector<int> text;
    bool has_image = false;
    const auto put_text = [&] {
      const std::size_t from = row.inputs_embeds.size();
      row.inputs_embeds.resize(from + text.size() * static_cast<std::size_t>(hidden));
      embed(std::span<const int>(text),
            Rows<T>(row.inputs_embeds.data() + from, static_cast<index_t>(text.size()), hidden));
      text.clear();
    };
    for (const index_t i : kept[r]) {
      const int id = in.input_ids[static_cast<std::size_t>(i)];
      if (id != image_token_index) {
        text.push_back(id);
        row.labels.push_back(in.labels.empty() ? ignore_index
                                               : in.labels[static_cast<std::size_t>(i)]);
        continue;
      }
      put_text();
      has_image = true;
      const auto& image = images[next++];
      for (index_t t = 0; t < image.rows; ++t)
        row.inputs_embeds.insert(row.inputs_embeds.end(), image.row(t), image.row(t) + hidden);
      row.labels.insert(row.labels.end(), static_cast<std::size_t>(image.rows), ignore_index);
    }
    put_text();
    next += !has_image;
    const auto most = static_cast<std::size_t>(options.tokenizer_model_max_length);
    if (most > 0 && row.labels.size() > most) {
      row.labels.resize(most);
      row.inputs_embeds.resize(most * static_cast<std::size_t>(hidden));
    }
  }
  return rows;
}

// images: nullopt where the model is given none; a batch of single tokens (a decoding step) passes
// through as well.
template <class T, class Embed>
LlavaInputs<T> prepare_inputs_labels_for_multimodal(
    const LlavaBatch& in,
    std::optional<std::span<const std::type_identity_t<Rows<const T>>>> images, index_t hidden,
    const Embed& embed, const LlavaInputOptions& options = {}) {
  detail::check_llava_batch(in);
  LlavaInputs<T> out;
  out.batch = in.batch, out.length = in.length;
  if (!images || in.length == 1) {
    out.input_ids.assign(in.input_ids.begin(), in.input_ids.end());
    out.attention_mask.assign(in.attention_mask.begin(), in.attention_mask.end());
    out.position_ids.assign(in.position_ids.begin(), in.position_ids.end());
    out.labels.assign(in.labels.begin(), in.labels.end());
    return out;
  }
  const auto rows = llava_rows<T>(in, *images, hidden, embed, options);
  out.embedded = true, out.length = 0;
  for (const auto& row : rows)
    out.length = std::max(out.length, static_cast<index_t>(row.labels.size()));
  const index_t total = checked_mul(out.batch, out.length, "inputs_embeds");
  const auto size = static_cast<std::size_t>(total);
  out.inputs_embeds.resize(static_cast<std::size_t>(checked_mul(total, hidden, "inputs_embeds")));
  if (!in.attention_mask.empty()) out.attention_mask.assign(size, 0);
  if (!in.position_ids.empty()) out.position_ids.assign(size, 0);
  if (!in.labels.empty()) out.labels.assign(size, ignore_index);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto length = static_cast<index_t>(rows[r].labels.size());
    const bool left = options.tokenizer_padding_side == PaddingSide::left;
    const index_t first = static_cast<index_t>(r) * out.length + (left ? out.length - length : 0);
    std::copy(rows[r].inputs_embeds.begin(), rows[r].inputs_embeds.end(),
              out.inputs_embeds.begin() + first * hidden);
    for (index_t i = 0; i < length; ++i) {
      const auto to = static_cast<std::size_t>(first + i);
      if (!out.attention_mask.empty()) out.attention_mask[to] = 1;
      if (!out.position_ids.empty()) out.position_ids[to] = static_cast<int>(i);
      if (!out.labels.empty()) out.labels[to] = rows[r].labels[static_cast<std::size_t>(i)];
    }
  }
  return out;
}

}  // namespace gov
