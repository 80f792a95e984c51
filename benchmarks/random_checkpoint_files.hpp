// The files beside a random checkpoint's weights: config.json, generation_config.json, processor
// configs and a tokenizer. The tokenizer is copied from a folder (InternVL's nine tokens are added
// when it lacks them, as its authors added them to gpt-oss's), or made up: all bytes, words of four
// letters up to the vocabulary's size, and the control tokens at its end.
#pragma once

#include <filesystem>

#include "gov/model/config_output.hpp"
#include "gov/text/byte_level.hpp"
#include "gov/text/split.hpp"
#include "gov/text/tokenizer.hpp"

namespace gov::bench {

inline constexpr std::string_view internvl_tokens[] = {
    "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"};
inline constexpr std::string_view harmony_tokens[] = {
    "<|startoftext|>", "<|endoftext|>", "<|return|>",  "<|constrain|>", "<|channel|>",
    "<|start|>",       "<|end|>",       "<|message|>", "<|call|>"};

inline void write_added_token(JsonWriter& out, int id, std::string_view content) {
  out.begin_object().field("id", id).field("content", content).field("single_word", false);
  out.field("lstrip", false).field("rstrip", false).field("normalized", false);
  out.field("special", true).end_object();
}

// A byte-level tokenizer.json of vocab_size tokens.
inline std::string made_up_tokenizer(index_t vocab_size, bool multimodal) {
  std::vector<std::string_view> controls(std::begin(harmony_tokens), std::end(harmony_tokens));
  if (multimodal)
    controls.insert(controls.end(), std::begin(internvl_tokens), std::end(internvl_tokens));
  const int first_control = static_cast<int>(vocab_size) - static_cast<int>(controls.size());
  JsonWriter out(-1);
  out.begin_object().field("version", "1.0").key("added_tokens").begin_array();
  for (std::size_t i = 0; i < controls.size(); ++i)
    write_added_token(out, first_control + static_cast<int>(i), controls[i]);
  out.end_array().key("pre_tokenizer").begin_object().field("type", "Sequence");
  out.key("pretokenizers").begin_array().begin_object().field("type", "Split");
  out.key("pattern").begin_object().field("Regex", split_regex(SplitPattern::o200k)).end_object();
  out.field("behavior", "Isolated").field("invert", false).end_object();
  out.begin_object().field("type", "ByteLevel").field("add_prefix_space", false);
  out.field("use_regex", false).end_object().end_array().end_object();
  out.key("decoder").begin_object().field("type", "ByteLevel").end_object();
  out.key("model").begin_object().field("type", "BPE").field("ignore_merges", true);
  out.key("vocab").begin_object();
  for (int byte = 0; byte < 256; ++byte)
    out.field(to_byte_level(std::string(1, static_cast<char>(byte))), byte);
  for (int id = 256; id < first_control; ++id) {
    std::string word;
    for (int rest = id, letter = 0; letter < 4 || rest > 0; ++letter, rest /= 26)
      word += static_cast<char>('a' + rest % 26);
    out.field(word, id);
  }
  out.end_object().key("merges").begin_array().end_array().end_object();
  return out.end_object().str() + "\n";
}

// tokenizer.json with InternVL's tokens behind the largest id, if it lacks them.
inline std::string with_internvl_tokens(const Json& tokenizer) {
  int next = 0;
  bool has = false;
  for (const Json& token : tokenizer.at("added_tokens").elements()) {
    next = std::max(next, token.at("id").as<int>() + 1);
    has = has || token.at("content").as_string() == "<IMG_CONTEXT>";
  }
  if (has) return dump(tokenizer, -1) + "\n";
  for (const auto& [token, id] : tokenizer.at("model").at("vocab").items())
    next = std::max(next, id.as<int>() + 1);
  JsonWriter out(-1);
  out.begin_object();
  for (const auto& [key, content] : tokenizer.items()) {
    out.key(key);
    if (key != "added_tokens") {
      out.value(content);
      continue;
    }
    out.begin_array();
    for (const Json& token : content.elements()) out.value(token);
    for (const std::string_view token : internvl_tokens) write_added_token(out, next++, token);
    out.end_array();
  }
  return out.end_object().str() + "\n";
}

struct CompanionOptions {
  std::string_view dtype, quant_method;  // quant_method "": no quantization_config
  std::filesystem::path tokenizer;
};

// Writes the tokenizer's files. False when the vocabulary is too small for one.
inline bool write_tokenizer(const std::filesystem::path& folder,
                            const ModelDescription& description,
                            const std::filesystem::path& from) {
  const bool multimodal = description.composition.has_value();
  const index_t vocab_size = description.language.geometry().vocab_size;
  const auto write = [&](std::string_view name, const std::string& text) {
    write_text_atomically((folder / name).string(), text);
  };
  std::string config = "{}";
  if (from.empty()) {
    if (vocab_size < 256 + 32) return false;
    write("tokenizer.json", made_up_tokenizer(vocab_size, multimodal));
  } else {
    const Json tokenizer = load_json((from / "tokenizer.json").string());
    write("tokenizer.json",
          multimodal ? with_internvl_tokens(tokenizer) : dump(tokenizer, -1) + "\n");
    for (const char* name : {"special_tokens_map.json", "chat_template.jinja"})
      if (std::filesystem::exists(from / name))
        write(name, read_text((from / name).string(), std::uint64_t{1} << 26));
    if (std::filesystem::exists(from / "tokenizer_config.json"))
      config = read_text((from / "tokenizer_config.json").string(), std::uint64_t{1} << 26);
  }
  const Json told = parse_json(config, "tokenizer_config.json");
  JsonWriter out;
  out.begin_object();
  for (const auto& [key, content] : told.items())
    if (key != "extra_special_tokens") out.field(key, content);
  if (!told.contains("tokenizer_class")) out.field("tokenizer_class", "PreTrainedTokenizerFast");
  if (!told.contains("eos_token")) {
    out.field("bos_token", "<|startoftext|>").field("eos_token", "<|return|>");
    out.field("pad_token", "<|endoftext|>");
  }
  if (multimodal) {
    out.key("extra_special_tokens").begin_object().field("start_image_token", "<img>");
    out.field("end_image_token", "</img>").field("context_image_token", "<IMG_CONTEXT>");
    out.field("video_token", "<video>").end_object();
  }
  write("tokenizer_config.json", out.end_object().str() + "\n");
  return true;
}

inline void write_image_processor(const std::filesystem::path& folder,
                                  const ModelDescription& description) {
  const auto& vision = description.composition->vision.as<InternVitConfig>();
  const Extent& size = vision.image_size;
  const Extent& patch = vision.patch_size;
  JsonWriter out;
  out.begin_object().field("image_processor_type", "GotOcr2ImageProcessor");
  out.field("processor_class", "InternVLProcessor").field("do_convert_rgb", true);
  out.field("do_resize", true).key("size").begin_object().field("height", size.height);
  out.field("width", size.width).end_object().field("resample", 3).field("do_rescale", true);
  out.field("rescale_factor", 1.0 / 255).field("do_normalize", true);
  out.field("image_mean", std::vector<double>{0.485, 0.456, 0.406});
  out.field("image_std", std::vector<double>{0.229, 0.224, 0.225});
  out.field("crop_to_patches", true).field("min_patches", 1).field("max_patches", 12);
  write_text_atomically((folder / "preprocessor_config.json").string(),
                        out.end_object().str() + "\n");
  const index_t fold = description.composition->config.as<InternVlConfig>().fold();
  const index_t tokens = (size.height / patch.height / fold) * (size.width / patch.width / fold);
  JsonWriter processor;
  processor.begin_object().field("processor_class", "InternVLProcessor");
  processor.field("image_seq_length", tokens).end_object();
  write_text_atomically((folder / "processor_config.json").string(), processor.str() + "\n");
}

inline void write_companions(const std::filesystem::path& folder, ModelDescription description,
                             Layout layout, const CompanionOptions& options) {
  const bool multimodal = description.composition.has_value();
  ModelTokens& tokens = description.tokens;
  if (write_tokenizer(folder, description, options.tokenizer)) {
    const Tokenizer tokenizer = Tokenizer::load(folder.string());
    const auto id = [&](std::string_view token) {
      return tokenizer.token_to_id(token).value_or(-1);
    };
    tokens.bos_token_id = id("<|startoftext|>"), tokens.pad_token_id = id("<|endoftext|>");
    if (const int eos = id("<|return|>"); eos >= 0) tokens.eos_token_id = {eos};
    if (multimodal) tokens.image_token_id = id("<IMG_CONTEXT>");
  } else if (multimodal) {
    tokens.image_token_id = static_cast<int>(description.language.geometry().vocab_size - 1);
  }
  if (tokens.image_token_id >= description.language.geometry().vocab_size)
    throw Error({.code = Errc::bad_tokenizer,
                 .file = (options.tokenizer / "tokenizer.json").string(),
                 .field = "added_tokens",
                 .expected = "tokens below vocab_size = " +
                             std::to_string(description.language.geometry().vocab_size),
                 .found = std::to_string(tokens.image_token_id)});
  if (multimodal) write_image_processor(folder, description);
  JsonWriter generation;
  generation.begin_object().field("do_sample", false);
  if (!tokens.eos_token_id.empty()) {
    generation.field("bos_token_id", tokens.bos_token_id);
    generation.field("eos_token_id", tokens.eos_token_id);
    generation.field("pad_token_id", tokens.pad_token_id);
  }
  write_text_atomically((folder / "generation_config.json").string(),
                        generation.end_object().str() + "\n");
  std::string config = config_json(description, layout, options.dtype);
  if (!options.quant_method.empty())
    config =
        with_key(parse_json(config, "config.json"), "quantization_config", [&](JsonWriter& out) {
          out.begin_object().field("quant_method", options.quant_method);
          out.key("modules_to_not_convert").begin_array();
          for (const char* module : {"model.layers.*.self_attn", "model.layers.*.mlp.router",
                                     "model.embed_tokens", "lm_head"})
            out.value(module);
          out.end_array().end_object();
        });
  write_text_atomically((folder / "config.json").string(), config);
}

}  // namespace gov::bench
