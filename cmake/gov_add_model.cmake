# gov_add_model and gov_add_tool: from a checkpoint's config.json to a C++ type, and from such types
# to the command-line tool. Part of the installed package.

# gov_add_model(<Name> CONFIG <checkpoint folder or config.json> [STORAGE <storage>])
#
# Writes <Name>.hpp, which defines the Config type <Name>, at build time, and again when the file
# changes. Link gov_model_<Name> and `#include "<Name>.hpp"`.
function(gov_add_model name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CONFIG;STORAGE" "")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_CONFIG)
    message(FATAL_ERROR "use gov_add_model(<Name> CONFIG <checkpoint folder or config.json> "
                        "[STORAGE <storage>])")
  endif()
  if(NOT name MATCHES "^[A-Za-z][A-Za-z0-9_]*$")
    message(FATAL_ERROR "gov_add_model: \"${name}\" cannot be the name of a C++ type")
  endif()
  cmake_path(ABSOLUTE_PATH arg_CONFIG NORMALIZE OUTPUT_VARIABLE config)
  if(IS_DIRECTORY "${config}")
    cmake_path(APPEND config config.json)
  endif()
  if(NOT EXISTS "${config}")
    message(FATAL_ERROR "gov_add_model(${name}): there is no ${config}")
  endif()

  if(NOT TARGET gov_config)
    add_executable(gov_config EXCLUDE_FROM_ALL "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/gov_config.cpp")
    target_link_libraries(gov_config PRIVATE gov::gov)
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/gov_models")
  file(MAKE_DIRECTORY "${folder}")
  set(command gov_config --name ${name} --config "${config}" --output "${folder}/${name}.hpp")
  if(arg_STORAGE)
    list(APPEND command --storage ${arg_STORAGE})
  endif()
  add_custom_command(OUTPUT "${folder}/${name}.hpp" COMMAND ${command}
    DEPENDS gov_config "${config}" COMMENT "Writing ${name}.hpp from ${config}" VERBATIM)
  add_custom_target(gov_model_${name}_header DEPENDS "${folder}/${name}.hpp")
  add_library(gov_model_${name} INTERFACE)
  add_dependencies(gov_model_${name} gov_model_${name}_header)
  target_include_directories(gov_model_${name} INTERFACE "${folder}")
  target_link_libraries(gov_model_${name} INTERFACE gov::gov)
endfunction()

# gov_add_tool(<target> MODELS <Name>... | <header>::<Type>...)
#
# Makes the command-line tool for those models: names from gov_add_model, or types from a header, as
# in gov/language/gpt_oss.hpp::gov::GptOss20b. It reads video files where gov::ffmpeg is known.
function(gov_add_tool target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "MODELS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_MODELS)
    message(FATAL_ERROR "use gov_add_tool(<target> MODELS <Name>... | <header>::<Type>...)")
  endif()
  set(includes "")
  set(headers "")
  set(types "")
  set(libraries "")
  foreach(model IN LISTS arg_MODELS)
    if(model MATCHES "^(.+[.](hpp|hh|h))::(.+)$")
      set(header "${CMAKE_MATCH_1}")
      set(type "${CMAKE_MATCH_3}")
    elseif(TARGET gov_model_${model})
      set(header "${model}.hpp")
      set(type "${model}")
      list(APPEND libraries gov_model_${model})
    else()
      message(FATAL_ERROR "gov_add_tool(${target}): \"${model}\" is neither <header>::<Type> nor a "
        "model that is known here: call gov_add_model(${model} CONFIG ...) before gov_add_tool")
    endif()
    string(APPEND includes "#include \"${header}\"\n")
    list(APPEND headers "${header}")
    list(APPEND types "${type}")
  endforeach()
  list(JOIN types ", " joined)
  set(videos "")
  if(TARGET gov::ffmpeg)
    set(videos "#include <gov/image/video_file.hpp>\n")
    list(APPEND libraries gov::ffmpeg)
  endif()

  # Each model in a file of its own: they compile at the same time.
  set(stem "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  set(declared "")
  set(sources "${stem}_main.cpp")
  foreach(type header IN ZIP_LISTS types headers)
    string(APPEND declared "GOV_TOOL_COMMANDS(extern, ${type})\n")
    string(MAKE_C_IDENTIFIER "${type}" file)
    file(CONFIGURE OUTPUT "${stem}_${file}.cpp" @ONLY CONTENT [[
// Written by gov_add_tool(@target@).
#include <gov/tool/commands.hpp>

#include "@header@"
@videos@
GOV_TOOL_COMMANDS(, @type@)
]])
    list(APPEND sources "${stem}_${file}.cpp")
  endforeach()
  file(CONFIGURE OUTPUT "${stem}_main.cpp" @ONLY CONTENT [[
// Written by gov_add_tool(@target@).
#include <gov/tool/tool.hpp>

@includes@@videos@
@declared@
int main(int argc, char** argv) { return gov::tool::main<@joined@>(argc, argv); }
]])

  find_package(CLI11 REQUIRED)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE gov::kernels CLI11::CLI11 ${libraries})
endfunction()
