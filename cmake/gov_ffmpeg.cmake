# gov::ffmpeg: gov::gov with video files (gov/image/video_file.hpp). Used by this project with
# GOV_WITH_FFMPEG, and by the installed package as its component ffmpeg.
if(NOT TARGET gov_ffmpeg)
  add_library(gov_ffmpeg INTERFACE)
  target_link_libraries(gov_ffmpeg INTERFACE gov::gov FFmpeg::FFmpeg)
  target_compile_definitions(gov_ffmpeg INTERFACE GOV_WITH_FFMPEG)
  add_library(gov::ffmpeg ALIAS gov_ffmpeg)
endif()
