// stb_image behind one function: the bytes of a PNG or baseline/progressive JPEG file to RGB
// pixels. The implementation is private to gov::detail::stb in every translation unit (static
// functions in a namespace), so it clashes with no other copy of stb in the program, and its macros
// are put back. Its allocations come zeroed and out of a budget: a stream that unpacks to more than
// its header declares is refused, and a damaged file cannot show what memory held before. Only
// decode.hpp calls it, with streams it has checked; files of other kinds are refused here too.
#pragma once

#include <climits>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gov/core/error.hpp"

namespace gov::detail {

// stb_image hands its allocator no context, so the budget of the running call is per thread.
struct StbBudget {
  std::size_t live = 0;
  std::size_t limit = 0;
  bool exceeded = false;
};
inline thread_local StbBudget stb_budget;

constexpr std::size_t stb_prefix = alignof(std::max_align_t);  // holds the size of the block

inline void* stb_allocate(std::size_t size) {
  StbBudget& budget = stb_budget;
  if (size > budget.limit || budget.live > budget.limit - size) {
    budget.exceeded = true;
    return nullptr;
  }
  void* block = std::calloc(1, size + stb_prefix);
  if (block == nullptr) return nullptr;
  std::memcpy(block, &size, sizeof size);
  budget.live += size;
  return static_cast<std::byte*>(block) + stb_prefix;
}

inline void stb_free(void* pointer) {
  if (pointer == nullptr) return;
  std::byte* block = static_cast<std::byte*>(pointer) - stb_prefix;
  std::size_t size;
  std::memcpy(&size, block, sizeof size);
  stb_budget.live -= size;
  std::free(block);
}

inline void* stb_reallocate(void* pointer, std::size_t old_size, std::size_t size) {
  void* grown = stb_allocate(size);
  if (grown == nullptr) return nullptr;
  if (pointer != nullptr) std::memcpy(grown, pointer, old_size < size ? old_size : size);
  stb_free(pointer);
  return grown;
}

}  // namespace gov::detail

#pragma push_macro("STBI_INCLUDE_STB_IMAGE_H")
#pragma push_macro("STB_IMAGE_IMPLEMENTATION")
#pragma push_macro("STB_IMAGE_STATIC")
#pragma push_macro("STBIDEF")
#pragma push_macro("STBI_ONLY_JPEG")
#pragma push_macro("STBI_ONLY_PNG")
#pragma push_macro("STBI_NO_STDIO")
#pragma push_macro("STBI_NO_LINEAR")
#pragma push_macro("STBI_NO_HDR")
#pragma push_macro("STBI_NO_SIMD")
#pragma push_macro("STBI_MAX_DIMENSIONS")
#pragma push_macro("STBI_ASSERT")
#pragma push_macro("STBI_MALLOC")
#pragma push_macro("STBI_REALLOC")
#pragma push_macro("STBI_REALLOC_SIZED")
#pragma push_macro("STBI_FREE")
#undef STBIDEF
#undef STBI_MAX_DIMENSIONS
#undef STBI_ASSERT
#undef STBI_MALLOC
#undef STBI_REALLOC
#undef STBI_REALLOC_SIZED
#undef STBI_FREE
#define STBI_INCLUDE_STB_IMAGE_H
#define STBIDEF static
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_NO_SIMD  // the intrinsics headers may not be included inside a namespace
#define STBI_MAX_DIMENSIONS 16384
#define STBI_ASSERT(condition) ((void)0)
#define STBI_MALLOC(size) ::gov::detail::stb_allocate(size)
#define STBI_REALLOC(pointer, size) ::gov::detail::stb_reallocate(pointer, size, size)
#define STBI_REALLOC_SIZED(pointer, old_size, size) \
  ::gov::detail::stb_reallocate(pointer, old_size, size)
#define STBI_FREE(pointer) ::gov::detail::stb_free(pointer)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wzero-as-null-pointer-constant"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuseless-cast"
#pragma GCC diagnostic ignored "-Wduplicated-branches"
#endif

// Damaged JPEG coefficients make the inverse transform of older releases overflow int, and a few
// places add 0 to a null pointer. The sums wrap and end in a clamp: defined here under g++ by
// -fwrapv; under clang, which has no such pragma, left out of UBSan's reports (bounds stay in).
#if defined(__clang__)
#pragma clang attribute push(                                                              \
        __attribute__((no_sanitize("signed-integer-overflow", "shift", "pointer-overflow", \
                                       "nonnull-attribute"))),                             \
            apply_to = function)
#else
#pragma GCC push_options
#pragma GCC optimize("wrapv")
#endif

namespace gov::detail::stb {
// stb's own declarations, skipped by their include guard, are extern "C", where g++ leaves the
// namespace out of the symbols of static functions. These few are all that the rest needs.
enum { STBI_default = 0, STBI_grey = 1, STBI_grey_alpha = 2, STBI_rgb = 3, STBI_rgb_alpha = 4 };
typedef unsigned char stbi_uc;
typedef unsigned short stbi_us;
struct stbi_io_callbacks {
  int (*read)(void* user, char* data, int size);
  void (*skip)(void* user, int n);
  int (*eof)(void* user);
};
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#else
#include <stb_image.h>
#endif
}  // namespace gov::detail::stb

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#pragma GCC diagnostic pop

