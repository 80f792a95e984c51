#include "gov/io/json.hpp"

#include <doctest/doctest.h>

#include "temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using gov::test::code_of;
using gov::test::error_of;

gov::Json parse(std::string_view text) { return gov::parse_json(text, "config.json"); }

constexpr std::string_view sample = R"({
  "model_type": "internvl",
  "text_config": {"hidden_size": 2880, "rope_parameters": {"factor": "big", "theta": 1.5e5, "n": -3},
                  "layer_types": ["full", "sliding", 7], "window": null},
  "flags": [true, false, [], {}, [[1, [2, {"deep": 3}]]]],
  "": 0
})";

}  // namespace

TEST_CASE("values are found by key and index") {
  const gov::Json json = parse(sample);
  CHECK(json.is_object());
  CHECK(json.size() == 4);
  CHECK(json.at("model_type").as_string() == "internvl");
  CHECK(json.at("text_config").at("hidden_size").as_int() == 2880);
  CHECK(json.at("text_config").at("rope_parameters").at("theta").as_double() == 150000.0);
  CHECK(json.at("text_config").at("rope_parameters").at("n").as_int() == -3);
  CHECK(json.at("flags").at(0).as_bool());
  CHECK_FALSE(json.at("flags").at(1).as_bool());
  CHECK(json.at("flags").at(2).empty());
  CHECK(json.at("flags").at(4).at(0).at(1).at(1).at("deep").as<int>() == 3);
  CHECK(json.at("").as_uint() == 0);
  CHECK_FALSE(json.find("absent"));
  CHECK_FALSE(json.at("flags").find("absent"));
  CHECK(json.find("text_config")->contains("window"));
}

TEST_CASE("a null is not an absent key") {
  const gov::Json json = parse(R"({"window": null, "size": 3, "rate": 2})");
  CHECK(json.contains("window"));
  CHECK(json.is_null_at("window"));
  CHECK_FALSE(json.has_value("window"));
  CHECK_FALSE(json.is_null_at("absent"));
  CHECK(json.get_or("absent", 4096) == 4096);
  CHECK(json.get_or("absent", "text") == "text");
  CHECK(json.get_or("size", 4096) == 3);
  CHECK(json.get_or("rate", 0.5) == 2.0);
  CHECK(json.get_or("absent", true));
  CHECK(code_of([&] { json.get_or("window", 4096); }) == "bad_type");
}

TEST_CASE("errors name the file and the whole path") {
  const gov::Json json = parse(sample);
  const auto field = [](auto call) {
    const auto error = error_of(call);
    REQUIRE(error);
    CHECK(error->file() == "config.json");
    return error->field();
  };
  const gov::Json text = json.at("text_config");
  CHECK(field([&] { text.at("rope_parameters").at("factor").as_double(); }) ==
        "text_config.rope_parameters.factor");
  CHECK(field([&] { text.at("layer_types").at(2).as_string(); }) == "text_config.layer_types[2]");
  CHECK(field([&] { text.at("absent"); }) == "text_config.absent");
  CHECK(field([&] { json.at("absent"); }) == "absent");
  CHECK(field([&] { text.at("layer_types").at(3); }) == "text_config.layer_types");
  CHECK(field([&] { json.at("flags").at(4).at(0).at(1).at(1).at("deep").as_bool(); }) ==
        "flags[4][0][1][1].deep");
  CHECK(field([&] { json.at("model_type").at("x"); }) == "model_type");
  CHECK(field([&] { json.as_int(); }) == "");
  CHECK(field([&] { text.at("hidden_size").fail(gov::Errc::bad_config, "a multiple of 64"); }) ==
        "text_config.hidden_size");
  const auto error = error_of([&] { text.get_or("window", 1); });
  CHECK(std::string_view(error->what()) ==
        "config.json: text_config.window: expected an integer, found null [bad_type]");
}

TEST_CASE("every node of a document knows its own path") {
  // walks down both ways: by handles, and by the path that each handle reports
  const gov::Json json = parse(sample);
  int visited = 0;
  const auto walk = [&](auto&& self, const gov::Json& node, const std::string& path) -> void {
    ++visited;
    CHECK(node.path() == path);
    if (node.is_object())
      for (const auto& [key, value] : node.items())
        self(self, value, path.empty() ? std::string(key) : path + "." + std::string(key));
    if (node.is_array())
      for (std::size_t i = 0; i < node.size(); ++i)
        self(self, node.at(i), path + "[" + std::to_string(i) + "]");
  };
  walk(walk, json, "");
  CHECK(visited == 26);
}

