// Cases of one module against PyTorch: tests/reference writes only the results; weights and inputs
// come from the generator that parity_common.py and generated_weights.hpp share, by the case's name
// and the tensor's.
#pragma once

#include <doctest/doctest.h>

#include <bit>
#include <filesystem>
#include <string>
#include <vector>

#include "gov/core/arena.hpp"
#include "gov/io/safetensors.hpp"
#include "gov/model/parameter_list.hpp"
#include "gov/nn/context.hpp"
#include "tests/parity/generated_weights.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/parity_row.hpp"

namespace gov::test {

inline std::vector<float> generated(const std::string& case_name, std::string_view tensor,
                                    index_t count, float offset = 0, float amplitude = 1) {
  std::vector<float> values(static_cast<std::size_t>(count));
  generate(case_name, tensor, offset, amplitude, values);
  return values;
}

// Fills all of a Params struct by the rule of reference_case.py; the result is its memory.
template <class Params>
AlignedBuffer generated_params(const std::string& case_name, Params& params) {
  const auto list = parameter_list(params);
  index_t bytes = 0;
  for (const auto& p : list) bytes += round_up(p.size() * 4, cache_line);
  AlignedBuffer memory(bytes);
  std::byte* at = memory.data();
  for (const auto& p : list) {
    index_t fan_in = 1;
    for (std::size_t axis = 1; axis < p.shape.size(); ++axis) fan_in *= p.shape[axis];
    float offset = 0, amplitude = 0.25f;
    if (p.shape.size() > 1)
      amplitude = std::ldexp(
          1.0f, -static_cast<int>(std::bit_width(static_cast<std::uint64_t>(fan_in)) / 2));
    else if (p.name.ends_with("weight"))
      offset = 1, amplitude = 0.5f;
    const auto values = generated(case_name, p.name, p.size(), offset, amplitude);
    std::memcpy(at, values.data(), values.size() * 4);
    *p.storage = {Format::f32, DType::F32, at, nullptr};
    at += round_up(p.size() * 4, cache_line);
  }
  return memory;
}

inline std::filesystem::path fixture_path(const std::filesystem::path& name) {
  const auto inside = std::filesystem::path("tests/fixtures") / name;
  if (std::filesystem::exists(inside)) return inside;
  return std::filesystem::path(__FILE__).parent_path().parent_path() / "fixtures" / name;
}

// A file of results under tests/fixtures.
class ReferenceFile {
 public:
  explicit ReferenceFile(const std::filesystem::path& name)
      : stem_(name.stem().string()), file_(SafeTensors::open(fixture_path(name).string())) {}

  const std::string& stem() const { return stem_; }
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  std::vector<index_t> shape(const std::string& name) const { return file_.at(name).shape; }
  std::vector<double> doubles(const std::string& name) const { return read<double>(name); }
  std::vector<std::int64_t> integers(const std::string& name) const {
    return read<std::int64_t>(name);
  }
  std::string metadata(const std::string& key) const {
    for (const auto& [name, value] : file_.header().metadata())
      if (name == key) return value;
    return {};
  }

 private:
  template <class V>
  std::vector<V> read(const std::string& name) const {
    const auto& entry = file_.at(name);
    std::vector<V> values(static_cast<std::size_t>(entry.bytes) / sizeof(V));
    file_.read(entry, std::as_writable_bytes(std::span(values)));
    return values;
  }

  std::string stem_;
  SafeTensors file_;
};

template <class T>
std::vector<T> generated_as(const std::string& case_name, std::string_view tensor, index_t count) {
  const auto values = generated(case_name, tensor, count);
  return {values.begin(), values.end()};
}

// run(context, params, x, y) on every backend in f32 and on scalar in double, x [rows, width] being
// the tensor "input" and y of the result's shape; compared with the result.
template <class Params, class Run>
void check_case(const ReferenceFile& file, const std::string& name, index_t rows, index_t width,
                const Run& run, double bar = 1e-5) {
  CAPTURE(name);
  Params params;
  const auto memory = generated_params(name, params);
  const auto expected = file.doubles(name);
  const auto shape = file.shape(name);
  const auto on = [&]<class T>(const kernel::Kernels<T>& kernels, double limit) {
    CAPTURE(kernels.name);
    const auto x = generated_as<T>(name, "input", rows * width);
    std::vector<T> y(expected.size(), T(-1e30));
    ThreadPool pool(2);
    Arena arena;
    Context<T> context{kernels, pool, arena};
    run(context, std::as_const(params), Rows<const T>(x.data(), rows, width),
        Rows<T>(y.data(), shape.at(0), shape.at(1)));
    const double error = relative_gap(y, expected);
    CHECK(error < limit);
    print_parity_row(file.stem(), name, kernels, "output", error);
  };
  for (const auto* kernels : available_kernels()) on(*kernels, bar);
  on(*kernel::find_kernels<double>("scalar"), 1e-13);
}

}  // namespace gov::test
