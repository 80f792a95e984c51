// What one session computes must not depend on how the work is cut: chunks, calls, caches, batches,
// threads and runs give the same bits on every backend. Faults are in session_faults_test.cpp.
#include "gov/model/session.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/session_cases.hpp"

namespace session_test {

using namespace gov;
using namespace gov::test;
using Gov = Setup<TinyGov>;

const Prompt prompt({5, -1, 3, -2, 17});  // 37 tokens; the window is 8
const Prompt text({37}, 2);

TEST_CASE("outputs have the shapes they state, are finite and depend on every part of the input") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto session = setup.session();
    const auto out = session.forward(prompt.inputs());
    CHECK(out.logits.rows == prompt.size());
    CHECK(out.logits.cols == 256);
    CHECK(out.last_hidden_state.rows == prompt.size());
    CHECK(out.last_hidden_state.cols == 64);
    CHECK(out.image_hidden_states.rows == 3 * Prompt::tokens_per_tile);
    CHECK(session.length() == prompt.size());
    const Kept<float> kept(out);
    CHECK(all_finite(kept.logits));
    CHECK(all_finite(kept.features));
    Prompt other = prompt;
    other.ids[2] ^= 1;
    CHECK_FALSE(same_bits(run_whole(setup, other.inputs()), kept));
    other = prompt;
    other.pixels[100] += 1;
    CHECK_FALSE(same_bits(run_whole(setup, other.inputs()), kept));
  }
}

TEST_CASE("prefill in chunks of any size equals prefill at once") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    const auto whole = run_whole(setup, prompt.inputs());
    for (const index_t chunk : {1, 2, 7, 36, 37}) {
      CAPTURE(chunk);
      auto session = setup.session(SessionOptions{.context = 40, .chunk = chunk});
      const Kept<float> cut(session.forward(prompt.inputs()));
      CHECK(same_bits(cut, whole));
      CHECK(same_bits(cut.features, whole.features));
    }
  }
}

TEST_CASE("cached equals uncached: calls of any size equal one call, and each prefix on its own") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    const auto whole = run_whole(setup, text.inputs());
    for (const index_t step : {1, 2, 7}) {
      CAPTURE(step);
      auto session = setup.session(SessionOptions{.context = 37, .chunk = 7});
      Kept<float> joined;
      for (index_t at = 0; at < text.size(); at += step)
        joined.append(session.forward(text.part(at, std::min(text.size(), at + step))));
      CHECK(same_bits(joined, whole));
    }
    for (const index_t length : {1, 8, 9, 30}) {
      CAPTURE(length);
      const auto alone = run_whole(setup, text.part(0, length));
      CHECK(std::equal(alone.logits.begin(), alone.logits.end(), whole.logits.begin()));
    }
  }
}

// TinyGov with every expert chosen for every token: rounding cannot turn a choice.
struct EveryExpert : InternVl {
  [[maybe_unused]] static constexpr std::string_view name = "EveryExpert";
  using Vision = TinyInternVit;
  struct Language : GptOss {
    static constexpr GptOssConfig config = [] {
      GptOssConfig all = TinyGptOss::config;
      all.num_experts_per_tok = all.num_local_experts;
      return all;
    }();
  };
  static constexpr InternVlConfig config{};
};

// Rounding errors of single products, at most 5e-6 and 2e-4, grow through the layers; the bounds
// for a whole model of random weights are what README states.
TEST_CASE("rounded arithmetic: the same bits for any threads and runs, a stated error otherwise") {
  for (const auto& setup : rounding_setups<EveryExpert>()) {
    CAPTURE(setup.label);
    auto exact = setup;
    exact.arithmetic = Arithmetic::invariant;
    const auto truth = run_whole(exact, prompt.inputs()), whole = run_whole(setup, prompt.inputs());
    const double allowed = setup.arithmetic == Arithmetic::fast ? 5e-4 : 2e-2;
    CHECK(nmse(whole.logits, truth.logits) <= allowed);
    CHECK(nmse(whole.features, truth.features) <= allowed);
    CHECK_FALSE(same_bits(whole, truth));  // it does round
    for (const int threads : {1, 2, 3}) {
      auto session = setup.session(threads);
      CHECK(same_bits(Kept<float>(session.forward(prompt.inputs())), whole));
    }
    for (const index_t chunk : {1, 3, 7}) {
      auto session = setup.session(SessionOptions{.context = 40, .chunk = chunk});
      CHECK(nmse(Kept<float>(session.forward(prompt.inputs())).logits, truth.logits) <= allowed);
    }
  }
}

