// What the tool does with a model, each a function template of its type, so that a program of many
// types can compile every one in a file of its own (gov_add_tool):
//   in main's file   GOV_TOOL_COMMANDS(extern, Type)
//   in Type's        GOV_TOOL_COMMANDS(, Type)
#pragma once

#include "gov/tool/bench.hpp"
#include "gov/tool/convert.hpp"
#include "gov/tool/dump.hpp"
#include "gov/tool/generate.hpp"

#define GOV_TOOL_COMMANDS(prefix, ...)                                         \
  namespace gov::tool {                                                        \
  prefix template int generate_command<__VA_ARGS__>(const GenerateArguments&); \
  prefix template int dump_command<__VA_ARGS__>(const DumpArguments&);         \
  prefix template int bench_command<__VA_ARGS__>(BenchArguments);              \
  prefix template int convert_command<__VA_ARGS__>(const ConvertArguments&);   \
  }
