// Parity with transformers: runs a fixture's cases on a compiled geometry and measures every
// intermediate against what transformers computed. One ParityGeometry per folder of
// tests/fixtures/parity, registered by a small generated file.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "gov/io/safetensors.hpp"
#include "gov/model/gov_model.hpp"
#include "tests/parity/generated_weights.hpp"

namespace gov::test {

// A fixture's case as it lies in its file.
struct ParityCase {
  std::string name;
  std::map<std::string, std::vector<float>> floats;
  std::map<std::string, std::vector<std::int64_t>> integers;
  std::map<std::string, std::vector<index_t>> shapes;
  std::map<std::string, std::string> metadata;

  bool has(const std::string& tensor) const { return shapes.contains(tensor); }
  index_t extent(const std::string& tensor, std::size_t axis) const {
    return shapes.at(tensor)[axis];
  }
};

inline ParityCase read_case(const std::filesystem::path& path) {
  ParityCase result{path.stem().string(), {}, {}, {}, {}};
  const auto file = SafeTensors::open(path.string());
  for (const auto& entry : file.entries()) {
    result.shapes[entry.name] = entry.shape;
    std::vector<std::byte> raw(static_cast<std::size_t>(entry.bytes));
    file.read(entry, raw);
    const auto take = [&]<class V>(V& values) {
      values.resize(raw.size() / sizeof(values[0]));
      std::ranges::copy(raw, std::as_writable_bytes(std::span(values)).begin());
    };
    if (entry.dtype == DType::F32) take(result.floats[entry.name]);
    if (entry.dtype == DType::I64) take(result.integers[entry.name]);
  }
  for (const auto& [key, value] : file.header().metadata())
    result.metadata[std::string(key)] = value;
  return result;
}

struct ParityResult {
  std::string geometry, name;
  double features = 0, hidden = 0, router = 0, logits = 0;  // max abs error / max abs of the tensor
  double logits_nmse = 0, bf16_nmse = 1;  // the latter: transformers' own bf16 run
  index_t routes = 0, routes_equal = 0, tokens = 0, tokens_equal = 0;
};

struct ParityOptions {
  std::string backend = "scalar";
  int threads = 2;
  index_t chunk = 4096;
  bool in_double = false;
  Arithmetic arithmetic = Arithmetic::invariant;
};

// Collects what the fixtures name; rows of later chunks go behind those of earlier ones.
template <class T>
struct Capture {
  std::map<std::string, std::vector<T>> rows;
  std::map<std::string, std::vector<index_t>> indices;
  void on(const std::string& name, Rows<T> x) {
    auto& to = rows[name];
    for (index_t i = 0; i < x.rows; ++i) to.insert(to.end(), x.row(i), x.row(i) + x.cols);
  }
  void on(const std::string& name, Rows<index_t> x) {
    indices[name].insert(indices[name].end(), x.data, x.data + x.rows * x.cols);
  }
};

// Largest error over the largest magnitude, at the given rows of the reference.
template <class T>
double relative_error(const std::vector<T>& ours, const std::vector<float>& reference,
                      const std::vector<index_t>& rows, index_t width, double* nmse = nullptr) {
  double worst = 0, scale = 0, error = 0, power = 0;
  if (ours.size() != rows.size() * static_cast<std::size_t>(width)) return 1e30;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (index_t c = 0; c < width; ++c) {
      const double want = reference[static_cast<std::size_t>(rows[i] * width + c)];
      const double gap =
          static_cast<double>(
              ours[i * static_cast<std::size_t>(width) + static_cast<std::size_t>(c)]) -
          want;
      if (!(std::abs(gap) <= worst)) worst = std::abs(gap);  // a NaN stays
      scale = std::max(scale, std::abs(want));
      error += gap * gap, power += want * want;
    }
  if (nmse) *nmse = power > 0 ? error / power : error;
  return scale > 0 ? worst / scale : worst;
}

template <class Cfg, class T>
ParityResult run_case(GovModel<Cfg> model, const std::string& geometry, const ParityCase& c,
                      const ParityOptions& options) {
  using A = Architecture<Cfg>;
  if (const auto set = c.metadata.find("set"); set != c.metadata.end())
    for (const auto [key, value] : parse_json(set->second, "set").items())
      model.set({std::string(key), dump(value, -1)});
  const index_t batch = c.extent("input_ids", 0), length = c.extent("input_ids", 1);
  const auto& ids = c.integers.at("input_ids");
  const auto& mask = c.integers.at("attention_mask");
  ParityResult result;
  result.geometry = geometry, result.name = c.name;
  if (const auto bf16 = c.metadata.find("bf16_nmse_logits"); bf16 != c.metadata.end())
    result.bf16_nmse = std::stod(bf16->second);

  // Rows without their padding, and which rows of the reference they are.
  std::vector<std::vector<int>> prompts(static_cast<std::size_t>(batch));
  std::vector<index_t> real;
  for (index_t b = 0; b < batch; ++b)
    for (index_t t = 0; t < length; ++t)
      if (const auto at = static_cast<std::size_t>(b * length + t); mask[at]) {
        prompts[static_cast<std::size_t>(b)].push_back(static_cast<int>(ids[at]));
        real.push_back(b * length + t);
      }

  // Of the decoder, which may have images before the text.
  std::vector<index_t> decoded = real;
  if constexpr (A::prefix_fusion) {
    decoded.clear();
    const auto& rows = c.integers.at("rows_mask");
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (rows[i]) decoded.push_back(static_cast<index_t>(i));
  }

  std::vector<std::vector<std::uint8_t>> modalities(static_cast<std::size_t>(batch));
  if (c.has("modality"))
    for (std::size_t i = 0; i < mask.size(); ++i)
      if (mask[i])
        modalities[i / static_cast<std::size_t>(length)].push_back(
            static_cast<std::uint8_t>(c.integers.at("modality")[i]));

  std::vector<Session<Cfg, T>> sessions;
  std::vector<typename Session<Cfg, T>::Item> items;
  index_t tile = 0;
  std::size_t picture = 0;
  std::vector<Extent> sizes;
  if (c.has("image_sizes"))
    for (index_t i = 0; i < c.extent("image_sizes", 0); ++i) {
      const auto* const size = c.integers.at("image_sizes").data() + 2 * i;
      sizes.push_back({size[0], size[1]});
    }
  for (index_t b = 0; b < batch; ++b)
    sessions.push_back(model.template session<T>(
        {.context = std::min<index_t>(
             longest_sequence(A::language_config, model.data()->max_position_embeddings), 4096),
         .chunk = options.chunk,
         .arithmetic = options.arithmetic}));
  for (index_t b = 0; b < batch; ++b) {
    auto& prompt = prompts[static_cast<std::size_t>(b)];
    Inputs inputs{.input_ids = prompt, .modality = modalities[static_cast<std::size_t>(b)]};
    if constexpr (A::multimodal) {
      if (c.has("pixel_values")) {
        PixelView pixels{c.floats.at("pixel_values").data(), 0, c.extent("pixel_values", 1),
                         c.extent("pixel_values", 2), c.extent("pixel_values", 3)};
        const auto found = std::count(prompt.begin(), prompt.end(), model.tokens().image_token_id);
        pixels.count = found / A::Images::image_tokens(pixels.height, pixels.width);
        if constexpr (A::has_markers) {  // pictures and videos of so many frames
          const auto visuals = c.integers.at("visuals")[static_cast<std::size_t>(b)];
          const auto& all = c.integers.at("frames");
          inputs.frames =
              std::span<const index_t>(all).subspan(picture, static_cast<std::size_t>(visuals));
          picture += inputs.frames.size();
          pixels.count = std::accumulate(inputs.frames.begin(), inputs.frames.end(), index_t{0});
        }
        if constexpr (A::prefix_fusion)
          pixels.count = c.integers.at("pictures")[static_cast<std::size_t>(b)];
        if constexpr (requires { A::Images::layout(Extent{}); }) {  // pictures of any resolution
          pixels.count = 0;
          const auto pictures = c.integers.at("pictures")[static_cast<std::size_t>(b)];
          inputs.image_sizes =
              std::span(sizes).subspan(picture, static_cast<std::size_t>(pictures));
          picture += inputs.image_sizes.size();
          for (const Extent size : inputs.image_sizes)
            pixels.count += A::Images::layout(size).view_count();
        }
        pixels.data = pixels.tile(tile);
        tile += pixels.count;
        inputs.pixel_values = pixels;
      }
    }
    items.push_back({&sessions[static_cast<std::size_t>(b)], inputs});
  }
  Capture<T> seen;
  Session<Cfg, T>::forward_batch(items, {}, seen);

  if (c.has("image_features")) {
    std::vector<index_t> rows(seen.rows["image_features"].size() /
                              static_cast<std::size_t>(A::hidden_size));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<index_t>(i);
    result.features = relative_error(seen.rows["image_features"], c.floats.at("image_features"),
                                     rows, A::hidden_size);
    if (rows.size() * static_cast<std::size_t>(A::hidden_size) !=
        c.floats.at("image_features").size())
      result.features = 1e30;
  }
  for (index_t layer = 0; layer <= A::geometry.num_hidden_layers; ++layer) {
    const std::string name = "hidden_states." + std::to_string(layer);
    result.hidden = std::max(
        result.hidden, relative_error(seen.rows[name], c.floats.at(name), decoded, A::hidden_size));
  }
  constexpr index_t k = A::geometry.num_experts_per_tok, experts = A::geometry.num_experts;
  for (index_t layer = 0; experts > 1 && layer < A::geometry.num_hidden_layers; ++layer) {
    const std::string suffix = "." + std::to_string(layer);
    if (c.has("router_logits" + suffix))
      result.router = std::max(
          result.router, relative_error(seen.rows["router" + suffix],
                                        c.floats.at("router_logits" + suffix), decoded, experts));
    const auto& want = c.integers.at("router_indices" + suffix);
    const auto& ours = seen.indices["router_indices" + suffix];
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      ++result.routes;
      bool equal = true;
      for (index_t j = 0; j < k; ++j)
        equal = equal && ours[i * static_cast<std::size_t>(k) + static_cast<std::size_t>(j)] ==
                             want[static_cast<std::size_t>(decoded[i] * k + j)];
      result.routes_equal += equal;
    }
  }
  result.logits = relative_error(seen.rows["logits"], c.floats.at("logits"), real, A::vocab_size,
                                 &result.logits_nmse);

