// Weights that a fixture describes instead of holding: weights.json names the tensors, and the
// counter based generator of tests/reference/parity_common.py gives their values. Written as a
// checkpoint, so that they are loaded like any other.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <string>

#include "gov/core/rng.hpp"
#include "gov/io/json.hpp"
#include "gov/io/safetensors_writer.hpp"

namespace gov::test {

inline float generated_value(std::uint64_t key, std::uint64_t i, float offset, float amplitude) {
  const float unit = static_cast<float>(Rng(key + i).next() >> 40) * 0x1p-23f - 1.0f;
  return offset + amplitude * unit;
}

// The numbers of tensor `name`, row-major.
inline void generate(std::string_view seed, std::string_view name, float offset, float amplitude,
                     std::span<float> values) {
  std::uint64_t key = 0xcbf29ce484222325u;
  for (const char c : std::string(seed) + ":" + std::string(name))
    key = (key ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = generated_value(key, i, offset, amplitude);
}

// Writes `to`/model.safetensors and copies config.json there.
inline void write_generated(const std::filesystem::path& fixture, const std::filesystem::path& to) {
  const Json weights = load_json((fixture / "weights.json").string());
  const std::string seed = std::to_string(weights.at("seed").as_int());
  std::vector<TensorSpec> specs;
  for (const auto [name, tensor] : weights.at("tensors").items())
    specs.push_back({std::string(name), DType::F32, tensor.at("shape").as_vector<index_t>()});
  const auto supply = [&](const TensorSpec& spec, const ByteSink& sink) {
    const Json tensor = weights.at("tensors").at(spec.name);
    std::vector<float> values(1);
    for (const index_t extent : spec.shape)
      values.resize(values.size() * static_cast<std::size_t>(extent));
    generate(seed, spec.name, tensor.at("offset").as<float>(), tensor.at("amplitude").as<float>(),
             values);
    sink(std::as_bytes(std::span(values)));
  };
  std::filesystem::create_directories(to);
  write_safetensors((to / "model.safetensors").string(), specs, supply);
  std::filesystem::copy_file(fixture / "config.json", to / "config.json",
                             std::filesystem::copy_options::overwrite_existing);
}

}  // namespace gov::test
