#include "gov/image/normalize.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <limits>

#include "tests/image/picture.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("the sequential order rounds the product once, then works in float") {
  const NormalizationTable table = normalization_table({});
  for (std::size_t level = 0; level < 256; ++level) {
    const auto rescaled = static_cast<float>(static_cast<double>(level) * (1.0 / 255.0));
    CHECK(table[0][level] == (rescaled - 0.485f) / 0.229f);
    CHECK(table[2][level] == (rescaled - 0.406f) / 0.225f);
  }
  // (0 - float(0.485)) / float(0.229) and (1 - float(0.456)) / float(0.224), from numpy.
  CHECK(std::bit_cast<std::uint32_t>(table[0][0]) == 0xc0078bbdu);
  CHECK(std::bit_cast<std::uint32_t>(table[1][255]) == 0x401b6db7u);
}

TEST_CASE("parts can be left out") {
  Normalization how;
  how.do_normalize = false;
  CHECK(normalization_table(how)[1][51] == static_cast<float>(51 * (1.0 / 255.0)));
  how.do_rescale = false;
  CHECK(normalization_table(how)[1][51] == 51.0f);
  how.do_normalize = true;
  CHECK(normalization_table(how)[1][51] == (51.0f - 0.456f) / 0.224f);
}

TEST_CASE("the two orders differ by rounding only") {
  Normalization how;
  const NormalizationTable sequential = normalization_table(how);
  how.order = NormalizeOrder::fused;
  const NormalizationTable fused = normalization_table(how);
  CHECK(sequential != fused);
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t level = 0; level < 256; ++level)
      CHECK(fused[c][level] == doctest::Approx(sequential[c][level]).epsilon(1e-5));
}

TEST_CASE("pixels go to planes") {
  const Image image = picture(3, 5, 2);
  const NormalizationTable table = normalization_table({});
  std::vector<float> planes(45);
  normalize_image(image, table, planes.data());
  for (index_t c = 0; c < 3; ++c)
    for (index_t i = 0; i < 15; ++i)
      CHECK(planes[static_cast<std::size_t>(15 * c + i)] ==
            table[static_cast<std::size_t>(c)][image.pixels[static_cast<std::size_t>(3 * i + c)]]);
}

TEST_CASE("values that cannot serve") {
  Normalization how;
  how.std[1] = 0;
  CHECK_THROWS_AS(normalization_table(how), Error);
  how = {};
  how.rescale_factor = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(normalization_table(how), Error);
  how = {};
  how.mean[0] = 1e300;
  CHECK_THROWS_AS(normalization_table(how), Error);
}

}  // namespace
}  // namespace gov
