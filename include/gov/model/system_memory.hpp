// How much memory the system has left for this process: Linux' own estimate (MemAvailable), or what
// the control groups around the process leave, v2 or v1, if that is less.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "gov/core/arena.hpp"

namespace gov {

namespace memory_detail {

inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

// The number behind a key at the start of a line, or of the whole text with an empty key.
inline std::optional<index_t> number_of(const std::string& text, const std::string& key = {}) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const std::size_t digit = line.find_first_not_of(" \t:", key.size());
    if (digit == line.npos || line[digit] < '0' || line[digit] > '9') return std::nullopt;
    const double value = std::strtod(line.c_str() + digit, nullptr);
    return value < 9e18 ? std::optional<index_t>(static_cast<index_t>(value)) : std::nullopt;
  }
  return std::nullopt;
}

// What one control group leaves: its limit less what it uses and cannot drop.
inline std::optional<index_t> left_in_group(const std::string& folder, bool v2) {
  const auto limit = number_of(text_of(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes")));
  const auto used =
      number_of(text_of(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes")));
  if (!limit || !used || *limit >= address_space) return std::nullopt;
  const std::string stat = text_of(folder + "/memory.stat");
  const std::string prefix = v2 ? "" : "total_";
  const index_t droppable = number_of(stat, prefix + "inactive_file ").value_or(0) +
                            number_of(stat, prefix + "active_file ").value_or(0);
  return std::max<index_t>(0, *limit - *used + std::min(droppable, *used));
}

inline std::optional<index_t> smaller(std::optional<index_t> a, std::optional<index_t> b) {
  return a && b ? std::min(*a, *b) : a ? a : b;
}

}  // namespace memory_detail

// Bytes that this process may still take: MemAvailable, or what its control groups (v2 or v1) leave
// if that is less. Nothing where the system does not say. `root` stands before /proc and /sys.
inline std::optional<index_t> available_memory(const std::string& root = "") {
  using namespace memory_detail;
  std::optional<index_t> least;
  if (const auto kilobytes = number_of(text_of(root + "/proc/meminfo"), "MemAvailable:"))
    least = *kilobytes * 1024;
  std::istringstream lines(text_of(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {  // "0::/a/b" or "4:memory:/a/b"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",memory,") == std::string::npos) continue;
    const std::string top = root + (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    std::string path = line.substr(second + 1);
    for (;; path.resize(path.find_last_of('/'))) {  // a parent's limit holds as well
      if (path == "/") path.clear();
      least = smaller(least, left_in_group(top + path, v2));
      if (path.find('/') == path.npos) break;
    }
  }
  return least;
}

}  // namespace gov
