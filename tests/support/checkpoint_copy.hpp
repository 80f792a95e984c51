// A checkpoint's tensors in memory, to be changed and written elsewhere.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "gov/io/safetensors_writer.hpp"
#include "gov/io/sharded.hpp"

namespace gov::test {

struct CheckpointCopy {
  struct Tensor {
    DType dtype{};
    std::vector<index_t> shape;
    std::vector<std::byte> bytes;
  };
  std::map<std::string, Tensor> tensors;
  std::string config;

  explicit CheckpointCopy(const std::filesystem::path& folder)
      : config(read_text((folder / "config.json").string(), 1u << 20)) {
    const auto files = CheckpointFiles::open(folder.string());
    for (const auto& [file, entry] : files.tensors()) {
      Tensor tensor{entry->dtype, entry->shape,
                    std::vector<std::byte>(static_cast<std::size_t>(entry->bytes))};
      file->read(*entry, tensor.bytes);
      tensors.emplace(entry->name, std::move(tensor));
    }
  }

  void rename(const std::string& from, const std::string& to) {
    auto node = tensors.extract(from);
    node.key() = to;
    tensors.insert(std::move(node));
  }

  void write(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    std::vector<TensorSpec> specs;
    for (const auto& [name, tensor] : tensors) specs.push_back({name, tensor.dtype, tensor.shape});
    write_safetensors((folder / "model.safetensors").string(), specs,
                      [this](const TensorSpec& spec, const ByteSink& sink) {
                        sink(tensors.at(spec.name).bytes);
                      });
    std::ofstream(folder / "config.json") << config;
  }
};

}  // namespace gov::test
