// A matrix of a checkpoint with more rows: those of old tokens stay as they are, bit by bit; the
// new ones are copied from another token's row (COCONUT's "<<"), the mean of the old rows
// (InternVL's head), or normal numbers. Rows stream from the file; nothing is held but one.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "gov/core/dtype.hpp"
#include "gov/core/rng.hpp"
#include "gov/io/safetensors_writer.hpp"
#include "gov/io/sharded.hpp"

namespace gov {

struct NewRows {
  enum class From { token, mean, normal };
  From from = From::mean;
  int token_id = -1;  // of token
  double sigma = 0.02;
  std::uint64_t seed = 0;

  static NewRows copy_token(int id) { return {From::token, id, 0, 0}; }
  static NewRows mean_rows() { return {}; }
  static NewRows normal(double sigma, std::uint64_t seed) {
    return {From::normal, -1, sigma, seed};
  }
};

class GrownRows {
 public:
  // `fresh` ids, and all rows that the file does not have, are new; `known` old rows are good for
  // the mean. `stream` tells normal numbers of several tensors apart.
  GrownRows(const CheckpointFiles::Tensor& tensor, index_t rows, std::span<const int> fresh,
            const NewRows& policy, index_t known, std::uint64_t stream)
      : tensor_(tensor), rows_(rows), fresh_(fresh.begin(), fresh.end()), policy_(policy) {
    const TensorEntry& entry = *tensor.entry;
    const DType dtype = entry.dtype;
    if (entry.shape.size() != 2 ||
        (dtype != DType::F32 && dtype != DType::BF16 && dtype != DType::F16))
      throw Error({.code = Errc::unsupported,
                   .file = tensor.file->path(),
                   .field = entry.name,
                   .expected = "a matrix of F32, BF16 or F16",
                   .found = std::string(to_string(dtype)) + " of rank " +
                            std::to_string(entry.shape.size())});
    old_ = entry.shape[0], width_ = entry.shape[1];
    element_ = static_cast<std::size_t>(bits_of(dtype)) / 8;
    known = std::min(known, old_);
    const bool bad_token =
        policy.from == NewRows::From::token && (policy.token_id < 0 || policy.token_id >= known);
    if (bad_token || known < 1)
      throw Error({.code = Errc::bad_argument,
                   .file = tensor.file->path(),
                   .field = entry.name,
                   .expected = "the id of an old token to copy, below " + std::to_string(known),
                   .found = std::to_string(policy.token_id)});
    rng_ = Rng(policy.seed + 0x9e3779b97f4a7c15u * stream);
    if (policy.from == NewRows::From::token) {
      pattern_.resize(row_bytes());
      read(policy.token_id, pattern_);
    } else if (policy.from == NewRows::From::mean) {
      pattern_ = mean(known);
    }
  }

  TensorSpec spec() const { return {tensor_.entry->name, tensor_.entry->dtype, {rows_, width_}}; }

  void supply(const ByteSink& sink) {
    std::vector<std::byte> row(row_bytes());
    for (index_t r = 0; r < rows_; ++r) {
      if (r < old_ && !std::binary_search(fresh_.begin(), fresh_.end(), static_cast<int>(r)))
        read(r, row);
      else if (policy_.from == NewRows::From::normal)
        draw(row);
      else
        row = pattern_;
      sink(row);
    }
  }

 private:
  std::size_t row_bytes() const { return static_cast<std::size_t>(width_) * element_; }
  void read(index_t row, std::span<std::byte> to) const {
    tensor_.file->read_part(*tensor_.entry, static_cast<std::uint64_t>(row) * row_bytes(), to);
  }

  float get(const std::byte* at) const {
    const auto as = [at]<class E>(E value) {
      std::memcpy(&value, at, sizeof value);
      return to_float(value);
    };
    switch (tensor_.entry->dtype) {
      case DType::BF16: return as(bf16{});
      case DType::F16: return as(f16{});
      default: return as(0.0f);
    }
  }
  void put(std::byte* at, float value) const {
    const auto as = [at](auto narrow) { std::memcpy(at, &narrow, sizeof narrow); };
    switch (tensor_.entry->dtype) {
      case DType::BF16: return as(to_bf16(value));
      case DType::F16: return as(to_f16(value));
      default: return as(value);
    }
  }

  std::vector<std::byte> mean(index_t known) const {
    std::vector<double> sums(static_cast<std::size_t>(width_));
    std::vector<std::byte> row(row_bytes());
    for (index_t r = 0; r < known; ++r) {
      read(r, row);
      for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] += static_cast<double>(get(row.data() + i * element_));
    }
    for (std::size_t i = 0; i < sums.size(); ++i)
      put(row.data() + i * element_, static_cast<float>(sums[i] / static_cast<double>(known)));
    return row;
  }
  void draw(std::vector<std::byte>& row) {
    for (index_t i = 0; i < width_; ++i)
      put(row.data() + static_cast<std::size_t>(i) * element_,
          static_cast<float>(policy_.sigma * rng_.normal()));
  }

  CheckpointFiles::Tensor tensor_;
  index_t rows_, old_ = 0, width_ = 0;
  std::size_t element_ = 0;
  std::vector<int> fresh_;
  NewRows policy_;
  Rng rng_;
  std::vector<std::byte> pattern_;  // the new row, unless each is drawn
};

}  // namespace gov
