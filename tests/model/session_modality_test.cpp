// Sessions of a model that asks which rows are an image's: the same rows however the work is cut,
// and settings that are changed after loading.
#include "gov/model/session.hpp"

#include <doctest/doctest.h>

#include "gov/model/gov_model.hpp"
#include "gov/model/router_statistics.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/session_cases.hpp"

namespace session_modality_test {

using namespace gov;
using namespace gov::test;

const Prompt prompt({5, -1, 3, -2, 17});  // 37 tokens, of which 12 are an image's
const Prompt text({37}, 2);

std::vector<std::uint8_t> images_of(const Prompt& p) {
  std::vector<std::uint8_t> marks;
  for (const int id : p.ids) marks.push_back(id == image_token);
  return marks;
}

// plain_setup's weights, with every vision_bias 0.
std::shared_ptr<ModelData<TinyGovVision>> unbiased() {
  auto model = tiny_model<TinyGovVision>();
  for (auto& layer : model->params.language_model().layers)
    std::fill_n(layer.mlp.vision_bias.values(), 4, 0.0f);
  return model;
}

TEST_CASE("with its parts off it is the model without them, bit for bit") {
  auto off = plain_setup<TinyGovVision>();
  off.model = unbiased();
  const auto plain = plain_setup<TinyGov>();
  CHECK(same_bits(run_whole(off, prompt.inputs()), run_whole(plain, prompt.inputs())));
  const auto biased = plain_setup<TinyGovVision>();
  CHECK(same_bits(run_whole(biased, text.inputs()), run_whole(plain, text.inputs())));
  CHECK_FALSE(same_bits(run_whole(biased, prompt.inputs()), run_whole(plain, prompt.inputs())));
}

TEST_CASE("the first router shows its logits, with the bias on the rows of images alone") {
  const auto setup = plain_setup<TinyGovVision>();
  auto other = setup;
  other.model = unbiased();
  auto session = setup.session(), without = other.session();
  Recorder<float> seen, plain;
  session.forward(prompt.inputs(), {}, seen);
  without.forward(prompt.inputs(), {}, plain);
  const float* const bias = setup.model->params.language_model().layers[0].mlp.vision_bias.values();
  const auto& rows = seen.rows.at("router.0");
  const auto marks = images_of(prompt);
  CHECK(std::count(marks.begin(), marks.end(), 1) == 12);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float before = plain.rows.at("router.0")[i];
    CHECK(rows[i] == (marks[i / 4] ? before + bias[i % 4] : before));
  }
  CHECK(seen.indices.at("modality") == std::vector<index_t>(marks.begin(), marks.end()));
  // After the prompt all is text again.
  Recorder<float> next;
  const int id = 9;
  session.forward({.input_ids = {&id, 1}}, {}, next);
  CHECK_FALSE(next.indices.contains("modality"));
}

TEST_CASE("chunks, batches and backends: the same bits") {
  for (const auto& setup : invariant_setups<TinyGovVision>()) {
    CAPTURE(setup.label);
    const auto whole = run_whole(setup, prompt.inputs());
    for (const index_t chunk : {1, 6, 7, 36}) {
      auto session = setup.session(SessionOptions{.context = 40, .chunk = chunk});
      Recorder<float> seen;
      CHECK(same_bits(Kept<float>(session.forward(prompt.inputs(), {}, seen)), whole));
      const auto marks = images_of(prompt);
      CHECK(seen.indices.at("modality") == std::vector<index_t>(marks.begin(), marks.end()));
    }
    auto a = setup.session(), b = setup.session(), c = setup.session();
    const Session<TinyGovVision>::Item items[] = {
        {&a, text.inputs()}, {&b, prompt.inputs()}, {&c, text.inputs()}};
    Session<TinyGovVision>::forward_batch(items);
    CHECK(same_bits(Kept<float>(b.outputs()), whole));
    CHECK(same_bits(Kept<float>(c.outputs()), run_whole(setup, text.inputs())));
  }
}

