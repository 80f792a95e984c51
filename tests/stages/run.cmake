# Runs one stage; see CMakeLists.txt.
cmake_minimum_required(VERSION 3.25)
include("${SOURCE}/cmake/build.cmake")
gov_build("${SOURCE}" "${FOLDER}" OPTIONS ${OPTIONS} TARGETS ${TARGETS})
gov_ctest("${FOLDER}" ${CTEST})
