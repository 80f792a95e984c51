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

# pictures/expected.json names the pictures and holds two questions about each.
file(READ "${digits}/pictures/expected.json" expected)
string(JSON count LENGTH "${expected}" cases)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON picture GET "${expected}" cases ${i} picture)
  string(JSON question GET "${expected}" cases ${i} question)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo "\n${picture}: ${question}")
  execute_process(COMMAND "${root}/build/demo/bin/gov" generate --model "${digits}/model" --greedy
    --image "${digits}/pictures/${picture}" --prompt "${question}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()

execute_process(COMMAND ${CMAKE_COMMAND} -E echo "\nThe score on the held-out scenes:")
execute_process(COMMAND "${root}/build/demo/bin/score_digits" "${digits}" COMMAND_ERROR_IS_FATAL ANY)
