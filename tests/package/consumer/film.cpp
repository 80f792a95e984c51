// Video files, in a project that asked for the package's component ffmpeg.
#include <gov/image/video_file.hpp>

int main() {
  try {
    gov::load_video(__FILE__);
  } catch (const gov::Error& error) {
    return error.code() == gov::Errc::bad_video ? 0 : 1;
  }
  return 1;
}
