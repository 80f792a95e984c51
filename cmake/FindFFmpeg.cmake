# The four of FFmpeg's libraries that gov takes video files from: FFmpeg::FFmpeg. Found by pkg-config.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(FFmpeg QUIET IMPORTED_TARGET GLOBAL
    libavformat>=59 libavcodec>=59 libavutil>=57 libswscale>=6)
endif()
set(FFmpeg_VERSION "${FFmpeg_libavformat_VERSION}")  # libavformat's: 59 belongs to FFmpeg 5

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(FFmpeg REQUIRED_VARS FFmpeg_LINK_LIBRARIES VERSION_VAR FFmpeg_VERSION
  REASON_FAILURE_MESSAGE "On Debian: apt-get install pkgconf libavformat-dev libavcodec-dev libavutil-dev libswscale-dev")

if(FFmpeg_FOUND AND NOT TARGET FFmpeg::FFmpeg)
  add_library(FFmpeg::FFmpeg ALIAS PkgConfig::FFmpeg)
endif()
