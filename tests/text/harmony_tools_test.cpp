#include "gov/text/harmony_tools.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/chat_fixture.hpp"

using namespace gov;
using namespace gov::test;

TEST_CASE("every shape of schema reads as in the published template") {
  int compared = 0;
  for (const ChatCase& chat : chat_cases("harmony")) {
    if (chat.harmony.tools.empty()) continue;
    ++compared;
    const std::string text = render_harmony_tools(chat.harmony.tools);
    CHECK(chat.text.find("# Tools\n\n" + text + "<|end|>") != std::string::npos);
  }
  CHECK(compared >= 8);
}

TEST_CASE("tools come with or without their wrapper") {
  const Json wrapped = parse_json(
      R"({"type": "function",
          "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}})",
      "tools");
  const std::vector<HarmonyTool> tools = {HarmonyTool::from_json(wrapped),
                                          HarmonyTool::from_json(wrapped.at("function"))};
  CHECK(render_harmony_tools(tools) ==
        "## functions\n\nnamespace functions {\n\n// d\ntype f = () => any;\n\n// d\ntype f = () "
        "=> any;"
        "\n\n} // namespace functions");
  CHECK_THROWS_AS(HarmonyTool::from_json(parse_json(R"({"description": "d"})", "tools")),
                  const Error&);
  CHECK_THROWS_AS(HarmonyTool::from_json(parse_json("[]", "tools")), const Error&);
}

TEST_CASE("floats are written as Python does") {
  using harmony_detail::python_float;
  CHECK(python_float(1) == "1.0");
  CHECK(python_float(-0.0) == "-0.0");
  CHECK(python_float(0.1) == "0.1");
  CHECK(python_float(1e15) == "1000000000000000.0");
  CHECK(python_float(1e16) == "1e+16");
  CHECK(python_float(0.0001) == "0.0001");
  CHECK(python_float(0.00001) == "1e-05");
  CHECK(python_float(1.5e300) == "1.5e+300");
  CHECK(python_float(123456.789) == "123456.789");
}