TEST_CASE("a batch equals each of its sequences alone, images and different lengths included") {
  const Prompt prompts[] = {Prompt({2, -1, 20}, 3), Prompt({1}, 4), Prompt({33}, 5),
                            Prompt({-2, 4, -1, 2}, 6)};
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    for (const index_t chunk : {5, 64}) {
      CAPTURE(chunk);
      const SessionOptions options{.context = 64, .chunk = chunk};
      std::vector<Session<TinyGov>> sessions, alone;
      std::vector<Session<TinyGov>::Item> items;
      for (const auto& each : prompts) {
        (void)each;
        sessions.push_back(setup.session(options)), alone.push_back(setup.session(options));
      }
      for (std::size_t i = 0; i < 4; ++i) items.push_back({&sessions[i], prompts[i].inputs()});
      Session<TinyGov>::forward_batch(items);
      for (std::size_t i = 0; i < 4; ++i) {
        CAPTURE(i);
        const Kept<float> together(sessions[i].outputs()),
            single(alone[i].forward(prompts[i].inputs()));
        CHECK(same_bits(together, single));
        CHECK(same_bits(together.features, single.features));
      }
      // The next tokens too: the caches hold the same.
      const int next[] = {9, 10, 11, 12};
      for (std::size_t i = 0; i < 4; ++i) items[i].inputs = {.input_ids = {&next[i], 1}};
      Session<TinyGov>::forward_batch(items);
      for (std::size_t i = 0; i < 4; ++i)
        CHECK(same_bits(Kept<float>(sessions[i].outputs()),
                        Kept<float>(alone[i].forward(items[i].inputs))));
    }
  }
}

TEST_CASE("any number of threads and any run give the same bits") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    Kept<float> first;
    for (const int threads : {1, 1, 2, 3, 7}) {
      CAPTURE(threads);
      auto session = setup.session(threads);
      Kept<float> all(session.forward(prompt.inputs()));
      for (const int id : {7, 8, 9}) all.append(session.forward({.input_ids = {&id, 1}}));
      if (first.logits.empty()) first = all;
      CHECK(same_bits(all, first));
    }
  }
}

TEST_CASE("a long generation past every ring equals the prompt of the same tokens") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto session =
        setup.session(SessionOptions{.context = 150, .chunk = 4});  // rings of 11 positions
    std::vector<int> ids = random_ids(3, 8);
    auto logits = session.forward({.input_ids = ids}, {.logits_to_keep = 1}).logits;
    Kept<float> joined;
    while (ids.size() < 150) {
      ids.push_back(
          static_cast<int>(std::max_element(logits.data, logits.data + 256) - logits.data));
      const auto out = session.forward({.input_ids = {&ids.back(), 1}});
      joined.append(out);
      logits = out.logits;
    }
    const auto whole = run_whole(setup, {.input_ids = ids});
    CHECK(std::equal(joined.logits.begin(), joined.logits.end(), whole.logits.begin() + 3 * 256));
  }
}

TEST_CASE("inputs_embeds in place of input_ids, images found by the embedding of their token") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    const auto& table = setup.model->params.language_model().embed_tokens.weight;
    for (const Prompt* each : {&prompt, &text}) {
      std::vector<float> embeds(static_cast<std::size_t>(each->size() * 64));
      for (index_t i = 0; i < each->size(); ++i)
        setup.kernels->widen_row(table.view(), each->ids[static_cast<std::size_t>(i)],
                                 embeds.data() + i * 64);
      auto session = setup.session(SessionOptions{.context = 64, .chunk = 5});
      const Kept<float> out(session.forward(
          {.pixel_values = each->view(), .inputs_embeds = {embeds.data(), each->size(), 64}}));
      CHECK(same_bits(out, run_whole(setup, each->inputs())));
    }
  }
}

TEST_CASE("without an image a multimodal model is its language model, bit for bit") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto language = std::make_shared<ModelData<TinyGptOss>>();
    language->params.model = setup.model->params.model.language_model;
    language->params.lm_head = setup.model->params.lm_head;
    Session<TinyGptOss> plain(language, setup.pool, *setup.kernels,
                              {.context = 64, .arithmetic = Arithmetic::invariant});
    CHECK(same_bits(Kept<float>(plain.forward(text.inputs())), run_whole(setup, text.inputs())));
  }
}

