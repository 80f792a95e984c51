# What the scripts test.cmake and demo.cmake, and the tests that build something, have in common.

# Parallel jobs of a build: one per core, and 2 GB of memory for each.
function(gov_build_jobs result)
  cmake_host_system_information(RESULT jobs QUERY NUMBER_OF_LOGICAL_CORES)
  cmake_host_system_information(RESULT memory QUERY TOTAL_PHYSICAL_MEMORY)
  math(EXPR most "${memory} / 2048")
  if(jobs GREATER most)
    set(jobs ${most})
  endif()
  if(jobs LESS 1)
    set(jobs 1)
  endif()
  set(${result} ${jobs} PARENT_SCOPE)
endfunction()

# The -D options on this script's command line, before or after -P.
function(gov_command_line_options result)
  set(options "")
  set(i 1)
  while(i LESS CMAKE_ARGC)
    if(CMAKE_ARGV${i} STREQUAL "-D")
      math(EXPR i "${i} + 1")
      list(APPEND options "-D${CMAKE_ARGV${i}}")
    elseif(CMAKE_ARGV${i} MATCHES "^-D")
      list(APPEND options "${CMAKE_ARGV${i}}")
    endif()
    math(EXPR i "${i} + 1")
  endwhile()
  set(${result} "${options}" PARENT_SCOPE)
endfunction()

# gov_build(<source> <folder> [OPTIONS -D...] [TARGETS ...]): configures and builds, or stops.
function(gov_build source folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "OPTIONS;TARGETS")
  gov_build_jobs(jobs)
  set(generator "")
  find_program(ninja NAMES ninja)
  if(ninja AND NOT EXISTS "${folder}/CMakeCache.txt")
    set(generator -G Ninja)
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -S "${source}" -B "${folder}" ${generator} ${arg_OPTIONS}
    COMMAND_ERROR_IS_FATAL ANY)
  if(arg_TARGETS)
    list(PREPEND arg_TARGETS --target)
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} --build "${folder}" --parallel ${jobs} ${arg_TARGETS}
    COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# gov_ctest(<folder> [ctest options...]): runs the tests of a build, or stops.
function(gov_ctest folder)
  gov_build_jobs(jobs)
  execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir "${folder}" --parallel ${jobs}
    --output-on-failure --no-tests=error ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
