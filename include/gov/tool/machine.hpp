// What a figure was measured on, as Linux tells it: the processor, how many of them, and memory.
#pragma once

#include <cstdint>
#include <string>

#include "gov/core/parallel.hpp"
#include "gov/model/system_memory.hpp"

namespace gov::tool {

struct Machine {
  std::string processor;  // "unknown" where the system does not say
  int processors = 0;
  std::int64_t memory_bytes = 0;  // 0: not said
};

inline Machine this_machine() {
  using namespace memory_detail;
  Machine machine{"unknown", team_size(0), 0};
  std::istringstream lines(text_of("/proc/cpuinfo"));
  for (std::string line; std::getline(lines, line);)
    if (const auto colon = line.find(": "); line.starts_with("model name") && colon != line.npos) {
      machine.processor = line.substr(colon + 2);
      break;
    }
  if (const auto kilobytes = number_of(text_of("/proc/meminfo"), "MemTotal:"))
    machine.memory_bytes = *kilobytes * 1024;
  return machine;
}

}  // namespace gov::tool