  if (!c.has("greedy_tokens")) return result;
  const index_t steps = c.extent("greedy_tokens", 1);
  const auto& greedy = c.integers.at("greedy_tokens");
  for (index_t b = 0; b < batch; ++b) {
    auto& session = sessions[static_cast<std::size_t>(b)];
    auto logits = session.outputs().logits;
    for (index_t step = 0; step < steps; ++step) {
      const T* const last = logits.row(logits.rows - 1);
      const int token = static_cast<int>(std::max_element(last, last + A::vocab_size) - last);
      ++result.tokens;
      result.tokens_equal += token == greedy[static_cast<std::size_t>(b * steps + step)];
      if (step + 1 < steps)
        logits = session.forward({.input_ids = {&token, 1}}, {.logits_to_keep = 1}).logits;
    }
  }
  return result;
}

using ParityRun = std::vector<ParityResult> (*)(const std::filesystem::path& folder,
                                                const ParityOptions&);

struct ParityGeometry {
  std::string name;
  ParityRun run;
};

inline std::vector<ParityGeometry>& parity_geometries() {
  static std::vector<ParityGeometry> all;
  return all;
}

// The folder with the cases: another spelling of a geometry's checkpoint (vlm-tiny-sharded) is run
// on that geometry's own.
inline std::filesystem::path cases_of(const std::filesystem::path& folder) {
  if (std::filesystem::exists(folder / "cases")) return folder;
  const std::string name = folder.filename().string();
  std::filesystem::path best;
  for (const auto& other : std::filesystem::directory_iterator(folder.parent_path()))
    if (const std::string prefix = other.path().filename().string();
        name.starts_with(prefix + "-") && prefix.size() > best.filename().string().size() &&
        std::filesystem::exists(other.path() / "cases"))
      best = other.path();
  return best;
}

