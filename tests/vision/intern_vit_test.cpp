// The tower against plain loops in double, in all its options.
#include "gov/vision/intern_vit.hpp"

#include <doctest/doctest.h>

#include <map>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace intern_vit_test {

using namespace gov;
using namespace gov::test;

struct Options6b : InternVitModules {  // RMS norms, q and k normed, no q, k, v biases
  static constexpr InternVitConfig config{.hidden_size = 36,
                                          .intermediate_size = 40,
                                          .num_hidden_layers = 3,
                                          .num_attention_heads = 3,
                                          .num_channels = 1,
                                          .image_size = {16, 16},
                                          .patch_size = {4, 8},
                                          .norm_type = NormType::rms_norm,
                                          .layer_norm_eps = 1e-3,
                                          .hidden_act = kernel::Activation::gelu_tanh,
                                          .use_qk_norm = true,
                                          .use_mask_token = true};
};
struct Pooled : InternVitModules {  // a final norm, no positions
  static constexpr InternVitConfig config{.hidden_size = 32,
                                          .intermediate_size = 64,
                                          .num_hidden_layers = 1,
                                          .num_attention_heads = 2,
                                          .image_size = {16, 16},
                                          .patch_size = {8, 8},
                                          .norm_type = NormType::rms_norm,
                                          .use_absolute_position_embeddings = false,
                                          .use_mean_pooling = false};
};

struct NoBias : InternVitModules {
  static constexpr InternVitConfig config{};
};

using Doubles = std::vector<double>;

template <class Norm>
Doubles naive_any_norm(const Doubles& x, const Norm& norm, double eps) {
  const auto width = static_cast<index_t>(decltype(norm.weight)::size);
  if constexpr (requires { norm.bias.values(); })
    return naive_norm(x, width, norm.weight.values(), norm.bias.values(), eps, true);
  else
    return naive_norm(x, width, norm.weight.values(), nullptr, eps, false);
}

template <class L>
Doubles linear(const Doubles& x, const L& p) {
  return naive_linear(x, p.weight.view(), p.bias_values());
}

void add_scaled(Doubles& x, const Doubles& part, const float* scale, index_t width) {
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] += part[i] * static_cast<double>(scale[i % static_cast<std::size_t>(width)]);
}

// All hidden states; the last is before any final norm.
template <class C>
std::vector<Doubles> naive_states(const typename InternVit<C>::Params& p,
                                  const std::vector<float>& pixels, index_t height, index_t width) {
  constexpr auto c = C::config;
  constexpr index_t H = c.hidden_size, ph = c.patch_size.height, pw = c.patch_size.width;
  Doubles patches;
  for (index_t y = 0; y < height / ph; ++y)
    for (index_t x = 0; x < width / pw; ++x)
      for (index_t k = 0; k < c.num_channels; ++k)
        for (index_t dy = 0; dy < ph; ++dy)
          for (index_t dx = 0; dx < pw; ++dx)
            patches.push_back(static_cast<double>(pixels[static_cast<std::size_t>(
                (k * height + y * ph + dy) * width + x * pw + dx)]));
  Doubles h(p.embeddings.cls_token.values(), p.embeddings.cls_token.values() + H);
  const auto projected = naive_linear(patches, p.embeddings.projection.weight.view(),
                                      p.embeddings.projection.bias.values());
  h.insert(h.end(), projected.begin(), projected.end());
  if constexpr (c.use_absolute_position_embeddings) {
    ThreadPool pool(1);  // resizing has its own test
    Arena arena;
    Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
    add_positions(context, p.embeddings.position_embeddings.values(), InternVit<C>::positions - 1,
                  Extent{height / ph, width / pw}, height == width,
                  Rows<double>(h.data(), static_cast<index_t>(h.size()) / H, H));
  }
  std::vector<Doubles> states{h};
  for (const auto& layer : p.layer) {
    const auto normed = naive_any_norm(h, layer.norm1, c.layer_norm_eps);
    auto q = linear(normed, layer.q_proj), k = linear(normed, layer.k_proj);
    if constexpr (c.use_qk_norm)
      q = naive_any_norm(q, layer.q_norm, 1e-6), k = naive_any_norm(k, layer.k_norm, 1e-6);
    const NaiveAttention mix{c.num_attention_heads, c.num_attention_heads,
                             H / c.num_attention_heads, -1};
    add_scaled(h, linear(mix(q, k, linear(normed, layer.v_proj), nullptr), layer.o_proj),
               layer.scale1.values(), H);
    auto wide = linear(naive_any_norm(h, layer.norm2, c.layer_norm_eps), layer.up_proj);
    for (double& value : wide) value = naive_activation(c.hidden_act, value);
    add_scaled(h, linear(wide, layer.down_proj), layer.scale2.values(), H);
    states.push_back(h);
  }
  return states;
}

struct Seen {
  std::map<std::string, std::vector<double>> rows;
  template <class T>
  void on(const std::string& name, Rows<T> x) {
    rows[name].assign(x.data, x.data + x.rows * x.cols);
  }
};

