// Rows of the parity table (the target parity_table) that single modules have: printed where
// GOV_PARITY_TABLE is set.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "gov/kernel/backend.hpp"

namespace gov::test {

// Of fixtures that have a name: a case, the backend, and what is compared with its error, relative
// to the largest value.
template <class T>
void print_parity_row(std::string_view name, std::string_view case_name,
                      const kernel::Kernels<T>& kernels, std::string_view what, double error) {
  static const bool table = std::getenv("GOV_PARITY_TABLE") != nullptr;
  if (!table) return;
  const std::string backend = sizeof(T) == 8 ? "double" : std::string(kernels.name);
  std::printf("%-24.*s %-18.*s %-8s %.*s %9.1e\n", static_cast<int>(name.size()), name.data(),
              static_cast<int>(case_name.size()), case_name.data(), backend.c_str(),
              static_cast<int>(what.size()), what.data(), error);
}

}  // namespace gov::test
