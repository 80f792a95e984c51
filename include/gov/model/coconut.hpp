// COCONUT, a chain of continuous thought (Hao et al. 2024, facebookresearch/coconut), forward side:
// a latent token's embedding is the hidden state (after the final norm) of the token before it.
// With at most N latents in a row the batch takes N + 1 passes: pass 0 runs each row up to its
// first latent, every next one runs the one latent that the pass before gave a thought, and the
// last one the last latent and the rest. All columns run once, on the caches.
//
// The reference takes one padded [B, S] whose first latents stand in one column, so that its
// slices fit all rows. Rows here are sessions without padding: an item is the real columns of a
// row, in order, and nothing needs to be aligned (latent_collator.hpp makes and takes apart padded
// batches). Each pass is one pass over the weights for all rows; a row with fewer latents, or none,
// runs its rest in the last pass. Image features are computed once and put in their places as ever.
// A dynamic RoPE beyond its limit takes each pass's length, as the reference's cached passes do.
// No loss here, and no gradient.
#pragma once

#include "gov/model/latent_collator.hpp"
#include "gov/model/session.hpp"

namespace gov {

struct CoconutOptions {
  int latent_token_id = -1;
  index_t logits_to_keep = 0;   // of each row's last tokens; 0 is all, -1 none
  bool thought_logits = false;  // what the head makes of each thought (the logit lens)
  std::stop_token stop{};
};

template <class T>
struct CoconutRow {
  LatentSpan latents;
  std::vector<T> logits;          // [kept tokens, vocabulary]
  std::vector<T> thoughts;        // [latents, hidden]; number k stands in place of latent k
  std::vector<T> thought_logits;  // [latents, vocabulary]
};

template <class T>
struct CoconutOutputs {
  index_t passes = 0;
  std::vector<CoconutRow<T>> rows;  // in the order of the items
};

namespace coconut_detail {

// A row on its way through the passes.
template <class Cfg, class T>
struct Walk {
  using A = Architecture<Cfg>;
  using Item = typename Session<Cfg, T>::Item;

  const Item* item;
  LatentSpan latents;
  index_t kept_from;   // tokens before it give no logits
  index_t tiles;       // before the latents
  index_t prefix = 0;  // rows of features before the text

  Walk(const Item& whole, const CoconutOptions& options)
      : item(&whole), latents(find_latents(whole.inputs.input_ids, options.latent_token_id)) {
    const index_t keep = options.logits_to_keep;
    if (whole.inputs.inputs_embeds.rows > 0)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "inputs",
                   .expected = "input_ids, which say where the latent tokens are",
                   .found = "inputs_embeds"});
    kept_from = keep == 0 ? 0 : std::max<index_t>(0, size() - std::max<index_t>(0, keep));
    whole.session->require_possible(whole.inputs);
    tiles = whole.inputs.pixel_values.count;
    if constexpr (A::prefix_fusion)
      prefix = A::Images::rows(whole.inputs);  // all before the text, and so before the latents
    else if constexpr (A::multimodal)
      count_tiles();
  }
  index_t size() const { return std::ssize(item->inputs.input_ids); }

  // The tokens that a pass runs; none where the row waits for the last one.
  struct Range {
    index_t begin = 0, end = 0;
  };
  Range range(index_t pass, index_t last) const {
    const index_t begin = latents.first + pass - 1;
    if (pass < latents.count) return {pass == 0 ? 0 : begin, latents.first + pass};
    if (pass < last) return {};
    return {latents.count == 0 ? 0 : latents.first + latents.count - 1, size()};
  }

  Inputs inputs(Range range) const {
    const Inputs& whole = item->inputs;
    Inputs part{.input_ids =
                    whole.input_ids.subspan(static_cast<std::size_t>(range.begin),
                                            static_cast<std::size_t>(range.end - range.begin))};
    part.feedback = range.begin > 0;
    if (!whole.modality.empty())
      part.modality =
          whole.modality.subspan(static_cast<std::size_t>(range.begin), part.input_ids.size());
    const bool first = range.begin == 0, last = range.end == size();
    if (!first && !last) return part;
    part.pixel_values = whole.pixel_values;
    if (even_tiles || first) part.image_sizes = whole.image_sizes, part.frames = whole.frames;
    if (first && !last) part.pixel_values.count = tiles;
    if (!first) {
      part.pixel_values.data = whole.pixel_values.tile(tiles);
      part.pixel_values.count = whole.pixel_values.count - tiles;
    }
    return part;
  }

 private:
  // Tiles of an image that all come to as many tokens, so that a place cuts them.
  static constexpr bool even_tiles = !A::has_markers && !requires { A::Images::layout(Extent{}); };

  // Which tiles belong before the latents; the session has looked at all of them.
  void count_tiles() {
    const Inputs& all = item->inputs;
    if (all.pixel_values.count == 0) return;
    const ModelTokens& ids = item->session->model().tokens;
    std::vector<index_t> places;
    if constexpr (A::has_markers)
      places = A::Images::positions(all, ids.markers);
    else
      places = placeholders(all.input_ids, ids.image_token_id);
    const index_t rows = A::Images::rows(all);
    require_equal_counts(std::ssize(places), rows);
    if (latents.count == 0) return;
    const auto before = static_cast<index_t>(
        std::lower_bound(places.begin(), places.end(), latents.first) - places.begin());
    const index_t tokens = even_tiles ? rows / all.pixel_values.count : rows;
    if (before % tokens != 0 || (!even_tiles && before == 0))
      throw Error({.code = Errc::image_count_mismatch,
                   .file = {},
                   .field = "latent tokens",
                   .expected = even_tiles ? "a place before or behind an image of " +
                                                std::to_string(tokens) + " tokens a tile"
                                          : "a place behind all images",
                   .found = std::to_string(before) + " image tokens before them"});
    if constexpr (even_tiles) tiles = before / tokens;
  }
};

