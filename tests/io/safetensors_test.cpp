#include "gov/io/safetensors.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <functional>
#include <limits>
#include <vector>

#include "advice_ops.hpp"
#include "faulty_file_ops.hpp"
#include "safetensors_bytes.hpp"
#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using gov::test::code_of;
using gov::test::error_of;

using namespace std::string_literals;

std::string repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

// A file of one tensor `a`: F32 [2] at [0, 8] but for what is given.
std::string with_name(std::string_view name) {
  return safetensors_bytes("{" + entry_json(name, "F32", "[2]", "0", "8") + "}", "01234567");
}
std::string with_shape(std::string_view shape, std::string_view dtype = "F32",
                       std::string_view end = "8", std::size_t data = 8) {
  return safetensors_bytes("{" + entry_json("a", dtype, shape, "0", end) + "}",
                           std::string(data, 'x'));
}
std::string with_offsets(std::string_view offsets, std::size_t data = 8) {
  return safetensors_bytes(
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" + std::string(offsets) + "}}",
      std::string(data, 'x'));
}
std::string with_dtype(std::string_view dtype) {  // JSON text
  return safetensors_bytes(
      "{\"a\":{\"dtype\":" + std::string(dtype) + ",\"shape\":[2],\"data_offsets\":[0,8]}}",
      "01234567");
}
std::string with_entry(std::string_view entry) {
  return safetensors_bytes("{\"a\":" + std::string(entry) + "}", "01234567");
}
std::string with_metadata(std::string_view metadata) {
  return safetensors_bytes("{\"__metadata__\":" + std::string(metadata) + "}");
}
const std::string good = entry_json("a", "F32", "[2]", "0", "8");

struct Case {
  int row;  // of the table of malformed inputs that this profile was written down in
  std::string what, expected, bytes;
};

// Nine U8 tensors of 2^61 - 2^30 bytes; the last end, which would pass 2^64, is `last`.
std::string nine_huge(const std::string& last) {
  constexpr std::uint64_t bytes = std::uint64_t{2147483647} * 1073741824;
  std::string header = "{";
  for (std::uint64_t i = 0; i < 9; ++i)
    header += (i ? "," : "") + entry_json("t" + std::to_string(i), "U8", "[2147483647,1073741824]",
                                          std::to_string(i * bytes),
                                          i == 8 ? last : std::to_string((i + 1) * bytes));
  return safetensors_bytes(header + "}", "x");
}

std::string many_on_one(int count, int bytes) {
  std::string header = "{";
  for (int i = 0; i < count; ++i)
    header +=
        (i ? "," : "") + entry_json("t" + std::to_string(i), "U8",
                                    "[" + std::to_string(bytes) + "]", "0", std::to_string(bytes));
  return safetensors_bytes(header + "}", std::string(static_cast<std::size_t>(bytes), 'x'));
}

