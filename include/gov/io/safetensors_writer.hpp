// Writing safetensors: one file, or shards with an index, streamed tensor by tensor (a callback
// supplies the bytes), each file whole or absent (AtomicFile), the index last. Tensors lie by
// descending element size, then name; the data starts at a multiple of 64. Whatever the strict
// reader refuses is refused here.
#pragma once

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/dtype.hpp"
#include "gov/core/error.hpp"
#include "gov/io/file.hpp"
#include "gov/io/json_writer.hpp"
#include "gov/io/safetensors_header.hpp"

namespace gov {

struct TensorSpec {
  std::string name;
  DType dtype{};
  std::vector<index_t> shape;
};

// Takes the next bytes of the tensor being written; any number of calls per tensor.
using ByteSink = std::function<void(std::span<const std::byte>)>;
// Called once per tensor, in file order; must hand exactly the tensor's bytes to the sink.
using TensorSupplier = std::function<void(const TensorSpec&, const ByteSink&)>;

struct SafeTensorsWriteOptions {
  // transformers refuses files that do not say "format"
  std::vector<std::pair<std::string, std::string>> metadata{{"format", "pt"}};
  const FileOps* ops = &system_file_ops;
};

namespace safetensors_detail {

inline std::uint64_t spec_bytes(std::string_view file, const TensorSpec& spec) {
  std::vector<std::uint64_t> shape;
  for (const index_t extent : spec.shape) {
    if (extent < 0) fail(Errc::bad_number, file, spec.name, "extents >= 0", std::to_string(extent));
    shape.push_back(static_cast<std::uint64_t>(extent));
  }
  return tensor_bytes(file, spec.name, spec.dtype, shape);
}

// Names that the reader would refuse, and names given twice.
inline void check_names(std::string_view file, const std::vector<TensorSpec>& specs) {
  if (specs.size() > most_tensors)
    fail(Errc::limit_exceeded, file, {}, "at most 1,000,000 tensors", std::to_string(specs.size()));
  std::vector<std::string_view> names;
  for (const TensorSpec& spec : specs) {
    if (spec.name == metadata_key)
      fail(Errc::bad_name, file, spec.name, "a name other than __metadata__", {});
    if (const auto bad = name_problem(spec.name); !bad.empty())
      fail(Errc::bad_name, file, json_detail::shorten(spec.name),
           "a tensor name of 1 to 512 bytes without control characters", std::string(bad));
    if (find_bad_utf8(spec.name)) fail(Errc::bad_utf8, file, {}, "a tensor name in UTF-8", {});
    names.push_back(spec.name);
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    fail(Errc::duplicate_key, file, std::string(*twice), "each tensor once", "two");
}

// The 8 bytes of length and the JSON, padded with spaces; `specs` in file order.
inline std::string header_text(std::string_view file, const std::vector<TensorSpec>& specs,
                               const SafeTensorsWriteOptions& options, std::uint64_t& data_bytes) {
  JsonWriter json(-1);
  json.begin_object();
  if (!options.metadata.empty()) {
    json.key(metadata_key).begin_object();
    for (const auto& [key, value] : options.metadata) json.field(key, value);
    json.end_object();
  }
  std::uint64_t offset = 0;
  for (const TensorSpec& spec : specs) {
    const std::uint64_t end = checked_add(offset, spec_bytes(file, spec), spec.name);
    json.key(spec.name)
        .begin_object()
        .field("dtype", to_string(spec.dtype))
        .field("shape", spec.shape);
    json.key("data_offsets").begin_array().value(offset).value(end).end_array().end_object();
    offset = end;
  }
  json.end_object();
  data_bytes = offset;
  std::string text = json.str();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  if (text.size() > most_header_bytes)
    fail(Errc::limit_exceeded, file, {}, "a header of at most 100,000,000 bytes",
         std::to_string(text.size()));
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i) & 255);
  return length + text;
}

}  // namespace safetensors_detail

