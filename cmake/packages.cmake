# The Debian packages that gov needs, and their installation where this process may.
#
#   gov_install_packages(build)              the library and the tool
#   gov_install_packages(build test)         and its tests
#   gov_install_packages(build test checks)  and what continuous integration runs on top
#   gov_install_packages(... ffmpeg)         and video files
#   gov_packages_installed(<result> ffmpeg)  whether those are there
set(gov_packages_build ninja-build libeigen3-dev libxtensor-dev nlohmann-json3-dev libutf8proc-dev
                       libstb-dev libcli11-dev)
set(gov_packages_test doctest-dev libbenchmark-dev libpcre2-dev pkgconf)
set(gov_packages_checks cmake clang-14 libclang-rt-14-dev clang-format-16
                         qemu-user)
set(gov_packages_ffmpeg pkgconf libavformat-dev libavcodec-dev libavutil-dev libswscale-dev)

# Those of the groups' packages that dpkg does not have.
function(gov_missing_packages result dpkg)
  set(missing "")
  foreach(group ${ARGN})
    foreach(package ${gov_packages_${group}})
      execute_process(COMMAND ${dpkg} --show --showformat=\${db:Status-Status} ${package}
        OUTPUT_VARIABLE status ERROR_QUIET)
      if(NOT status STREQUAL "installed")
        list(APPEND missing ${package})
      endif()
    endforeach()
  endforeach()
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

function(gov_packages_installed result)
  find_program(dpkg dpkg-query)
  set(${result} OFF PARENT_SCOPE)
  if(dpkg)
    gov_missing_packages(missing ${dpkg} ${ARGN})
    if(NOT missing)
      set(${result} ON PARENT_SCOPE)
    endif()
  endif()
endfunction()

function(gov_install_packages)
  find_program(dpkg dpkg-query)
  find_program(apt apt-get)
  if(NOT dpkg OR NOT apt)
    message(STATUS "Not a Debian system: Eigen 3.4, xtensor 0.24, nlohmann_json, utf8proc, stb, CLI11 "
                   "(and doctest for the tests) must be installed where CMake finds them")
    return()
  endif()
  gov_missing_packages(missing ${dpkg} ${ARGV})
  if(NOT missing)
    return()
  endif()

  list(JOIN missing " " names)
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(root "")
  if(NOT user EQUAL 0)
    set(root sudo -n)
    execute_process(COMMAND sudo -n true RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "Please install these packages and run this again:\n"
                          "  sudo apt-get install ${names}")
    endif()
  endif()
  message(STATUS "Installing ${names}")
  execute_process(COMMAND ${root} apt-get update --quiet OUTPUT_QUIET)
  execute_process(COMMAND ${root} ${CMAKE_COMMAND} -E env DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --quiet --no-install-recommends ${missing} RESULT_VARIABLE result OUTPUT_QUIET)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "apt-get could not install: ${names}")
  endif()
endfunction()
