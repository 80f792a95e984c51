#include "gov/image/stb.hpp"

// Nothing of stb may leak: a program may still take all of it for itself afterwards.
#if defined(STBI_NO_GIF) || defined(STBI_ONLY_PNG) || defined(STB_IMAGE_IMPLEMENTATION) || \
    defined(STBI_MALLOC) || defined(STBI_NO_STDIO) || defined(STBI_INCLUDE_STB_IMAGE_H)
#error "a macro of stb_image leaked"
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wshadow"
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include <doctest/doctest.h>

#include "tests/image/picture.hpp"
#include "tests/support/errors.hpp"

namespace gov {
namespace {

using namespace test;

TEST_CASE("a second copy of stb lives beside ours and reads GIF") {
  const std::string gif("GIF89a\1\0\1\0\x80\0\0\x11\x22\x33\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
                        35);
  int width = 0, height = 0, channels = 0;
  unsigned char* pixels =
      stbi_load_from_memory(reinterpret_cast<const unsigned char*>(gif.data()),
                            static_cast<int>(gif.size()), &width, &height, &channels, 3);
  REQUIRE(pixels != nullptr);
  CHECK(width == 1);
  CHECK(pixels[0] == 0x11);
  stbi_image_free(pixels);
}

TEST_CASE("decodes within a budget") {
  const auto png = bytes_of(make_png(2, 1, 8, 2, std::string("\0\1\2\3\4\5\6", 7)));
  const auto pixels = detail::stb_decode(png, 1, 2, 3, 1 << 20, "a.png");
  CHECK(pixels == std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  CHECK(detail::stb_budget.live == 0);
  const auto with_alpha = detail::stb_decode(png, 1, 2, 4, 1 << 20, "a.png");
  CHECK(with_alpha == std::vector<std::uint8_t>{1, 2, 3, 255, 4, 5, 6, 255});
  CHECK(thrown([&] { detail::stb_decode(png, 1, 2, 3, 64, "a.png"); }).code() ==
        Errc::image_too_large);
  CHECK(detail::stb_budget.live == 0);
  CHECK(thrown([&] { detail::stb_decode(png, 2, 2, 3, 1 << 20, "a.png"); }).code() ==
        Errc::bad_image);
}

TEST_CASE("a stream that unpacks to far more than its header declares stops at the budget") {
  const auto png = bytes_of(make_png(2, 1, 8, 2, std::string(3 << 20, '\0')));
  CHECK(thrown([&] { detail::stb_decode(png, 1, 2, 3, 4 << 20, "a.png"); }).code() ==
        Errc::image_too_large);
  CHECK(detail::stb_budget.live == 0);
}

TEST_CASE("reallocation keeps what was there and zeroes what is new") {
  detail::stb_budget = {.live = 0, .limit = 100, .exceeded = false};
  auto* block = static_cast<std::uint8_t*>(detail::stb_allocate(4));
  REQUIRE(block != nullptr);
  block[3] = 7;
  block = static_cast<std::uint8_t*>(detail::stb_reallocate(block, 4, 20));
  REQUIRE(block != nullptr);
  CHECK(block[3] == 7);
  CHECK(block[19] == 0);
  CHECK(detail::stb_reallocate(block, 20, 90) == nullptr);  // old and new exist at once
  CHECK(detail::stb_budget.exceeded);
  detail::stb_free(block);
  CHECK(detail::stb_budget.live == 0);
}

}  // namespace
}  // namespace gov
