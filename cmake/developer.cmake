# gov_developer: what gov's own tests, examples and benchmarks are compiled with, and no user is.
option(GOV_WERROR "Warnings are errors" OFF)
option(GOV_NATIVE "Compile tests and benchmarks with -march=native" OFF)
set(GOV_SANITIZE "" CACHE STRING "Sanitizers of the tests, such as address,undefined or thread")

include(cmake/build.cmake)
gov_build_jobs(GOV_BUILD_JOBS)  # for builds that tests start

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

# g++ 12 sees overlapping copies in "a" + std::string at -O3 (GCC bug 105651, fixed in 13).
set(gov_false_warnings $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)

set(CMAKE_CXX_EXTENSIONS OFF)
add_library(gov_developer INTERFACE)
target_link_libraries(gov_developer INTERFACE gov::gov)
target_link_libraries(gov_kernels PRIVATE gov_developer)
target_compile_options(gov_developer INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  ${gov_false_warnings} $<$<BOOL:${GOV_WERROR}>:-Werror> $<$<BOOL:${GOV_NATIVE}>:-march=native>)
if(GOV_SANITIZE)
  target_compile_options(gov_developer INTERFACE
    -fsanitize=${GOV_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(gov_developer INTERFACE -fsanitize=${GOV_SANITIZE})
endif()
