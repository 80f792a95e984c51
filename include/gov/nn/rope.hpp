// Rotary positions (Su et al. 2021), plain or stretched: linear, dynamic (NTK-aware), YaRN (Peng et
// al. 2023), llama3. As transformers' rope utilities compute them: inverse frequencies and angles
// in f32, cos and sin times the attention scaling.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "gov/core/config.hpp"

namespace gov {

enum class RopeType { default_, linear, yarn, llama3, dynamic };

template <>
struct EnumNames<RopeType> {
  static constexpr std::string_view type = "gov::RopeType";
  static constexpr std::array<std::pair<std::string_view, RopeType>, 5> values{
      {{"default", RopeType::default_},
       {"linear", RopeType::linear},
       {"yarn", RopeType::yarn},
       {"llama3", RopeType::llama3},
       {"dynamic", RopeType::dynamic}}};
  static constexpr std::array<std::string_view, 5> enumerators{"default_", "linear", "yarn",
                                                               "llama3", "dynamic"};
};

// config.json's rope_parameters (rope_scaling and rope_theta in older files).
struct RopeConfig {
  RopeType rope_type = RopeType::default_;
  double rope_theta = 10000;
  double factor = 1;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;
  index_t original_max_position_embeddings = 0;
  double attention_factor = 0, mscale = 0, mscale_all_dim = 0;  // 0: not given
  double low_freq_factor = 1, high_freq_factor = 4;

  static constexpr Range theta_range{1 + 1e-6, 1e12};  // its logarithm is divided by
  friend constexpr bool operator==(const RopeConfig&, const RopeConfig&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("rope_type", self.rope_type);
    v("rope_theta", self.rope_theta, theta_range);
    if (self.rope_type == RopeType::default_) return;
    v("factor", self.factor, Range{1e-3, 1e6});
    if (self.rope_type == RopeType::linear || self.rope_type == RopeType::dynamic) return;
    if (self.rope_type == RopeType::llama3) {
      v("original_max_position_embeddings", self.original_max_position_embeddings,
        Range{1, 1 << 30});
      v("low_freq_factor", self.low_freq_factor, Range{1e-6, 1e6});
      v("high_freq_factor", self.high_freq_factor, Range{1e-6, 1e6});
      return;
    }
    v("beta_fast", self.beta_fast, Range{1e-6, 1e6});
    v("beta_slow", self.beta_slow, Range{1e-6, 1e6});
    v("truncate", self.truncate);
    v("original_max_position_embeddings", self.original_max_position_embeddings, Range{1, 1 << 30});
    v("attention_factor", self.attention_factor, Range{0, 1e6});
    v("mscale", self.mscale, Range{0, 1e6});
    v("mscale_all_dim", self.mscale_all_dim, Range{0, 1e6});
  }

  // cos and sin are multiplied by this (YaRN only).
  double attention_scaling() const {
    if (rope_type != RopeType::yarn) return 1;
    if (attention_factor != 0) return attention_factor;
    const auto scale = [this](double weight) {
      return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
    };
    if (mscale != 0 && mscale_all_dim != 0) return scale(mscale) / scale(mscale_all_dim);
    return scale(1);
  }

  // The base that dynamic positions take for a sequence of `length`, beyond `longest` positions.
  double stretched_theta(index_t head_dim, index_t longest, index_t length) const {
    if (length <= longest) return rope_theta;
    const auto dim = static_cast<double>(head_dim);
    const double share = static_cast<double>(length) / static_cast<double>(longest);
    return rope_theta * std::pow(factor * share - (factor - 1), dim / (dim - 2));
  }

  // One inverse frequency per pair of channels, [head_dim / 2].
  std::vector<float> inverse_frequencies(index_t head_dim) const {
    std::vector<float> result(static_cast<std::size_t>(head_dim / 2));
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = inverse_frequency(rope_theta, head_dim, i);
    if (rope_type == RopeType::linear)
      for (float& frequency : result) frequency /= static_cast<float>(factor);
    if (rope_type == RopeType::yarn) interpolate_yarn(head_dim, result);
    if (rope_type == RopeType::llama3) interpolate_llama3(result);
    return result;
  }

  static float period(double theta, index_t head_dim, std::size_t i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    return std::pow(static_cast<float>(theta), exponent);
  }
  static float inverse_frequency(double theta, index_t head_dim, std::size_t i) {
    return 1.0f / period(theta, head_dim, i);
  }

 private:
  void interpolate_yarn(index_t head_dim, std::vector<float>& result) const {
    const auto dim = static_cast<double>(head_dim);
    // The channel whose wavelength makes `rotations` turns over the original context.
    const auto channel = [&](double rotations) {
      return dim *
             std::log(static_cast<double>(original_max_position_embeddings) /
                      (rotations * 2 * std::numbers::pi)) /
             (2 * std::log(rope_theta));
    };
    double low = channel(beta_fast), high = channel(beta_slow);
    if (truncate) low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0), high = std::min(high, dim - 1);
    if (low == high) high += 0.001;
    for (std::size_t i = 0; i < result.size(); ++i) {
      const float interpolated =
          1.0f / (static_cast<float>(factor) * period(rope_theta, head_dim, i));
      const float ramp = std::clamp(
          (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f,
          1.0f);
      const float keep = 1.0f - ramp;
      result[i] = interpolated * (1.0f - keep) + result[i] * keep;
    }
  }

  // Keeps what turns fast, divides what turns slowly, goes over smoothly between.
  void interpolate_llama3(std::vector<float>& result) const {
    const auto original = static_cast<double>(original_max_position_embeddings);
    const auto divisor = static_cast<float>(factor);
    for (float& frequency : result) {
      const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
      if (static_cast<double>(wavelength) < original / high_freq_factor) continue;
      if (static_cast<double>(wavelength) > original / low_freq_factor) {
        frequency /= divisor;
        continue;
      }
      const float smooth =
          (static_cast<float>(original) / wavelength - static_cast<float>(low_freq_factor)) /
          static_cast<float>(high_freq_factor - low_freq_factor);
      frequency = (1.0f - smooth) * frequency / divisor + smooth * frequency;
    }
  }
};

// cos and sin of one position, [head_dim / 2] each. Angles are f32 for every scalar type, as HF's.
template <class T>
void rope_angles(std::span<const float> inverse_frequencies, double scaling, index_t position,
                 T* cos, T* sin) {
  for (std::size_t i = 0; i < inverse_frequencies.size(); ++i) {
    const double angle = static_cast<float>(position) * inverse_frequencies[i];
    cos[i] = static_cast<T>(std::cos(angle) * scaling);
    sin[i] = static_cast<T>(std::sin(angle) * scaling);
  }
}

}  // namespace gov
