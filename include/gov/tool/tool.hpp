// The command-line tool over a list of compiled model types: gov::tool::main<Models...>(argc,
// argv). gov_add_tool() makes a program of it. Exit status: 0; 2 for wrong usage; 1 with one line
// on standard error, "gov: error: ..."; 130 with such a line after Ctrl-C.
#pragma once

#include <CLI/CLI.hpp>

#include "gov/tool/add_tokens.hpp"
#include "gov/tool/commands.hpp"
#include "gov/tool/inspect.hpp"
#include "gov/tool/tokenize.hpp"

namespace gov::tool {

// --model is required, but for a command that says otherwise.
inline void add_run_options(CLI::App& command, RunArguments& a) {
  command.add_option("--model", a.model, "checkpoint folder")->required()->option_text("DIR");
  command.add_option("--threads", a.threads, "threads (default: all)")->option_text("N");
  command
      .add_option("--backend", a.backend, "scalar, avx2, avx512, amx or eigen (default: the best)")
      ->option_text("NAME");
  command
      .add_option("--storage", a.storage, std::string(storage_names) + ": convert while loading")
      ->option_text("NAME");
  command
      .add_option("--arithmetic", a.arithmetic,
                  "invariant, fast or int8: how activations may be rounded (default: fast; dump: "
                  "invariant)")
      ->option_text("NAME");
  command.add_option("--cache", a.cache, "f32 or bf16: of keys and values (default: f32)")
      ->option_text("NAME")
      ->check(CLI::IsMember({"f32", "bf16"}));
  command.add_flag("--map", a.map, "view the weights in the files instead of copying them");
  command.add_option("--context", a.context, "positions of the session (default: at most 8192)")
      ->option_text("N");
  command.add_option("--chunk", a.chunk, "prompt tokens computed at a time")->option_text("N");
  command
      .add_option("--set", a.set,
                  "another value for a key of the language model's config that is not geometry, as "
                  "use_nope=true; may be given again")
      ->option_text("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--image-token-id", a.image_token_id, "for a checkpoint that does not say it")
      ->option_text("ID");
}

inline void add_prompt_options(CLI::App& command, PromptArguments& a) {
  command.add_option("--image", a.images, "PNG or JPEG file; may be given again")
      ->option_text("F")
      ->allow_extra_args(false);
  command
      .add_option("--video", a.videos,
                  "folder of frames, or a video file in a tool built with FFmpeg; may be given "
                  "again")
      ->option_text("F")
      ->allow_extra_args(false);
  command
      .add_option("--video-frames", a.video_frames,
                  "frames taken from each video (default: the model's, or 8)")
      ->option_text("N")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--video-rule", a.video_rule,
                  "which: intervals (transformers' InternVL), segments (OpenGVLab), uniform or "
                  "linspace (LLaVA)")
      ->option_text("NAME");
  command
      .add_option("--prompt", a.prompt, "the question; <image> and <video> in it say where they go")
      ->option_text("P");
  command.add_option("--system", a.system, "system text instead of the template's own")
      ->option_text("S");
  command
      .add_option("--chat-format", a.chat_format,
                  "the prompt's template (default: what the folder tells): " + chat_format_names())
      ->option_text("NAME");
}

