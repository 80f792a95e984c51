#include "gov/io/safetensors_writer.hpp"

#include <doctest/doctest.h>

#include <random>

#include "faulty_file_ops.hpp"
#include "gov/io/sharded.hpp"
#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using gov::test::code_of;
using gov::test::error_of;

// The bytes of a tensor follow from its name alone.
std::vector<std::byte> content(const std::string& name, std::size_t bytes) {
  std::mt19937 random(static_cast<unsigned>(std::hash<std::string>{}(name)));
  std::vector<std::byte> values(bytes);
  for (std::byte& value : values) value = static_cast<std::byte>(random() & 255);
  return values;
}

// Hands every tensor over in pieces.
void supply(const gov::TensorSpec& spec, const gov::ByteSink& sink) {
  std::size_t bits = static_cast<std::size_t>(gov::bits_of(spec.dtype));
  for (const gov::index_t extent : spec.shape) bits *= static_cast<std::size_t>(extent);
  const auto bytes = content(spec.name, bits / 8);
  const std::size_t half = bytes.size() / 3;
  sink(std::span(bytes).first(half));
  sink(std::span(bytes).subspan(half));
}

const std::vector<gov::TensorSpec> specs{
    {"z.blocks", gov::DType::U8, {3, 5}},  {"b.weight", gov::DType::BF16, {4, 3}},
    {"a.weight", gov::DType::F32, {2, 2}}, {"empty", gov::DType::F32, {0, 7}},
    {"scalar", gov::DType::I64, {}},       {"half \"é\\", gov::DType::F16, {7}},
    {"four", gov::DType::F4, {2, 3}},
};

void check_content(const gov::SafeTensors& file) {
  for (const gov::TensorEntry& entry : file.entries()) {
    std::vector<std::byte> bytes(entry.bytes);
    file.read(entry, bytes);
    CHECK(bytes == content(entry.name, bytes.size()));
  }
}

}  // namespace

TEST_CASE("what is written is read back, every tensor aligned") {
  const TempFolder folder;
  const std::string path = folder / "a.safetensors";
  gov::write_safetensors(path, specs, supply, {.metadata = {{"format", "pt"}, {"k\n", "\"v\""}}});
  const gov::SafeTensors file = gov::SafeTensors::open(path);
  REQUIRE(file.entries().size() == specs.size());
  check_content(file);
  CHECK(file.header().data_start() % 64 == 0);
  CHECK(file.header().metadata() ==
        std::vector<std::pair<std::string, std::string>>{{"format", "pt"}, {"k\n", "\"v\""}});
  std::string order;
  for (const gov::TensorEntry& entry : file.entries()) {
    order += entry.name + " ";
    if (gov::bits_of(entry.dtype) >= 8)
      CHECK((file.header().data_start() + entry.offset) % (gov::bits_of(entry.dtype) / 8u) == 0);
  }
  CHECK(order == "scalar a.weight empty b.weight half \"é\\ z.blocks four ");
  for (const gov::TensorSpec& spec : specs) {
    CHECK(file.at(spec.name).shape == spec.shape);
    CHECK(file.at(spec.name).dtype == spec.dtype);
  }
}

TEST_CASE("the bytes do not depend on the order given; no tensors make a file too") {
  const TempFolder folder;
  gov::write_safetensors(folder / "a", specs, supply);
  gov::write_safetensors(folder / "b", {specs.rbegin(), specs.rend()}, supply);
  CHECK(file_bytes(folder / "a") == file_bytes(folder / "b"));
  gov::write_safetensors(folder / "c", {}, supply, {.metadata = {}});
  CHECK(file_bytes(folder / "c") == "8" + std::string(7, '\0') + "{}" + std::string(54, ' '));
}

TEST_CASE("what the reader would refuse is not written, and the old file stays") {
  const TempFolder folder;
  const std::string path = folder.write("a", "old");
  using gov::DType;
  const auto code = [&](std::vector<gov::TensorSpec> bad) {
    return code_of([&] { gov::write_safetensors(path, std::move(bad), supply); });
  };
  CHECK(code({{"__metadata__", DType::F32, {1}}}) == "bad_name");
  CHECK(code({{"", DType::F32, {1}}}) == "bad_name");
  CHECK(code({{"a\nb", DType::F32, {1}}}) == "bad_name");
  CHECK(code({{std::string(513, 'n'), DType::F32, {1}}}) == "bad_name");
  CHECK(code({{"\xff", DType::F32, {1}}}) == "bad_utf8");
  CHECK(code({{"a", DType::F32, {1}}, {"b", DType::F32, {1}}, {"a", DType::U8, {1}}}) ==
        "duplicate_key");
  CHECK(code({{"a", DType::F32, {-1}}}) == "bad_number");
  CHECK(code({{"a", DType::F4, {3}}}) == "sub_byte_misaligned");
  CHECK(code({{"a", DType::F32, {1, 1, 1, 1, 1, 1, 1, 1, 1}}}) == "rank_too_high");
  CHECK(code({{"a", DType::F32, {(gov::index_t{1} << 40) + 1}}}) == "dim_too_large");
  CHECK(code({{"a", DType::F32, {gov::index_t{1} << 40, gov::index_t{1} << 40}}}) == "overflow");
  CHECK(code_of([&] {
          gov::write_safetensors(path, specs, [](const gov::TensorSpec&, const gov::ByteSink&) {});
        }) == "size_mismatch");
  CHECK(code_of([&] {
          gov::write_safetensors(path, specs,
                                 [](const gov::TensorSpec&, const gov::ByteSink& sink) {
                                   sink(std::vector<std::byte>(1000));
                                 });
        }) == "size_mismatch");
  CHECK(code_of([&] {
          gov::write_safetensors(path, specs, supply, {.metadata = {{"k", "1"}, {"\xff", "2"}}});
        }) == "bad_utf8");
  CHECK(file_bytes(path) == "old");
  CHECK(folder.file_count() == 1);
}

