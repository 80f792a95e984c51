#include "gov/language/decoder.hpp"

#include <doctest/doctest.h>

#include "gov/kernel/backend.hpp"
#include "gov/language/gpt_oss.hpp"
#include "gov/model/random_weights.hpp"

namespace {

using Tiny = gov::Decoder<gov::TinyGptOss>;

// Names and rows that a pass shows.
struct Trace {
  std::vector<std::string> names;
  void on(const std::string& name, gov::Rows<float>) { names.push_back(name); }
};

}  // namespace

TEST_CASE("caches: rings for sliding layers, the whole context for full ones") {
  const auto state = Tiny::make_state<float>(100, 4, false);
  CHECK(state.layers.size() == 2);
  CHECK(state.layers[0].window() == 8);
  CHECK(state.layers[1].window() == 0);
  const gov::index_t row = 2 * 2 * 32 * 4;  // keys and values, two heads of 32 floats
  CHECK(state.layers[0].bytes() == (8 - 1 + 4) * row);
  CHECK(state.layers[1].bytes() == 100 * row);
  CHECK(Tiny::make_state<float>(100, 4, true).layers[0].bytes() == 100 * row);
}

TEST_CASE("a pass shows each layer in order and commits nothing") {
  Tiny::Params params;
  const auto weights = gov::fill_random(gov::parameter_list(params), 3);
  gov::ThreadPool pool(1);
  gov::Arena arena;
  gov::Context<float> context{gov::kernel::kernels_by_name<float>("scalar"), pool, arena};
  auto state = Tiny::make_state<float>(16, 4, false);
  const std::vector<int> ids{1, 2, 3};
  const auto x = context.rows(3, 64);
  Tiny::Tokens::forward(context, params.embed_tokens, ids, x);
  const gov::DecoderStep<float> step{&state, 3};
  Trace trace;
  Tiny::forward(context, params, Tiny::rope_table(), std::span(&step, 1), x, trace);
  CHECK(trace.names == std::vector<std::string>{"hidden_states.0", "router.0", "router_weights.0",
                                                "hidden_states.1", "router.1", "router_weights.1",
                                                "hidden_states.2"});
  CHECK(state.length() == 0);
  for (gov::index_t i = 0; i < 3; ++i) {  // the final norm: unit root mean square, weight 1
    double square = 0;
    for (gov::index_t c = 0; c < 64; ++c) square += static_cast<double>(x(i, c)) * x(i, c);
    CHECK(square / 64 == doctest::Approx(1).epsilon(0.05));
  }
}
