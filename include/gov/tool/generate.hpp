// gov generate: a prompt and pictures in, the answer out, streamed or as one JSON object.
#pragma once

#include <iostream>

#include "gov/io/json_writer.hpp"
#include "gov/tool/interrupt.hpp"
#include "gov/tool/latents.hpp"
#include "gov/tool/memory.hpp"
#include "gov/tool/progress.hpp"
#include "gov/tool/prompt.hpp"
#include "gov/tool/router_report.hpp"

namespace gov::tool {

inline GenerateOptions generate_options_of(const GenerateArguments& arguments,
                                           GenerateOptions options) {
  SamplingOptions& s = options.sampling;
  const auto take = [&](const auto& given, auto& value) {
    if (given) value = *given, s.do_sample = true;
  };
  take(arguments.temperature, s.temperature);
  take(arguments.top_k, s.top_k);
  take(arguments.top_p, s.top_p);
  take(arguments.min_p, s.min_p);
  if (arguments.greedy) s.do_sample = false;
  if (arguments.repetition_penalty) s.repetition_penalty = *arguments.repetition_penalty;
  s.seed = arguments.seed;
  s.check();
  if (arguments.max_new_tokens) options.max_new_tokens = *arguments.max_new_tokens;
  options.stop = arguments.stop;
  options.logprobs = arguments.logprobs;
  options.thoughts = arguments.thoughts;
  options.stop_token = interrupt().get_token();
  return options;
}

inline void write_logprobs(JsonWriter& out, const Generated& result) {
  out.key("logprobs").begin_array();
  for (const auto& entry : result.logprobs) {
    out.begin_object().field("token", entry.chosen.token).field("logprob", entry.chosen.logprob);
    out.key("top").begin_array();
    for (const auto& candidate : entry.likeliest)
      out.begin_object()
          .field("token", candidate.token)
          .field("logprob", candidate.logprob)
          .end_object();
    out.end_array().end_object();
  }
  out.end_array();
}

template <class Cfg>
int generate_command(const GenerateArguments& arguments) {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  if (arguments.router_stats && GovModel<Cfg>::A::geometry.num_experts < 2)
    throw Error({.code = Errc::bad_argument,
                 .file = arguments.model,
                 .field = "--router-stats",
                 .expected = "a model with a mixture of experts",
                 .found = std::string(Cfg::name)});
  stop_on_interrupt();
  require_room<Cfg>(arguments);
  const auto model = GovModel<Cfg>::from_pretrained(
      arguments.model, arguments.model_options(progress_bar(), interrupt().get_token()));
  ChatOptions chat_options = chat_options_of(arguments);
  take_latents(arguments, chat_options);
  auto chat = model.chat(chat_options);
  const double load_s = generate_detail::seconds_since(start);
  GenerateOptions options = generate_options_of(arguments, chat.defaults());
  RouterStatistics routers;
  const double coefficient = aux_loss_coefficient(model.config());
  if (arguments.router_stats) options.router_statistics = &routers;
  std::size_t thoughts = 0;
  if (!arguments.json) {
    options.on_token = [](std::string_view text) { std::cout << text << std::flush; };
    options.on_thought = [&](const Thought& thought) {
      print_thought(chat.processor().tokenizer(), ++thoughts, thought);
    };
  }
  const Generated result =
      chat.ask(turn_of(arguments), attachments_of(arguments, chat.processor()), options);
  const auto status = [&] {
    if (result.finish_reason != FinishReason::cancelled) return 0;
    std::cerr << "gov: error: interrupted after " << result.tokens.size()
              << " tokens [cancelled]\n";
    return interrupted_status;
  };
  if (!arguments.json) {
    std::cout << "\n";
    if (arguments.router_stats) print_router(std::cout, routers, coefficient);
    if (result.finish_reason == FinishReason::context)
      std::cerr << "gov: the context of " << chat.session().context()
                << " positions is full; see --context\n";
    return status();
  }
  const auto rate = [](index_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  const index_t generated = std::ssize(result.tokens);
  JsonWriter out;
  out.begin_object().field("text", result.text).field("tokens", result.tokens);
  out.field("finish_reason", to_string(result.finish_reason));
  out.field("prompt_tokens", result.prompt_tokens).field("image_tokens", result.image_tokens);
  if (arguments.latents > 0) out.field("latent_passes", result.latent_passes);
  if (arguments.thoughts >= 0) write_thoughts(out, chat.processor().tokenizer(), result);
  if (arguments.logprobs >= 0) write_logprobs(out, result);
  if (arguments.router_stats) write_router(out, routers, coefficient);
  out.key("timings").begin_object();
  out.field("load_s", load_s)
      .field("preprocess_s", chat.preprocess_s())
      .field("vision_s", result.vision_s);
  out.field("prefill_s", result.prefill_s).field("decode_s", result.decode_s);
  out.field("prefill_tokens_per_s", rate(result.prompt_tokens, result.prefill_s));
  out.field("decode_tokens_per_s", rate(generated - 1, result.decode_s)).end_object();
  out.field("peak_rss_bytes", peak_rss_bytes())
      .field("backend", model.backend())
      .field("threads", model.threads());
  std::cout << out.end_object().str() << "\n";
  return status();
}

}  // namespace gov::tool
