#include "gov/io/sharded.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace sharded_test {

using gov::test::code_of;
using gov::test::error_of;

// One U8 tensor per name, each of one byte: the name's last letter.
std::string shard(const std::vector<std::string>& names) {
  std::string header = "{", data;
  for (const std::string& name : names) {
    header += (data.empty() ? "" : ",") + entry_json(name, "U8", "[1]", std::to_string(data.size()),
                                                     std::to_string(data.size() + 1));
    data += name.back();
  }
  return safetensors_bytes(header + "}", data);
}

std::string index_json(const std::string& weight_map) {
  return "{\"metadata\":{\"total_size\":3},\"weight_map\":{" + weight_map + "}}";
}

constexpr const char* index_name = "model.safetensors.index.json";

char value_of(const gov::CheckpointFiles& files, std::string_view name) {
  const auto& [file, entry] = files.at(name);
  std::array<std::byte, 1> byte{};
  file->read(*entry, byte);
  return static_cast<char>(byte[0]);
}

// A folder with shards one (a, b) and two (c), and this index.
struct Sharded : TempFolder {
  explicit Sharded(const std::string& weight_map) {
    write("one.safetensors", shard({"a", "b"}));
    write("two.safetensors", shard({"c"}));
    write(index_name, index_json(weight_map));
  }
  std::optional<gov::Error> error() const {
    return error_of([&] { gov::CheckpointFiles::open(path()); });
  }
  std::string code() const {
    return code_of([&] { gov::CheckpointFiles::open(path()); });
  }
};

const std::string good = R"("a":"one.safetensors","b":"one.safetensors","c":"two.safetensors")";

TEST_CASE("a folder or a file is found in all its forms") {
  const Sharded folder(good);
  const gov::CheckpointFiles files = gov::CheckpointFiles::open(folder.path());
  CHECK(files.files().size() == 2);
  CHECK(files.tensors().size() == 3);
  CHECK(files.total_bytes() == 3);
  CHECK(value_of(files, "a") == 'a');
  CHECK(value_of(files, "c") == 'c');
  CHECK(files.find("d") == nullptr);
  CHECK(code_of([&] { files.at("d"); }) == "checkpoint_mismatch");

  const gov::CheckpointFiles one =
      gov::CheckpointFiles::open(folder / "one.safetensors", {{.map = true}});
  CHECK(one.tensors().size() == 2);
  CHECK(one.files().front()->is_mapped());

  // an index of another name (openai's original/ folder), then no index at all
  std::filesystem::rename(folder / index_name, folder / "weights.safetensors.index.json");
  CHECK(gov::CheckpointFiles::open(folder.path()).tensors().size() == 3);
  folder.write("other.safetensors.index.json", "{}");
  CHECK(folder.code() == "checkpoint_mismatch");
  std::filesystem::remove(folder / "weights.safetensors.index.json");
  std::filesystem::remove(folder / "other.safetensors.index.json");
  CHECK(gov::CheckpointFiles::open(folder.path()).tensors().size() == 3);
  folder.write("three.safetensors", shard({"b"}));
  CHECK(folder.code() == "checkpoint_mismatch");

  // model.safetensors wins, as it does in transformers
  folder.write("model.safetensors", shard({"x"}));
  CHECK(gov::CheckpointFiles::open(folder.path()).tensors().size() == 1);

  const TempFolder empty;
  CHECK(code_of([&] { gov::CheckpointFiles::open(empty.path()); }) == "io_error");
  CHECK(code_of([&] { gov::CheckpointFiles::open(empty / "absent"); }) == "io_error");
}

TEST_CASE("a moved CheckpointFiles keeps its tensors") {
  const Sharded folder(good);
  std::optional<gov::CheckpointFiles> moved;
  {
    gov::CheckpointFiles files = gov::CheckpointFiles::open(folder.path());
    moved.emplace(std::move(files));
  }
  CHECK(value_of(*moved, "b") == 'b');
}

TEST_CASE("a shard is a bare file name") {
  const TempFolder outside;
  outside.write("x.safetensors", shard({"c"}));
  for (const std::string& name :
       {std::string("../x.safetensors"), outside / "x.safetensors", std::string("/etc/passwd"),
        std::string("a/../../b.safetensors"), std::string("sub/two.safetensors"),
        std::string("two.safetensors\\u0000"), std::string("a\\u0000.safetensors"), std::string(""),
        std::string(".safetensors"), std::string("two.bin"), std::string("..\\\\two.safetensors"),
        std::string("..safetensors"), std::string("two.safetensors/"),
        std::string("two.safetensors "), std::string(300, 'x') + ".safetensors"}) {
    CAPTURE(name);
    const Sharded folder(R"("a":"one.safetensors","b":"one.safetensors","c":")" + name + "\"");
    const auto error = folder.error();
    REQUIRE(error);
    CHECK(error->code() == gov::Errc::bad_shard);
    CHECK(error->field() == "weight_map.c");
  }
  for (const char* value : {"1", "null", "[\"two.safetensors\"]", "{}", "true"})
    CHECK(Sharded(R"("a":"one.safetensors","b":"one.safetensors","c":)" + std::string(value))
              .code() == "bad_type");
}