TEST_CASE("image features: alone as in a prompt, tile by tile, and in the order of the tiles") {
  for (const auto& setup : invariant_setups<TinyGov>()) {
    CAPTURE(setup.label);
    auto session = setup.session();
    session.forward(text.part(0, 3));
    const auto before = session.fork();
    const auto together =
        Kept<float>::copy(session.get_image_features({.pixel_values = prompt.view()}));
    CHECK(session.length() == 3);
    CHECK(same_bits(Kept<float>(before.outputs()), Kept<float>(session.outputs())));
    CHECK(same_bits(together, run_whole(setup, prompt.inputs()).features));
    std::vector<float> turned, one_by_one;
    for (index_t tile = 0; tile < 3; ++tile) {
      PixelView view = prompt.view();
      view.data = view.tile(tile), view.count = 1;
      const auto features = Kept<float>::copy(session.get_image_features({.pixel_values = view}));
      one_by_one.insert(one_by_one.end(), features.begin(), features.end());
      turned.insert(turned.begin(), features.begin(), features.end());
    }
    CHECK(same_bits(one_by_one, together));
    Prompt backwards = prompt;
    for (index_t tile = 0; tile < 3; ++tile)
      std::copy_n(prompt.view().tile(2 - tile), Prompt::tile_size,
                  backwards.pixels.begin() + tile * Prompt::tile_size);
    CHECK(same_bits(
        Kept<float>::copy(session.get_image_features({.pixel_values = backwards.view()})), turned));
  }
}

TEST_CASE("an image changes nothing before it") {
  const auto setup = plain_setup<TinyGov>();
  const auto one = run_whole(setup, prompt.inputs());
  Prompt other = prompt;
  for (index_t i = 0; i < Prompt::tile_size; ++i)
    other.pixels[static_cast<std::size_t>(2 * Prompt::tile_size + i)] = 0;
  const auto blank = run_whole(setup, other.inputs());  // the third tile begins at token 16
  CHECK(std::equal(one.logits.begin(), one.logits.begin() + 16 * 256, blank.logits.begin()));
  CHECK_FALSE(
      std::equal(one.logits.begin() + 16 * 256, one.logits.end(), blank.logits.begin() + 16 * 256));
}

TEST_CASE("logits_to_keep and hidden_to_keep keep the last rows and change no other result") {
  const auto setup = plain_setup<TinyGov>();
  const auto all = run_whole(setup, text.inputs());
  for (const index_t chunk : {4, 64})
    for (const index_t keep : {-1, 1, 3, 10, 37, 38, 1000}) {
      CAPTURE(chunk);
      CAPTURE(keep);
      auto session = setup.session(SessionOptions{.context = 64, .chunk = chunk});
      const auto out = session.forward(text.inputs(), {.logits_to_keep = keep});
      const index_t rows = keep < 0 ? 0 : std::min<index_t>(keep, 37);
      REQUIRE(out.logits.rows == rows);
      CHECK(std::equal(all.logits.end() - rows * 256, all.logits.end(), out.logits.data));
      CHECK(same_bits(Kept<float>(out).hidden, all.hidden));

      auto other = setup.session(SessionOptions{.context = 64, .chunk = chunk});
      const auto kept = other.forward(text.inputs(), {.hidden_to_keep = keep});
      CHECK(same_bits(Kept<float>(kept).logits, all.logits));
      const index_t all_rows = text.inputs().rows(), last = keep < 0 ? 0 : std::min(keep, all_rows);
      REQUIRE(kept.last_hidden_state.rows == last);
      CHECK(
          std::equal(all.hidden.end() - last * 64, all.hidden.end(), kept.last_hidden_state.data));
    }
}

