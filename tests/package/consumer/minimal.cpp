// The least a user writes; second_unit.cpp includes the same header into the same program.
#include <gov/gov.hpp>

#include <iostream>

int main() {
  std::cout << gov::to_string(gov::Format::mxfp4) << ' ' << gov::round_up(33, 32) << '\n';
  return gov::round_up(33, 32) == 64 ? 0 : 1;
}
