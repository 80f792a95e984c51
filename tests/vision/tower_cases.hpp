// Runs a tower on the cases of a folder of tests/fixtures/vision (made by
// tests/reference/vision_fixtures.py): every backend against transformers in f32, and scalar loops
// in double against its run in double.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "gov/io/config_json.hpp"
#include "gov/io/safetensors.hpp"
#include "gov/model/parameter_list.hpp"
#include "tests/parity/generated_weights.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/parity_row.hpp"

namespace gov::test {

using Doubles = std::vector<double>;

inline std::filesystem::path vision_fixture(const std::string& geometry) {
  return std::filesystem::path("tests/fixtures/vision") / geometry;
}

// The parameters that weights.json describes: just these names and shapes, all f32.
template <class Params>
AlignedBuffer generated_params(Params& params, const std::filesystem::path& folder) {
  const Json weights = load_json((folder / "weights.json").string());
  const Json tensors = weights.at("tensors");
  const auto list = parameter_list(params);
  CHECK(list.size() == tensors.size());
  index_t count = 0;
  for (const auto& p : list) count += round_up(p.size(), cache_line / 4);
  AlignedBuffer memory(count * 4);
  auto* at = reinterpret_cast<float*>(memory.data());
  for (const auto& p : list) {
    CAPTURE(p.name);
    REQUIRE(tensors.contains(p.name));
    const Json tensor = tensors.at(p.name);
    CHECK(tensor.at("shape").as_vector<index_t>() == p.shape);
    generate(std::to_string(weights.at("seed").as_int()), p.name, tensor.at("offset").as<float>(),
             tensor.at("amplitude").as<float>(), {at, static_cast<std::size_t>(p.size())});
    *p.storage = {Format::f32, DType::F32, reinterpret_cast<std::byte*>(at), nullptr};
    at += round_up(p.size(), cache_line / 4);
  }
  return memory;
}

struct TowerCase {
  std::string name;
  index_t images = 0;
  Extent size;
  std::vector<float> pixels;               // [images, channels, height, width]
  std::map<std::string, Doubles> tensors;  // images one after the other
};

inline TowerCase read_tower_case(const std::filesystem::path& path, index_t channels) {
  TowerCase result;
  result.name = path.stem().string();
  const auto file = SafeTensors::open(path.string());
  const auto& pairs = file.header().metadata();
  const std::map<std::string, std::string> metadata(pairs.begin(), pairs.end());
  const auto number = [&](const char* key) { return index_t{std::stoll(metadata.at(key))}; };
  result.images = number("images"), result.size = {number("height"), number("width")};
  result.pixels.resize(
      static_cast<std::size_t>(result.images * channels * result.size.height * result.size.width));
  generate("1", result.name + ".pixel_values", 0, 2, result.pixels);
  for (const auto& entry : file.entries()) {
    std::vector<std::byte> raw(static_cast<std::size_t>(entry.bytes));
    file.read(entry, raw);
    const auto take = [&]<class V>(V) {
      std::vector<V> values(raw.size() / sizeof(V));
      std::memcpy(values.data(), raw.data(), raw.size());
      result.tensors[entry.name].assign(values.begin(), values.end());
    };
    if (entry.dtype == DType::F32) take(float{});
    if (entry.dtype == DType::F64) take(double{});
  }
  return result;
}

struct SeenStates {
  std::map<std::string, Doubles> rows;
  template <class T>
  void on(const std::string& name, Rows<T> x) {
    rows[name].assign(x.data, x.data + x.rows * x.cols);
  }
};

// All layers of one case: what the observer sees, and what forward gives for each of them. The
// largest error comes back.
template <class Tower, class T>
double check_tower_case(const typename Tower::Params& params, const kernel::Kernels<T>& kernels,
                        const TowerCase& c, double bar, const char* last_name) {
  CAPTURE(kernels.name);
  CAPTURE(c.name);
  const index_t tokens = Tower::tokens(c.size.height, c.size.width);
  const index_t numbers = tokens * Tower::hidden_size;
  const auto part = [&](const std::string& name, index_t image) {
    const Doubles& all = c.tensors.at(name);
    REQUIRE(static_cast<index_t>(all.size()) == c.images * numbers);
    return Doubles(all.begin() + image * numbers, all.begin() + (image + 1) * numbers);
  };
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  std::vector<T> out(static_cast<std::size_t>(numbers));
  const Rows<T> rows(out.data(), tokens, Tower::hidden_size);
  const index_t pixels_per_image =
      static_cast<index_t>(c.pixels.size()) / std::max<index_t>(1, c.images);
  double worst = 0;
  const auto compare = [&](const auto& found, const Doubles& truth) {
    const double error = relative_gap(found, truth);
    CHECK(error < bar);
    worst = error <= worst ? worst : error;  // which NaN is not
  };
  for (index_t image = 0; image < c.images; ++image) {
    const float* const pixels = c.pixels.data() + image * pixels_per_image;
    SeenStates seen;
    Tower::forward(context, params, pixels, c.size.height, c.size.width, -1, rows, seen);
    compare(out, part(last_name, image));
    if constexpr (std::is_same_v<T, float>) {
      const index_t layers = Tower::config.num_hidden_layers;
      CHECK(static_cast<index_t>(seen.rows.size()) == layers + 1);
      for (index_t l = 0; l <= layers; ++l) {
        CAPTURE(l);
        const auto truth = part("hidden_states." + std::to_string(l), image);
        compare(seen.rows.at("vision_hidden_states." + std::to_string(l)), truth);
        NoObserver none;
        Tower::forward(context, params, pixels, c.size.height, c.size.width, l, rows, none);
        compare(out, truth);
      }
    }
  }
  return worst;
}

// A folder's cases on a tower of its geometry; each(params, case) sees them too. The number of
// cases comes back.
template <class C, class Each>
int check_tower(const std::string& geometry, Each&& each) {
  using Tower = typename C::template Tower<C>;
  CAPTURE(geometry);
  const auto folder = vision_fixture(geometry);
  const Json json = load_json((folder / "config.json").string());
  CHECK(json.at("model_type").as_string() == C::config.model_type);
  Problems problems("config.json");
  CHECK(read_config<std::remove_cvref_t<decltype(C::config)>>({json}, problems) == C::config);
  CHECK(problems.empty());
  CHECK(Tower::image_size == C::config.image_size);
  CHECK(Tower::num_channels == C::config.num_channels);
  CHECK(Tower::num_hidden_layers == C::config.num_hidden_layers);
  typename Tower::Params params;
  const auto memory = generated_params(params, folder);
  int cases = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".safetensors") continue;
    const TowerCase c = read_tower_case(file.path(), C::config.num_channels);
    const bool apart = c.tensors.contains("last_hidden_state");
    const std::string last =
        apart ? "last_hidden_state"
              : "hidden_states." + std::to_string(index_t{Tower::config.num_hidden_layers});
    const auto on = [&]<class T>(const kernel::Kernels<T>& kernels, double bar, const char* name) {
      print_parity_row(geometry, c.name, kernels, "hidden",
                       check_tower_case<Tower, T>(params, kernels, c, bar, name));
    };
    for (const auto* kernels : available_kernels()) on(*kernels, 5e-6, last.c_str());
    on(*kernel::find_kernels<double>("scalar"), 1e-12, "truth");
    each(params, c);
    ++cases;
  }
  return cases;
}

template <class C>
int check_tower(const std::string& geometry) {
  return check_tower<C>(geometry, [](const auto&, const TowerCase&) {});
}

}  // namespace gov::test
