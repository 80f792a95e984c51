# What the library costs a build:
#   each public header alone, parsed only (best of two), slowest first; those over BUDGET milliseconds are marked
#   whole programs, optimised: the umbrella header, one model that is loaded and asked, every preset so
#
#   cmake [-DCOMPILER=clang++-14] [-DBUDGET=1500] [-DONLY=headers|programs|umbrella] [-DJSON=F] -P benchmarks/compile_time.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT COMPILER)
  set(COMPILER c++)
endif()
if(NOT BUDGET)
  set(BUDGET 1500)
endif()
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)
find_path(eigen Eigen/Core HINTS /usr/include /usr/local/include PATH_SUFFIXES eigen3 REQUIRED)
set(compile ${COMPILER} -std=c++20 "-I${root}/include" -isystem "${eigen}")

function(milliseconds result repetitions)  # of a command, the best
  set(best 100000000)
  foreach(_ RANGE 1 ${repetitions})
    string(TIMESTAMP start "%s%f")
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status ERROR_VARIABLE report OUTPUT_QUIET)
    string(TIMESTAMP end "%s%f")
    if(status)
      message(FATAL_ERROR "${report}")
    endif()
    math(EXPR time "(${end} - ${start}) / 1000")
    if(time LESS best)
      set(best ${time})
    endif()
  endforeach()
  set(${result} ${best} PARENT_SCOPE)
endfunction()

function(row result time text)  # "  1234 ms text"
  string(LENGTH "${time}" digits)
  math(EXPR pad "7 - ${digits}")
  string(REPEAT " " ${pad} blanks)
  set(${result} "${blanks}${time} ms ${text}" PARENT_SCOPE)
endfunction()

set(json "")
macro(record kind name time)
  string(APPEND json "  {\"kind\": \"${kind}\", \"name\": \"${name}\", \"milliseconds\": ${time}},\n")
endmacro()

if(NOT ONLY OR ONLY STREQUAL "headers")
  file(GLOB_RECURSE headers RELATIVE "${root}/include" "${root}/include/gov/*.hpp")
  set(rows "")
  foreach(header ${headers})
    set(ffmpeg "")
    if(header MATCHES "image/(ffmpeg|video_file)[.]hpp$")
      set(ffmpeg -DGOV_WITH_FFMPEG)
    endif()
    milliseconds(time 2 ${compile} ${ffmpeg} -fsyntax-only -x c++ -include ${header} /dev/null)
    set(mark " ")
    if(time GREATER BUDGET)
      set(mark "*")
    endif()
    row(line ${time} "${mark} ${header}")
    list(APPEND rows "${line}")
    record(header ${header} ${time})
  endforeach()
  list(SORT rows ORDER DESCENDING)
  list(JOIN rows "\n" rows)
  message("each header alone, parsed only:\n${rows}")
endif()

# Programs that use a model as the README's does.
function(program file)  # (<file> <type>...)
  set(calls "")
  foreach(type ${ARGN})
    string(APPEND calls "  if (folder == ${type}::name) ask<${type}>(folder);\n")
  endforeach()
  file(CONFIGURE OUTPUT "${file}" @ONLY CONTENT [[
#include <gov/gov.hpp>
#include <iostream>
template <class Cfg>
void ask(const std::string& folder) {
  auto model = gov::GovModel<Cfg>::from_pretrained(folder);
  auto chat = model.chat();
  const auto print = [](std::string_view text) { std::cout << text << std::flush; };
  if constexpr (gov::Multimodal<Cfg>)
    chat.ask("What is it?", gov::image("it.jpg"), {.max_new_tokens = 8, .on_token = print});
  else
    chat.ask("What is it?", {.max_new_tokens = 8, .on_token = print});
}
int main(int, char** argv) {
  const std::string folder = argv[1];
@calls@}
]])
endfunction()

if(NOT ONLY OR ONLY MATCHES "^(programs|umbrella)$")
  if(DEFINED ENV{TMPDIR})
    set(folder "$ENV{TMPDIR}")
  else()
    set(folder "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  string(RANDOM unique)
  set(folder "${folder}/gov_compile_time_${unique}")
  file(MAKE_DIRECTORY "${folder}")
  file(WRITE "${folder}/umbrella.cpp" "#include <gov/gov.hpp>\nint main() {}\n")
  set(programs umbrella "the umbrella header")
  if(NOT ONLY STREQUAL "umbrella")
    # Every Config with a name in the headers that hold the published geometries.
    set(presets "")
    foreach(header language/gpt_oss model/presets)
      file(STRINGS "${root}/include/gov/${header}.hpp" lines REGEX "string_view name = \"")
      foreach(line ${lines})
        string(REGEX REPLACE ".*name = \"([A-Za-z0-9_]+)\".*" "gov::\\1" type "${line}")
        list(APPEND presets ${type})
      endforeach()
    endforeach()
    list(LENGTH presets count)
    program("${folder}/one.cpp" gov::InternVl35GptOss20b)
    program("${folder}/all.cpp" ${presets})
    list(APPEND programs one "one model, loaded and asked" all "all ${count} presets, loaded and asked")
  endif()
  message("programs, -O2:")
  while(programs)
    list(POP_FRONT programs name text)
    milliseconds(time 1 ${compile} -O2 -c "${folder}/${name}.cpp" -o "${folder}/${name}.o")
    row(line ${time} " ${text}")
    message("${line}")
    record(program "${text}" ${time})
  endwhile()
  file(REMOVE_RECURSE "${folder}")
endif()

if(JSON)
  string(REGEX REPLACE ",\n$" "\n" json "${json}")
  execute_process(COMMAND ${COMPILER} --version OUTPUT_VARIABLE version)
  string(REGEX MATCH "^[^\n]*" version "${version}")
  string(REPLACE "\\" "" version "${version}")
  string(REPLACE "\"" "" version "${version}")
  file(WRITE "${JSON}" "{\"compiler\": \"${version}\", \"rows\": [\n${json}]}\n")
endif()