TEST_CASE("a shard is a regular file; links are a choice") {
  const Sharded folder(good);
  const std::string path = folder / "two.safetensors";
  const TempFolder outside;
  outside.write("blob", shard({"c"}));
  std::filesystem::remove(path);
  CHECK(folder.code() == "bad_shard");
  std::filesystem::create_symlink(outside / "blob", path);
  CHECK(folder.code() == "none");
  CHECK(code_of([&] { gov::CheckpointFiles::open(folder.path(), {{}, false}); }) == "bad_shard");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK(folder.code() == "bad_shard");
  std::filesystem::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(folder.code() == "bad_shard");
}

TEST_CASE("index and shards must agree") {
  CHECK(Sharded(good).code() == "none");
  // in its shard it is not
  CHECK(Sharded(R"("a":"one.safetensors","b":"one.safetensors","c":"one.safetensors")").code() ==
        "checkpoint_mismatch");
  CHECK(Sharded(good + R"(,"d":"two.safetensors")").error()->field() == "d");
  // in the shard but not in the index
  CHECK(Sharded(R"("a":"one.safetensors","c":"two.safetensors")").error()->field() == "b");
  CHECK(Sharded(good + R"(,"a":"two.safetensors")").code() == "duplicate_key");
  CHECK(Sharded(good + R"(,"\u0061":"two.safetensors")").code() == "duplicate_key");
  const Sharded twice(good);
  twice.write("two.safetensors", shard({"c", "a"}));
  const auto error = twice.error();
  REQUIRE(error);
  CHECK(error->code() == gov::Errc::checkpoint_mismatch);
  CHECK(error->field() == "a");
}

TEST_CASE("every length is checked before a weight is used") {
  for (const bool longer : {false, true}) {
    const Sharded folder(good);
    const std::string path = folder / "two.safetensors";
    std::filesystem::resize_file(
        path, std::filesystem::file_size(path) + (longer ? 1u : std::uintmax_t(-1)));
    const auto error = folder.error();
    REQUIRE(error);
    CHECK(error->code() == (longer ? gov::Errc::trailing_data : gov::Errc::file_truncated));
    CHECK(error->file() == path);
  }
}

TEST_CASE("all problems come at once") {
  Sharded folder(good + R"(,"d":"three.safetensors","e":"../e.safetensors","f":"one.safetensors")");
  folder.write("two.safetensors", "short");
  const auto error = folder.error();
  REQUIRE(error);
  CHECK(error->code() == gov::Errc::checkpoint_mismatch);
  for (const char* part :
       {"4 problems", "two.safetensors", "three.safetensors", "weight_map.e", ": f:"}) {
    CAPTURE(part);
    CHECK(error->found().find(part) != std::string::npos);
  }

  std::string many = good;
  for (int i = 0; i < 1000; ++i) many += ",\"t" + std::to_string(i) + "\":\"one.safetensors\"";
  const auto thousand = Sharded(many).error();
  REQUIRE(thousand);
  CHECK(thousand->found().starts_with("1000 problems"));
  CHECK(thousand->found().find("and 980 more") != std::string::npos);
}

TEST_CASE("the index itself may be anything") {
  const Sharded folder(good);
  const auto code = [&](const std::string& text) {
    folder.write(index_name, text);
    return folder.code();
  };
  CHECK(code("") == "bad_json");
  CHECK(code("[]") == "bad_type");
  CHECK(code("{}") == "missing_field");
  CHECK(code("{\"weight_map\":[]}") == "bad_type");
  CHECK(code("{\"weight_map\":null}") == "bad_type");
  CHECK(code("{\"weight_map\":{\"a\xff\":1}}") == "bad_utf8");
  CHECK(code(std::string(100000, '[')) == "too_deep");
  CHECK(code("{\"weight_map\":{" + good + "}}") == "none");  // no metadata
  CHECK(code("{\"metadata\":{\"total_size\":\"x\"},\"weight_map\":{" + good + "}}") == "none");
  CHECK(code("{\"metadata\":null,\"more\":1,\"weight_map\":{" + good + "}}") == "none");
  CHECK(code("{\"weight_map\":{}}") == "none");  // and no tensors: the model says what it misses
}

TEST_CASE("many entries cost what they weigh, many shards are refused") {
  std::vector<std::string> names;
  std::string map;
  for (int i = 0; i < 100'000; ++i) {
    names.push_back("t" + std::to_string(i));
    map += (i ? ",\"" : "\"") + names.back() + "\":\"one.safetensors\"";
  }
  const Sharded folder(map);
  folder.write("one.safetensors", shard(names));
  CHECK(gov::CheckpointFiles::open(folder.path()).tensors().size() == 100'000);

  map.clear();
  for (int i = 0; i < 100'000; ++i)
    map +=
        (i ? ",\"t" : "\"t") + std::to_string(i) + "\":\"s" + std::to_string(i) + ".safetensors\"";
  CHECK(Sharded(map).code() == "limit_exceeded");
}

}  // namespace sharded_test
