#include "gov/model/transpose.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace gov;

TEST_CASE("transposing by tiles equals two loops") {
  for (const index_t element : {2, 4})
    for (const auto& [rows, columns] :
         {std::pair<index_t, index_t>{1, 1}, {3, 70}, {32, 32}, {65, 33}, {130, 7}}) {
      std::vector<std::byte> from(static_cast<std::size_t>(rows * columns * element)),
          to(from.size());
      for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i * 31 % 251);
      transpose(from.data(), rows, columns, element, to.data());
      bool equal = true;
      for (index_t r = 0; r < rows; ++r)
        for (index_t c = 0; c < columns; ++c)
          for (index_t b = 0; b < element; ++b)
            equal = equal && to[static_cast<std::size_t>((c * rows + r) * element + b)] ==
                                 from[static_cast<std::size_t>((r * columns + c) * element + b)];
      CHECK(equal);
    }
}
