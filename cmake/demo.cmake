# Builds the command-line tool and lets the shipped tiny model read the shipped pictures:
#   cmake -P cmake/demo.cmake
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/packages.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/build.cmake")

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)
set(digits "${root}/examples/digits")
gov_command_line_options(options)
gov_install_packages(build)
gov_build("${root}" "${root}/build/demo" TARGETS gov_tool score_digits OPTIONS
  -DCMAKE_BUILD_TYPE=Release -DGOV_BUILD_TESTS=OFF -DGOV_BUILD_BENCHMARKS=OFF ${options})

# questions.txt: one picture and its question per line, "scene_01.png Which digits do you see?".
file(STRINGS "${digits}/questions.txt" questions)
foreach(line IN LISTS questions)
  string(REGEX MATCH "^([^ ]+) +(.*)$" _ "${line}")
  message("\n${CMAKE_MATCH_1}: ${CMAKE_MATCH_2}")
  execute_process(COMMAND "${root}/build/demo/bin/gov" generate --model "${digits}/model"
    --image "${digits}/${CMAKE_MATCH_1}" --prompt "${CMAKE_MATCH_2}" --greedy
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()

message("\nThe score on the held-out scenes:")
execute_process(COMMAND "${root}/build/demo/bin/score_digits" "${digits}" COMMAND_ERROR_IS_FATAL ANY)
