// The skeleton: what flows from layer to layer, what each layer may see, what is left to the
// caller.
#include "gov/language/decoder.hpp"

#include <doctest/doctest.h>

#include <map>

#include "gov/language/gpt_oss.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/random_params.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Model = Decoder<TinyGptOss>;  // layer 0 slides with a window of 8, layer 1 is full

struct Seen {
  std::map<std::string, std::vector<float>> rows;
  std::vector<std::string> order;
  void on(const std::string& name, Rows<float> x) {
    rows[name].assign(x.data, x.data + x.rows * x.cols);
    if (name.starts_with("hidden_states")) order.push_back(name);
  }
};

struct Fixture {
  Model::Params params;
  AlignedBuffer memory = random_params(params);
  Model::Position::Table positions = Model::Position::table();
  ThreadPool pool{1};
  Arena arena;
  const kernel::Kernels<float>* kernels = kernel::find_kernels<float>("scalar");

  // Hidden states of sequences of random embeddings, stepped together from their start.
  Seen run(const std::vector<std::vector<float>>& sequences, std::stop_token stop = {}) {
    Context<float> context{*kernels, pool, arena, stop};
    std::vector<DecoderState<float>> states;
    std::vector<DecoderStep<float>> steps;
    std::vector<float> x;
    for (const auto& sequence : sequences) {
      states.push_back(Model::make_state<float>(64, 64, false));
      x.insert(x.end(), sequence.begin(), sequence.end());
    }
    for (std::size_t i = 0; i < sequences.size(); ++i)
      steps.push_back({&states[i], static_cast<index_t>(sequences[i].size()) / 64});
    Seen seen;
    Model::forward(context, params, positions, std::span<const DecoderStep<float>>(steps),
                   Rows<float>(x.data(), static_cast<index_t>(x.size()) / 64, 64), seen);
    for (const auto& state : states) CHECK(state.length() == 0);  // committing is the caller's
    CHECK(seen.rows.at("hidden_states.2") == x);
    return seen;
  }
};

bool same_from(const std::vector<float>& a, const std::vector<float>& b, std::size_t first,
               std::size_t last) {
  return std::equal(a.begin() + static_cast<index_t>(first) * 64,
                    a.begin() + static_cast<index_t>(last) * 64,
                    b.begin() + static_cast<index_t>(first) * 64);
}

TEST_CASE("the residual stream is shown in order, from the embeddings to behind the final norm") {
  Fixture f;
  const auto x = random_values(20 * 64, 1);
  const auto seen = f.run({x});
  CHECK(seen.order ==
        std::vector<std::string>{"hidden_states.0", "hidden_states.1", "hidden_states.2"});
  CHECK(seen.rows.at("hidden_states.0") == x);
}

TEST_CASE("with silent layers only the final norm is left") {
  Fixture f;
  for (auto& layer : f.params.layers) {
    const auto clear = [](auto& p) { std::fill_n(p.values(), p.size, 0.0f); };
    const auto clear_matrix = [](auto& p) {
      std::memset(p.data, 0, static_cast<std::size_t>(p.size * 4));
    };
    clear_matrix(layer.self_attn.o_proj.weight), clear(layer.self_attn.o_proj.bias);
    clear_matrix(layer.mlp.down_proj), clear(layer.mlp.down_proj_bias);
  }
  const auto x = random_values(9 * 64, 1);
  const auto seen = f.run({x});
  CHECK(seen.rows.at("hidden_states.1") == x);
  const auto truth =
      naive_norm({x.begin(), x.end()}, 64, f.params.norm.weight.values(), nullptr, 1e-5, false);
  CHECK(relative_gap(seen.rows.at("hidden_states.2"), truth) < 2e-6);
}

TEST_CASE("a layer's weights act on what follows it alone") {
  Fixture f;
  const auto x = random_values(12 * 64, 1);
  const auto before = f.run({x});
  f.params.layers[1].input_layernorm.weight.values()[5] += 1;
  const auto after = f.run({x});
  CHECK(before.rows.at("hidden_states.1") == after.rows.at("hidden_states.1"));
  CHECK(before.rows.at("hidden_states.2") != after.rows.at("hidden_states.2"));
  f.params.layers[0].post_attention_layernorm.weight.values()[5] += 1;
  CHECK(f.run({x}).rows.at("hidden_states.1") != after.rows.at("hidden_states.1"));
}

TEST_CASE("sliding and full layers see what they should") {
  Fixture f;
  auto x = random_values(20 * 64, 1);
  const auto before = f.run({x});
  for (std::size_t i = 0; i < 64; ++i) x[3 * 64 + i] += 1;  // token 3
  const auto after = f.run({x});
  const auto same = [&](const char* name, std::size_t first, std::size_t last) {
    return same_from(before.rows.at(name), after.rows.at(name), first, last);
  };
  CHECK(same("hidden_states.1", 0, 3));
  for (std::size_t t = 3; t < 11; ++t) CHECK_FALSE(same("hidden_states.1", t, t + 1));
  CHECK(same("hidden_states.1", 11, 20));  // token 11 sees 4..11
  CHECK(same("hidden_states.2", 0, 3));
  for (std::size_t t = 3; t < 20; ++t) CHECK_FALSE(same("hidden_states.2", t, t + 1));
}

TEST_CASE("sequences that step together do not see each other") {
  Fixture f;
  const auto a = random_values(13 * 64, 1), b = random_values(64, 2), c = random_values(5 * 64, 3);
  const auto together = f.run({a, b, c});
  std::vector<float> alone;
  for (const auto& each : {a, b, c}) {
    const auto seen = f.run({each});
    alone.insert(alone.end(), seen.rows.at("hidden_states.2").begin(),
                 seen.rows.at("hidden_states.2").end());
  }
  CHECK(together.rows.at("hidden_states.2") == alone);
}

TEST_CASE("a request to stop is heard before each layer") {
  Fixture f;
  std::stop_source source;
  source.request_stop();
  CHECK(code_of([&] { f.run({random_values(64, 1)}, source.get_token()); }) == "cancelled");
}

TEST_CASE("caches: rings where layers slide, unless all of history is wanted") {
  constexpr index_t width = 2 * 32, each = 2 * width * 4;
  const auto rings = Model::make_state<float>(100, 16, false);
  REQUIRE(rings.layers.size() == 2);
  CHECK(rings.layers[0].window() == 8);
  CHECK(rings.layers[1].window() == 0);
  CHECK(rings.layers[0].bytes() == (7 + 16) * each);
  CHECK(rings.layers[1].bytes() == 100 * each);
  CHECK(rings.bytes() == (7 + 16 + 100) * each);
  CHECK(Model::make_state<float>(100, 16, true).bytes() == 200 * each);
  CHECK(Model::make_state<double>(100, 16, false).bytes() == 2 * rings.bytes());
  CHECK(DecoderState<float>{}.length() == 0);
}

TEST_CASE("the state's earliest length is that of the most forgetful layer") {
  auto state = Model::make_state<float>(100, 4, false);  // a ring of 11
  for (auto& layer : state.layers) layer.commit(30);
  CHECK(state.length() == 30);
  CHECK(state.layers[1].earliest() == 0);
  CHECK(state.earliest() == state.layers[0].earliest());
  CHECK(state.earliest() == 30 - 11 + 7);
}

TEST_CASE("the table of positions is the config's") {
  const auto rope = Model::Position::table();
  CHECK(rope.inverse_frequencies == TinyGptOss::config.rope_parameters.inverse_frequencies(32));
  CHECK(rope.scaling == TinyGptOss::config.rope_parameters.attention_scaling());
}

}  // namespace
