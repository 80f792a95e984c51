// Session: the state of one sequence on a model: caches, position and scratch. A call that fails or
// is cancelled leaves it as it was, bit for bit. Several sessions may step together and share each
// pass over the weights; none sees padding, for there is none.
#pragma once

#include <exception>
#include <memory>
#include <utility>

#include "gov/kernel/backend.hpp"
#include "gov/model/fusion.hpp"
#include "gov/model/model_data.hpp"

namespace gov {

struct SessionOptions {
  index_t context = 0;        // positions; 0 is min(max_position_embeddings, 8192)
  index_t chunk = 512;        // prompt tokens computed at a time
  bool full_history = false;  // sliding layers keep every position, so truncate() can go back to 0
  Arithmetic arithmetic = Arithmetic::fast;  // invariant: the same bits in any batch or chunk
  Format cache = Format::f32;  // of keys and values: f32, or bf16 at half the bytes (T float only)
};

template <class Cfg, class T = float>
class Session {
 public:
  using A = Architecture<Cfg>;
  using Model = std::shared_ptr<const ModelData<Cfg>>;

  Session(Model model, std::shared_ptr<ThreadPool> pool, const kernel::Kernels<T>& kernels,
          const SessionOptions& options = {})
      : model_(std::move(model)),
        pool_(std::move(pool)),
        kernels_(&kernels),
        arithmetic_(options.arithmetic) {
    const index_t usual = model_->max_position_embeddings;
    const index_t limit = longest_sequence(A::language_config, usual);
    context_ = options.context > 0 ? options.context : std::min<index_t>(usual, 8192);
    chunk_ = std::min(options.chunk, context_);
    if (context_ > limit || chunk_ < 1)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "context, chunk",
                   .expected = "at most " + std::to_string(limit) + " positions, at least 1",
                   .found = std::to_string(context_) + ", " + std::to_string(options.chunk)});
    state_ =
        A::Language::template make_state<T>(context_, chunk_, options.full_history, options.cache);
    journals_.resize(state_.layers.size());
  }

  index_t length() const { return state_.length(); }      // positions taken
  index_t context() const { return context_; }            // positions there are
  index_t earliest() const { return state_.earliest(); }  // lowest length to truncate to
  index_t cache_bytes() const { return state_.bytes(); }
  Format cache_format() const { return state_.format(); }
  const ModelData<Cfg>& model() const { return *model_; }

  // Runs the next tokens of the sequence. See inputs.hpp for what goes in and comes out.
  template <class O = NoObserver>
  Outputs<T> forward(const Inputs& inputs, const ForwardOptions& options = {}, O&& observer = {}) {
    Item item{this, inputs};
    run({&item, 1}, options, observer);
    return outputs();
  }

  struct Item {
    Session* session;
    Inputs inputs;
  };

  // The same for several sessions of one model and chunk at once; outputs() of each then holds its
  // part. All or none of them move on.
  template <class O = NoObserver>
  static void forward_batch(std::span<const Item> items, const ForwardOptions& options = {},
                            O&& observer = {}) {
    run(items, options, observer);
  }
  Outputs<T> outputs() const {
    const auto rows = [](const std::vector<T>& data, index_t width) {
      return Rows<const T>(data.data(), static_cast<index_t>(data.size()) / width, width);
    };
    return {rows(logits_, A::vocab_size), rows(hidden_, A::hidden_size),
            rows(features_, A::hidden_size)};
  }

  // The last row of last_hidden_state, [1, hidden]: what a call with Inputs::feedback begins with,
  // and may be rewritten before. None where the call before kept none.
  Rows<T> thought() {
    const auto rows = std::min<index_t>(1, std::ssize(hidden_) / A::hidden_size);
    return {hidden_.data() + std::ssize(hidden_) - rows * A::hidden_size, rows, A::hidden_size};
  }

  // Refuses, as forward() would before any work, what cannot be run.
  void require_possible(const Inputs& inputs) const { check(inputs, {}); }

  // A point that go_back() returns to, bit for bit, from at most `rows` tokens later: for several
  // calls that succeed or fail as one. It takes the outputs with it.
  struct Mark {
    std::vector<typename KvCache<T>::Journal> journals;
    std::vector<T> logits, hidden, features;
  };
  Mark mark(index_t rows) {
    Mark mark;
    mark.journals.resize(state_.layers.size());
    save(mark.journals, rows);
    logits_.swap(mark.logits), hidden_.swap(mark.hidden), features_.swap(mark.features);
    return mark;
  }
  void go_back(Mark&& mark) {
    restore(mark.journals);
    logits_.swap(mark.logits), hidden_.swap(mark.hidden), features_.swap(mark.features);
  }

  // Projected features of some tiles, [tiles * tokens, hidden]; the sequence does not move.
  template <class O = NoObserver>
  Rows<const T> get_image_features(const Inputs& images, std::stop_token stop = {},
                                   O&& observer = {}) {
    const ArenaScope scope(arena_);
    auto context = make_context(stop);
    encode(context, images, feature_rows(images), next_features_, observer);
    features_.swap(next_features_);
    return outputs().image_hidden_states;
  }

  // Forgets the positions from `length` on.
  void truncate(index_t length) {
    if (length < 0 || length > this->length())
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "truncate",
                   .expected = "a length in [0, " + std::to_string(this->length()) + "]",
                   .found = std::to_string(length)});
    if (length < earliest() && length != 0)
      throw Error({.code = Errc::truncated_too_far,
                   .file = {},
                   .field = "truncate",
                   .expected = "at least " + std::to_string(earliest()) +
                               ", which sliding layers still remember (or 0, or full_history)",
                   .found = std::to_string(length)});
    for (auto& layer : state_.layers) layer.truncate(length);
  }

  // An independent session at the same point.
  Session fork() const {
    Session copy(*this, ForkTag{});
    return copy;
  }

  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;

 private:
  struct ForkTag {};
  Session(const Session& other, ForkTag)
      : model_(other.model_),
        pool_(other.pool_),
        kernels_(other.kernels_),
        arithmetic_(other.arithmetic_),
        context_(other.context_),
        chunk_(other.chunk_),
        journals_(other.state_.layers.size()),
        logits_(other.logits_),
        hidden_(other.hidden_),
        features_(other.features_) {
    for (const auto& layer : other.state_.layers) state_.layers.push_back(layer.fork());
  }

  Context<T> make_context(std::stop_token stop) {
    return {*kernels_, *pool_, arena_, std::move(stop), arithmetic_};
  }

  // A session's share of a call.
  struct Part {
    Session* session;
    const Inputs* inputs;
    std::vector<index_t> image_positions;
    index_t features = 0;  // rows of image features, the first `prefix` of them before the text
    index_t prefix = 0;
    index_t done = 0, features_used = 0;
    index_t logits_from = 0, hidden_from = 0;  // rows before them are not kept

    index_t rows() const { return prefix + inputs->rows(); }
    // Of the next `rows`, those before row `from`.
    index_t skipped(index_t from, index_t rows) const {
      return std::clamp<index_t>(from - done, 0, rows);
    }
    bool has_images() const { return features > 0 || !inputs->modality.empty(); }
    // 1 for each of the next `rows` that is an image's, 0 for text.
    void mark_images(index_t rows, index_t* marks) const {
      for (index_t i = 0; i < rows; ++i) marks[i] = done + i < prefix;
      if (inputs->modality.empty())
        for (const index_t at : image_positions) {
          if (done <= at && at < done + rows) marks[at - done] = 1;
        }
      else
        for (index_t i = std::clamp<index_t>(prefix - done, 0, rows); i < rows; ++i)
          marks[i] = inputs->modality[static_cast<std::size_t>(done + i - prefix)] != 0;
    }
  };

  template <class O>
  static void run(std::span<const Item> items, const ForwardOptions& options, O& observer) {
    if (items.empty()) return;
    Session& lead = *items.front().session;
    const ArenaScope scope(lead.arena_);
    auto context = lead.make_context(options.stop);
    std::vector<Part>& parts = lead.parts_;
    parts.clear();
    for (const auto& item : items) {
      parts.push_back(item.session->check(item.inputs, options));
      if (item.session->model_ != lead.model_ || item.session->chunk_ != lead.chunk_)
        throw Error({.code = Errc::bad_argument,
                     .file = {},
                     .field = "batch",
                     .expected = "sessions of one model with one chunk",
                     .found = "different ones"});
      for (std::size_t other = 0; other + 1 < parts.size(); ++other)
        if (parts[other].session == item.session)
          throw Error({.code = Errc::bad_argument,
                       .file = {},
                       .field = "batch",
                       .expected = "each session once",
                       .found = "one twice"});
    }
    for (auto& part : parts) {
      lead.encode(context, *part.inputs, part.features, part.session->next_features_, observer);
      if (A::prefix_fusion) continue;
      if (part.features > 0 && !A::has_markers) part.session->find_placeholders(part, context);
      require_equal_counts(static_cast<index_t>(part.image_positions.size()), part.features);
    }
    for (auto& part : parts) part.session->begin(part);
    try {
      while (step(context, parts, lead.chunk_, observer)) {
      }
    } catch (...) {
      for (auto& part : parts) part.session->restore(part.session->journals_);
      throw;
    }
    for (auto& part : parts) part.session->show();
  }

  // Everything that can be refused before any work.
  Part check(const Inputs& inputs, const ForwardOptions& options) const {
    const auto refuse = [](Errc code, std::string field, std::string expected, std::string found) {
      throw Error({.code = code,
                   .file = {},
                   .field = std::move(field),
                   .expected = std::move(expected),
                   .found = std::move(found)});
    };
    if (inputs.inputs_embeds.rows > 0 && !inputs.input_ids.empty())
      refuse(Errc::bad_argument, "inputs", "input_ids or inputs_embeds", "both");
    if (inputs.rows() == 0) refuse(Errc::bad_argument, "inputs", "at least one token", "none");
    if (inputs.feedback && (inputs.inputs_embeds.rows > 0 || hidden_.empty()))
      refuse(Errc::bad_argument, "feedback",
             "input_ids, and a hidden state kept by the call before",
             hidden_.empty() ? "no hidden state" : "inputs_embeds");
    if (inputs.inputs_embeds.rows > 0 && inputs.inputs_embeds.cols != A::hidden_size)
      refuse(Errc::bad_argument, "inputs_embeds", std::to_string(A::hidden_size) + " columns",
             std::to_string(inputs.inputs_embeds.cols));
    Part part{const_cast<Session*>(this), &inputs, {}};
    part.features = feature_rows(inputs);
    if (A::prefix_fusion) part.prefix = part.features;
    const int image_id = model_->tokens.image_token_id;
    if constexpr (A::has_markers)
      if (part.features > 0)
        part.image_positions = A::Images::positions(inputs, model_->tokens.markers);
    const index_t rows = part.rows();
    if (rows > context_ - length())
      refuse(Errc::context_full, "context",
             "at most " + std::to_string(context_ - length()) + " more tokens of " +
                 std::to_string(context_),
             std::to_string(rows));
    for (const int id : inputs.input_ids)
      if ((id < 0 && !(image_id < -1 && id == image_id && part.features > 0)) ||
          id >= A::vocab_size)
        refuse(Errc::bad_argument, "input_ids", "ids in [0, " + std::to_string(A::vocab_size) + ")",
               std::to_string(id));
    if (!inputs.modality.empty() && std::ssize(inputs.modality) != inputs.rows())
      refuse(Errc::bad_argument, "modality",
             std::to_string(inputs.rows()) + " values, one for each token",
             std::to_string(inputs.modality.size()));
    const auto first_kept = [&](index_t keep) {
      return keep < 0 ? rows : keep == 0 ? 0 : std::max<index_t>(0, rows - keep);
    };
    part.logits_from = std::max(part.prefix, first_kept(options.logits_to_keep));
    part.hidden_from = first_kept(options.hidden_to_keep);
    return part;
  }

  void find_placeholders(Part& part, Context<T>& context) const {
    const Inputs& inputs = *part.inputs;
    if (inputs.inputs_embeds.rows == 0) {
      part.image_positions = placeholders(inputs.input_ids, model_->tokens.image_token_id);
    } else if (const int id = model_->tokens.image_token_id; 0 <= id && id < A::vocab_size) {
      std::vector<T> row(A::hidden_size);
      A::Language::embed(context, model_->params.language_model(), {&id, 1},
                         Rows<T>(row.data(), 1, A::hidden_size));
      const std::vector<float> embedding(row.begin(), row.end());
      part.image_positions = placeholders(inputs.inputs_embeds, embedding.data());
    }
  }

  void begin(const Part& part) {
    const index_t rows = part.rows();
    save(journals_, rows);
    next_hidden_.resize(static_cast<std::size_t>((rows - part.hidden_from) * A::hidden_size));
    next_logits_.resize(static_cast<std::size_t>((rows - part.logits_from) * A::vocab_size));
  }
  // What the call computed becomes what outputs() shows.
  void show() {
    logits_.swap(next_logits_), hidden_.swap(next_hidden_), features_.swap(next_features_);
  }
  using Journals = std::vector<typename KvCache<T>::Journal>;  // one a layer
  void save(Journals& journals, index_t rows) {
    for (std::size_t i = 0; i < journals.size(); ++i) state_.layers[i].save(journals[i], rows);
  }
  void restore(const Journals& journals) {
    for (std::size_t i = 0; i < journals.size(); ++i) state_.layers[i].restore(journals[i]);
  }

  // One chunk over all parts; false when nothing was left.
  template <class O>
  static bool step(Context<T>& context, std::vector<Part>& parts, index_t chunk, O& observer) {
    const ArenaScope scope(context.arena);
    const auto& data = *parts.front().session->model_;
    auto* const steps =
        context.arena.template allocate<DecoderStep<T>>(static_cast<index_t>(parts.size()));
    auto** const owners =
        context.arena.template allocate<Part*>(static_cast<index_t>(parts.size()));
    std::size_t count = 0;
    index_t total = 0;
    for (auto& part : parts) {
      const index_t left = part.rows() - part.done, rows = std::min(left, chunk - total);
      if (rows <= 0) continue;
      steps[count] = {&part.session->state_, rows, part.session->length() + left};
      owners[count++] = &part;
      total += rows;
    }
    if (total == 0) return false;
    const auto x = context.rows(total, A::hidden_size);
    index_t row = 0;
    for (std::size_t i = 0; i < count; ++i) {
      owners[i]->session->embed(context, *owners[i], x.slice(row, steps[i].rows));
      row += steps[i].rows;
    }
    observe(observer, "inputs_embeds", x);
    context.modality = nullptr;
    if (std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.has_images(); })) {
      const Rows<index_t> marks(context.arena.template allocate<index_t>(total), total, 1);
      row = 0;
      for (std::size_t i = 0; i < count; ++i) {
        owners[i]->mark_images(steps[i].rows, marks.row(row));
        row += steps[i].rows;
      }
      context.modality = marks.data;
      observe(observer, "modality", marks);
    }
    A::Language::forward(context, data.params.language_model(), data.positions,
                         std::span<const DecoderStep<T>>(steps, count), x, observer);
    keep_logits(context, {owners, count}, {steps, count}, x, observer);
    row = 0;
    for (std::size_t i = 0; i < count; ++i) {
      owners[i]->session->finish(*owners[i], x.slice(row, steps[i].rows));
      row += steps[i].rows;
    }
    return true;
  }

  // The logits that are wanted of x; where they are few, all parts share one pass over the head.
  template <class O>
  static void keep_logits(Context<T>& context, std::span<Part* const> parts,
                          std::span<const DecoderStep<T>> steps, Rows<const T> x, O& observer) {
    constexpr index_t few = 64;
    const ArenaScope scope(context.arena);
    const WeightView head = parts.front()->session->head();
    const auto wanted = [&](std::size_t i) {
      return steps[i].rows - parts[i]->skipped(parts[i]->logits_from, steps[i].rows);
    };
    index_t total = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) total += wanted(i);
    Rows<T> together;
    if (parts.size() > 1 && total <= few) {
      const auto rows = context.rows(total, A::hidden_size);
      together = context.rows(total, A::vocab_size);
      index_t end = 0, to = 0;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        end += steps[i].rows;
        for (index_t from = end - wanted(i); from < end; ++from)
          std::copy_n(x.row(from), x.cols, rows.row(to++));
      }
      matmul(context, rows, head, nullptr, together);
    }
    index_t end = 0, taken = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      end += steps[i].rows;
      const index_t count = wanted(i);
      if (count == 0) continue;
      const Part& part = *parts[i];
      const index_t first = part.done + steps[i].rows - count - part.logits_from;
      const Rows<T> logits(part.session->next_logits_.data() + first * A::vocab_size, count,
                           A::vocab_size);
      if (together.rows > 0)
        std::copy_n(together.row(taken), count * A::vocab_size, logits.data);
      else
        matmul(context, x.slice(end - count, count), head, nullptr, logits);
      taken += count;
      observe(observer, "logits", logits);
    }
  }

  // x [rows, hidden] = embeddings of the part's next tokens, image features in their places.
  void embed(Context<T>& context, Part& part, Rows<T> x) const {
    const Inputs& inputs = *part.inputs;
    const auto feature = [&](index_t i) { return next_features_.data() + i * A::hidden_size; };
    const index_t before = std::clamp<index_t>(part.prefix - part.done, 0, x.rows);
    if (before > 0) std::copy_n(feature(part.done), before * A::hidden_size, x.data);
    const Rows<T> text = x.slice(before, x.rows - before);
    const index_t first = std::max<index_t>(0, part.done - part.prefix);  // of the inputs' rows
    if (inputs.inputs_embeds.rows > 0) {
      for (index_t i = 0; i < text.rows; ++i)
        std::copy_n(inputs.inputs_embeds.row(first + i), A::hidden_size, text.row(i));
    } else {
      auto ids = inputs.input_ids.subspan(static_cast<std::size_t>(first),
                                          static_cast<std::size_t>(text.rows));
      if (model_->tokens.image_token_id < -1) {  // LLaVA's -200, which no row of the table is for
        auto* const in_table = context.arena.template allocate<int>(text.rows);
        std::transform(ids.begin(), ids.end(), in_table, [](int id) { return std::max(id, 0); });
        ids = {in_table, ids.size()};
      }
      A::Language::embed(context, model_->params.language_model(), ids, text);
      if (inputs.feedback && first == 0 && text.rows > 0)
        std::copy_n(hidden_.data() + std::ssize(hidden_) - A::hidden_size, A::hidden_size,
                    text.row(0));
    }
    const auto positions = static_cast<index_t>(part.image_positions.size());
    for (; part.features_used < positions; ++part.features_used) {
      const index_t at =
          part.image_positions[static_cast<std::size_t>(part.features_used)] - part.done;
      if (at >= x.rows) break;
      std::copy_n(feature(part.features_used), A::hidden_size, x.row(at));
    }
  }

  // Takes the hidden states that are kept and commits the positions.
  void finish(Part& part, Rows<const T> x) {
    if (const index_t skip = part.skipped(part.hidden_from, x.rows); skip < x.rows)
      std::copy_n(x.row(skip), (x.rows - skip) * x.cols,
                  next_hidden_.data() + (part.done + skip - part.hidden_from) * A::hidden_size);
    for (auto& layer : state_.layers) layer.commit(x.rows);
    part.done += x.rows;
  }

  WeightView head() const {
    if constexpr (A::tied)
      return model_->params.language_model().embed_tokens.weight.view();
    else
      return model_->params.lm_head.weight.view();
  }

  // The features of a call's images; count is what check() found.
  template <class O>
  void encode(Context<T>& context, const Inputs& inputs, index_t count, std::vector<T>& features,
              O& observer) const {
    features.resize(static_cast<std::size_t>(count * A::hidden_size));
    if constexpr (A::multimodal)
      A::Images::forward(context, model_->params.model, inputs,
                         Rows<T>(features.data(), count, A::hidden_size), observer);
    else
      (void)context, (void)inputs, (void)observer;
  }

  // Rows of features that the images of a call come to.
  static index_t feature_rows(const Inputs& inputs) {
    if constexpr (A::multimodal)
      return A::Images::rows(inputs);
    else if (inputs.pixel_values.count > 0)
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "pixel_values",
                   .expected = "no images: this model has no vision tower",
                   .found = std::to_string(inputs.pixel_values.count) + " tiles"});
    return 0;
  }

  Model model_;
  std::shared_ptr<ThreadPool> pool_;
  const kernel::Kernels<T>* kernels_;
  Arithmetic arithmetic_;
  index_t context_ = 0, chunk_ = 0;
  DecoderState<T> state_;
  Arena arena_;
  std::vector<typename KvCache<T>::Journal> journals_;
  std::vector<Part> parts_;  // of the call that this session leads; kept for its memory
  std::vector<T> logits_, hidden_, features_;                 // what outputs() shows
  std::vector<T> next_logits_, next_hidden_, next_features_;  // of the call that runs
};

}  // namespace gov