TEST_CASE("a checkpoint is one file, or shards and last their index") {
  const TempFolder folder;
  CHECK(gov::write_checkpoint(folder.path(), specs, supply) ==
        std::vector<std::string>{"model.safetensors"});
  CHECK(code_of([&] { gov::write_checkpoint(folder.path(), specs, supply); }) == "io_error");

  const TempFolder sharded;
  gov::CheckpointWriteOptions small;
  small.max_shard_bytes = 41;
  const auto written = gov::write_checkpoint(sharded.path(), specs, supply, small);
  CHECK(written == std::vector<std::string>{"model-00001-of-00002.safetensors",
                                            "model-00002-of-00002.safetensors",
                                            "model.safetensors.index.json"});
  const gov::Json index = gov::load_json(sharded / "model.safetensors.index.json");
  CHECK(index.at("metadata").at("total_size").as_int() == 15 + 24 + 16 + 0 + 8 + 14 + 3);
  CHECK(index.at("weight_map").size() == specs.size());
  CHECK(index.at("weight_map").at("b.weight").as_string() == "model-00001-of-00002.safetensors");
  CHECK(index.at("weight_map").at("four").as_string() == "model-00002-of-00002.safetensors");

  const gov::CheckpointFiles files = gov::CheckpointFiles::open(sharded.path());
  CHECK(files.tensors().size() == specs.size());
  for (const auto& file : files.files()) check_content(*file);
}

TEST_CASE("a tensor larger than a shard gets one of its own; 0 means one file") {
  const TempFolder folder;
  gov::CheckpointWriteOptions options;
  options.max_shard_bytes = 1;
  CHECK(gov::write_checkpoint(folder.path(), specs, supply, options).size() ==
        7 + 1);  // "empty" costs nothing
  CHECK(gov::CheckpointFiles::open(folder.path()).tensors().size() == specs.size());
  options.max_shard_bytes = 0;
  options.overwrite = true;
  CHECK(gov::write_checkpoint(folder.path(), specs, supply, options).size() == 1);
  CHECK(folder.file_count() == 1);  // stale shards and index are gone
  options.max_shard_bytes = 41;
  CHECK(gov::write_checkpoint(folder.path(), specs, supply, options).size() == 3);
  CHECK(folder.file_count() == 3);
  CHECK(code_of([&] { gov::write_checkpoint(folder / "absent", specs, supply); }) == "io_error");
}

TEST_CASE("a save that fails at any call leaves a whole checkpoint or none, never a mixture") {
  for (const bool over_old : {false, true})
    for (const bool for_ever : {false, true})
      for (int k = 1;; ++k) {
        const TempFolder folder;
        gov::CheckpointWriteOptions options;
        options.max_shard_bytes = 41;
        if (over_old) {  // other tensors under the same shard names
          gov::write_checkpoint(folder.path(),
                                {{"old.a", gov::DType::U8, {41}}, {"old.b", gov::DType::U8, {1}}},
                                supply, options);
          options.overwrite = true;
        }
        options.ops = &faulty_file_ops;
        Faults::set(Faults::Kind::error, ENOSPC, k, for_ever);
        const auto error =
            error_of([&] { gov::write_checkpoint(folder.path(), specs, supply, options); });
        CHECK(Faults::open_files == 0);
        for (const auto& file : std::filesystem::directory_iterator(folder.path()))
          CHECK(file.path().native().find(".tmp-") == std::string::npos);
        const bool has_manifest = std::filesystem::exists(folder / "model.safetensors.index.json");
        if (has_manifest) {
          const gov::CheckpointFiles files = gov::CheckpointFiles::open(folder.path());
          CHECK(files.tensors().size() == specs.size());
          for (const auto& file : files.files()) check_content(*file);
        }
        if (error) CHECK(error->code() == gov::Errc::io_error);
        if (!error) CHECK(has_manifest);
        if (!error && Faults::calls < k) break;
        REQUIRE(k < 200);
      }
}
