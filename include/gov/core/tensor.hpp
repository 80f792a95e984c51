// Views of activations and handles of parameters. A view or handle never owns memory: activations
// lie in an Arena, weights in the checkpoint's one block (or its mapping).
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gov/core/checked.hpp"
#include "gov/core/dtype.hpp"

namespace gov {

// Run-time rows of equal width: activations, [rows, cols] with a row stride.
template <class T>
struct Rows {
  T* data = nullptr;
  index_t rows = 0, cols = 0, stride = 0;

  Rows() = default;
  Rows(T* pointer, index_t row_count, index_t width)
      : data(pointer), rows(row_count), cols(width), stride(width) {}
  Rows(T* pointer, index_t row_count, index_t width, index_t row_stride)
      : data(pointer), rows(row_count), cols(width), stride(row_stride) {}
  operator Rows<const T>() const { return {data, rows, cols, stride}; }  // NOLINT

  T* row(index_t i) const {
    assert(0 <= i && i < rows);
    return data + i * stride;
  }
  T& operator()(index_t i, index_t j) const { return row(i)[j]; }
  Rows slice(index_t first, index_t count) const {
    assert(0 <= first && 0 <= count && first + count <= rows);
    return {data + first * stride, count, cols, stride};
  }
};

// How the numbers of a weight matrix are stored. Arithmetic is apart (kernel/).
enum class Format : std::uint8_t {
  f32,
  bf16,
  f16,
  q8,     // int8 [out, in] and one bf16 scale per 32 inputs: value = scale * int8
  mxfp4,  // FP4 E2M1, two per byte, low nibble first, and one E8M0 scale per 32 inputs
};

inline constexpr index_t block_size = 32;  // inputs that share a scale in q8 and mxfp4

constexpr std::string_view to_string(Format format) {
  switch (format) {
    case Format::f32: return "f32";
    case Format::bf16: return "bf16";
    case Format::f16: return "f16";
    case Format::q8: return "q8";
    case Format::mxfp4: return "mxfp4";
  }
  return "?";
}

constexpr bool is_blocked(Format format) { return format == Format::q8 || format == Format::mxfp4; }

// Bytes of one row of `in` numbers, without its scales.
constexpr index_t row_bytes(Format format, index_t in) {
  switch (format) {
    case Format::f32: return in * 4;
    case Format::bf16:
    case Format::f16: return in * 2;
    case Format::q8: return in;
    case Format::mxfp4: return in / 2;
  }
  return 0;
}

// Bytes of the scales of one row.
constexpr index_t scale_bytes(Format format, index_t in) {
  if (format == Format::q8) return in / block_size * 2;
  if (format == Format::mxfp4) return in / block_size;
  return 0;
}

// One weight matrix as a kernel sees it: [out, in], row-major, run-time extents.
struct WeightView {
  Format format = Format::f32;
  const std::byte* data = nullptr;
  const std::byte* scales = nullptr;  // q8: bf16 [out, in/32]; mxfp4: u8 [out, in/32]
  index_t out = 0, in = 0;

  const std::byte* row(index_t n) const { return data + n * row_bytes(format, in); }
  const std::byte* row_scales(index_t n) const { return scales + n * scale_bytes(format, in); }
};

// What every parameter handle carries at run time.
struct Storage {
  Format format = Format::f32;
  DType stored_as = DType::F32;  // element type in the file it came from; kept for saving
  std::byte* data = nullptr;
  std::byte* scales = nullptr;
};

// A vector-like parameter, always f32 in memory (widening is exact): norms, biases, embeddings of
// positions. Dims is the shape in the checkpoint.
template <index_t... Dims>
struct Vector : Storage {
  static constexpr std::array<index_t, sizeof...(Dims)> shape{Dims...};
  static constexpr index_t size = (Dims * ... * index_t{1});
  static constexpr bool is_matrix = false, is_expert = false;
  const float* values() const { return reinterpret_cast<const float*>(data); }
  float* values() { return reinterpret_cast<float*>(data); }
};

// A vector that is added to something where it is used, so that a fresh one is 0 and not 1.
template <index_t... Dims>
struct OffsetVector : Vector<Dims...> {
  static constexpr bool is_offset = true;
};

// One that a checkpoint may lack, and then is 0: what a model adds to another's.
template <index_t... Dims>
struct OptionalVector : OffsetVector<Dims...> {
  static constexpr bool is_optional = true;
};

// A weight [out, in], stored in any Format. Dims is its shape in the checkpoint when that is not
// [out, in] (a convolution's kernel).
template <index_t Out, index_t In, index_t... Dims>
struct Matrix : Storage {
  static constexpr index_t out = Out, in = In, experts = 1, size = Out * In;
  static constexpr bool is_matrix = true, is_expert = false;
  static constexpr auto shape = [] {
    if constexpr (sizeof...(Dims) == 0)
      return std::array<index_t, 2>{Out, In};
    else
      return std::array<index_t, sizeof...(Dims)>{Dims...};
  }();
  WeightView view() const { return {format, data, scales, Out, In}; }
};

// One expert's weight, where a checkpoint has each in a tensor of its own, [out, in].
template <index_t Out, index_t In>
struct OneExpertMatrix : Matrix<Out, In> {
  static constexpr bool is_expert = true;
};

// A weight that checkpoints hold the other way round, [in, out] (GPT-2's Conv1D).
template <index_t Out, index_t In>
struct TurnedMatrix : Matrix<Out, In, In, Out> {
  static constexpr bool is_turned = true;
};

// The same weight for each of E experts: [experts, out, in] in memory. HF stores the dense form as
// [experts, in, out] and the MXFP4 form as [experts, out, in/32, 16].
template <index_t E, index_t Out, index_t In>
struct ExpertMatrix : Storage {
  static constexpr index_t out = Out, in = In, experts = E, size = E * Out * In;
  static constexpr bool is_matrix = true, is_expert = true;
  static constexpr std::array<index_t, 3> shape{E, In, Out};
  WeightView view(index_t expert) const {
    return {format, data + expert * Out * row_bytes(format, In),
            is_blocked(format) ? scales + expert * Out * scale_bytes(format, In) : nullptr, Out,
            In};
  }
};

// Stands for a parameter that a Config leaves out.
struct Absent {};

template <class P>
concept ParameterHandle = requires(P p) {
  P::size;
  P::shape;
  P::is_matrix;
};

}  // namespace gov