template <class... Models>
void add_bench_options(CLI::App& command, BenchArguments& a) {
  add_run_options(command, a);
  auto* const model = command.get_option("--model")->required(false);
  auto* const preset =
      command.add_option("--preset", a.preset, "a model type of this program, in place of --model")
          ->option_text("NAME")
          ->check(CLI::IsMember(std::vector<std::string>{std::string(Models::name)...}))
          ->excludes(model);
  command.add_flag("--random-weights", a.random_weights, "what a preset has anyway")->needs(preset);
  const auto count = [&](const char* name, auto& value, const char* help, const auto& check) {
    command.add_option(name, value, help)->option_text("N")->check(check);
  };
  const auto list = [&](const char* name, auto& values, const char* help, const auto& check) {
    command.add_option(name, values, help)
        ->option_text("N[,N...]")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(check);
  };
  list("--prefill", a.prefill, "tokens of a prompt (512); 0: leave it out", CLI::NonNegativeNumber);
  count("--decode", a.decode, "tokens of an answer (64); 0: leave it out", CLI::NonNegativeNumber);
  list("--depth", a.depth, "tokens that are in the cache before (0)", CLI::NonNegativeNumber);
  list("--batch", a.batch, "sequences that decode at once (1)", CLI::PositiveNumber);
  list("--tiles", a.tiles, "tiles of an image (1); 0: leave it out", CLI::NonNegativeNumber);
  count("--repetitions", a.repetitions, "of each measurement (3); medians are shown",
        CLI::PositiveNumber);
  command.add_option("--probe-gb", a.probe_gb, "memory that the read probe goes through (3)")
      ->option_text("G")
      ->check(CLI::Range(0.001, 1000.0));
  command.add_flag("--json", a.json, "one JSON object instead of the table");
}

// What the options cannot say one by one.
inline void check_bench_options(const BenchArguments& a) {
  if (a.model.empty() && a.preset.empty()) throw CLI::RequiredError("--preset or --model");
  if (std::ranges::max(a.prefill) == 0 && a.decode == 0 && !a.tiles.empty() &&
      std::ranges::max(a.tiles) == 0)
    throw CLI::ValidationError("--prefill, --decode, --tiles", "there is nothing to measure");
  constexpr index_t most = index_t{1} << 40;
  if (std::max({std::ranges::max(a.prefill), a.decode, std::ranges::max(a.depth),
                std::ranges::max(a.batch)}) > most)
    throw CLI::ValidationError("--prefill, --decode, --depth, --batch", "too large");
  if (a.context > 0 && a.context < a.positions())
    throw CLI::ValidationError(
        "--context",
        "at least depth and the longer of prefill and decode: " + std::to_string(a.positions()));
  if (a.chunk < 1) throw CLI::ValidationError("--chunk", "at least 1");
}

inline void add_token_options(CLI::App& command, AddTokensArguments& a) {
  command.add_option("--model", a.model, "checkpoint folder")->required()->option_text("DIR");
  command.add_option("--output", a.output, "folder to write")->required()->option_text("DIR");
  command.add_option("--token", a.tokens, "a token to add; may be given again")
      ->required()
      ->option_text("T")
      ->allow_extra_args(false);
  command.add_flag("--special", a.special, "decoding may leave them out");
  command
      .add_option(
          "--init", a.init,
          "their rows: copy:TOKEN, mean or normal:SIGMA[:SEED] (default: copy:<< where there "
          "is this token, else mean)")
      ->option_text("HOW");
  command.add_option("--head-init", a.head_init, "the same for an untied head")->option_text("HOW");
  command.add_option("--max-shard-gb", a.max_shard_gb, "largest weight file")
      ->option_text("G")
      ->check(CLI::PositiveNumber);
  command.add_flag("--overwrite", a.overwrite, "replace a checkpoint that is there");
}