TEST_CASE("numbers keep their kind and their range") {
  const gov::Json json = parse(
      "[2, 2.0, -0, -0.0, 1e1, 9223372036854775807, 9223372036854775808, 18446744073709551615, "
      "18446744073709551616, -9223372036854775808, -9223372036854775809, 256, -129, 3000000000]");
  CHECK(json.at(0).is_integer());
  CHECK_FALSE(json.at(1).is_integer());
  CHECK(json.at(1).is_number());
  CHECK(json.at(2).is_negative_zero());
  CHECK_FALSE(json.at(0).is_negative_zero());
  CHECK_FALSE(json.at(3).is_integer());
  CHECK_FALSE(json.at(4).is_integer());
  CHECK(json.at(5).as_int() == 9223372036854775807);
  CHECK(json.at(7).as_uint() == 18446744073709551615u);
  CHECK(json.at(9).as_int() == std::numeric_limits<std::int64_t>::min());
  CHECK(json.at(8).as_double() == 18446744073709551616.0);
  const auto code = [](auto call) { return code_of(call); };
  CHECK(code([&] { json.at(1).as_int(); }) == "bad_number");
  CHECK(code([&] { json.at(6).as_int(); }) == "bad_number");
  CHECK(code([&] { json.at(8).as_uint(); }) == "bad_number");
  CHECK(code([&] { json.at(10).as_int(); }) == "bad_number");
  CHECK(code([&] { json.at(9).as_uint(); }) == "bad_number");
  CHECK(code([&] { json.at(2).as_uint(); }) == "bad_number");
  CHECK(code([&] { json.at(11).as<std::uint8_t>(); }) == "bad_number");
  CHECK(code([&] { json.at(12).as<std::int8_t>(); }) == "bad_number");
  CHECK(code([&] { json.at(13).as<int>(); }) == "bad_number");
  CHECK(json.at(13).as<unsigned>() == 3000000000u);
  CHECK(code([&] { parse("[\"1\"]").at(0).as_int(); }) == "bad_type");
  CHECK(parse("[1,2,3]").as_vector<int>() == std::vector{1, 2, 3});
  CHECK(parse("[\"a\",\"b\"]").as_vector<std::string>() == std::vector<std::string>{"a", "b"});
}

TEST_CASE("objects keep their order and find members at any size") {
  for (const int count : {0, 1, 8, 9, 100, 5000}) {
    std::string text = "{";
    for (int i = 0; i < count; ++i)
      text += (i ? ",\"" : "\"") + std::to_string(i * 7919 % 10007) + "\":" + std::to_string(i);
    const gov::Json json = parse(text + "}");
    REQUIRE(json.size() == static_cast<std::size_t>(count));
    int i = 0;
    for (const auto& [key, value] : json.items()) {
      REQUIRE(value.as_int() == i);
      REQUIRE(json.at(key).as_int() == i);
      ++i;
    }
    CHECK(i == count);
    CHECK_FALSE(json.find("-1"));
    CHECK_FALSE(json.find("99999"));
  }
}

TEST_CASE("a duplicate key is refused, also after unescaping and in large objects") {
  CHECK(code_of([] { parse(R"({"a":1,"a":1})"); }) == "duplicate_key");
  CHECK(code_of([] { parse(R"({"a":1,"\u0061":2})"); }) == "duplicate_key");
  CHECK(code_of([] { parse(R"([{"x":{"":1,"":2}}])"); }) == "duplicate_key");
  CHECK(code_of([] { parse(R"([{"a":1},{"a":1}])"); }) == "none");
  std::string text = "{\"k77\":0";
  for (int i = 0; i < 100; ++i) text += ",\"k" + std::to_string(i) + "\":1";
  const auto error = error_of([&] { parse(text + "}"); });
  REQUIRE(error);
  CHECK(error->code() == gov::Errc::duplicate_key);
  CHECK(error->field() == "k77");
}

TEST_CASE("a handle outlives the document it came from") {
  gov::Json inner;
  std::string_view name;
  {
    const gov::Json json = parse(sample);
    inner = json.at("text_config").at("layer_types");
    name = inner.at(1).as_string();
  }
  CHECK(name == "sliding");
  CHECK(inner.path() == "text_config.layer_types");
  CHECK(gov::Json().is_null());
  CHECK(code_of([] { gov::Json().as_int(); }) == "bad_type");
}

TEST_CASE("text too dense for its size is refused, before memory runs away") {
  std::string zeros = "[0";
  for (int i = 0; i < 8'000'000; ++i) zeros += ",0";
  CHECK(code_of([&] { parse(zeros + "]"); }) == "limit_exceeded");
  CHECK(parse(zeros.substr(0, 200'000) + "]").size() == 100'000);
  CHECK(code_of([] { parse(std::string(65, '[')); }) == "too_deep");
}

TEST_CASE("load_json reads a file under a limit") {
  const TempFolder folder;
  const std::string path = folder.write("a.json", "{\"a\": [1]}");
  CHECK(gov::load_json(path).at("a").at(0).as_int() == 1);
  CHECK(gov::load_json(path).file() == path);
  CHECK(code_of([&] { gov::load_json(path, {.text_bytes = 5}); }) == "limit_exceeded");
  CHECK(code_of([&] { gov::load_json(folder / "absent.json"); }) == "io_error");
}
