# Install rules: headers, the CMake package with gov_add_model and its generator, and gov.pc.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(gov_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/gov)
install(TARGETS gov EXPORT govTargets FILE_SET HEADERS)
install(EXPORT govTargets NAMESPACE gov:: DESTINATION ${gov_package_dir})

configure_package_config_file(cmake/govConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/govConfig.cmake"
  INSTALL_DESTINATION ${gov_package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/govConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/govConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/govConfigVersion.cmake"
              cmake/Findutf8proc.cmake cmake/Findstb.cmake cmake/FindFFmpeg.cmake
              cmake/gov_ffmpeg.cmake cmake/gov_kernels.cmake cmake/gov_add_model.cmake
        DESTINATION ${gov_package_dir})
install(FILES cmake/gov_config.cpp cmake/gov_kernels_float.cpp cmake/gov_kernels_double.cpp
        DESTINATION ${gov_package_dir})

configure_file(cmake/gov.pc.in "${CMAKE_CURRENT_BINARY_DIR}/gov.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/gov.pc" DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/gov)
