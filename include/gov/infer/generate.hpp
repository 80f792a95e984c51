// Generation: prefill, then a token at a time until a stop token, a stop string, the limit, the end
// of the context or a request to stop. One sequence, or several that share each pass over the
// weights. A prompt with latent tokens is prefilled by COCONUT's passes; what follows is the same.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "gov/infer/sampler.hpp"
#include "gov/infer/stop_strings.hpp"
#include "gov/model/coconut.hpp"
#include "gov/model/router_statistics.hpp"
#include "gov/text/stream_decoder.hpp"

namespace gov {

// What a latent token stood for: a hidden state, and the tokens that the head finds nearest to it.
struct Thought {
  std::vector<float> hidden_state;
  std::vector<Candidate> nearest;
};

struct GenerateOptions {
  SamplingOptions sampling{};
  index_t max_new_tokens = 128;
  std::vector<int> stop_tokens{};   // beside the model's own eos tokens
  bool ignore_eos = false;          // the model's own eos tokens do not stop
  std::vector<std::string> stop{};  // stop strings; what precedes them is kept
  int logprobs = -1;                // -1: none; n: of each token, and of the n likeliest
  int latent_token_id = -1;         // prompts may hold it, and are then thought about; -1: no token
  int thoughts = -1;                // -1: not shown; n: each, with the n tokens nearest to it
  bool first_eos_ends = true;    // false: the first token may be an eos, as in COCONUT's own loop
  std::stop_token stop_token{};  // ends the generation, keeping what there is
  std::function<void(std::string_view)> on_token{};  // shown text as it comes, in whole characters
  std::function<void(int)> on_token_id{};            // every new token
  RouterStatistics* router_statistics = nullptr;     // is shown every pass, where it is given
  std::function<void(const Thought&)> on_thought{};  // before the first token
};

enum class FinishReason { stop, length, context, cancelled };

constexpr std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::context: return "context";
    case FinishReason::cancelled: return "cancelled";
  }
  return "?";
}

struct TokenLogprob {
  Candidate chosen;
  std::vector<Candidate> likeliest;
};

struct Generated {
  std::vector<int> tokens;  // with the stop token that ended them, if one did
  std::string text;         // without control tokens; of harmony's channels the final one
  FinishReason finish_reason = FinishReason::length;
  std::vector<TokenLogprob> logprobs;
  std::vector<Thought> thoughts;
  index_t latent_passes = 0;  // of the whole batch: the most latents in a prompt, and 1; 0 without
  index_t prompt_tokens = 0, image_tokens = 0;
  double vision_s = 0, prefill_s = 0, decode_s = 0;
};

// Turns new tokens into shown text: the tokenizer's stream without control tokens. A chat replaces
// it by one that knows its format.
class TextSink {
 public:
  virtual ~TextSink() = default;
  virtual std::string push(int token) = 0;
  virtual std::string finish() = 0;
};

class PlainSink : public TextSink {
 public:
  explicit PlainSink(const Tokenizer& tokenizer)
      : decoder_(tokenizer, {.skip_special_tokens = true}) {}
  std::string push(int token) override { return decoder_.push(token); }
  std::string finish() override { return decoder_.finish(); }

 private:
  StreamDecoder decoder_;
};

namespace generate_detail {

// One sequence on its way.
class Sequence {
 public:
  Sequence(std::span<const int> prompt, const GenerateOptions& options, const std::vector<int>& eos,
           std::unique_ptr<TextSink> sink)
      : options_(options),
        sampler_(options.sampling),
        history_(prompt.begin(), prompt.end()),
        stops_(options.stop),
        sink_(std::move(sink)),
        ends_(options.stop_tokens),
        eos_(options.ignore_eos ? std::vector<int>{} : eos) {
    result_.prompt_tokens = std::ssize(prompt);
  }

  bool done() const { return done_; }
  int last() const { return result_.tokens.back(); }
  void end(FinishReason reason) {
    if (done_) return;
    done_ = true;
    result_.finish_reason = reason;
  }

  void take(std::span<const float> logits) {
    const int token = sampler_.next(logits, history_);
    history_.push_back(token);
    result_.tokens.push_back(token);
    if (options_.logprobs >= 0)
      result_.logprobs.push_back({{token, Sampler::logprob(logits, token)},
                                  Sampler::likeliest(logits, options_.logprobs)});
    if (options_.on_token_id) options_.on_token_id(token);
    if (sink_) show(stops_.push(sink_->push(token)));
    const auto is_in = [&](const std::vector<int>& tokens) {
      return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
    };
    const bool eos_ends = options_.first_eos_ends || result_.tokens.size() > 1;
    if (stops_.found() || is_in(ends_) || (eos_ends && is_in(eos_)))
      end(FinishReason::stop);
    else if (std::ssize(result_.tokens) >= options_.max_new_tokens)
      end(FinishReason::length);
  }

  void think(const CoconutRow<float>& row) {
    if (options_.thoughts < 0) return;
    const auto each = static_cast<std::size_t>(row.latents.count);
    const auto part = [&](const std::vector<float>& all, std::size_t k) {
      const std::size_t width = all.size() / each;
      return std::span(all).subspan(k * width, width);
    };
    for (std::size_t k = 0; k < each; ++k) {
      const auto hidden = part(row.thoughts, k);
      result_.thoughts.push_back(
          {{hidden.begin(), hidden.end()},
           Sampler::likeliest(part(row.thought_logits, k), options_.thoughts)});
      if (options_.on_thought) options_.on_thought(result_.thoughts.back());
    }
  }

  Generated finish() {
    if (sink_) {
      show(stops_.push(sink_->finish()));
      show(stops_.finish());
    }
    return std::move(result_);
  }
  Generated& result() { return result_; }

