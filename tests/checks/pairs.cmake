# One header, one test: include/gov/a/b.hpp has tests/a/b_test.cpp. Exceptions give their reason.
cmake_minimum_required(VERSION 3.25)
set(exceptions
  "gov.hpp"              # the umbrella: checks/two_units and the consumer project compile it
  "tool/[a-su-z].*"      # run as a program by tests/tool/tool_test.cpp
  "tool/tokenize.hpp"    # likewise
  "kernel/kernels.hpp"   # declarations only: kernel/backend_test covers every entry per tag
  "kernel/compiled.hpp"  # declarations only: most test programs link gov::kernels
  "kernel/[a-z0-9]+/.*"  # one tag's kernels: each family's test runs every tag against scalar
)
list(JOIN exceptions "|" exceptions)

cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../..")
file(GLOB_RECURSE headers RELATIVE "${root}/include/gov" "${root}/include/gov/*.hpp")
set(wrong "")
foreach(header ${headers})
  string(REGEX REPLACE "[.]hpp$" "_test.cpp" test "${header}")
  if(header MATCHES "^(${exceptions})$")
    continue()
  elseif(NOT EXISTS "${root}/tests/${test}")
    string(APPEND wrong "\n  include/gov/${header}: tests/${test} is missing")
  else()
    file(STRINGS "${root}/tests/${test}" first LIMIT_COUNT 1 REGEX "^#include")
    if(NOT first MATCHES "[<\"]gov/${header}[>\"]")
      string(APPEND wrong "\n  tests/${test}: its first include is not gov/${header}")
    endif()
  endif()
endforeach()
if(wrong)
  message(FATAL_ERROR "headers without their test:${wrong}")
endif()
