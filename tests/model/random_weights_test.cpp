// A fresh model's numbers: transformers' distributions, the same for the same seed, in any storage.
#include "gov/model/random_weights.hpp"

#include <doctest/doctest.h>

#include <map>

#include "gov/kernel/scalar/widen.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/presets.hpp"

namespace {

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

TEST_CASE("in any storage the numbers are near those of f32") {
  const Filled exact(3);
  for (const auto& [storage, most] :
       {std::pair{"bf16", 1e-5}, {"f16", 1e-7}, {"mxfp4", 0.03}, {"mxfp4-q8", 0.03}}) {
    const auto shown_storage = std::string(storage);  // clang 14: no capture of bindings
    CAPTURE(shown_storage);
    const Filled stored(3, parse_storage(storage));
    bool blocked = false;
    for (std::size_t i = 0; i < exact.list.size(); ++i) {
      CAPTURE(exact.list[i].name);
      const auto a = widened(exact.list[i]), b = widened(stored.list[i]);
      auto gap = a;
      for (std::size_t j = 0; j < a.size(); ++j) gap[j] -= b[j];
      CHECK(spread(gap) * spread(gap) <= most * spread(a) * spread(a));
      blocked = blocked || is_blocked(stored.list[i].storage->format);
      if (!exact.list[i].is_matrix) CHECK(stored.list[i].storage->format == Format::f32);
    }
    CHECK(blocked == std::string(storage).starts_with("mxfp4"));
  }
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

}  // namespace
