// Any text as model.safetensors.index.json beside two good shards: a gov::Error, or a checkpoint
// whose tensors can be read; and never a file opened outside the folder.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "gov/io/safetensors_writer.hpp"
#include "gov/io/sharded.hpp"

namespace {

std::string folder;

struct Folder {
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gov-fuzz-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    folder = pattern;
    const auto supply = [](const gov::TensorSpec&, const gov::ByteSink& sink) {
      sink(std::vector<std::byte>(1));
    };
    using gov::DType;
    gov::write_safetensors(folder + "/1.safetensors",
                           {{"a", DType::U8, {1}}, {"b", DType::U8, {1}}}, supply);
    gov::write_safetensors(folder + "/2.safetensors", {{"c", DType::U8, {1}}}, supply);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
};

// What the reader opens must lie in the folder, by a name of its own.
int watched_open(const char* path, int flags, mode_t mode) {
  const std::string_view opened(path);
  if (!opened.starts_with(folder + "/")) std::abort();
  const std::string_view name = opened.substr(folder.size() + 1);
  if (name.find('/') != name.npos || name == ".." || name == ".") std::abort();
  return gov::system_file_ops.open(path, flags, mode);
}

constexpr gov::FileOps watched_ops = [] {
  gov::FileOps ops = gov::system_file_ops;
  ops.open = watched_open;
  return ops;
}();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder made;
  std::ofstream(folder + "/model.safetensors.index.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const auto files = gov::CheckpointFiles::open(folder, {}, watched_ops);
    for (const auto& [file, entry] : files.tensors()) {
      std::vector<std::byte> bytes(entry->bytes);
      file->read(*entry, bytes);
    }
    if (files.tensors().size() > 3) std::abort();
  } catch (const gov::Error&) {
  }
  return 0;
}
