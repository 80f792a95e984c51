# Precompiles the headers of whole models; see CMakeLists.txt.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/compile.cmake")
execute_process(COMMAND ${compile} ${OPTIONS} -x c++-header "${MODELS}" -o "${MODELS}.gch" COMMAND_ERROR_IS_FATAL ANY)