 private:
  void show(const std::string& text) {
    if (text.empty()) return;
    result_.text += text;
    if (options_.on_token) options_.on_token(text);
  }

  const GenerateOptions& options_;
  Sampler sampler_;
  std::vector<int> history_;
  StopStrings stops_;
  std::unique_ptr<TextSink> sink_;
  std::vector<int> ends_, eos_;
  Generated result_;
  bool done_ = false;
};

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace generate_detail

// Notes how long the vision part of a prefill took.
struct VisionTimer {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  double vision_s = 0;
  template <class T>
  void on(const std::string& name, Rows<T>) {
    if (name == "image_features") vision_s = generate_detail::seconds_since(start);
  }
};

// What generation looks at: the time, and the routers when it is asked to.
struct GenerateWatch : VisionTimer {
  RouterStatistics* router_statistics = nullptr;
  template <class T>
  void on(const std::string& name, Rows<T> rows) {
    VisionTimer::on(name, rows);
    if (router_statistics) router_statistics->on(name, rows);
  }
};

// Continues several sequences, each after its own prompt; sinks may be empty (no text then).
// Sampling seeds are seed, seed + 1, ... A request to stop ends all with what they have.
template <class Cfg>
std::vector<Generated> generate_batch(std::span<const typename Session<Cfg>::Item> items,
                                      const GenerateOptions& options,
                                      std::vector<std::unique_ptr<TextSink>> sinks = {}) {
  using namespace generate_detail;
  if (options.max_new_tokens < 1)
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "max_new_tokens",
                 .expected = "at least 1",
                 .found = std::to_string(options.max_new_tokens)});
  sinks.resize(items.size());
  std::vector<GenerateOptions> each(items.size(), options);
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < items.size(); ++i) {
    each[i].sampling.seed = options.sampling.seed + i;
    sequences.emplace_back(items[i].inputs.input_ids, each[i],
                           items[i].session->model().tokens.eos_token_id, std::move(sinks[i]));
    sequences[i].result().image_tokens = static_cast<index_t>(
        std::count(items[i].inputs.input_ids.begin(), items[i].inputs.input_ids.end(),
                   items[i].session->model().tokens.image_token_id));
    if constexpr (Architecture<Cfg>::prefix_fusion) {
      const index_t prefix = Architecture<Cfg>::Images::rows(items[i].inputs);
      sequences[i].result().image_tokens = prefix;
      sequences[i].result().prompt_tokens += prefix;
    }
  }
  const ForwardOptions last{.logits_to_keep = 1, .stop = options.stop_token, .hidden_to_keep = 1};
  const auto end_all = [&](FinishReason reason) {
    for (auto& sequence : sequences) sequence.end(reason);
  };
  const auto completes = [&](auto&& call) {
    try {
      call();
      return true;
    } catch (const Error& error) {
      if (error.code() != Errc::cancelled) throw;
      end_all(FinishReason::cancelled);
      return false;
    }
  };
  const auto take = [&](std::size_t i) {
    const auto logits = items[i].session->outputs().logits;
    sequences[i].take({logits.row(logits.rows - 1), static_cast<std::size_t>(logits.cols)});
  };

  auto start = std::chrono::steady_clock::now();
  GenerateWatch watch;
  watch.router_statistics = options.router_statistics;
  const auto prefill = [&] {
    if (options.latent_token_id < 0) return Session<Cfg>::forward_batch(items, last, watch);
    const auto thinking = coconut_forward<Cfg>(items,
                                               {.latent_token_id = options.latent_token_id,
                                                .logits_to_keep = 1,
                                                .thought_logits = options.thoughts >= 0,
                                                .stop = options.stop_token},
                                               watch);
    for (std::size_t i = 0; i < items.size(); ++i) {
      sequences[i].think(thinking.rows[i]);
      sequences[i].result().latent_passes = thinking.passes;
    }
  };
  if (completes(prefill))
    for (std::size_t i = 0; i < items.size(); ++i) take(i);
  const double prefill_s = seconds_since(start) - watch.vision_s;
  start = std::chrono::steady_clock::now();
  for (;;) {
    std::vector<typename Session<Cfg>::Item> batch;
    std::vector<int> tokens(items.size());
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (sequences[i].done()) continue;
      if (items[i].session->length() == items[i].session->context()) {
        sequences[i].end(FinishReason::context);
        continue;
      }
      tokens[i] = sequences[i].last();
      batch.push_back({items[i].session, {.input_ids = {&tokens[i], 1}}});
      owners.push_back(i);
    }
    const auto step = [&] {
      if (watch.router_statistics)
        Session<Cfg>::forward_batch(batch, last, watch);
      else
        Session<Cfg>::forward_batch(batch, last, NoObserver{});
    };
    if (batch.empty() || !completes(step)) break;
    for (const std::size_t i : owners) take(i);
  }
  std::vector<Generated> results;
  for (auto& sequence : sequences) {
    results.push_back(sequence.finish());
    results.back().vision_s = watch.vision_s;
    results.back().prefill_s = prefill_s;
    results.back().decode_s = seconds_since(start);
  }
  return results;
}

template <class Cfg>
Generated generate(Session<Cfg>& session, const Inputs& inputs, const GenerateOptions& options = {},
                   std::unique_ptr<TextSink> sink = nullptr) {
  const typename Session<Cfg>::Item item{&session, inputs};
  std::vector<std::unique_ptr<TextSink>> sinks;
  sinks.push_back(std::move(sink));
  return std::move(generate_batch<Cfg>({&item, 1}, options, std::move(sinks)).front());
}

}  // namespace gov
