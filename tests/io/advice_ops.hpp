// FileOps that note every advice given about a file's pages.
#pragma once

#include <mutex>
#include <vector>

#include "gov/io/file.hpp"

struct Advice {
  int kind;
  off_t offset, bytes;
  friend bool operator==(const Advice&, const Advice&) = default;
};

inline std::mutex advice_guard;
inline std::vector<Advice> given_advice;

inline constexpr gov::FileOps advice_ops = [] {
  gov::FileOps ops = gov::system_file_ops;
  ops.fadvise = [](int, off_t offset, off_t bytes, int kind) {
    const std::lock_guard<std::mutex> lock(advice_guard);
    given_advice.push_back({kind, offset, bytes});
    return 0;
  };
  return ops;
}();