template <class... Models>
int run(int argc, char** argv) {
  CLI::App app{"gov: vision-language mixture-of-experts models on the CPU"};
  app.require_subcommand(1);
  GenerateArguments generate;
  auto& generate_app = *app.add_subcommand("generate", "answer a prompt, with pictures");
  add_run_options(generate_app, generate);
  add_prompt_options(generate_app, generate);
  generate_app.get_option("--prompt")->required();
  generate_app.add_option("--max-new-tokens", generate.max_new_tokens, "limit of the answer")
      ->option_text("N");
  auto* greedy = generate_app.add_flag("--greedy", generate.greedy, "always the likeliest token");
  generate_app.add_option("--temperature", generate.temperature, "sample at this temperature")
      ->option_text("T")
      ->excludes(greedy);
  generate_app.add_option("--top-k", generate.top_k, "sample among the K likeliest")
      ->option_text("K")
      ->excludes(greedy);
  generate_app.add_option("--top-p", generate.top_p, "sample among the likeliest of this mass")
      ->option_text("P")
      ->excludes(greedy);
  generate_app.add_option("--min-p", generate.min_p, "drop tokens below this share of the best")
      ->option_text("M")
      ->excludes(greedy);
  generate_app
      .add_option("--repetition-penalty", generate.repetition_penalty,
                  "divide the logits of tokens seen")
      ->option_text("R");
  generate_app.add_option("--seed", generate.seed, "of the random numbers")
      ->option_text("S")
      ->check(CLI::NonNegativeNumber);
  generate_app.add_option("--stop", generate.stop, "stop before this text; may be given again")
      ->option_text("T")
      ->allow_extra_args(false);
  generate_app
      .add_option("--logprobs", generate.logprobs,
                  "with --json: log-probabilities, and of the N likeliest")
      ->option_text("N");
  generate_app.add_flag("--router-stats", generate.router_stats,
                        "where text and images went: the load of each layer's experts");
  auto* const latents =
      generate_app
          .add_option("--latents", generate.latents,
                      "think N latent thoughts before the answer (a model trained as COCONUT)")
          ->option_text("N")
          ->check(CLI::NonNegativeNumber);
  generate_app
      .add_option("--latent-tokens", generate.latent_tokens,
                  "their names (<|start-latent|> <|latent|> <|end-latent|>)")
      ->option_text("START LATENT END")
      ->expected(3)
      ->needs(latents);
  generate_app
      .add_option("--thoughts", generate.thoughts, "show the N tokens nearest to each thought")
      ->option_text("N")
      ->check(CLI::NonNegativeNumber)
      ->needs(latents);
  generate_app.add_flag("--json", generate.json, "one JSON object instead of the stream");

  DumpArguments dump;
  auto& dump_app = *app.add_subcommand("dump", "write every intermediate of a forward pass");
  add_run_options(dump_app, dump);
  add_prompt_options(dump_app, dump);
  dump_app.add_option("--token-ids", dump.token_ids, "1,2,3: instead of a prompt")
      ->delimiter(',')
      ->option_text("IDS");
  dump_app
      .add_option("--pixel-values", dump.pixel_values,
                  "safetensors file with pixel_values, for --token-ids")
      ->option_text("F");
  dump_app.add_option("--output", dump.output, "safetensors file to write")
      ->required()
      ->option_text("F");

  BenchArguments bench;
  auto& bench_app = *app.add_subcommand("bench", "time a model, beside the machine's limits");
  add_bench_options<Models...>(bench_app, bench);

  InspectArguments inspect;
  auto& inspect_app = *app.add_subcommand("inspect", "what is in a checkpoint, and does it fit");
  inspect_app.add_option("path", inspect.path, "folder or safetensors file")
      ->required()
      ->option_text("DIR|F");
  inspect_app.add_flag("--json", inspect.json, "one JSON object");

  ConvertArguments quantize, convert;
  auto& quantize_app =
      *app.add_subcommand("quantize", "write a checkpoint with its weights in other formats");
  auto& convert_app = *app.add_subcommand("convert", "write a checkpoint in another layout");
  for (auto [command, a] :
       {std::pair{&quantize_app, &quantize}, std::pair{&convert_app, &convert}}) {
    command->add_option("--model", a->model, "checkpoint folder")->required()->option_text("DIR");
    command->add_option("--output", a->output, "folder to write")->required()->option_text("DIR");
    command->add_option("--threads", a->threads, "threads (default: all)")->option_text("N");
    command->add_option("--max-shard-gb", a->max_shard_gb, "largest weight file")
        ->option_text("G")
        ->check(CLI::PositiveNumber);
    command->add_flag("--overwrite", a->overwrite, "replace a checkpoint that is there");
  }
  quantize_app
      .add_option("--storage", quantize.storage, "mxfp4, mxfp4-bf16, mxfp4-q8, bf16, f16 or f32")
      ->required()
      ->option_text("NAME");
  convert_app.add_option("--layout", convert.layout, "hf, hf-old, internvl, openai or llava")
      ->required()
      ->option_text("NAME");

  AddTokensArguments add_tokens;
  add_token_options(
      *app.add_subcommand("add-tokens", "write a checkpoint with more tokens and rows for them"),
      add_tokens);

  TokenizeArguments tokenize;
  auto& tokenize_app =
      *app.add_subcommand("tokenize", "ids and pieces of a text, or the text of ids");
  tokenize_app.add_option("--model", tokenize.model, "folder with tokenizer.json, or the file")
      ->required()
      ->option_text("DIR");
  auto* text =
      tokenize_app.add_option("--text", tokenize.text, "the text (or the ids)")->option_text("T");
  auto* file = tokenize_app.add_option("--file", tokenize.file, "a file with it")
                   ->option_text("F")
                   ->excludes(text);
  tokenize_app.add_flag("--decode", tokenize.decode, "from ids to text");
  tokenize_app.add_flag("--no-special", tokenize.no_special,
                        "control tokens are plain text; decoding leaves them out");
  tokenize_app.add_flag("--json", tokenize.json, "one JSON object");

  try {
    app.parse(argc, argv);
    if (dump_app.parsed() && dump.token_ids.empty() && dump.prompt.empty() && dump.images.empty())
      throw CLI::RequiredError("--prompt, --image or --token-ids");
    if (bench_app.parsed()) check_bench_options(bench);
    if (tokenize_app.parsed() && !*text && !*file) throw CLI::RequiredError("--text or --file");
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : 2;
  }
  const auto with_model = [](const std::string& folder, auto&& command) {
    return auto_model<Models...>::visit(folder, command);
  };
  if (generate_app.parsed())
    return with_model(generate.model, [&]<class C>(std::type_identity<C>) {
      return generate_command<C>(generate);
    });
  if (dump_app.parsed())
    return with_model(dump.model,
                      [&]<class C>(std::type_identity<C>) { return dump_command<C>(dump); });
  if (bench_app.parsed()) {
    if (bench.preset.empty())
      return with_model(bench.model,
                        [&]<class C>(std::type_identity<C>) { return bench_command<C>(bench); });
    int status = 0;
    (void)((bench.preset == Models::name && (status = bench_command<Models>(bench), true)) || ...);
    return status;
  }
  if (inspect_app.parsed()) return inspect_command<Models...>(inspect);
  if (quantize_app.parsed())
    return with_model(quantize.model,
                      [&]<class C>(std::type_identity<C>) { return convert_command<C>(quantize); });
  if (convert_app.parsed())
    return with_model(convert.model,
                      [&]<class C>(std::type_identity<C>) { return convert_command<C>(convert); });
  if (app.got_subcommand("add-tokens")) return add_tokens_command(add_tokens);
  tokenize.has_text = static_cast<bool>(*text);
  return tokenize_command(tokenize);
}

template <class... Models>
int main(int argc, char** argv) {
  try {
    return run<Models...>(argc, argv);
  } catch (const Error& error) {
    std::string line = error.what();  // a list of problems goes on one line
    for (std::size_t at; (at = line.find("\n  ")) != line.npos;)
      line.replace(at, 3, at > 0 && line[at - 1] == ':' ? " " : "; ");
    std::replace(line.begin(), line.end(), '\n', ' ');
    if (::isatty(STDERR_FILENO)) std::cerr << "\r\x1b[K";  // what a progress bar has left
    std::cerr << "gov: error: " << line << "\n";
    if (error.code() == Errc::cancelled && interrupt().stop_requested()) return interrupted_status;
  } catch (const std::bad_alloc&) {
    std::cerr << "gov: error: out of memory\n";
  } catch (const std::exception& error) {
    std::cerr << "gov: error: " << error.what() << "\n";
  }
  return 1;
}

}  // namespace gov::tool