// What stb defines for itself and would take from a later, full inclusion of stb_image.h.
#undef STBI_NO_BMP
#undef STBI_NO_PSD
#undef STBI_NO_TGA
#undef STBI_NO_GIF
#undef STBI_NO_PIC
#undef STBI_NO_PNM
#undef STBI_EXTERN
#undef STBI_THREAD_LOCAL
#undef STBI_NOTUSED
#undef STBI_HAS_LROTL
#undef STBI_SIMD_ALIGN
#undef STBI__X64_TARGET
#undef STBI__X86_TARGET
#undef STBI__BYTECAST
#undef STBI__COMBO
#undef STBI__CASE
#undef STBI__IDCT_1D
#undef STBI__MARKER_none
#undef STBI__RESTART
#undef STBI__ZFAST_BITS
#undef STBI__ZFAST_MASK
#undef STBI__ZNSYMS
#undef STBI__PNG_TYPE
#undef FAST_BITS
#undef stbi_inline
#undef stbi_lrot
#undef stbi__err
#undef stbi__errpf
#undef stbi__errpuc
#undef stbi__f2f
#undef stbi__fsh
#undef stbi__float2int
#undef stbi__float2fixed
#undef stbi__div4
#undef stbi__div16
#undef stbi__DNL
#undef stbi__SOI
#undef stbi__EOI
#undef stbi__SOF
#undef stbi__SOS
#undef stbi__SOF_progressive
#undef stbi__vertically_flip_on_load
#undef stbi__unpremultiply_on_load
#undef stbi__de_iphone_flag
#pragma pop_macro("STBI_FREE")
#pragma pop_macro("STBI_REALLOC_SIZED")
#pragma pop_macro("STBI_REALLOC")
#pragma pop_macro("STBI_MALLOC")
#pragma pop_macro("STBI_ASSERT")
#pragma pop_macro("STBI_MAX_DIMENSIONS")
#pragma pop_macro("STBI_NO_SIMD")
#pragma pop_macro("STBI_NO_HDR")
#pragma pop_macro("STBI_NO_LINEAR")
#pragma pop_macro("STBI_NO_STDIO")
#pragma pop_macro("STBI_ONLY_PNG")
#pragma pop_macro("STBI_ONLY_JPEG")
#pragma pop_macro("STBIDEF")
#pragma pop_macro("STB_IMAGE_STATIC")
#pragma pop_macro("STB_IMAGE_IMPLEMENTATION")
#pragma pop_macro("STBI_INCLUDE_STB_IMAGE_H")

namespace gov::detail {

// Decodes `encoded` (at most INT_MAX bytes) and gives [height, width, channels] bytes, channels 3
// or 4. stb may hold `budget` bytes at once. The size found must be the one the caller has checked.
inline std::vector<std::uint8_t> stb_decode(std::span<const std::byte> encoded, int height,
                                            int width, int channels, std::size_t budget,
                                            std::string_view file) {
  const auto fail = [file](Errc code, std::string expected, std::string found) {
    throw Error({.code = code,
                 .file = std::string(file),
                 .field = "image",
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  if (encoded.size() > static_cast<std::size_t>(INT_MAX))
    fail(Errc::image_too_large, "at most 2147483647 bytes", std::to_string(encoded.size()));
  const auto reason = [] {
    const char* text = stb::stbi_failure_reason();
    return std::string(text == nullptr ? "damaged data" : text);
  };
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(encoded.data());
  const int size = static_cast<int>(encoded.size());
  stb_budget = {.live = 0, .limit = budget, .exceeded = false};
  int found_width = 0, found_height = 0, components = 0;
  if (stb::stbi_info_from_memory(bytes, size, &found_width, &found_height, &components) == 0)
    fail(Errc::bad_image, "a PNG or JPEG image", reason());
  if (found_width != width || found_height != height)
    fail(Errc::bad_image, std::to_string(width) + "x" + std::to_string(height) + " pixels",
         std::to_string(found_width) + "x" + std::to_string(found_height));
  const std::unique_ptr<std::uint8_t, void (*)(void*)> pixels(
      stb::stbi_load_from_memory(bytes, size, &found_width, &found_height, &components, channels),
      stb_free);
  if (pixels == nullptr) {
    if (stb_budget.exceeded)
      fail(Errc::image_too_large, "data that unpacks to the declared size", "more");
    fail(reason() == "outofmem" ? Errc::out_of_memory : Errc::bad_image, "image data that decodes",
         reason());
  }
  const std::size_t count = static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
                            static_cast<std::size_t>(channels);
  return {pixels.get(), pixels.get() + count};
}

}  // namespace gov::detail
