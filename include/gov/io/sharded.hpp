// CheckpointFiles: all safetensors files of a checkpoint folder (or one file), and every tensor in
// them by name. A folder holds model.safetensors, or shards with an index, or shards alone. The
// index is untrusted text: a shard is a bare file name. All headers and file lengths are checked,
// and all problems collected, before any weight can be read. Links are followed (caches keep the
// files elsewhere) unless told otherwise.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/io/file.hpp"
#include "gov/io/json.hpp"
#include "gov/io/safetensors.hpp"

namespace gov {

struct CheckpointOptions : SafeTensorsOptions {
  bool follow_links = true;
};

// "" when `name` may name a shard: a bare file name, never a path.
inline std::string_view shard_name_problem(std::string_view name) {
  constexpr std::string_view suffix = ".safetensors";
  if (name.size() <= suffix.size() || !name.ends_with(suffix))
    return "a name not ending in .safetensors";
  if (name.size() > 255) return "a longer name";
  if (name.find_first_of("/\\") != name.npos) return "a path separator";
  if (name.find("..") != name.npos) return "two dots in a row";
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20) return "a control character";
  return {};
}

// Gathers problems, so that a user sees them all at once.
class Problems {
 public:
  explicit Problems(std::string where) : where_(std::move(where)) {}

  void add(ErrorInfo problem) {
    ++count_;
    if (first_.size() < most_listed) first_.push_back(std::move(problem));
    same_code_ = same_code_ && first_.back().code == first_.front().code;
  }
  // Runs `call`, keeping what it throws.
  template <class Call>
  void attempt(Call call) {
    try {
      call();
    } catch (const Error& error) {
      add(error.info());
    }
  }
  bool empty() const { return count_ == 0; }

  // One problem is thrown as it is; of several the first twenty are listed.
  void throw_if_any(std::string expected) const {
    if (count_ == 0) return;
    if (count_ == 1) throw Error(first_.front());
    std::string list = std::to_string(count_) + " problems:";
    for (const ErrorInfo& problem : first_) list += "\n  " + std::string(Error(problem).what());
    if (count_ > first_.size())
      list += "\n  and " + std::to_string(count_ - first_.size()) + " more";
    throw Error({.code = same_code_ ? first_.front().code : Errc::checkpoint_mismatch,
                 .file = where_,
                 .field = {},
                 .expected = std::move(expected),
                 .found = std::move(list)});
  }

 private:
  static constexpr std::size_t most_listed = 20;
  std::string where_;
  std::vector<ErrorInfo> first_;
  std::size_t count_ = 0;
  bool same_code_ = true;
};

class CheckpointFiles {
 public:
  struct Tensor {
    const SafeTensors* file;
    const TensorEntry* entry;
  };

  // `path` is a folder or one .safetensors file.
  static CheckpointFiles open(const std::string& path, CheckpointOptions options = {},
                              const FileOps& ops = system_file_ops) {
    namespace fs = std::filesystem;
    CheckpointFiles checkpoint(path);
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      checkpoint.files_.push_back(
          std::make_unique<SafeTensors>(SafeTensors::open(path, options, ops)));
      checkpoint.index_tensors();
      return checkpoint;
    }
    std::vector<std::string> shards, indices;
    std::error_code error;
    fs::directory_iterator at(path, error);
    for (; !error && at != fs::directory_iterator(); at.increment(error)) {
      const std::string name = at->path().filename();
      if (name.ends_with(".safetensors")) shards.push_back(name);
      if (name.ends_with(".safetensors.index.json")) indices.push_back(name);
    }
    if (error) throw_io_error(path, "a readable folder", error.value());
    std::sort(shards.begin(), shards.end());
    const auto has = [](const std::vector<std::string>& names, std::string_view name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (has(shards, "model.safetensors")) {
      checkpoint.open_shards({"model.safetensors"}, options, ops);
    } else if (has(indices, "model.safetensors.index.json")) {
      checkpoint.open_index("model.safetensors.index.json", options, ops);
    } else if (indices.size() == 1) {
      checkpoint.open_index(indices.front(), options, ops);
    } else if (indices.size() > 1) {
      throw Error({.code = Errc::checkpoint_mismatch,
                   .file = path,
                   .field = {},
                   .expected = "one *.safetensors.index.json",
                   .found = std::to_string(indices.size())});
    } else if (!shards.empty()) {
      checkpoint.open_shards(shards, options, ops);
    } else {
      throw Error({.code = Errc::io_error,
                   .file = path,
                   .field = {},
                   .expected = "model.safetensors or model.safetensors.index.json in this folder",
                   .found = "neither"});
    }
    return checkpoint;
  }

  const std::string& path() const { return path_; }
  const std::vector<std::unique_ptr<SafeTensors>>& files() const { return files_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }  // by name
  std::uint64_t total_bytes() const { return total_bytes_; }

