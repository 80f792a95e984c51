#include "gov/io/safetensors_header.hpp"

#include <doctest/doctest.h>

#include <set>

#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace safetensors_header_test {

using gov::test::code_of;
using gov::test::error_of;

gov::SafeTensorsHeader parse(std::string_view bytes) {
  return gov::SafeTensorsHeader::parse(as_byte_span(bytes), bytes.size(), "test.safetensors");
}

// Everything that a header says, in one string; and the laws that hold for any accepted one.
std::string meaning(const gov::SafeTensorsHeader& header, std::string_view bytes) {
  std::string text;
  for (const auto& [key, value] : header.metadata()) text += key + "=" + value + ";";
  std::uint64_t end = 0;
  for (const gov::TensorEntry& entry : header.entries()) {
    CHECK(entry.offset == end);
    end += entry.bytes;
    CHECK(static_cast<std::uint64_t>(entry.element_count()) * gov::bits_of(entry.dtype) ==
          entry.bytes * 8);
    CHECK(header.find(entry.name) == &entry);
    text += entry.name + " " + std::string(gov::to_string(entry.dtype)) + " [";
    for (const gov::index_t extent : entry.shape) text += std::to_string(extent) + ",";
    text += "] " + std::string(bytes.substr(header.data_start() + entry.offset, entry.bytes)) + ";";
  }
  CHECK(end == header.data_bytes());
  CHECK(header.data_start() + header.data_bytes() == bytes.size());
  return text;
}

const std::string small_file = safetensors_bytes(
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
    R"("a.weight":{"dtype":"BF16","shape":[1,3],"data_offsets":[8,14]},)"
    R"("e":{"dtype":"U8","shape":[0],"data_offsets":[14,14]},"s":{"dtype":"I8","shape":[],)"
    R"("data_offsets":[14,15]}}   )",
    "01234567abcdefZ");

TEST_CASE("a header tells names, dtypes, shapes, places and metadata") {
  const gov::SafeTensorsHeader header = parse(small_file);
  CHECK(meaning(header, small_file) ==
        "format=pt;b F32 [2,] 01234567;a.weight BF16 [1,3,] abcdef;e U8 [0,] ;s I8 [] Z;");
  CHECK(header.find("a.weight")->offset == 8);
  CHECK(header.find("a") == nullptr);
  CHECK(header.find("__metadata__") == nullptr);
  CHECK(header.find("zz") == nullptr);
}

TEST_CASE("every dtype is known by its exact name and size") {
  for (const gov::DTypeInfo& info : gov::dtype_table) {
    const std::string bytes = std::to_string(info.bits);  // 8 elements
    const std::string file =
        safetensors_bytes("{" + entry_json("t", info.name, "[8]", "0", bytes) + "}",
                          std::string(static_cast<std::size_t>(info.bits), 'x'));
    CHECK(parse(file).find("t")->dtype == info.dtype);
  }
}

TEST_CASE("every cut of a file is refused") {
  for (std::size_t length = 0; length < small_file.size(); ++length) {
    CAPTURE(length);
    CHECK(code_of([&] { parse(std::string_view(small_file).substr(0, length)); }) != "none");
  }
}

TEST_CASE("every flipped bit is refused, or is plain to see in what the header says") {
  int refused = 0, visible = 0;
  for (std::size_t bit = 0; bit < small_file.size() * 8; ++bit) {
    std::string flipped = small_file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    std::string found;
    const auto error = error_of([&] { found = meaning(parse(flipped), flipped); });
    if (error) {
      ++refused;
      continue;
    }
    ++visible;
    // either blanks turned into other blanks, or a letter of a name, a value or the data changed
    CHECK(found.size() == meaning(parse(small_file), small_file).size());
  }
  CHECK(refused + visible == static_cast<int>(small_file.size() * 8));
  CHECK(refused > 5 * visible / 2);
}

TEST_CASE("mistakes name the file and the tensor") {
  const auto error = error_of([] {
    parse(safetensors_bytes("{" + entry_json("ok", "U8", "[1]", "0", "1") + "," +
                                entry_json("layers.3.weight", "F32", "[3]", "1", "9") + "}",
                            "123456789"));
  });
  REQUIRE(error);
  CHECK(std::string_view(error->what()) ==
        "test.safetensors: layers.3.weight: expected 12 bytes, as shape and dtype say, found 8 "
        "[size_mismatch]");
}

TEST_CASE("text that is broken or too deep is called so, whatever else is wrong before it") {
  const auto code = [](std::string_view header) {
    return code_of([&] { parse(safetensors_bytes(header)); });
  };
  CHECK(code(R"({"a":{"strides":1},})") == "bad_json");
  CHECK(code(R"({"":[],"a":)" + std::string(200, '[')) == "too_deep");
  CHECK(code(R"({"a":3,"a":3})") == "bad_type");
  CHECK(code("{\"a\":3,\"b\":\"\xff\"}") == "bad_utf8");
}

TEST_CASE("a header of many tensors keeps them all") {
  std::string header = "{", data;
  for (int i = 0; i < 20000; ++i) {
    header += (i ? "," : "") + entry_json("t" + std::to_string(i * 7919 % 20011), "U8", "[1]",
                                          std::to_string(i), std::to_string(i + 1));
    data += static_cast<char>('a' + i % 26);
  }
  const std::string file = safetensors_bytes(header + "}", data);
  const gov::SafeTensorsHeader parsed = parse(file);
  CHECK(parsed.entries().size() == 20000);
  CHECK(parsed.find("t7919")->offset == 1);
}

}  // namespace safetensors_header_test
