// What the kernel tests share: every backend of this machine, weights of every Format between guard
// pages, and error measures.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "gov/core/rng.hpp"
#include "gov/kernel/backend.hpp"
#include "tests/support/guard.hpp"

namespace gov::test {

inline constexpr Format all_formats[] = {Format::f32, Format::bf16, Format::f16, Format::q8,
                                         Format::mxfp4};

inline std::vector<const kernel::Kernels<float>*> available_kernels() {
  std::vector<const kernel::Kernels<float>*> found;
  for (const auto& entry : kernel::Tags::entries)
    if (const auto* const kernels = kernel::find_kernels<float>(entry.name))
      found.push_back(kernels);
  return found;
}

// Those whose result may not depend on the shape of the call: all but eigen.
inline std::vector<const kernel::Kernels<float>*> invariant_kernels() {
  auto found = available_kernels();
  std::erase_if(found, [](const auto* kernels) { return kernels->name == "eigen"; });
  return found;
}

// sum (a - b)^2 / sum b^2; NaN if either holds one.
template <class A, class B>
double nmse(const A& actual, const B& expected) {
  double error = 0, size = 0;
  auto e = expected.begin();
  for (const auto a : actual) {
    const double b = static_cast<double>(*e++), difference = static_cast<double>(a) - b;
    error += difference * difference, size += b * b;
  }
  return error == 0 ? 0 : error / size;
}

template <class A, class B>
bool same_bits(const A& a, const B& b) {
  return a.size() == b.size() &&
         (a.size() == 0 ||
          std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(a[0])) == 0);
}

inline std::vector<float> normal_values(index_t count, std::uint64_t seed, double deviation = 1) {
  Rng rng(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(deviation * rng.normal());
  return values;
}

// A random weight matrix whose bytes end at guard pages; `shift` bytes before them.
struct GuardedWeight {
  GuardedBuffer<std::byte> data, scales;
  WeightView view;

  GuardedWeight(Format format, index_t out, index_t in, std::uint64_t seed, index_t shift = 0)
      : data(out * row_bytes(format, in), shift), scales(out * scale_bytes(format, in), shift) {
    Rng rng(seed);
    for (index_t i = 0; i < data.size();) {
      const auto value = static_cast<float>(rng.normal());
      const auto put = [&](const auto& stored) {
        std::memcpy(data.data() + i, &stored, sizeof stored);
        i += static_cast<index_t>(sizeof stored);
      };
      if (format == Format::f32)
        put(value);
      else if (format == Format::bf16)
        put(to_bf16(value));
      else if (format == Format::f16)
        put(to_f16(value));
      else
        put(static_cast<std::uint8_t>(rng.next()));
    }
    for (index_t i = 0; i < scales.size(); i += format == Format::q8 ? 2 : 1) {
      if (format == Format::q8) {
        const bf16 scale = to_bf16(static_cast<float>(rng.uniform() / 64));
        std::memcpy(scales.data() + i, &scale, 2);
      } else {
        scales[i] = static_cast<std::byte>(120 + rng.next() % 8);
      }
    }
    view = {format, data.data(), is_blocked(format) ? scales.data() : nullptr, out, in};
  }

  // The same numbers, widened to T by the scalar kernel.
  template <class T>
  std::vector<T> widened() const {
    std::vector<T> values(static_cast<std::size_t>(view.out * view.in));
    for (index_t n = 0; n < view.out; ++n)
      kernel::widen_row(kernel::scalar{}, view, n, values.data() + n * view.in);
    return values;
  }
};

}  // namespace gov::test