  const Tensor* find(std::string_view name) const {
    const auto place = std::lower_bound(
        tensors_.begin(), tensors_.end(), name,
        [](const Tensor& tensor, std::string_view key) { return tensor.entry->name < key; });
    return place != tensors_.end() && place->entry->name == name ? &*place : nullptr;
  }
  const Tensor& at(std::string_view name) const {
    if (const Tensor* tensor = find(name)) return *tensor;
    throw Error({.code = Errc::checkpoint_mismatch,
                 .file = path_,
                 .field = std::string(name),
                 .expected = "this tensor",
                 .found = "nothing of this name"});
  }
  bool contains(std::string_view name) const { return find(name) != nullptr; }

 private:
  static constexpr std::size_t most_shards = 4096;

  explicit CheckpointFiles(std::string path) : path_(std::move(path)) {}

  std::string in_folder(const std::string& name) const { return path_ + "/" + name; }

  void open_shard(const std::string& name, CheckpointOptions options, const FileOps& ops) {
    const std::string path = in_folder(name);
    std::error_code ignored;
    if (!options.follow_links && std::filesystem::is_symlink(path, ignored))
      throw Error({.code = Errc::bad_shard,
                   .file = path,
                   .field = {},
                   .expected = "a regular file in the folder itself",
                   .found = "a link"});
    try {
      files_.push_back(std::make_unique<SafeTensors>(SafeTensors::open(path, options, ops)));
    } catch (const Error& error) {
      if (error.code() != Errc::io_error) throw;
      ErrorInfo info = error.info();  // missing, a FIFO, unreadable
      info.code = Errc::bad_shard;
      throw Error(std::move(info));
    }
  }

  void open_shards(const std::vector<std::string>& names, CheckpointOptions options,
                   const FileOps& ops) {
    Problems problems(path_);
    for (const std::string& name : names) problems.attempt([&] { open_shard(name, options, ops); });
    problems.throw_if_any("a whole checkpoint");
    index_tensors();
  }

  void open_index(const std::string& name, CheckpointOptions options, const FileOps& ops) {
    const std::string index_path = in_folder(name);
    const Json weight_map = load_json(index_path).at("weight_map");
    Problems problems(index_path);
    std::map<std::string_view, const SafeTensors*> shards;
    for (const auto& [tensor, shard] : weight_map.items()) {
      if (shards.size() > most_shards) shard.fail(Errc::limit_exceeded, "at most 4096 shards");
      problems.attempt([&, &shard = shard] {
        const std::string_view file = shard.as_string();
        if (shards.contains(file)) return;
        shards[file] = nullptr;
        if (const auto bad = shard_name_problem(file); !bad.empty())
          shard.fail(Errc::bad_shard, "a bare file name ending in .safetensors",
                     std::string(bad) + " in " + shard.describe());
        open_shard(std::string(file), options, ops);
        shards[file] = files_.back().get();
      });
    }
    for (const auto& [tensor, shard] : weight_map.items()) {
      const auto opened = shard.is_string() ? shards.find(shard.as_string()) : shards.end();
      if (opened == shards.end() || !opened->second || opened->second->find(tensor)) continue;
      problems.add({Errc::checkpoint_mismatch, index_path, std::string(tensor),
                    "this tensor in " + std::string(opened->first), "nothing of this name there"});
    }
    for (const auto& file : files_)
      for (const TensorEntry& entry : file->entries()) {
        const auto mapped = weight_map.find(entry.name);
        if (!mapped)
          problems.add({Errc::checkpoint_mismatch, file->path(), entry.name,
                        "every tensor of a shard in the index", "a tensor that is not in it"});
      }
    collect_tensors(problems);
    problems.throw_if_any("a whole checkpoint");
  }

  void index_tensors() {
    Problems problems(path_);
    collect_tensors(problems);
    problems.throw_if_any("a whole checkpoint");
  }

  void collect_tensors(Problems& problems) {
    for (const auto& file : files_)
      for (const TensorEntry& entry : file->entries()) {
        tensors_.push_back({file.get(), &entry});
        total_bytes_ += entry.bytes;  // no wrap: these bytes lie in files
      }
    std::sort(tensors_.begin(), tensors_.end(),
              [](const Tensor& a, const Tensor& b) { return a.entry->name < b.entry->name; });
    for (std::size_t i = 1; i < tensors_.size(); ++i)
      if (tensors_[i].entry->name == tensors_[i - 1].entry->name)
        problems.add({Errc::checkpoint_mismatch, path_, tensors_[i].entry->name,
                      "this tensor in one shard",
                      tensors_[i - 1].file->path() + " and " + tensors_[i].file->path()});
  }

  std::string path_;
  std::vector<std::unique_ptr<SafeTensors>> files_;
  std::vector<Tensor> tensors_;
  std::uint64_t total_bytes_ = 0;
};

}  // namespace gov
