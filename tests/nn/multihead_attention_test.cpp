// Against torch's nn.MultiheadAttention; windows are a mask there.
#include "gov/nn/multihead_attention.hpp"

#include <doctest/doctest.h>

#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Attention = MultiheadAttention<12, 3>;

void run(const std::string& name, index_t queries, index_t window) {
  const index_t keys = window > 0 ? queries * window : 9;
  check_case<Attention::Params>(ReferenceFile("projector/packers.safetensors"), name, 1, 1,
                                [&]<class T>(Context<T>& context, const auto& p, auto, Rows<T> y) {
                                  const auto q = generated_as<T>(name, "q", queries * 12),
                                             k = generated_as<T>(name, "k", keys * 12),
                                             v = generated_as<T>(name, "v", keys * 12);
                                  Attention::forward(context, p,
                                                     Rows<const T>(q.data(), queries, 12),
                                                     Rows<const T>(k.data(), keys, 12),
                                                     Rows<const T>(v.data(), keys, 12), window, y);
                                });
}

TEST_CASE("as torch") {
  run("attention.window", 6, 4);
  run("attention.one", 3, 1);
  run("attention.all", 5, 0);
  run("attention.many", 20, 0);
}

TEST_CASE("rows of a weight, in every format") {
  for (const Format format : all_formats) {
    const GuardedWeight weight(format, 9, 64, 3);
    const auto whole = weight.widened<double>();
    const auto part = widened(weight_rows(weight.view, 4, 3));
    CHECK(std::equal(part.begin(), part.end(), whole.begin() + 4 * 64));
    CHECK(part.size() == 3 * 64);
  }
}

}  // namespace
