# Builds and runs the tests:  cmake -P cmake/test.cmake
# Options follow, as in -DGOV_TOKENIZERS_DIR=<folder>; -DGOV_CI=ON adds everything that continuous
# integration runs (sanitizers, clang, fuzzers, ...), which takes most of an hour on two cores.
# Video files are tested where FFmpeg's packages are installed; -DGOV_WITH_FFMPEG=ON, as GOV_CI,
# installs them.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/packages.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/build.cmake")

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)
gov_command_line_options(options)
if("-DGOV_CI=ON" IN_LIST options)
  gov_install_packages(build test checks ffmpeg)
elseif("-DGOV_WITH_FFMPEG=ON" IN_LIST options)
  gov_install_packages(build test ffmpeg)
else()
  gov_install_packages(build test)
endif()
gov_packages_installed(ffmpeg ffmpeg)

# -O2 without NDEBUG: the assertions of the kernels are on.
gov_build("${root}" "${root}/build/test" OPTIONS
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O2 -DGOV_WITH_FFMPEG=${ffmpeg}
  -DGOV_TEST_UNITY=ON ${options})
gov_ctest("${root}/build/test")
