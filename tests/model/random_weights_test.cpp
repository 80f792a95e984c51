// A fresh model's numbers: transformers' distributions, the same for the same seed, in any storage.
#include "gov/model/random_weights.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "gov/kernel/scalar/widen.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/presets.hpp"
#include "tests/support/errors.hpp"

namespace random_weights_test {

using namespace gov;

struct Filled {
  ModelData<TinyGov> data;
  std::vector<ParameterRef> list = parameter_list(data.params);
  explicit Filled(std::uint64_t seed, const StoragePolicy& policy = {}) {
    data.weights = fill_random(list, seed, policy);
  }
};
std::vector<float> widened(const ParameterRef& p) {
  std::vector<float> values(static_cast<std::size_t>(p.size()));
  const WeightView view{p.storage->format, p.storage->data, p.storage->scales, p.experts * p.out,
                        p.in};
  for (index_t row = 0; row < view.out; ++row)
    kernel::widen_row(kernel::scalar{}, view, row, values.data() + row * p.in);
  return values;
}
double spread(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

TEST_CASE("each kind of parameter has its distribution") {
  const Filled model(1);
  std::map<std::string, int> kinds;
  for (const auto& p : model.list) {
    CAPTURE(p.name);
    const auto values = widened(p);
    const auto all = [&](float value) {
      return std::all_of(values.begin(), values.end(), [=](float v) { return v == value; });
    };
    CHECK(reinterpret_cast<std::uintptr_t>(p.storage->data) % 64 == 0);
    const bool weight = p.name.ends_with("weight");
    const char* kind = p.name.find("norm") != p.name.npos && weight ? "norm"
                       : p.name.find("lambda_") != p.name.npos      ? "scale"
                       : p.name.ends_with("bias")                   ? "bias"
                       : p.name.ends_with("sinks")                  ? "sinks"
                       : values.size() > 1000                       ? "matrix"
                                                                    : "small";
    ++kinds[kind];
    const std::map<std::string, float> constant{{"norm", 1.0f}, {"scale", 0.1f}, {"bias", 0.0f}};
    if (const auto value = constant.find(kind); value != constant.end()) CHECK(all(value->second));
    if (kind == std::string("sinks")) CHECK(!all(values[0]));
    if (kind != std::string("matrix")) continue;
    CHECK(spread(values) == doctest::Approx(0.02).epsilon(0.1));
    double mean = 0;
    for (const float value : values)
      mean += static_cast<double>(value) / static_cast<double>(values.size());
    CHECK(std::fabs(mean) < 0.003);
  }
  for (const char* kind : {"norm", "scale", "bias", "matrix", "sinks"})
    CHECK_MESSAGE(kinds[kind] > 0, kind);
}

TEST_CASE("names of DINOv2's and CLIP's towers") {
  using random_detail::constant_of;
  CHECK(constant_of("encoder.layer.3.layer_scale1.lambda1") == 1.0f);
  CHECK(constant_of("encoder.layer.3.norm2.weight") == 1.0f);
  CHECK(constant_of("embeddings.register_tokens") == 0.0f);
  CHECK(constant_of("embeddings.mask_token") == 0.0f);
  CHECK(constant_of("pre_layrnorm.weight") == 1.0f);
  CHECK(constant_of("pre_layrnorm.bias") == 0.0f);
  CHECK_FALSE(constant_of("embeddings.class_embedding"));
  CHECK_FALSE(constant_of("embeddings.position_embedding.weight"));
}

TEST_CASE("a norm that multiplies by 1 + weight starts with weight 0") {
  GemmaNorm<8>::Params gemma;
  RmsNorm<8>::Params plain;
  for (auto [parameters, value] :
       {std::pair{parameter_list(gemma), 0.0f}, std::pair{parameter_list(plain), 1.0f}}) {
    parameters.front().name = "norm.weight";
    const auto block = fill_random(parameters, 1);
    const auto* const values = reinterpret_cast<const float*>(parameters.front().storage->data);
    const float expected = value;
    CHECK(std::all_of(values, values + 8, [=](float v) { return v == expected; }));
  }
}

TEST_CASE("the same seed, the same bits; another seed, others") {
  const Filled a(5), b(5), c(6);
  bool same = true, differ = false;
  for (std::size_t i = 0; i < a.list.size(); ++i) {
    same = same && widened(a.list[i]) == widened(b.list[i]);
    differ = differ || widened(a.list[i]) != widened(c.list[i]);
  }
  CHECK(same);
  CHECK(differ);
}

// Of all numbers of all matrices.
struct Moments {
  double mean = 0, deviation = 0, kurtosis = 0, largest = 0;
};
Moments moments(const std::vector<float>& values) {
  Moments m;
  const auto n = static_cast<double>(values.size());
  for (const float value : values) m.mean += static_cast<double>(value) / n;
  double fourth = 0;
  for (const float value : values) {
    const double off = static_cast<double>(value) - m.mean;
    m.deviation += off * off / n, fourth += off * off * off * off / n;
    m.largest = std::max(m.largest, std::fabs(off));
  }
  m.kurtosis = fourth / (m.deviation * m.deviation);
  m.deviation = std::sqrt(m.deviation);
  return m;
}

TEST_CASE("in any format: N(0, 0.02) by mean, deviation and kurtosis, and no two rows alike") {
  for (const Format format : {Format::f32, Format::bf16, Format::f16, Format::q8, Format::mxfp4}) {
    CAPTURE(to_string(format));
    Linear<512, 512, false>::Params params;
    const auto list = parameter_list(params);
    const auto block = fill_random(list, 9, {format, format, false});
    CHECK(params.weight.format == format);
    const auto values = widened(list.front());
    const Moments m = moments(values);
    CHECK(std::fabs(m.mean) < 0.0002);  // five times its own deviation, 0.02 / 512
    CHECK(m.deviation == doctest::Approx(0.02).epsilon(0.01));
    CHECK(m.kurtosis > 2.4);
    CHECK(m.kurtosis < 3.2);
    CHECK(m.largest > 0.045);
    CHECK(m.largest < 0.1);
    std::set<std::vector<float>> rows;
    for (index_t row = 0; row < 512; ++row)
      rows.insert({values.begin() + row * 512, values.begin() + (row + 1) * 512});
    CHECK(rows.size() == 512);
    double neighbours = 0;  // of one row, and of two rows
    for (std::size_t i = 512; i < values.size(); ++i)
      neighbours += static_cast<double>(values[i]) *
                    static_cast<double>(values[i - 1] + values[i - 512]) / (0.0004 * 261632.0);
    CHECK(std::fabs(neighbours) < 0.02);  // correlation; its deviation is 0.003
    if (is_blocked(format)) {
      std::set<std::byte> scales;
      const index_t step = scale_bytes(format, 32);
      for (index_t i = 0; i < 512 * scale_bytes(format, 512); i += step)
        scales.insert(params.weight.scales[i]);
      CHECK(scales.size() == 2);  // so that a kernel which mixes them up is found out
    }
  }
}

TEST_CASE("the numbers do not depend on threads, nor a parameter's on the others") {
  for (const char* storage : {"as-stored", "bf16", "mxfp4-bf16", "mxfp4-q8"}) {
    CAPTURE(storage);
    const auto policy = parse_storage(storage);
    ThreadPool pool(3);
    ModelData<TinyGov> one, three;
    const auto a = parameter_list(one.params), b = parameter_list(three.params);
    const auto first = fill_random(a, 4, policy), second = fill_random(b, 4, policy, {&pool});
    for (std::size_t i = 0; i < a.size(); ++i) {
      CAPTURE(a[i].name);
      const auto format = a[i].storage->format;
      REQUIRE(format == b[i].storage->format);
      CHECK(std::equal(a[i].storage->data, a[i].storage->data + a[i].data_bytes(format),
                       b[i].storage->data));
      if (is_blocked(format))
        CHECK(std::equal(a[i].storage->scales, a[i].storage->scales + a[i].scales_bytes(format),
                         b[i].storage->scales));
      if (!a[i].is_matrix) CHECK(format == Format::f32);
    }
    CHECK((a.back().storage->format == Format::f32) == (storage == std::string("as-stored")));
  }
}

TEST_CASE("filling says how far it is, and stops when asked to") {
  ModelData<TinyGov> data;
  const auto list = parameter_list(data.params);
  std::vector<double> shares;
  (void)fill_random(list, 1, {},
                    {.progress = [&](std::string_view, double share) { shares.push_back(share); }});
  REQUIRE(!shares.empty());
  CHECK(std::is_sorted(shares.begin(), shares.end()));
  CHECK(shares.back() == 1);
  std::stop_source source;
  source.request_stop();
  CHECK(test::thrown([&] {
          (void)fill_random(list, 1, {}, {.stop = source.get_token()});
        }).code() == Errc::cancelled);
}

TEST_CASE("a random model runs") {
  const auto model = GovModel<TinyGov>::random(1, {.threads = 1});
  CHECK(model.tokens().image_token_id == 255);
  const std::vector<int> ids{1, 2, 3};
  auto session = model.session();
  const auto logits = session.forward({.input_ids = ids}).logits;
  CHECK(logits.rows == 3);
  for (index_t i = 0; i < logits.cols; ++i) CHECK(std::isfinite(logits.row(2)[i]));
}

}  // namespace random_weights_test