TEST_CASE("in one layer a token beyond the window cannot be seen") {
  for (const auto& setup : invariant_setups<OneSlidingLayer>()) {
    CAPTURE(setup.label);
    for (const index_t chunk : {1, 3, 64}) {
      CAPTURE(chunk);
      std::vector<int> ids = random_ids(20, 9);
      const auto run = [&] {
        auto session = setup.session(SessionOptions{.context = 64, .chunk = chunk});
        return Kept<float>(session.forward({.input_ids = ids}));
      };
      const auto before = run();
      ids[7] = ids[7] == 40 ? 41 : 40;
      const auto after = run();
      for (index_t t = 0; t < 20; ++t) {
        CAPTURE(t);
        const bool same =
            std::equal(before.logits.begin() + t * 256, before.logits.begin() + (t + 1) * 256,
                       after.logits.begin() + t * 256);
        CHECK(same == (t < 7 || t >= 7 + 5));  // the window of 5 holds the token itself
      }
    }
  }
}

TEST_CASE("experts in another order, with their router rows, give the same bits") {
  for (const auto* kernels : invariant_kernels()) {
    CAPTURE(kernels->name);
    const auto model = tiny_model<OneSlidingLayer>();
    const auto turned = tiny_model<OneSlidingLayer>();
    auto& mlp = turned->params.model.layers[0].mlp;
    const auto permute = [](std::byte* data, index_t bytes) {  // 0 1 2 3 -> 2 0 3 1
      std::vector<std::byte> old(data, data + bytes);
      const index_t each = bytes / 4;
      constexpr index_t from[] = {2, 0, 3, 1};
      for (index_t e = 0; e < 4; ++e)
        std::copy_n(old.begin() + from[e] * each, each, data + e * each);
    };
    permute(mlp.router.weight.data, 4 * 32 * 4), permute(mlp.router.bias.data, 4 * 4);
    permute(mlp.gate_up_proj.data, mlp.gate_up_proj.size * 4),
        permute(mlp.gate_up_proj_bias.data, 4 * 64 * 4);
    permute(mlp.down_proj.data, mlp.down_proj.size * 4),
        permute(mlp.down_proj_bias.data, 4 * 32 * 4);
    const auto run = [&](auto data) {
      Session<OneSlidingLayer> session(data, std::make_shared<ThreadPool>(1), *kernels,
                                       {.context = 64});
      return Kept<float>(session.forward(text.inputs()));
    };
    CHECK(same_bits(run(model), run(turned)));
    std::swap(mlp.router.bias.values()[0],
              mlp.router.bias.values()[1]);  // now they do not belong together
    CHECK_FALSE(same_bits(run(model), run(turned)));
  }
}

TEST_CASE("only real tokens are routed") {
  const auto setup = plain_setup<TinyGov>();
  const Prompt prompts[] = {Prompt({2, -1, 20}, 3), Prompt({1}, 4), Prompt({9}, 5)};
  std::vector<Session<TinyGov>> sessions;
  std::vector<Session<TinyGov>::Item> items;
  index_t tokens = 0;
  for (const auto& each : prompts)
    sessions.push_back(setup.session(SessionOptions{.context = 64, .chunk = 7})),
        tokens += each.size();
  for (std::size_t i = 0; i < 3; ++i) items.push_back({&sessions[i], prompts[i].inputs()});
  Recorder<float> seen;
  Session<TinyGov>::forward_batch(items, {}, seen);
  for (const char* layer : {"0", "1"}) {
    CHECK(static_cast<index_t>(seen.rows.at(std::string("router.") + layer).size()) == tokens * 4);
    const auto& chosen = seen.indices.at(std::string("router_indices.") + layer);
    CHECK(static_cast<index_t>(chosen.size()) == tokens * 2);
    for (std::size_t i = 0; i < chosen.size(); i += 2) {
      CHECK((0 <= chosen[i] && chosen[i] < 4 && 0 <= chosen[i + 1] && chosen[i + 1] < 4));
      CHECK(chosen[i] != chosen[i + 1]);
    }
  }
}