// Replaces the file at `path` in one step; on any error what was there stays.
inline void write_safetensors(const std::string& path, std::vector<TensorSpec> specs,
                              const TensorSupplier& supply,
                              const SafeTensorsWriteOptions& options = {}) {
  using namespace safetensors_detail;
  check_names(path, specs);
  std::sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) {
    const int bits_a = bits_of(a.dtype), bits_b = bits_of(b.dtype);
    return bits_a != bits_b ? bits_a > bits_b : a.name < b.name;
  });
  std::uint64_t data_bytes = 0;
  const std::string header = header_text(path, specs, options, data_bytes);
  write_atomically(
      path, checked_add<std::uint64_t>(header.size(), data_bytes, "file size"),
      [&](AtomicFile& file) {
        file.write(header);
        for (const TensorSpec& spec : specs) {
          const std::uint64_t bytes = spec_bytes(path, spec);
          std::uint64_t left = bytes;
          supply(spec, [&](std::span<const std::byte> part) {
            if (part.size() > left)
              fail(Errc::size_mismatch, path, spec.name, std::to_string(bytes) + " bytes", "more");
            left -= part.size();
            file.write(part);
          });
          if (left != 0)
            fail(Errc::size_mismatch, path, spec.name, std::to_string(bytes) + " bytes",
                 std::to_string(bytes - left));
        }
      },
      *options.ops);
}

struct CheckpointWriteOptions : SafeTensorsWriteOptions {
  std::uint64_t max_shard_bytes = std::uint64_t{5} << 30;  // of tensor data; 0: a single file
  // A folder that holds a checkpoint is refused, unless this is set. Then its manifest is removed
  // first, so that a save killed half-way leaves no checkpoint rather than a mixture, and its stale
  // shards last.
  bool overwrite = false;
};

namespace safetensors_detail {

inline bool is_checkpoint_file(std::string_view name) {
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
}

inline std::vector<std::string> checkpoint_files_in(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator at(folder, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
    if (is_checkpoint_file(at->path().filename().native())) found.push_back(at->path().filename());
  if (error) throw_io_error(folder, "a folder to write to", error.value());
  std::sort(found.begin(), found.end());
  return found;
}

inline std::string shard_name(std::size_t number, std::size_t count) {
  const auto padded = [](std::size_t value) {
    const std::string digits = std::to_string(value);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return "model-" + padded(number) + "-of-" + padded(count) + ".safetensors";
}

inline void remove_file(const std::string& path, const FileOps& ops) {
  if (ops.unlink(path.c_str()) == -1 && errno != ENOENT)
    throw_io_error(path, "to remove it", errno);
}

}  // namespace safetensors_detail

// Fills an existing folder with model.safetensors, or with model-0000i-of-0000n.safetensors and
// then, last, model.safetensors.index.json. Shards take the tensors in the order given. Returns the
// names written.
inline std::vector<std::string> write_checkpoint(const std::string& folder,
                                                 const std::vector<TensorSpec>& specs,
                                                 const TensorSupplier& supply,
                                                 const CheckpointWriteOptions& options = {}) {
  using namespace safetensors_detail;
  const std::string prefix = folder + "/";
  check_names(folder, specs);

  std::vector<std::vector<TensorSpec>> shards(1);
  std::uint64_t in_shard = 0, total = 0;
  for (const TensorSpec& spec : specs) {
    const std::uint64_t bytes = spec_bytes(folder, spec);
    total = checked_add(total, bytes, spec.name);
    if (options.max_shard_bytes != 0 && !shards.back().empty() &&
        checked_add(in_shard, bytes, spec.name) > options.max_shard_bytes) {
      shards.emplace_back();
      in_shard = 0;
    }
    in_shard += bytes;
    shards.back().push_back(spec);
  }

  const std::vector<std::string> before = checkpoint_files_in(folder);
  if (!before.empty() && !options.overwrite)
    fail(Errc::io_error, folder, {}, "a folder without a checkpoint in it", before.front());
  const bool single = shards.size() == 1;
  for (const std::string& name :
       before)  // every manifest but a single file that is itself replaced whole
    if (name.ends_with(".json") || (name == "model.safetensors" && !single))
      remove_file(prefix + name, *options.ops);

  std::vector<std::string> written;
  std::map<std::string_view, std::string> weight_map;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    written.push_back(single ? "model.safetensors" : shard_name(i + 1, shards.size()));
    write_safetensors(prefix + written.back(), shards[i], supply, options);
  }
  if (!single) {
    for (std::size_t i = 0; i < shards.size(); ++i)
      for (const TensorSpec& spec : shards[i]) weight_map[spec.name] = written[i];
    JsonWriter index;
    index.begin_object().key("metadata").begin_object().field("total_size", total).end_object();
    index.key("weight_map").begin_object();
    for (const auto& [name, shard] : weight_map) index.field(name, shard);
    index.end_object().end_object();
    written.push_back("model.safetensors.index.json");
    write_text_atomically(prefix + written.back(), index.str() + "\n", *options.ops);
  }
  for (const std::string& name : before)
    if (std::find(written.begin(), written.end(), name) == written.end())
      remove_file(prefix + name, *options.ops);
  return written;
}

}  // namespace gov
