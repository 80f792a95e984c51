// What the session tests share: prompts with images in them, and every backend with every storage
// whose results must not depend on how the work is cut.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gov/kernel/backend.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/models/tiny.hpp"

namespace gov::test {

struct Prompt {
  std::vector<int> ids;
  std::vector<float> pixels;  // tiles of 3 x 32 x 32
  static constexpr index_t tile_size = 3 * 32 * 32, tokens_per_tile = 4;

  // Counts of random tokens; a negative one is an image of so many tiles.
  explicit Prompt(const std::vector<int>& parts, std::uint64_t seed = 1) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto own = seed * 100 + i;
      const auto more =
          parts[i] < 0
              ? std::vector<int>(static_cast<std::size_t>(-parts[i] * tokens_per_tile), image_token)
              : random_ids(parts[i], own);
      ids.insert(ids.end(), more.begin(), more.end());
      if (parts[i] >= 0) continue;
      const auto tiles = random_values(-parts[i] * tile_size, own);
      pixels.insert(pixels.end(), tiles.begin(), tiles.end());
    }
  }
  index_t size() const { return static_cast<index_t>(ids.size()); }
  index_t tiles() const { return static_cast<index_t>(pixels.size()) / tile_size; }
  PixelView view() const {
    if (pixels.empty()) return {};
    return {pixels.data(), tiles(), 3, 32, 32};
  }
  Inputs inputs() const { return {.input_ids = ids, .pixel_values = view()}; }
  // Tokens [first, last) of a prompt without images.
  Inputs part(index_t first, index_t last) const {
    return {.input_ids = std::span(ids).subspan(static_cast<std::size_t>(first),
                                                static_cast<std::size_t>(last - first))};
  }
};

template <class Cfg>
struct Setup {
  const kernel::Kernels<float>* kernels;
  std::string label;
  std::shared_ptr<const ModelData<Cfg>> model;

  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(2);
  Arithmetic arithmetic = Arithmetic::invariant;
  Session<Cfg> session(SessionOptions options = {.context = 160, .chunk = 64}) const {
    options.arithmetic = arithmetic;
    return {model, pool, *kernels, options};
  }
  Session<Cfg> session(int threads, SessionOptions options = {.context = 160, .chunk = 64}) const {
    options.arithmetic = arithmetic;
    return {model, std::make_shared<ThreadPool>(threads), *kernels, options};
  }
};

// Every backend but eigen with f32, bf16, MXFP4 experts, and 8-bit blocks.
template <class Cfg>
const std::vector<Setup<Cfg>>& invariant_setups() {
  static const std::vector<Setup<Cfg>> setups = [] {
    std::vector<Setup<Cfg>> list;
    const std::pair<const char*, Formats> storages[] = {{"f32", {Format::f32, Format::f32}},
                                                        {"bf16", {Format::bf16, Format::bf16}},
                                                        {"mxfp4", {Format::bf16, Format::mxfp4}},
                                                        {"mxfp4-q8", {Format::q8, Format::mxfp4}}};
    for (const auto& [name, formats] : storages) {
      const std::shared_ptr<const ModelData<Cfg>> model = tiny_model<Cfg>(formats);
      for (const auto* kernels : invariant_kernels())
        list.push_back({kernels, std::string(kernels->name) + ", " + name, model});
    }
    return list;
  }();
  return setups;
}

// The same where a backend can round activations and weights are not f32.
template <class Cfg>
std::vector<Setup<Cfg>> rounding_setups() {
  std::vector<Setup<Cfg>> list;
  for (auto setup : invariant_setups<Cfg>()) {
    if (!setup.kernels->rounded() || setup.label.ends_with("f32")) continue;
    for (const Arithmetic arithmetic : {Arithmetic::fast, Arithmetic::int8}) {
      setup.arithmetic = arithmetic;
      list.push_back(setup), list.back().label.append(", ").append(to_string(arithmetic));
    }
  }
  return list;
}

// f32 on the plainest backend, where one setup is enough.
template <class Cfg>
Setup<Cfg> plain_setup() {
  for (const auto& setup : invariant_setups<Cfg>())
    if (setup.label == "scalar, f32") return setup;
  throw std::runtime_error("no scalar backend");
}

template <class Cfg>
Kept<float> run_whole(const Setup<Cfg>& setup, const Inputs& inputs) {
  auto session = setup.session();
  return Kept<float>(session.forward(inputs));
}

}  // namespace gov::test
