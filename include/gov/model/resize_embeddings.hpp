// More rows for the embeddings and the head of a checkpoint, file to file: geometry is part of a
// model's type, so a new folder is written, which a Config with the larger vocab_size loads. Rows
// of tokens that there were stay as they are, bit by bit; rows of new tokens are copied from
// another token's row (COCONUT's "<<"), the mean of the old rows (InternVL's head), or normal
// numbers. A head that the files hold has a policy of its own unless it equals the embeddings, bit
// by bit, and config.json ties it (as transformers loads them). Dense weights in any layout and
// dtype; not for embeddings in blocks (q8). Never fewer rows.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gov/io/safetensors_writer.hpp"
#include "gov/io/sharded.hpp"
#include "gov/model/description.hpp"
#include "gov/model/grown_rows.hpp"
#include "gov/text/add_tokens.hpp"

namespace gov {

struct ResizeOptions {
  // Default: a copy of the row of "<<" where the tokenizer has this token, else the mean.
  std::optional<NewRows> embeddings{};
  std::optional<NewRows> head{};  // default: as the embeddings
  CheckpointWriteOptions write{};
};

struct ResizedCheckpoint {
  std::vector<int> ids;            // of the new tokens
  index_t old_rows = 0, rows = 0;  // of the embeddings; new config.json: vocab_size = rows
};

namespace resize_detail {

inline bool is_called(std::string_view name, std::string_view last) {
  return name == last || (name.ends_with(last) && name[name.size() - last.size() - 1] == '.');
}
inline bool is_embedding(std::string_view name) {
  return is_called(name, "embed_tokens.weight") || is_called(name, "wte.weight") ||
         name == "embedding.weight";
}
inline bool is_head(std::string_view name) {
  return is_called(name, "lm_head.weight") || name == "unembedding.weight";
}
// Parts of a head or an embedding that this file cannot grow.
inline bool is_obstacle(std::string_view name) {
  for (const std::string_view module : {"embed_tokens.", "wte.", "lm_head."})
    for (const std::string_view part : {"weight_blocks", "weight_scales", "bias"})
      if (is_called(name, std::string(module) + std::string(part))) return true;
  return false;
}

// config.json with another vocab_size, at the top or in the language model's section.
inline std::string with_vocab_size(const Json& config, index_t old_rows, index_t rows) {
  JsonWriter out;
  bool told = false;
  const auto write = [&](const auto& self, const Json& object, bool top) -> void {
    out.begin_object();
    for (const auto& [key, value] : object.items()) {
      out.key(key);
      const bool section = key == "text_config" || key == "llm_config" || key == "language_config";
      if (key == "vocab_size") {
        if (value.as_int() != old_rows)
          value.fail(Errc::checkpoint_mismatch,
                     "the rows of the embeddings, " + std::to_string(old_rows));
        out.value(rows);
        told = true;
      } else if (top && section && value.is_object()) {
        self(self, value, false);
      } else {
        out.value(value);
      }
    }
    out.end_object();
  };
  write(write, config, true);
  if (!told) config.fail(Errc::missing_field, "vocab_size, at the top or in text_config");
  return out.str() + "\n";
}

// Calls use(offset, bytes) with a tensor from front to back, in pieces.
template <class Use>
void for_each_piece(const CheckpointFiles::Tensor& tensor, Use&& use) {
  const std::uint64_t bytes = tensor.entry->bytes;
  std::vector<std::byte> part;
  for (std::uint64_t done = 0; done < bytes; done += part.size()) {
    part.resize(static_cast<std::size_t>(std::min<std::uint64_t>(bytes - done, 1u << 20)));
    tensor.file->read_part(*tensor.entry, done, part);
    use(done, std::span<const std::byte>(part));
  }
}

inline bool are_equal(const CheckpointFiles::Tensor& a, const CheckpointFiles::Tensor& b) {
  if (a.entry->dtype != b.entry->dtype || a.entry->shape != b.entry->shape) return false;
  bool equal = true;
  std::vector<std::byte> other;
  for_each_piece(a, [&](std::uint64_t at, std::span<const std::byte> part) {
    if (!equal) return;
    other.resize(part.size());
    b.file->read_part(*b.entry, at, other);
    equal = std::equal(part.begin(), part.end(), other.begin());
  });
  return equal;
}

// Files beside the weights that go along: not weights in other formats.
inline bool goes_along(const std::filesystem::path& file) {
  const std::string suffix = file.extension().string(), name = file.filename().string();
  for (const char* other : {".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".gguf"})
    if (suffix == other) return false;
  return !name.ends_with(".index.json") && name != "config.json";
}

}  // namespace resize_detail

// Adds tokens to the checkpoint in `from` and writes it to `to`: tokenizer files, config.json, all
// weights with the rows grown to hold the largest id, and every other file of the folder. The
// weights come last, so that a save cut short leaves no checkpoint.
inline ResizedCheckpoint add_tokens_to_checkpoint(const std::filesystem::path& from,
                                                  const std::filesystem::path& to,
                                                  std::span<const NewToken> tokens,
                                                  const ResizeOptions& options = {}) {
  namespace fs = std::filesystem;
  using namespace resize_detail;
  const auto refuse = [](const fs::path& file, std::string field, Errc code, std::string expected,
                         std::string found) {
    throw Error({.code = code,
                 .file = file.string(),
                 .field = std::move(field),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  std::error_code same;
  if (fs::equivalent(from, to, same))
    refuse(to, "output", Errc::bad_argument, "another folder than the checkpoint's", "the same");
  const AddedTokens added = add_tokens(from, tokens);
  const CheckpointFiles files = CheckpointFiles::open(from.string());
  const Json config = load_json((from / "config.json").string());
  const Tokenizer tokenizer = Tokenizer::load(from.string());

  ResizedCheckpoint result;
  result.ids = added.ids;
  const CheckpointFiles::Tensor *input = nullptr, *output = nullptr;
  for (const auto& tensor : files.tensors()) {
    const auto& [file, entry] = tensor;
    if (is_obstacle(entry->name))
      refuse(file->path(), entry->name, Errc::unsupported, "dense embeddings without bias",
             std::string(to_string(entry->dtype)));
    if (is_head(entry->name)) output = &tensor;
    if (!is_embedding(entry->name)) continue;
    if (result.old_rows != 0 || entry->shape.empty())
      refuse(file->path(), entry->name, Errc::checkpoint_mismatch, "one matrix of embeddings",
             "another");
    result.old_rows = entry->shape.front();
    input = &tensor;
  }
  if (result.old_rows == 0)
    refuse(from, "embed_tokens.weight", Errc::checkpoint_mismatch, "embeddings", "none");
  result.rows = std::max<index_t>(result.old_rows, added.ids.back() + 1);

  const auto arrows = tokenizer.token_to_id("<<");
  const NewRows usual =
      arrows && *arrows < result.old_rows ? NewRows::copy_token(*arrows) : NewRows::mean_rows();
  const NewRows embeddings = options.embeddings.value_or(usual);
  const bool is_tied = output && are_equal(*input, *output) && describe_config(config).tied();
  const NewRows head = is_tied ? embeddings : options.head.value_or(embeddings);
  std::map<std::string, GrownRows> grown;
  std::vector<TensorSpec> specs;
  for (const auto& tensor : files.tensors()) {
    const std::string& name = tensor.entry->name;
    const bool is_output = is_head(name);
    if (!is_output && !is_embedding(name)) {
      specs.push_back({name, tensor.entry->dtype, tensor.entry->shape});
      continue;
    }
    if (tensor.entry->shape.empty() || tensor.entry->shape.front() != result.old_rows)
      refuse(tensor.file->path(), name, Errc::checkpoint_mismatch,
             std::to_string(result.old_rows) + " rows, as the embeddings", "other");
    const auto& rows =
        grown.try_emplace(name, tensor, result.rows, added.ids, is_output ? head : embeddings,
                          added.ids.front(), is_output && !is_tied);
    specs.push_back(rows.first->second.spec());
  }

  const std::string new_config = with_vocab_size(config, result.old_rows, result.rows);
  fs::create_directories(to);
  if (const auto there = safetensors_detail::checkpoint_files_in(to.string());
      !there.empty() && !options.write.overwrite)
    refuse(to, {}, Errc::io_error, "a folder without a checkpoint in it", there.front());
  for (const auto& file : fs::directory_iterator(from)) {
    std::error_code error;
    if (!file.is_regular_file(error) || !goes_along(file.path())) continue;
    const fs::path copy = to / file.path().filename();
    fs::copy_file(file.path(), copy, fs::copy_options::overwrite_existing, error);
    if (error) throw_io_error(copy.string(), "to copy a file to it", error.value());
  }
  for (const auto& [name, text] : added.files) write_text_atomically((to / name).string(), text);
  write_text_atomically((to / "config.json").string(), new_config);
  write_checkpoint(
      to.string(), specs,
      [&](const TensorSpec& spec, const ByteSink& sink) {
        if (const auto at = grown.find(spec.name); at != grown.end())
          return at->second.supply(sink);
        for_each_piece(files.at(spec.name),
                       [&](std::uint64_t, std::span<const std::byte> part) { sink(part); });
      },
      options.write);
  return result;
}

}  // namespace gov
