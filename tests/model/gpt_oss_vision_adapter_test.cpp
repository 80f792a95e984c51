// Prefix fusion: an image's rows before the text, whatever a caller cuts, keeps or shares.
#include "gov/model/gpt_oss_vision_adapter.hpp"

#include <doctest/doctest.h>

#include "gov/model/coconut.hpp"
#include "gov/model/costs.hpp"
#include "gov/model/memory_plan.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/session_cases.hpp"

namespace gpt_oss_vision_adapter_test {

using namespace gov;
using namespace gov::test;
using Cfg = TinyPrefixVision;

constexpr index_t rows_per_image = 18, hidden = 64, vocabulary = 256;
const Prompt text({13}), other_text({7}, 2);
const Prompt one({-1}, 3), two({-2}, 4);  // for their pixels

Inputs with_images(const Prompt& words, const Prompt& images) {
  return {.input_ids = words.ids, .pixel_values = images.view()};
}

static_assert(Architecture<Cfg>::prefix_fusion);
static_assert(Architecture<Cfg>::Images::image_tokens(32, 32) == rows_per_image);
static_assert(Architecture<GptOssVisionVit20b>::Images::image_tokens(224, 224) == 258);
static_assert(Architecture<GptOssVisionConv20b>::Images::image_tokens(224, 224) == 257);
static_assert(Architecture<GptOssVisionVit20b>::Images::image_tokens(8, 224) == 258 - 256);

// The same language model behind InternVL's tower.
Setup<TinyGovVision> beside(const Setup<Cfg>& setup) {
  auto model = tiny_model<TinyGovVision>();
  model->params.language_model() = setup.model->params.language_model();
  model->params.lm_head = setup.model->params.lm_head;
  return {setup.kernels, setup.label, model};
}

TEST_CASE("without an image it is the language model, bit for bit") {
  const auto setup = plain_setup<Cfg>();
  auto session = setup.session();
  Recorder<float> seen;
  const auto whole = Kept<float>(session.forward(text.inputs(), {}, seen));
  CHECK(same_bits(whole, run_whole(beside(setup), text.inputs())));
  CHECK(session.length() == 13);
  CHECK(whole.features.empty());
  CHECK_FALSE(seen.indices.contains("modality"));
}

TEST_CASE("a black picture is not no picture, and not another one") {
  const auto setup = plain_setup<Cfg>();
  Prompt black = one;
  std::fill(black.pixels.begin(), black.pixels.end(), 0.0f);
  const auto none = run_whole(setup, text.inputs());
  const auto with_black = run_whole(setup, with_images(text, black));
  const auto with_one = run_whole(setup, with_images(text, one));
  REQUIRE(with_black.logits.size() == none.logits.size());  // of the same words
  for (index_t row = 0; row < 13; ++row) {
    const auto differ = [&](const Kept<float>& a, const Kept<float>& b) {
      const index_t at = row * vocabulary;
      return !std::equal(a.logits.begin() + at, a.logits.begin() + at + vocabulary,
                         b.logits.begin() + at);
    };
    CHECK(differ(with_black, none));
    CHECK(differ(with_black, with_one));
  }
}

TEST_CASE("with images it is the language model on their features and the text's embeddings") {
  const auto setup = plain_setup<Cfg>();
  const auto plain = beside(setup);
  for (const Prompt* images : {&one, &two}) {
    const index_t prefix = rows_per_image * images->tiles();
    auto session = setup.session();
    Recorder<float> seen, words;
    const auto whole = Kept<float>(session.forward(with_images(text, *images), {}, seen));
    CHECK(session.length() == prefix + 13);
    CHECK(std::ssize(whole.logits) == 13 * vocabulary);
    CHECK(std::ssize(whole.hidden) == (prefix + 13) * hidden);
    CHECK(std::ssize(whole.features) == prefix * hidden);

    auto fused = whole.features;
    auto embedder = plain.session();
    embedder.forward(text.inputs(), {}, words);
    const auto& embeds = words.rows.at("inputs_embeds");
    fused.insert(fused.end(), embeds.begin(), embeds.end());
    CHECK(same_bits(seen.rows.at("inputs_embeds"), fused));
    std::vector<std::uint8_t> marks(static_cast<std::size_t>(prefix), 1);
    marks.resize(marks.size() + 13);
    CHECK(seen.indices.at("modality") == std::vector<index_t>(marks.begin(), marks.end()));
    auto own = plain.session();
    const auto by_hand = Kept<float>(own.forward(
        {.inputs_embeds = Rows<const float>(fused.data(), prefix + 13, hidden), .modality = marks},
        {.logits_to_keep = 13}));
    CHECK(same_bits(by_hand, whole));
  }
}

TEST_CASE("several images are their features one after the other") {
  auto session = plain_setup<Cfg>().session();
  const auto both = Kept<float>::copy(session.get_image_features({.pixel_values = two.view()}));
  for (index_t i = 0; i < 2; ++i) {
    PixelView view = two.view();
    view.data = view.tile(i), view.count = 1;
    const auto alone = Kept<float>::copy(session.get_image_features({.pixel_values = view}));
    CHECK(same_bits(alone, {both.begin() + i * rows_per_image * hidden,
                            both.begin() + (i + 1) * rows_per_image * hidden}));
  }
  CHECK(session.length() == 0);
}

// Only the rows of an image have the bias on their routers.
TEST_CASE("the bias of routers is on the images' rows alone") {
  const auto setup = plain_setup<Cfg>();
  auto unbiased = tiny_model<Cfg>();
  for (auto& layer : unbiased->params.language_model().layers)
    std::fill_n(layer.mlp.vision_bias.values(), 4, 0.0f);
  auto without = setup;
  without.model = unbiased;
  Recorder<float> seen, plain;
  auto a = setup.session(), b = without.session();
  a.forward(with_images(text, one), {}, seen);
  b.forward(with_images(text, one), {}, plain);
  const float* const bias = setup.model->params.language_model().layers[0].mlp.vision_bias.values();
  const auto &rows = seen.rows.at("router.0"), &before = plain.rows.at("router.0");
  REQUIRE(std::ssize(rows) == (rows_per_image + 13) * 4);
  for (std::size_t i = 0; i < rows.size(); ++i)
    CHECK(rows[i] == (i / 4 < rows_per_image ? before[i] + bias[i % 4] : before[i]));
}

TEST_CASE("chunks, batches, parts and backends: the same bits") {
  for (const auto& setup : invariant_setups<Cfg>()) {
    CAPTURE(setup.label);
    const auto whole = run_whole(setup, with_images(text, two));
    for (const index_t chunk : {1, 5, 18, 36, 37}) {
      auto session = setup.session(SessionOptions{.context = 60, .chunk = chunk});
      CHECK(same_bits(Kept<float>(session.forward(with_images(text, two))), whole));
    }
    // A first word with the images, and the rest of the text later.
    auto parts = setup.session();
    auto in_parts = Kept<float>(
        parts.forward({.input_ids = text.part(0, 1).input_ids, .pixel_values = two.view()}));
    in_parts.append(parts.forward(text.part(1, 13)));
    CHECK(same_bits(in_parts, whole));
    auto a = setup.session(), b = setup.session(), c = setup.session();
    const Session<Cfg>::Item items[] = {
        {&a, with_images(other_text, one)}, {&b, with_images(text, two)}, {&c, text.inputs()}};
    Session<Cfg>::forward_batch(items);
    CHECK(same_bits(Kept<float>(a.outputs()), run_whole(setup, with_images(other_text, one))));
    CHECK(same_bits(Kept<float>(b.outputs()), whole));
    CHECK(same_bits(Kept<float>(c.outputs()), run_whole(setup, text.inputs())));
  }
}

TEST_CASE("fewer logits than rows, and what is kept of them") {
  const auto setup = plain_setup<Cfg>();
  const auto whole = run_whole(setup, with_images(text, one));
  const auto last = [&](index_t keep) {
    auto session = setup.session();
    return Kept<float>(session.forward(with_images(text, one), {.logits_to_keep = keep}));
  };
  CHECK(same_bits(last(1).logits, {whole.logits.end() - vocabulary, whole.logits.end()}));
  CHECK(same_bits(last(30).logits, whole.logits));  // there are none before the text
  CHECK(last(-1).logits.empty());
}

TEST_CASE("forked and truncated: positions go on behind the images") {
  const auto setup = plain_setup<Cfg>();
  const SessionOptions keeps_all{.context = 60, .chunk = 9, .full_history = true};
  auto session = setup.session(keeps_all);
  const auto whole = Kept<float>(session.forward(with_images(text, one)));
  const auto next = Kept<float>(session.fork().forward(other_text.inputs()));
  auto again = setup.session(keeps_all);
  std::vector<int> ids = text.ids;
  ids.insert(ids.end(), other_text.ids.begin(), other_text.ids.end());
  const auto at_once = Kept<float>(again.forward({.input_ids = ids, .pixel_values = one.view()},
                                                 {.logits_to_keep = 7, .hidden_to_keep = 7}));
  CHECK(same_bits(at_once, next));
  CHECK(session.length() == rows_per_image + 13);
  session.truncate(rows_per_image);  // the image alone is left
  CHECK(same_bits(Kept<float>(session.forward(text.inputs())).logits, whole.logits));
  session.truncate(rows_per_image - 1);
  const auto shorter = Kept<float>(session.forward(text.inputs()));
  CHECK_FALSE(same_bits(shorter.logits, whole.logits));
  session.truncate(0);
  CHECK(same_bits(Kept<float>(session.forward(with_images(text, one))), whole));
}

TEST_CASE("an image is counted where the context ends, and a text must follow it") {
  const auto setup = plain_setup<Cfg>();
  const index_t context = rows_per_image + 13;
  auto session = setup.session(SessionOptions{.context = context, .chunk = 8});
  session.forward(with_images(text, one));
  CHECK(session.length() == context);
  session.truncate(0);
  CHECK(code_of([&] { session.forward(with_images(text, two)); }) == "context_full");
  CHECK(code_of([&] { session.forward({.pixel_values = one.view()}); }) == "bad_argument");
  PixelView gray = one.view();
  gray.channels = 1;
  CHECK(code_of([&] { session.forward({.input_ids = text.ids, .pixel_values = gray}); }) ==
        "bad_argument");
  CHECK(session.length() == 0);
}

TEST_CASE("latent thoughts behind an image: passes as of one that has seen it") {
  const auto setup = plain_setup<Cfg>();
  std::vector<int> ids = text.ids;
  constexpr int latent = 7;
  for (int& id : ids) id = id == latent ? latent + 1 : id;
  ids[5] = ids[6] = latent;
  auto session = setup.session(), by_hand = setup.session();
  const Session<Cfg>::Item item{&session, {.input_ids = ids, .pixel_values = one.view()}};
  const auto out = coconut_forward<Cfg>({&item, 1}, {.latent_token_id = latent});
  CHECK(out.passes == 3);
  CHECK(session.length() == rows_per_image + 13);
  const auto part = [&](std::size_t first, std::size_t count) {
    return std::span<const int>(ids).subspan(first, count);
  };
  by_hand.forward({.input_ids = part(0, 5), .pixel_values = one.view()});
  by_hand.forward({.input_ids = part(5, 1), .feedback = true});
  const auto last = Kept<float>(by_hand.forward({.input_ids = part(6, 7), .feedback = true}));
  REQUIRE(std::ssize(out.rows[0].logits) >= 7 * vocabulary);
  CHECK(same_bits(last.logits,
                  {out.rows[0].logits.end() - 7 * vocabulary, out.rows[0].logits.end()}));
}

TEST_CASE("the memory plan and the costs know the adapter") {
  const SessionOptions options{.context = 64, .chunk = 16};
  auto model = tiny_model<Cfg>();
  const auto session = plain_setup<Cfg>().session(options);
  CHECK(plan_memory<Cfg>(0, options).caches == session.cache_bytes());
  CHECK(tile_scratch_bytes<Cfg>() > 18 * 32 * 4);
  const auto list = parameter_list(model->params);
  double of_images = 0;
  for (const auto& p : list)
    if (p.of_images()) of_images += static_cast<double>(p.size());
  CHECK(of_images == static_cast<double>(parameter_count<Architecture<Cfg>> -
                                         parameter_count<Architecture<TinyGptOssVision>>));
  CHECK(tile_bytes(list) == 4 * of_images);
  // The fallback has one matrix: [1024, 3 * 14 * 14] on 256 patches, and the projection on 257.
  Architecture<GptOssVisionConv20b>::Params params;
  CHECK(tile_flops<GptOssVisionConv20b>(parameter_list(params)) ==
        2.0 * (1024 * 588 * 256.0 + 1024 * 2880 * 257.0));
}

}  // namespace gpt_oss_vision_adapter_test