TEST_CASE("an observer sees every named value, and what it writes is what the model goes on with") {
  struct Names {
    std::map<std::string, std::pair<index_t, index_t>> shapes;
    void on(const std::string& name, Rows<float> x) { shapes[name] = {x.rows, x.cols}; }
    void on(const std::string& name, Rows<index_t> x) { shapes[name] = {x.rows, x.cols}; }
  };
  const auto setup = plain_setup<TinyGov>();
  auto session = setup.session();
  Names names;
  session.forward(prompt.inputs(), {}, names);
  const std::map<std::string, std::pair<index_t, index_t>> expected{
      {"vision_hidden_states.0", {17, 64}},
      {"vision_hidden_states.1", {17, 64}},
      {"vision_hidden_states.2", {17, 64}},
      {"image_features", {12, 64}},
      {"inputs_embeds", {37, 64}},
      {"hidden_states.0", {37, 64}},
      {"hidden_states.1", {37, 64}},
      {"hidden_states.2", {37, 64}},
      {"router.0", {37, 4}},
      {"router.1", {37, 4}},
      {"router_indices.0", {37, 2}},
      {"router_indices.1", {37, 2}},
      {"router_weights.0", {37, 2}},
      {"router_weights.1", {37, 2}},
      {"logits", {37, 256}}};
  for (const auto& [name, shape] : expected) {
    const auto shown_name = name;  // clang 14: no capture of bindings
    CAPTURE(shown_name);
    REQUIRE(names.shapes.contains(name));
    CHECK((names.shapes.at(name) == shape));
  }
  struct Ablate {
    void on(const std::string& name, Rows<float> x) {
      if (name == "hidden_states.2") std::fill_n(x.data, x.rows * x.cols, 0.0f);
    }
  };
  auto ablated = setup.session();
  const auto out = ablated.forward(prompt.inputs(), {}, Ablate{});
  CHECK(std::all_of(out.logits.data, out.logits.data + 37 * 256, [](float x) { return x == 0; }));
}

TEST_CASE("in double the same model computes nearly the same") {
  for (const Formats formats : {Formats{}, Formats{Format::bf16, Format::mxfp4}}) {
    const auto model = tiny_model<TinyGov>(formats);
    const auto pool = std::make_shared<ThreadPool>(1);
    Session<TinyGov, double> truth(model, pool, *kernel::find_kernels<double>("scalar"),
                                   {.context = 64});
    Recorder<double> seen_truth;
    const auto exact = Kept<double>(truth.forward(prompt.inputs(), {}, seen_truth));
    for (const auto* kernels : available_kernels()) {
      const auto shown_kernels_name = kernels->name;  // clang 14: no capture of bindings
      CAPTURE(shown_kernels_name);
      Session<TinyGov> session(model, pool, *kernels,
                               {.context = 64, .arithmetic = Arithmetic::invariant});
      Recorder<float> seen;
      const auto out = Kept<float>(session.forward(prompt.inputs(), {}, seen));
      CHECK(nmse(out.logits, exact.logits) < 1e-11);
      CHECK(nmse(out.features, exact.features) < 1e-11);
      CHECK(nmse(out.logits, exact.logits) > 0);  // it is another computation
      CHECK(seen.indices == seen_truth.indices);
    }
  }
}

TEST_CASE("positions up to the limit of the model") {
  const auto setup = plain_setup<OneSlidingLayer>();
  CHECK(setup.session(SessionOptions{}).context() == 256);  // max_position_embeddings below 8192
  auto session = setup.session(SessionOptions{.context = 256, .chunk = 16});
  const auto ids = random_ids(256, 10);
  const auto out = Kept<float>(session.forward({.input_ids = ids}));
  CHECK(all_finite(out.logits));
  CHECK(session.length() == session.context());
}

TEST_CASE("the image token may be -200, which no embedding is for") {
  const auto plain = tiny_model<TinyGov>(), other = ModelData<TinyGov>::over(plain);
  other->tokens.image_token_id = -200;
  const auto pool = std::make_shared<ThreadPool>(1);
  const auto& kernels = kernel::kernels_of<kernel::scalar, float>;
  Session<TinyGov> expected(plain, pool, kernels, {.context = 64});
  Session<TinyGov> session(other, pool, kernels, {.context = 64, .chunk = 5});
  const Prompt shown({3, -1, 4, -2, 2});
  std::vector<int> ids = shown.ids;
  std::replace(ids.begin(), ids.end(), image_token, -200);
  const Inputs inputs{.input_ids = ids, .pixel_values = shown.view()};
  const Kept<float> found(session.forward(inputs, {}));
  CHECK(same_bits(found, Kept<float>(expected.forward(shown.inputs(), {}))));
  CHECK(code_of([&] { session.forward({.input_ids = ids}); }) == "bad_argument");
  ids[0] = -201;
  CHECK(code_of([&] { session.forward(inputs); }) == "bad_argument");
}

}  // namespace session_test
