// One layer in all its parts against plain loops in double.
#include "gov/vision/encoder_layer.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;

using Doubles = std::vector<double>;
constexpr index_t width = 24;

constexpr EncoderNames own_names{.norm1 = "n1",
                                 .norm2 = "n2",
                                 .q_proj = "a.b.q",
                                 .k_proj = "a.b.k",
                                 .v_proj = "a.b.v",
                                 .o_proj = "a.o",
                                 .up_proj = "m.up",
                                 .down_proj = "m.down",
                                 .scale1 = "s1.g",
                                 .scale2 = "s2.g",
                                 .q_norm = "a.qn",
                                 .k_norm = "a.kn"};

struct Bare {
  static constexpr EncoderParts parts{.hidden_size = width,
                                      .intermediate_size = 40,
                                      .num_attention_heads = 3,
                                      .layer_norm_eps = 1e-5,
                                      .hidden_act = kernel::Activation::quick_gelu};
  static constexpr EncoderNames names = own_names;
};
struct Full {
  static constexpr EncoderParts parts{.hidden_size = width,
                                      .intermediate_size = 32,
                                      .num_attention_heads = 2,
                                      .layer_norm_eps = 1e-3,
                                      .hidden_act = kernel::Activation::gelu,
                                      .qkv_bias = false,
                                      .layer_scale = true,
                                      .qk_norm = true,
                                      .norm_type = NormType::rms_norm};
  static constexpr EncoderNames names = own_names;
};
struct Gated {  // without layer scale
  static constexpr EncoderParts parts{.hidden_size = width,
                                      .intermediate_size = 16,
                                      .num_attention_heads = 4,
                                      .layer_norm_eps = 1e-6,
                                      .hidden_act = kernel::Activation::gelu,
                                      .gated = true};
  static constexpr EncoderNames names = own_names;
};

template <class Norm>
Doubles normed(const Doubles& x, const Norm& norm, double eps) {
  if constexpr (requires { norm.bias.values(); })
    return naive_norm(x, width, norm.weight.values(), norm.bias.values(), eps, true);
  else
    return naive_norm(x, width, norm.weight.values(), nullptr, eps, false);
}

template <class P>
Doubles linear(const Doubles& x, const P& p) {
  return naive_linear(x, p.weight.view(), p.bias_values());
}

template <class Scale>
void add(Doubles& x, const Doubles& part, const Scale& scale) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    double factor = 1;
    if constexpr (requires { scale.values(); })
      factor = static_cast<double>(scale.values()[i % static_cast<std::size_t>(width)]);
    x[i] += factor * part[i];
  }
}

template <class L>
Doubles naive_layer(const typename EncoderLayer<L>::Params& p, Doubles x) {
  constexpr EncoderParts parts = L::parts;
  const Doubles first = normed(x, p.norm1, parts.layer_norm_eps);
  Doubles q = linear(first, p.q_proj), k = linear(first, p.k_proj);
  if constexpr (parts.qk_norm) q = normed(q, p.q_norm, 1e-6), k = normed(k, p.k_norm, 1e-6);
  const NaiveAttention mix{parts.num_attention_heads, parts.num_attention_heads,
                           width / parts.num_attention_heads, -1};
  add(x, linear(mix(q, k, linear(first, p.v_proj), nullptr), p.o_proj), p.scale1);
  const Doubles wide = linear(normed(x, p.norm2, parts.layer_norm_eps), p.up_proj);
  Doubles inner;
  const auto n = static_cast<std::size_t>(parts.intermediate_size);
  for (std::size_t i = 0; i < wide.size(); ++i)
    if (!parts.gated)
      inner.push_back(naive_activation(parts.hidden_act, wide[i]));
    else if (i % (2 * n) < n)
      inner.push_back(naive_activation(kernel::Activation::silu, wide[i]) * wide[i + n]);
  add(x, linear(inner, p.down_proj), p.scale2);
  return x;
}

template <class L, class T>
void check_layer(const kernel::Kernels<T>& kernels, Formats formats, double bar) {
  CAPTURE(kernels.name);
  typename EncoderLayer<L>::Params params;
  const auto memory = random_params(params, formats);
  const auto values = random_values(19 * width, 3);
  const Doubles truth = naive_layer<L>(params, Doubles(values.begin(), values.end()));
  std::vector<T> x(values.begin(), values.end());
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  EncoderLayer<L>::forward(context, params, Rows<T>(x.data(), 19, width));
  CHECK(relative_gap(x, truth) < bar);
}

template <class L>
void check_layers() {
  for (const auto* kernels : available_kernels()) check_layer<L, float>(*kernels, {}, 2e-6);
  check_layer<L, double>(*kernel::find_kernels<double>("scalar"), {Format::bf16, Format::bf16},
                         1e-13);
}

TEST_CASE("biases and quick_gelu alone") { check_layers<Bare>(); }
TEST_CASE("RMS norms, normed q and k, layer scale, no q, k, v biases") { check_layers<Full>(); }
TEST_CASE("a gated feed-forward") { check_layers<Gated>(); }

TEST_CASE("names and shapes are the tower's") {
  EncoderLayer<Full>::Params params;
  std::string all;
  for (const auto& p : parameter_list(params)) all += p.name + " ";
  CHECK(all ==
        "n1.weight n2.weight a.b.q.weight a.b.k.weight a.b.v.weight a.qn.weight a.kn.weight "
        "a.o.weight a.o.bias m.up.weight m.up.bias m.down.weight m.down.bias s1.g s2.g ");
  static_assert(EncoderLayer<Gated>::Up::Params{}.weight.out == 32);
  static_assert(parameter_count<EncoderLayer<Bare>> ==
                4 * width + 4 * (width * width + width) + 2 * width * 40 + 40 + width);
}

TEST_CASE("an encoder runs as many layers as it is told and shows the state before each") {
  std::array<EncoderLayer<Bare>::Params, 3> layers;
  std::array<AlignedBuffer, 3> memory;
  for (std::size_t i = 0; i < 3; ++i) memory[i] = random_params(layers[i], {}, i);
  const auto values = random_values(5 * width, 3);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::best_kernels<float>(), pool, arena};
  struct Names {
    std::string seen;
    void on(const std::string& name, Rows<float>) { seen += name + " "; }
  };
  for (const index_t count : {0, 2}) {
    auto x = values, by_hand = values;
    Names names;
    run_encoder<EncoderLayer<Bare>>(context, layers, count, Rows<float>(x.data(), 5, width), names);
    for (index_t i = 0; i < count; ++i)
      EncoderLayer<Bare>::forward(context, layers[static_cast<std::size_t>(i)],
                                  Rows<float>(by_hand.data(), 5, width));
    CHECK(same_bits(x, by_hand));
    CHECK(names.seen ==
          (count == 0 ? "vision_hidden_states.0 "
                      : "vision_hidden_states.0 vision_hidden_states.1 vision_hidden_states.2 "));
  }
}

}  // namespace