TEST_CASE("a caller who fuses images himself says which rows they are") {
  const auto setup = plain_setup<TinyGovVision>();
  auto session = setup.session();
  Recorder<float> seen;
  const auto whole = Kept<float>(session.forward(prompt.inputs(), {}, seen));
  const auto& embeds = seen.rows.at("inputs_embeds");
  const auto marks = images_of(prompt);
  const Inputs own{.inputs_embeds = Rows<const float>(embeds.data(), prompt.size(), 64),
                   .modality = marks};
  CHECK(same_bits(run_whole(setup, own), whole));
  auto unmarked = own;
  unmarked.modality = {};
  CHECK_FALSE(same_bits(run_whole(setup, unmarked), whole));
  auto cut = own;
  cut.modality = std::span(marks).first(36);
  const auto error = error_of([&] { run_whole(setup, cut); });
  REQUIRE(error);
  CHECK(error->field() == "modality");
  CHECK(error->found() == "36");
}

TEST_CASE("router statistics: a token once a layer, with its modality, in chunks and steps") {
  const auto setup = plain_setup<TinyGovVision>();
  RouterStatistics whole, cut;
  auto session = setup.session(), chunks = setup.session(SessionOptions{.context = 40, .chunk = 6});
  session.forward(prompt.inputs(), {}, whole);
  chunks.forward(prompt.inputs(), {}, cut);
  const int id = 9;
  session.forward({.input_ids = {&id, 1}}, {}, whole);
  chunks.forward({.input_ids = {&id, 1}}, {}, cut);
  REQUIRE(whole.layers().size() == 2);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    const auto &a = whole.layers()[layer], &b = cut.layers()[layer];
    CHECK(a.image.tokens == 12);
    CHECK(a.text.tokens == 26);
    CHECK(a.image.histogram == b.image.histogram);
    CHECK(a.text.histogram == b.text.histogram);
    index_t choices = 0;
    for (const index_t count : a.text.histogram) choices += count;
    CHECK(choices == 2 * 26);
  }
  CHECK(whole.aux_loss() == doctest::Approx(cut.aux_loss()).epsilon(1e-12));
  CHECK(whole.aux_loss() > 1.5);
}

TEST_CASE("keys of a model are changed for sessions made later, and for no other") {
  GovModel<TinyGovVision> model(tiny_model<TinyGovVision>());
  const GovModel<TinyGovVision> other = model;
  const auto run = [&](Session<TinyGovVision> session) {
    return Kept<float>(session.forward(prompt.inputs()));
  };
  const auto new_session = [&] { return model.session({.arithmetic = Arithmetic::invariant}); };
  auto early = new_session();
  const auto off = run(new_session());
  model.set({"nope_stride", "1"});
  CHECK(same_bits(run(new_session()), off));  // use_nope is off
  model.set({"use_nope", "true"});
  const auto on = run(new_session());
  CHECK_FALSE(same_bits(on, off));
  CHECK(same_bits(run(std::move(early)), off));
  CHECK(same_bits(run(other.session({.arithmetic = Arithmetic::invariant})), off));
  CHECK(&other.params().lm_head != &model.params().lm_head);
  CHECK(other.params().lm_head.weight.data == model.params().lm_head.weight.data);
  model.set({"no_rope_layers", "[0,0]"});
  model.set({"nope_stride", "4"});
  CHECK(same_bits(run(new_session()), on));  // both layers, by the list
  CHECK(model.config().no_rope_layers == RopeLayers("00"));
  CHECK(model.description().language.as<GptOssVisionConfig>() == resolved(model.config()));
  const auto before = model.config();
  CHECK(code_of([&] { model.set({"num_hidden_layers", "1"}); }) == "bad_argument");
  CHECK(code_of([&] { model.set({"nope_stride", "x"}); }) != "none");
  CHECK(model.config() == before);
  auto config = model.config();
  config.set_nope(NopeLayers::of(std::vector<index_t>{0, 1}));
  model.set(config);
  CHECK(same_bits(run(new_session()), on));
  config.set_nope(NopeLayers::of(std::vector<index_t>{0, 2}));  // there are two layers
  CHECK(code_of([&] { model.set(config); }) == "bad_argument");
  CHECK(same_bits(run(new_session()), on));
  config.set_nope({});
  model.set(config);
  CHECK(same_bits(run(new_session()), off));
}

}  // namespace session_modality_test
