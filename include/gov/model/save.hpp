// Saving a model's parameters as a checkpoint, in any layout of name_map.hpp: what is held dense is
// written as the dtype it came from, what is held in blocks as blocks and scales:
//   mxfp4  <name>_blocks U8 [..., out, in/32, 16] and <name>_scales U8 [..., out, in/32]
//   q8     <name>_blocks U8 [out, in], two's complement, and <name>_scales BF16 [out, in/32]
// Parts that the layout fuses are joined, dense experts turned back. Nothing is left half-written.
#pragma once

#include <map>

#include "gov/io/name_map.hpp"
#include "gov/io/safetensors_writer.hpp"
#include "gov/model/load.hpp"
#include "gov/model/transpose.hpp"

namespace gov {

class Saver {
 public:
  Saver(std::vector<ParameterRef> parameters, Layout layout, const Naming& naming)
      : parameters_(std::move(parameters)) {
    for (const auto& p : parameters_) add(p, spell(layout, p.name, naming));
    for (auto& [name, tensor] : tensors_)
      if (tensor.parts.size() > 1) join(name, tensor);
  }

  Saver(Saver&&) = default;  // the parts point into parameters_
  Saver& operator=(Saver&&) = default;

  // The tensors of the file or files.
  std::vector<TensorSpec> specs() const {
    std::vector<TensorSpec> specs;
    for (const auto& [name, tensor] : tensors_) specs.push_back(tensor.spec);
    return specs;
  }

  void supply(const TensorSpec& spec, const ByteSink& sink) const {
    for (const auto& part : tensors_.at(spec.name).parts) write(part, spec.dtype, sink);
  }

 private:
  enum class Kind { dense, blocks, scales };
  struct Part {
    const ParameterRef* parameter;
    Kind kind;
    bool transposed;
    int order;
  };
  struct Tensor {
    TensorSpec spec;
    std::vector<Part> parts;
  };

  static DType dense_dtype(const Storage& storage) {
    switch (storage.format) {
      case Format::bf16: return DType::BF16;
      case Format::f16: return DType::F16;
      default:
        return storage.stored_as == DType::BF16 || storage.stored_as == DType::F16
                   ? storage.stored_as
                   : DType::F32;
    }
  }

  void add(const ParameterRef& p, const SpelledName& name) {
    const Format format = p.storage->format;
    if (!is_blocked(format)) {
      const bool transposed = p.is_turned || (p.is_stack() && name.experts_transposed);
      std::vector<index_t> shape = p.shape;
      if (p.is_stack() && !transposed) shape = {p.experts, p.out, p.in};
      // A matrix is held in its dtype; only vectors are held wider than they are stored.
      const DType dtype =
          p.is_matrix && format == Format::f32 ? DType::F32 : dense_dtype(*p.storage);
      put(name.name, dtype, shape, {&p, Kind::dense, transposed, name.part});
      return;
    }
    if (name.parts > 1)
      throw Error({.code = Errc::unsupported,
                   .file = {},
                   .field = name.name,
                   .expected = "dense weights, for this layout joins several in one tensor",
                   .found = std::string(to_string(format))});
    std::vector<index_t> blocks{p.out, p.in / block_size, 16}, scales{p.out, p.in / block_size};
    if (format == Format::q8) blocks = {p.out, p.in};
    if (p.is_stack())
      blocks.insert(blocks.begin(), p.experts), scales.insert(scales.begin(), p.experts);
    put(name.name + std::string(name.blocks), DType::U8, blocks, {&p, Kind::blocks, false, 0});
    put(name.name + std::string(name.scales), format == Format::q8 ? DType::BF16 : DType::U8,
        scales, {&p, Kind::scales, false, 0});
  }

  void put(const std::string& name, DType dtype, const std::vector<index_t>& shape, Part part) {
    auto& tensor = tensors_[name];
    if (!tensor.parts.empty() && tensor.spec.dtype != dtype)
      throw Error({.code = Errc::unsupported,
                   .file = {},
                   .field = name,
                   .expected = "parts of one dtype, to be joined",
                   .found = "several"});
    tensor.spec = {name, dtype, shape};
    tensor.parts.push_back(part);
  }

  static void join(const std::string&, Tensor& tensor) {
    std::sort(tensor.parts.begin(), tensor.parts.end(),
              [](const Part& a, const Part& b) { return a.order < b.order; });
    index_t rows = 0;
    for (const auto& part : tensor.parts) rows += part.parameter->shape.front();
    tensor.spec.shape.front() = rows;
  }

  static void write(const Part& part, DType dtype, const ByteSink& sink) {
    const ParameterRef& p = *part.parameter;
    const Storage& s = *p.storage;
    const auto bytes = [](const std::byte* data, index_t count) {
      return std::span<const std::byte>(data, static_cast<std::size_t>(count));
    };
    if (part.kind == Kind::scales) return sink(bytes(s.scales, p.scales_bytes(s.format)));
    if (part.kind == Kind::blocks) return sink(bytes(s.data, p.data_bytes(s.format)));
    if (part.transposed) {
      const index_t element = row_bytes(s.format, 2) / 2, size = p.out * p.in * element;
      std::vector<std::byte> turned(static_cast<std::size_t>(size));
      for (index_t e = 0; e < p.experts; ++e) {
        transpose(s.data + e * size, p.out, p.in, element, turned.data());
        sink(turned);
      }
      return;
    }
    const Format wanted = dtype == DType::BF16  ? Format::bf16
                          : dtype == DType::F16 ? Format::f16
                                                : Format::f32;
    if (wanted == s.format) return sink(bytes(s.data, p.data_bytes(s.format)));
    std::vector<std::byte> narrow(static_cast<std::size_t>(p.data_bytes(wanted)));
    kernel::quantize_row(wanted, reinterpret_cast<const float*>(s.data), p.size(), narrow.data());
    sink(narrow);
  }

  std::vector<ParameterRef> parameters_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace gov
