// Ctrl-C asks the running command to stop: it ends with status 130 at the next layer, tile or piece
// of a file, with its sessions as they were. A second one ends the program as usual.
#pragma once

#include <csignal>
#include <stop_token>

namespace gov::tool {

inline constexpr int interrupted_status = 130;  // 128 + SIGINT, as shells say it

inline std::stop_source& interrupt() {
  static std::stop_source source;
  return source;
}

// Called by commands that look at the token; the library itself installs no handler.
inline void stop_on_interrupt() {
  interrupt();
  std::signal(SIGINT, [](int) {
    interrupt().request_stop();  // atomics only: no callback is registered
    std::signal(SIGINT, SIG_DFL);
  });
}

}  // namespace gov::tool