std::vector<Case> cases() {
  const std::string whole = safetensors_bytes("{" + good + "}", "01234567");
  const std::string big_endian_length = "\0\0\0\0\0\0\0\x02"s;
  std::vector<Case> all{
      {1, "empty file", "header_too_small", ""},
      {2, "7 bytes", "header_too_small", "\2\0\0\0\0\0\0"s},
      {3, "a header of no bytes", "bad_json", little_endian(0)},
      {4, "a header longer than the file", "header_truncated", little_endian(1000) + "{}"},
      {5, "100,000,001", "header_too_large", little_endian(100'000'001) + "{}"},
      {6, "100,000,000 in ten bytes", "header_truncated", little_endian(100'000'000) + "{}"},
      {7, "2^64 - 1", "header_too_large", little_endian(~std::uint64_t{0}) + "{}"},
      {7, "2^63", "header_too_large", little_endian(std::uint64_t{1} << 63) + "{}"},
      {8, "big-endian length", "header_too_large", big_endian_length + "{}"},
      {9, "one data byte missing", "file_truncated", whole.substr(0, whole.size() - 1)},
      {10, "data absent", "file_truncated", whole.substr(0, whole.size() - 8)},
      {11, "one byte extra", "trailing_data", whole + "x"},
      {12, "ZIP end record behind", "trailing_data", whole + "PK\5\6" + std::string(18, '\0')},
      {13, "0xFF in a name", "bad_utf8", with_name("a\xff")},
      {14, "overlong UTF-8", "bad_utf8", with_name("\xc0\xaf")},
      {15, "a surrogate in UTF-8", "bad_utf8", with_name("\xed\xa0\x80")},
      {16, "a surrogate escaped, alone", "bad_json", with_name("\\ud800")},
      {17, "byte order mark", "bad_json", safetensors_bytes("\xef\xbb\xbf{}")},
      {17, "UTF-16 with mark", "bad_utf8", safetensors_bytes("\xff\xfe{\0}\0"s)},
      {17, "UTF-16 without mark", "bad_json", safetensors_bytes("{\0}\0"s)},
      {18, "U+0000 escaped in a name", "bad_name", with_name("a\\u0000")},
      {19, "raw NUL in a name", "bad_json", with_name("a\0b"s)},
      {19, "raw newline in a name", "bad_json", with_name("a\nb")},
      {20, "empty name", "bad_name", with_name("")},
      {20, "name of 513 bytes", "bad_name", with_name(std::string(513, 'n'))},
      {21, "name of a path", "none", with_name("../../x")},
      {22, "NUL bytes as padding", "bad_json",
       safetensors_bytes("{" + good + "}" + std::string(6, '\0'), "01234567")},
      {23, "blanks in front", "none", safetensors_bytes(" \t\n{" + good + "}", "01234567")},
      {24, "CR LF TAB behind", "none", safetensors_bytes("{" + good + "}\r\n\t", "01234567")},
      {25, "{}x", "bad_json", safetensors_bytes("{}x")},
      {25, "{}{}", "bad_json", safetensors_bytes("{}{}")},
      {26, "root is an array", "bad_json", safetensors_bytes("[]")},
      {26, "root is null", "bad_json", safetensors_bytes("null")},
      {26, "root is a string", "bad_json", safetensors_bytes("\"a\"")},
      {26, "root is a number", "bad_json", safetensors_bytes("1")},
      {27, "unclosed object", "bad_json", safetensors_bytes("{" + good, "01234567")},
      {27, "trailing comma", "bad_json", safetensors_bytes("{" + good + ",}", "01234567")},
      {27, "comment", "bad_json", safetensors_bytes("{/**/" + good + "}", "01234567")},
      {27, "single quotes", "bad_json", safetensors_bytes("{'a':1}")},
      {27, "NaN", "bad_json", with_shape("[NaN]")},
      {28, "200,000 arrays as a value", "too_deep",
       safetensors_bytes("{\"a\":" + repeat("[", 200'000) + repeat("]", 200'000) + "}")},
      {29, "100,000 arrays in an unknown field", "too_deep",
       with_entry("{\"x\":" + repeat("[", 100'000) + repeat("]", 100'000) + "}")},
      {30, "a name twice, the same entry", "duplicate_key",
       safetensors_bytes("{" + good + "," + good + "}", "01234567")},
      {31, "a name twice, other offsets", "duplicate_key",
       safetensors_bytes("{" + good + "," + entry_json("a", "F32", "[2]", "8", "16") + "}",
                         "0123456701234567")},
      {32, "a name and the same escaped", "duplicate_key",
       safetensors_bytes("{" + good + "," + entry_json("\\u0061", "F32", "[2]", "0", "8") + "}",
                         "01234567")},
      {33, "__metadata__ twice", "duplicate_key",
       safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})")},
      {34, "a key twice in __metadata__", "duplicate_key",
       with_metadata(R"({"k":"1","\u006b":"2"})")},
      {35, "dtype twice", "duplicate_key",
       with_entry(R"({"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})")},
      {35, "data_offsets twice", "duplicate_key",
       with_entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offsets":[0,8]})")},
      {36, "no dtype", "missing_field", with_entry(R"({"shape":[2],"data_offsets":[0,8]})")},
      {36, "no shape", "missing_field", with_entry(R"({"dtype":"F32","data_offsets":[0,8]})")},
      {36, "no data_offsets", "missing_field", with_entry(R"({"dtype":"F32","shape":[2]})")},
      {36, "nothing", "missing_field", with_entry("{}")},
      {37, "strides", "unknown_field",
       with_entry(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1]})")},
      {38, "entry as an array", "bad_type", with_entry(R"(["F32",[2],[0,8]])")},
      {38, "dtype as an object", "bad_type", with_dtype(R"({"F32":null})")},
      {39, "entry null", "bad_type", with_entry("null")},
      {40, "F128", "unknown_dtype", with_dtype("\"F128\"")},
      {40, "f32", "unknown_dtype", with_dtype("\"f32\"")},
      {40, "7", "unknown_dtype", with_dtype("7")},
      {40, "F32 and U+0000", "unknown_dtype", with_dtype("\"F32\\u0000\"")},
      {43, "shape a number", "bad_type", with_shape("2")},
      {43, "shape a string", "bad_type", with_shape("\"2\"")},
      {43, "shape null", "bad_type", with_shape("null")},
      {43, "shape an object", "bad_type", with_shape("{}")},
      {43, "shape a list of lists", "bad_type", with_shape("[[2]]")},
      {44, "a million axes", "rank_too_high", with_shape("[" + repeat("1,", 999'999) + "2]")},
      {44, "nine axes", "rank_too_high", with_shape("[1,1,1,1,1,1,1,1,2]")},
      {45, "one offset", "bad_offsets", with_offsets("[8]")},
      {45, "three offsets", "bad_offsets", with_offsets("[0,8,8]")},
      {45, "no offsets", "bad_offsets", with_offsets("[]")},
      {45, "float offsets", "bad_offsets", with_offsets("[0,8.0]")},
      {45, "a negative offset", "bad_offsets", with_offsets("[-8,0]")},
      {45, "a null offset", "bad_offsets", with_offsets("[0,null]")},
      {46, "offsets reversed", "bad_offsets", with_offsets("[8,0]")},
      {47, "end at 2^40", "size_mismatch", with_offsets("[0,1099511627776]")},
      {47, "end at 2^64 - 1", "size_mismatch", with_offsets("[0,18446744073709551615]")},
      {48, "first tensor not at 0", "hole", with_offsets("[8,16]", 16)},
      {49, "a hole between", "hole",
       safetensors_bytes("{" + good + "," + entry_json("b", "U8", "[1]", "9", "10") + "}",
                         "0123456789")},
      {50, "two on the same bytes", "overlap",
       safetensors_bytes("{" + good + "," + entry_json("b", "F32", "[2]", "0", "8") + "}",
                         "01234567")},
      {51, "two that overlap in part", "overlap",
       safetensors_bytes("{" + good + "," + entry_json("b", "F32", "[2]", "4", "12") + "}",
                         "0123456789ab")},
      {52, "1,000 on the same 160 KB", "overlap", many_on_one(1000, 160'000)},
      {53, "more elements than bytes", "size_mismatch", with_shape("[3]")},
      {53, "fewer elements than bytes", "size_mismatch", with_shape("[1]")},
      {53, "no element but bytes", "size_mismatch", with_shape("[0]")},
      {54, "[2, 2^64 - 2]", "overflow", with_shape("[2,18446744073709551614]", "I32")},
      {54, "[2, 2^63 - 1] I32", "overflow", with_shape("[2,9223372036854775807]", "I32")},
      {55, "wraps to 16 bytes", "overflow",
       with_shape("[4194305,4194305,211106198978564]", "F32", "16", 16)},
      {56, "wraps to nothing", "overflow", with_shape("[4294967296,4294967296]", "U8", "0", 0)},
      {57, "[0, 2^63, 4]", "dim_too_large", with_shape("[0,9223372036854775808,4]", "F32", "0", 0)},
      {58, "[2^63, 4, 0]", "dim_too_large", with_shape("[9223372036854775808,4,0]", "F32", "0", 0)},
      {58, "2^40 + 1", "dim_too_large", with_shape("[1099511627777]", "U8", "1099511627777", 0)},
      {59, "nine of about 2^61, the end stopped at 2^64 - 1", "size_mismatch",
       nine_huge("18446744073709551615")},
      {59, "nine of about 2^61, the end beyond 64 bits", "bad_offsets",
       nine_huge("18446744073709551616")},
      {59, "nine of about 2^61, the end wrapped", "bad_offsets", nine_huge("2305843000619663360")},
      {60, "three F4", "sub_byte_misaligned", with_shape("[3]", "F4", "1", 1)},
      {60, "three F6", "sub_byte_misaligned", with_shape("[3]", "F6_E2M3", "2", 2)},
      {61, "F32 at an odd place", "none",
       safetensors_bytes("{" + entry_json("b", "U8", "[1]", "0", "1") + "," +
                             entry_json("a", "F32", "[2]", "1", "9") + "}",
                         "x01234567")},
      {62, "a number in __metadata__", "bad_metadata", with_metadata(R"({"k":1})")},
      {62, "null in __metadata__", "bad_metadata", with_metadata(R"({"k":null})")},
      {62, "an object in __metadata__", "bad_metadata", with_metadata(R"({"k":{}})")},
      {62, "a list in __metadata__", "bad_metadata", with_metadata(R"({"k":["v"]})")},
      {62, "__metadata__ a list", "bad_metadata", with_metadata("[]")},
      {62, "__metadata__ a string", "bad_metadata", with_metadata("\"x\"")},
      {63, "__metadata__ null", "bad_metadata", with_metadata("null")},
      {64, "__metadata__ as a tensor", "bad_metadata",
       safetensors_bytes("{" + entry_json("__metadata__", "F32", "[2]", "0", "8") + "}",
                         "01234567")},
      {65, "NaN and infinity", "none",
       safetensors_bytes("{" + good + "}", "\0\0\xc0\x7f\0\0\x80\x7f"s)},
      {65, "a BOOL of 2", "none", with_shape("[1]", "BOOL", "1", 1)},
      // the controls that must load
      {0, "{}", "none", safetensors_bytes("{}")},
      {0, "metadata only", "none", with_metadata(R"({"k":"v"})")},
      {0, "a scalar", "none", with_shape("[]", "F64")},
      {0, "no elements", "none", with_shape("[0,4]", "F32", "0", 0)},
      {0, "names not in the order of offsets", "none",
       safetensors_bytes("{" + entry_json("z", "U8", "[2]", "1", "3") + "," +
                             entry_json("b", "U8", "[1]", "0", "1") + "}",
                         "xyz")},
      {0, "four F4", "none", with_shape("[4]", "F4", "2", 2)},
      {0, "four F6", "none", with_shape("[4]", "F6_E3M2", "3", 3)},
      {0, "eight axes", "none", with_shape("[1,1,1,1,1,1,1,2]")},
      {0, "name of 512 bytes", "none", with_name(std::string(512, 'n'))},
      {0, "2^40", "file_truncated", with_shape("[1099511627776]", "U8", "1099511627776", 0)},
  };
  for (const char* extent : {"-1", "-0", "2.0", "1e1", "\"2\"", "true", "null", "02"})
    all.push_back({41, "extent "s + extent, "bad_number", with_shape("["s + extent + "]")});
  for (const char* extent : {"18446744073709551616", "1e400", "-18446744073709551616"})
    all.push_back({42, "extent "s + extent, "bad_number", with_shape("["s + extent + "]")});
  return all;
}

std::vector<std::byte> read_all(const gov::SafeTensors& file, std::string_view name) {
  std::vector<std::byte> bytes(file.at(name).bytes);
  file.read(file.at(name), bytes);
  return bytes;
}

}  // namespace

TEST_CASE("malformed files get the error that names what is wrong") {
  const TempFolder folder;
  const std::string path = folder / "test.safetensors";
  std::vector<bool> covered(69);
  for (const Case& c : cases()) {
    CAPTURE(c.row);
    CAPTURE(c.what);
    folder.write("test.safetensors", c.bytes);
    const auto error = error_of([&] { gov::SafeTensors::open(path); });
    CHECK((error ? std::string(gov::to_string(error->code())) : "none") == c.expected);
    if (error) {
      CHECK(error->file() == path);
      CHECK(std::string_view(error->what()).size() < 2000);
      for (const char byte :
           std::string_view(error->what()))  // no control bytes of the file come out
        CHECK(static_cast<unsigned char>(byte) >= 0x20);
    }
    covered[static_cast<std::size_t>(c.row)] = true;
  }
  // row 66: the file shrinks after it was opened
  {
    folder.write("test.safetensors", with_name("a"));
    const gov::SafeTensors file = gov::SafeTensors::open(path);
    std::filesystem::resize_file(path, file.header().data_start() + 3);
    CHECK(code_of([&] { read_all(file, "a"); }) == "io_error");
    covered[66] = true;
  }
  // row 67: no regular file
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  std::filesystem::create_symlink("loop", folder / "loop");
  for (const std::string& not_a_file :
       {folder / "fifo", folder.path().string(), folder / "loop", folder / "absent", "/dev/zero"s})
    CHECK(code_of([&] { gov::SafeTensors::open(not_a_file); }) == "io_error");
  covered[67] = true;
  // row 68: reads that fail, stop short or are interrupted
  folder.write("test.safetensors", with_name("a"));
  for (const bool for_ever : {false, true})
    for (int k = 1;; ++k) {
      Faults::set(Faults::Kind::error, EIO, k, for_ever);
      std::vector<std::byte> bytes;
      const std::string code = code_of(
          [&] { bytes = read_all(gov::SafeTensors::open(path, {}, faulty_file_ops), "a"); });
      CHECK(Faults::open_files == 0);
      if (code == "none") {
        CHECK(k > 5);  // open, fstat, three reads
        CHECK(bytes[7] == std::byte{'7'});
        break;
      }
      CHECK(code == "io_error");
      REQUIRE(k < 20);
    }
  for (const auto kind : {Faults::Kind::short_count, Faults::Kind::interrupted})
    for (int k = 1; k < 8; ++k) {
      Faults::set(kind, 0, k, kind == Faults::Kind::short_count);
      CHECK(read_all(gov::SafeTensors::open(path, {}, faulty_file_ops), "a")[7] == std::byte{'7'});
    }
  covered[68] = true;
  for (std::size_t row = 1; row < covered.size(); ++row) {
    CAPTURE(row);
    CHECK(covered[row]);
  }
}

TEST_CASE("tensors are copied, whole and in part, and shown when mapped") {
  const TempFolder folder;
  const std::string path = folder.write(
      "a.safetensors", safetensors_bytes("{" + entry_json("b", "U8", "[1]", "0", "1") + "," +
                                             entry_json("a", "F32", "[2]", "1", "9") + "}",
                                         "x01234567"));
  for (const bool map : {false, true}) {
    const gov::SafeTensors file = gov::SafeTensors::open(path, {.map = map});
    CHECK(file.is_mapped() == map);
    CHECK(read_all(file, "a").front() == std::byte{'0'});
    std::vector<std::byte> part(3);
    file.read_part(file.at("a"), 5, part);
    CHECK(part[2] == std::byte{'7'});
    CHECK(code_of([&] { file.read_part(file.at("a"), 6, part); }) == "bad_argument");
    CHECK(code_of([&] { file.read_part(file.at("a"), ~std::uint64_t{0}, part); }) ==
          "bad_argument");
    CHECK(code_of([&] { file.read(file.at("a"), part); }) == "size_mismatch");
    CHECK(code_of([&] { file.at("c"); }) == "checkpoint_mismatch");
    if (map) {
      CHECK(file.view(file.at("a")).size() == 8);
      CHECK(file.view(file.at("a"))[7] == std::byte{'7'});
    } else {
      CHECK(code_of([&] { file.view(file.at("a")); }) == "bad_argument");
    }
  }
}

TEST_CASE("check_finite names the tensor and the index") {
  const TempFolder folder;
  struct Float {
    std::string dtype;
    std::vector<std::string> finite, infinite;  // little-endian bytes
  };
  const std::vector<Float> floats{
      {"F32",
       {"\0\0\x80\x3f"s, "\xff\xff\x7f\x7f"s},
       {"\0\0\x80\x7f"s, "\0\0\x80\xff"s, "\1\0\x80\x7f"s}},
      {"BF16", {"\x80\x3f"s, "\x7f\x7f"s}, {"\x80\x7f"s, "\x80\xff"s, "\xc0\x7f"s}},
      {"F16", {"\0\x3c"s, "\xff\x7b"s}, {"\0\x7c"s, "\0\xfc"s, "\1\x7c"s}},
      {"F64", {"\0\0\0\0\0\0\xf0\x3f"s}, {"\0\0\0\0\0\0\xf0\x7f"s, "\1\0\0\0\0\0\xf0\xff"s}},
      {"C64",
       {"\0\0\x80\x3f\0\0\x80\x3f"s},
       {"\0\0\x80\x3f\0\0\x80\x7f"s, "\0\0\xc0\x7f\0\0\0\0"s}},
      {"I32", {"\0\0\x80\x7f"s}, {}},
  };
  for (const Float& f : floats) {
    CAPTURE(f.dtype);
    const std::size_t count = 300'001;  // more than one piece
    const auto file_with = [&](std::size_t index, const std::string& value) {
      std::string data = repeat(f.finite[0], count);
      data.replace(index * value.size(), value.size(), value);
      return folder.write(
          "a.safetensors",
          safetensors_bytes("{" +
                                entry_json("w", f.dtype, "[" + std::to_string(count) + "]", "0",
                                           std::to_string(data.size())) +
                                "}",
                            data));
    };
    for (const std::string& value : f.finite)
      CHECK_NOTHROW(gov::SafeTensors::open(file_with(7, value), {.check_finite = true}));
    for (const std::string& value : f.infinite)
      for (const std::size_t index : {std::size_t{0}, std::size_t{262'144}, count - 1}) {
        const std::string path = file_with(index, value);
        CHECK_NOTHROW(gov::SafeTensors::open(path));
        const auto error = error_of([&] { gov::SafeTensors::open(path, {.check_finite = true}); });
        REQUIRE(error);
        CHECK(error->code() == gov::Errc::not_finite);
        CHECK(error->field() == "w");
        CHECK(error->found() == "NaN or infinity at index " + std::to_string(index));
      }
  }
}

TEST_CASE("hints about a tensor name its place in the file") {
  const TempFolder folder;
  const std::string bytes = with_name("a");
  const auto tensors = gov::SafeTensors::open(folder.write("a.safetensors", bytes), {}, advice_ops);
  const auto start = static_cast<off_t>(bytes.size() - 8), all = static_cast<off_t>(bytes.size());
  given_advice.clear();
  tensors.will_need(tensors.at("a"), 2, 5);
  tensors.drop_pages(tensors.at("a"), 0, 8);
  tensors.drop_pages();
  CHECK(given_advice == std::vector<Advice>{{POSIX_FADV_WILLNEED, start + 2, 5},
                                            {POSIX_FADV_DONTNEED, start, 8},
                                            {POSIX_FADV_DONTNEED, 0, all}});
}