template <class C, class T>
void check(const kernel::Kernels<T>& kernels, Extent size, index_t feature_layer, double bar) {
  CAPTURE(kernels.name);
  CAPTURE(size.height);
  CAPTURE(size.width);
  CAPTURE(feature_layer);
  using Tower = InternVit<C>;
  constexpr index_t H = Tower::hidden_size;
  typename Tower::Params params;
  const auto memory = random_params(params, {Format::bf16, Format::bf16});
  const auto pixels = random_values(C::config.num_channels * size.height * size.width, 3);
  const auto states = naive_states<C>(params, pixels, size.height, size.width);
  Doubles truth =
      feature_layer < 0 ? states.back() : states[static_cast<std::size_t>(feature_layer)];
  if constexpr (!C::config.use_mean_pooling)
    if (feature_layer < 0)
      truth = naive_norm(truth, H, params.layernorm.weight.values(), params.layernorm.bias.values(),
                         C::config.layer_norm_eps, true);
  const index_t tokens = Tower::tokens(size.height, size.width);
  REQUIRE(static_cast<index_t>(truth.size()) == tokens * H);
  ThreadPool pool(2);
  Arena arena;
  Context<T> context{kernels, pool, arena};
  std::vector<T> out(truth.size());
  Seen seen;
  Tower::forward(context, params, pixels.data(), size.height, size.width, feature_layer,
                 Rows<T>(out.data(), tokens, H), seen);
  CHECK(relative_gap(out, truth) < bar);
  const std::size_t last =
      feature_layer < 0 ? states.size() - 1 : static_cast<std::size_t>(feature_layer);
  CHECK(seen.rows.size() == last + 1);
  for (std::size_t i = 0; i <= last; ++i)
    CHECK(relative_gap(seen.rows.at("vision_hidden_states." + std::to_string(i)), states[i]) < bar);
}

template <class C>
void check_all(const std::vector<Extent>& sizes) {
  for (const Extent size : sizes)
    for (const index_t layer : {index_t{-1}, index_t{0}, C::config.num_hidden_layers}) {
      for (const auto* kernels : available_kernels()) check<C, float>(*kernels, size, layer, 5e-6);
      check<C, double>(*kernel::find_kernels<double>("scalar"), size, layer, 1e-12);
    }
}

TEST_CASE("the 300M variant: native size, larger, smaller, not square, with a ragged border") {
  check_all<TinyInternVit>({{32, 32}, {48, 48}, {16, 16}, {16, 64}, {39, 33}});
}
TEST_CASE("the 6B variant, oblong patches, one channel") {
  check_all<Options6b>({{16, 16}, {8, 24}});
}
TEST_CASE("a final norm and no positions") { check_all<Pooled>({{16, 16}, {24, 8}}); }

TEST_CASE("a request to stop is heard before each layer") {
  InternVit<TinyInternVit>::Params params;
  const auto memory = random_params(params);
  const auto pixels = random_values(3 * 32 * 32, 3);
  std::stop_source source;
  struct Stopper {
    std::stop_source& source;
    int calls = 0;
    void on(const std::string&, Rows<float>) { ++calls, source.request_stop(); }
  } stopper{source};
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::best_kernels<float>(), pool, arena, source.get_token()};
  std::vector<float> out(17 * 64);
  CHECK(code_of([&] {
          InternVit<TinyInternVit>::forward(context, params, pixels.data(), 32, 32, -1,
                                            Rows<float>(out.data(), 17, 64), stopper);
        }) == "cancelled");
  CHECK(stopper.calls == 1);
}

TEST_CASE("what does not hold together is said") {
  CHECK(InternVitConfig{}.problem() == "");
  CHECK((InternVitConfig{.hidden_size = 100}.problem()) ==
        "hidden_size must be a multiple of num_attention_heads");
  CHECK((InternVitConfig{.image_size = {448, 447}}.problem()) ==
        "image_size must be a multiple of patch_size");
}

TEST_CASE("counts, names and shapes") {
  static_assert(parameter_count<InternVit<InternVit300m>> == 304'012'288);
  static_assert(parameter_count<InternVit<NoBias>> == 303'938'560);
  static_assert(parameter_count<InternVit<InternVit300m>::Embeddings> == 1'653'760);
  static_assert(parameter_count<InternVit<InternVit300m>::Layer> == 12'598'272);
  InternVit<Options6b>::Params params;
  std::map<std::string, std::vector<index_t>> shapes;
  for (const auto& p : parameter_list(params)) shapes[p.name] = p.shape;
  CHECK(shapes.at("embeddings.patch_embeddings.projection.weight") ==
        std::vector<index_t>{36, 1, 4, 8});
  CHECK(shapes.at("embeddings.position_embeddings") == std::vector<index_t>{1, 9, 36});
  CHECK(shapes.contains("embeddings.mask_token"));
  CHECK(shapes.contains("encoder.layer.2.attention.q_norm.weight"));
  CHECK_FALSE(shapes.contains("encoder.layer.0.attention.q_proj.bias"));
  CHECK_FALSE(shapes.contains("encoder.layer.0.layernorm_before.bias"));
  CHECK_FALSE(shapes.contains("layernorm.weight"));
  InternVit<Pooled>::Params pooled;
  shapes.clear();
  for (const auto& p : parameter_list(pooled)) shapes[p.name] = p.shape;
  CHECK(shapes.contains("layernorm.bias"));
  CHECK_FALSE(shapes.contains("embeddings.position_embeddings"));
}

}  // namespace intern_vit_test
