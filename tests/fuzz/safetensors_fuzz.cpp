// Any bytes: a gov::Error, or a header whose tensors tile the data exactly. A mutator keeps the
// length in front of the header right most of the time, so that mutations reach the JSON and the
// layout.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "gov/io/safetensors_header.hpp"

// Weak: the replay program has no libFuzzer, and never mutates.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  if (seed % 8 == 0 || size < 8 || max_size < 16) return LLVMFuzzerMutate(data, size, max_size);
  std::uint64_t length = 0;
  std::memcpy(&length, data, 8);
  if (length > size - 8) length = size - 8;
  const std::size_t data_bytes = size - 8 - static_cast<std::size_t>(length);
  // mutate the header in a copy, then put the data back behind it
  static std::uint8_t header[1 << 16], rest[1 << 16];
  if (length >= sizeof header || data_bytes >= sizeof rest || max_size - 8 <= data_bytes)
    return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(header, data + 8, static_cast<std::size_t>(length));
  std::memcpy(rest, data + 8 + length, data_bytes);
  const std::size_t room = std::min(sizeof header, max_size - 8 - data_bytes);
  length = LLVMFuzzerMutate(header, static_cast<std::size_t>(length), room);
  std::memcpy(data, &length, 8);
  std::memcpy(data + 8, header, static_cast<std::size_t>(length));
  std::memcpy(data + 8 + length, rest, data_bytes);
  return 8 + static_cast<std::size_t>(length) + data_bytes;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto header =
        gov::SafeTensorsHeader::parse(std::as_bytes(std::span(data, size)), size, "fuzz");
    std::uint64_t end = 0;
    for (const gov::TensorEntry& entry : header.entries()) {
      if (entry.offset != end || header.find(entry.name) != &entry || entry.shape.size() > 8)
        std::abort();
      if (static_cast<std::uint64_t>(entry.element_count()) * gov::bits_of(entry.dtype) !=
          entry.bytes * 8)
        std::abort();
      end += entry.bytes;
    }
    if (header.data_start() + end != size) std::abort();
  } catch (const gov::Error&) {
  }
  return 0;
}
