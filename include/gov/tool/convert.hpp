// gov convert and gov quantize: a checkpoint in another layout, or with its weights in other
// formats.
#pragma once

#include <iostream>

#include "gov/io/file.hpp"
#include "gov/model/config_output.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/save.hpp"
#include "gov/text/tokenizer.hpp"
#include "gov/tool/arguments.hpp"
#include "gov/tool/progress.hpp"

namespace gov::tool {

// Everything of a checkpoint folder beside its weights and config.json.
inline void copy_companions(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* name :
       {"generation_config.json", "tokenizer.json", "tokenizer_config.json", "added_tokens.json",
        "special_tokens_map.json", "preprocessor_config.json", "processor_config.json",
        "video_preprocessor_config.json", "chat_template.jinja"})
    if (std::filesystem::exists(from / name))
      write_text_atomically((to / name).string(),
                            read_text((from / name).string(), std::uint64_t{1} << 30));
}

inline std::string_view dtype_name(const std::vector<ParameterRef>& parameters) {
  const auto any = [&](Format format) {
    return std::any_of(parameters.begin(), parameters.end(), [&](const ParameterRef& p) {
      return p.is_matrix && p.storage->format == format;
    });
  };
  return any(Format::bf16) ? "bfloat16" : any(Format::f16) ? "float16" : "float32";
}

// transformers' quantization_config for MXFP4 experts; 8-bit blocks are this library's own.
inline void write_quantization(JsonWriter& out, const std::vector<ParameterRef>& parameters) {
  bool q8 = false;
  for (const auto& p : parameters) q8 = q8 || p.storage->format == Format::q8;
  out.begin_object().field("quant_method", q8 ? "gov-mxfp4-q8" : "mxfp4");
  if (!q8) {
    out.key("modules_to_not_convert").begin_array();
    for (const char* module :
         {"model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"})
      out.value(module);
    out.end_array();
  }
  out.end_object();
}

template <class Cfg>
int convert_command(const ConvertArguments& arguments) {
  namespace fs = std::filesystem;
  const fs::path from = arguments.model, to = arguments.output;
  std::error_code same;
  if (fs::equivalent(from, to, same))
    throw Error({.code = Errc::bad_argument,
                 .file = to.string(),
                 .field = "--output",
                 .expected = "another folder than --model",
                 .found = "the same"});
  const bool quantize = !arguments.storage.empty();
  auto files = std::make_shared<CheckpointFiles>(CheckpointFiles::open(from.string()));
  ModelData<Cfg> data;
  LoadOptions load{.progress = progress_bar()};
  if (quantize) load.storage = parse_storage(arguments.storage);
  const auto parameters = parameter_list(data.params);
  Loader loader(files, parameters, naming_of<Cfg>(), load);
  ThreadPool pool(arguments.threads);
  const LoadedWeights weights = loader.load(pool);
  const Layout layout = arguments.layout.empty() ? weights.layout : parse_layout(arguments.layout);
  const Saver saver(parameters, layout, naming_of<Cfg>());
  ModelDescription description = describe(from);
  if (int& image = description.tokens.image_token_id;
      image == image_token_index &&
      layout != Layout::llava)  // -200 is LLaVA's; others name a token
    image = Tokenizer::load(from.string()).token_to_id("<image>").value_or(-1);
  std::string config =
      layout == weights.layout || (layout <= Layout::hf_old && weights.layout <= Layout::hf_old)
          ? read_text((from / "config.json").string(), std::uint64_t{1} << 26)
          : config_json(description, layout, dtype_name(parameters));
  config = without_vision_head(config, description);
  bool blocked = false;
  for (const auto& p : parameters) blocked = blocked || is_blocked(p.storage->format);
  const Json told = parse_json(config, (to / "config.json").string());
  if (layout != Layout::openai && (quantize || blocked != told.has_value("quantization_config"))) {
    std::function<void(JsonWriter&)> write_blocks;
    if (blocked) write_blocks = [&](JsonWriter& out) { write_quantization(out, parameters); };
    config = with_key(told, "quantization_config", write_blocks);
    if (quantize)
      config = with_key(
          parse_json(config, told.file()),
          layout == Layout::internvl || told.contains("torch_dtype") ? "torch_dtype" : "dtype",
          [&](JsonWriter& out) { out.value(dtype_name(parameters)); });
  }
  fs::create_directories(to);
  CheckpointWriteOptions options;
  options.overwrite = arguments.overwrite;
  options.max_shard_bytes = static_cast<std::uint64_t>(arguments.max_shard_gb * 1e9);
  const auto written = write_checkpoint(
      to.string(), saver.specs(),
      [&](const TensorSpec& spec, const ByteSink& sink) { saver.supply(spec, sink); }, options);
  write_text_atomically((to / "config.json").string(), config);
  copy_companions(from, to);
  for (const auto& [name, error] : loader.conversion_errors())
    if (error.nmse() > 0) std::cout << name << ": nmse " << error.nmse() << "\n";
  std::cout << "wrote " << written.size() << " weight file" << (written.size() == 1 ? "" : "s")
            << " in layout " << to_string(layout) << "\n";
  return 0;
}

}  // namespace gov::tool