template <class Cfg>
void require_latent_token(int id, int image_token_id) {
  const auto refuse = [&](std::string expected) {
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "latent_token_id",
                 .expected = std::move(expected),
                 .found = std::to_string(id)});
  };
  if (id < 0 || id >= Architecture<Cfg>::vocab_size)
    refuse("an id in [0, " + std::to_string(Architecture<Cfg>::vocab_size) +
           "): a model gets latent tokens by being grown and trained for them");
  if (id == image_token_id) refuse("another id than the image token's");
}

}  // namespace coconut_detail

// Runs the next tokens of several sessions (items as for Session::forward_batch, by input_ids),
// thinking at their latent tokens. All sessions move on or, if it throws, none. The observer sees
// every pass as ever, and behind pass k latent.<k>, [rows with more than k latents, hidden]: the
// thoughts that the next pass begins with, or what the observer makes of them. outputs() of a
// session is that of its last pass.
template <class Cfg, class T = float, class O = NoObserver>
CoconutOutputs<T> coconut_forward(
    std::type_identity_t<std::span<const typename Session<Cfg, T>::Item>> items,
    const CoconutOptions& options, O&& observer = {}) {
  using A = Architecture<Cfg>;
  using Walk = coconut_detail::Walk<Cfg, T>;
  static_assert(explain_feedback<A>());
  CoconutOutputs<T> result;
  if (items.empty()) return result;
  coconut_detail::require_latent_token<Cfg>(options.latent_token_id,
                                            items.front().session->model().tokens.image_token_id);
  std::vector<Walk> walks;
  index_t most = 0;
  for (const auto& item : items) {
    for (const Walk& other : walks)
      if (other.item->session == item.session)
        throw Error({.code = Errc::bad_argument,
                     .file = {},
                     .field = "batch",
                     .expected = "each session once",
                     .found = "one twice"});
    walks.emplace_back(item, options);
    most = std::max(most, walks.back().latents.count);
    result.rows.push_back({walks.back().latents, {}, {}, {}});
  }

  std::vector<typename Session<Cfg, T>::Mark> marks;
  marks.reserve(walks.size());
  std::vector<typename Session<Cfg, T>::Item> batch;
  std::vector<std::size_t> owners;
  std::vector<T> thoughts;
  try {
    for (const Walk& walk : walks)
      marks.push_back(walk.item->session->mark(walk.prefix + walk.size()));
    for (index_t pass = 0; pass <= most; ++pass, ++result.passes) {
      batch.clear(), owners.clear(), thoughts.clear();
      index_t keep = options.thought_logits && pass < most ? 1 : 0;
      const auto wanted = [&](std::size_t i) {
        const auto [begin, end] = walks[i].range(pass, most);
        return std::max<index_t>(0, end - std::max(begin, walks[i].kept_from));
      };
      for (std::size_t i = 0; i < walks.size(); ++i) {
        const auto range = walks[i].range(pass, most);
        if (range.end == 0) continue;
        batch.push_back({walks[i].item->session, walks[i].inputs(range)});
        owners.push_back(i);
        keep = std::max(keep, wanted(i));
      }
      Session<Cfg, T>::forward_batch(
          batch,
          {.logits_to_keep = keep > 0 ? keep : -1, .stop = options.stop, .hidden_to_keep = 1},
          std::forward<O>(observer));  // which nobody moves from
      for (const std::size_t i : owners) {
        const Rows<const T> logits = walks[i].item->session->outputs().logits;
        auto& row = result.rows[i];
        for (index_t t = logits.rows - wanted(i); t < logits.rows; ++t)
          row.logits.insert(row.logits.end(), logits.row(t), logits.row(t) + logits.cols);
        if (pass == most) continue;
        if (options.thought_logits) {
          const T* const last = logits.row(logits.rows - 1);
          row.thought_logits.insert(row.thought_logits.end(), last, last + logits.cols);
        }
        const T* const thought = walks[i].item->session->thought().row(0);
        thoughts.insert(thoughts.end(), thought, thought + A::hidden_size);
      }
      if (pass == most) continue;
      const Rows<T> shown(thoughts.data(), std::ssize(owners), A::hidden_size);
      observe(observer, "latent", pass, shown);
      for (index_t j = 0; j < shown.rows; ++j) {
        const std::size_t i = owners[static_cast<std::size_t>(j)];
        std::copy_n(shown.row(j), shown.cols, walks[i].item->session->thought().row(0));
        auto& kept = result.rows[i].thoughts;
        kept.insert(kept.end(), shown.row(j), shown.row(j) + shown.cols);
      }
    }
  } catch (...) {
    for (std::size_t i = 0; i < marks.size(); ++i)
      walks[i].item->session->go_back(std::move(marks[i]));
    throw;
  }
  return result;
}

// The same for one session.
template <class Cfg, class T, class O = NoObserver>
CoconutOutputs<T> coconut_forward(Session<Cfg, T>& session, const Inputs& inputs,
                                  const CoconutOptions& options, O&& observer = {}) {
  const typename Session<Cfg, T>::Item item{&session, inputs};
  return coconut_forward<Cfg, T>({&item, 1}, options, observer);
}

}  // namespace gov
