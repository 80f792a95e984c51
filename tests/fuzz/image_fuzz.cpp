// Pictures from untrusted bytes: decoding within small limits, once as they are and, for PNG, once
// with the CRCs repaired, so that the fuzzer reaches what lies behind them; then resizing and
// tiling of what came out, and the processor's settings out of the same bytes. Only gov::Error may
// be thrown.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "gov/image/decode.hpp"
#include "gov/image/pixel_values.hpp"

namespace {

void repair_crcs(std::vector<std::byte>& png) {
  for (std::size_t at = 8; png.size() - at >= 12;) {
    const std::size_t length = gov::detail::big_endian_32(png, at);
    if (length > png.size() - at - 12) return;
    const std::uint32_t crc = gov::crc32(std::span(png).subspan(at + 4, length + 4));
    for (std::size_t i = 0; i < 4; ++i)
      png[at + 8 + length + i] = static_cast<std::byte>((crc >> (24 - 8 * i)) & 0xff);
    at += length + 12;
  }
}

void decode(std::span<const std::byte> bytes, const gov::ImageDecodeOptions& options) {
  gov::ImageLimits limits;
  limits.encoded_bytes = 1 << 20;
  limits.pixels = 1 << 18;
  limits.side = 2048;
  try {
    const gov::Image image = gov::decode_image(bytes, "fuzz", limits, options);
    if (image.pixels.size() != gov::Image::size_of(image.height, image.width)) std::abort();
    if (gov::detail::stb_budget.live != 0) std::abort();
    if (gov::decode_image(bytes, "fuzz", limits, options) != image)
      std::abort();  // same input, same pixels
    gov::ImageProcessorConfig config;
    config.height = 12;
    config.width = 20;
    config.max_patches = 5;
    if (image.height * image.width <= 1 << 14) gov::preprocess({&image, 1}, config);
  } catch (const gov::Error&) {
    if (gov::detail::stb_budget.live != 0) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::transform(data, data + size, bytes.begin(),
                 [](std::uint8_t byte) { return std::byte{byte}; });
  gov::ImageDecodeOptions options;
  options.apply_orientation = true;
  decode(bytes, options);
  if (gov::is_png(bytes)) {
    repair_crcs(bytes);
    decode(bytes, options);
    options.alpha = gov::ImageDecodeOptions::Alpha::over_white;
    decode(bytes, options);
  } else if (size > 0 && data[0] == '{') {
    try {
      const std::string_view text(reinterpret_cast<const char*>(data), size);
      gov::normalization_table(
          gov::image_processor_config(gov::parse_json(text, "fuzz")).normalization());
    } catch (const gov::Error&) {
    }
  }
  return 0;
}