// The model of a fixture's folder, its weights read or generated.
template <class Cfg>
GovModel<Cfg> load_geometry(const std::filesystem::path& folder, const ParityOptions& options) {
  ModelOptions model_options;
  model_options.threads = options.threads;
  model_options.backend = options.backend;
  if constexpr (GovModel<Cfg>::multimodal)
    model_options.image_token_id = describe(cases_of(folder) / "config.json").tokens.image_token_id;
  std::filesystem::path weights = folder;
  if (std::filesystem::exists(folder / "weights.json")) {
    weights = std::filesystem::temp_directory_path() / ("gov-parity-" + std::to_string(::getpid()));
    write_generated(folder, weights);
  }
  auto model = GovModel<Cfg>::from_pretrained(weights, model_options);
  if (weights != folder) std::filesystem::remove_all(weights);
  return model;
}

template <class Cfg>
std::vector<ParityResult> run_geometry(const std::filesystem::path& folder,
                                       const ParityOptions& options) {
  const auto model = load_geometry<Cfg>(folder, options);
  const auto cases = cases_of(folder) / "cases";
  std::vector<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(cases)) files.push_back(file.path());
  std::sort(files.begin(), files.end());
  std::vector<ParityResult> results;
  for (const auto& file : files) {
    const ParityCase c = read_case(file);
    const std::string name = folder.filename().string();
    results.push_back(options.in_double ? run_case<Cfg, double>(model, name, c, options)
                                        : run_case<Cfg, float>(model, name, c, options));
  }
  return results;
}

template <class Cfg>
struct RegisterParity {
  explicit RegisterParity(const char* name) {
    parity_geometries().push_back({name, &run_geometry<Cfg>});
  }
};

}  // namespace gov::test
