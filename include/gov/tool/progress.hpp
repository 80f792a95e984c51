// A progress bar on a terminal's standard error; silent elsewhere.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "gov/model/load.hpp"

namespace gov::tool {

inline Progress progress_bar() {
  if (!::isatty(STDERR_FILENO)) return {};
  return [shown = -1](std::string_view step, double share) mutable {
    const int percent = static_cast<int>(share * 100);
    if (percent == shown) return;
    shown = percent;
    const std::string bar(static_cast<std::size_t>(percent / 4), '#');
    std::fprintf(stderr, "\r%-10.*s [%-25s] %3d %%%s", static_cast<int>(step.size()), step.data(),
                 bar.c_str(), percent, percent >= 100 ? "\r\x1b[K" : "");
  };
}

}  // namespace gov::tool
