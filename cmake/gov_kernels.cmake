# gov::kernels: gov::gov with the kernels of every backend compiled once, as a static library. A
# program of several files that links it compiles faster; nothing else changes. It is built when
# something links it. Part of the installed package.
if(NOT TARGET gov_kernels)
  add_library(gov_kernels STATIC EXCLUDE_FROM_ALL
    "${CMAKE_CURRENT_LIST_DIR}/gov_kernels_float.cpp" "${CMAKE_CURRENT_LIST_DIR}/gov_kernels_double.cpp")
  target_link_libraries(gov_kernels PUBLIC gov::gov)
  target_compile_options(gov_kernels INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:SHELL:-include gov/kernel/compiled.hpp>)
  add_library(gov::kernels ALIAS gov_kernels)
endif()
