// Videos and pictures as packed tokens of GPT-2: what fits, what is refused, and that no cut of a
// prompt changes anything. The numbers are held against PyTorch in tests/parity (llava-gpt2).
#include "gov/model/llava_gpt2.hpp"

#include <doctest/doctest.h>

#include "gov/model/config_output.hpp"
#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/tiny_model.hpp"

namespace llava_gpt2_test {

using namespace gov;
using namespace gov::test;

struct Tiny : LlavaGpt2 {
  struct Vision : Dinov2Modules {
    static constexpr Dinov2Config config{.hidden_size = 16,
                                         .num_hidden_layers = 1,
                                         .num_attention_heads = 2,
                                         .image_size = {16, 16},
                                         .patch_size = {4, 4}};
  };
  struct Language : Gpt2 {
    static constexpr Gpt2Config config{
        .vocab_size = 40, .n_positions = 64, .n_embd = 12, .n_layer = 1, .n_head = 2};
  };
  static constexpr LlavaGpt2Config config{.num_frames = 4,
                                          .mm_projector_hidden_size = 20,
                                          .mm_packer_fast = {4, 1, 2},
                                          .mm_packer_slow = {2, 2, 2},
                                          .mm_packer_grid = 4,
                                          .mm_packer_hidden_size = 8,
                                          .mm_packer_num_heads = 2};
};
using Images = VideoFeatures<Tiny>;
constexpr auto ids_of_markers = VisualMarkerIds::from(32);
constexpr index_t frame_size = 3 * 16 * 16;

// A prompt of text ('t'), pictures ('i') and videos ('v'), with its pixels.
struct Prompt {
  std::vector<int> ids;
  std::vector<index_t> frames;
  std::vector<float> pixels;

  explicit Prompt(std::string_view parts) {
    const auto span = [this](int start, int patch, int end, int count) {
      ids.push_back(start);
      ids.insert(ids.end(), static_cast<std::size_t>(count - 2), patch);
      ids.push_back(end);
    };
    const VisualMarkerIds& m = ids_of_markers;
    for (const char part : parts) {
      if (part == 't') ids.push_back(static_cast<int>(3 + ids.size() % 29));
      if (part == 'i') span(m.im_start, m.im_patch, m.im_end, 2 + 4);
      if (part == 'v') {
        span(m.vid_start, m.vid_patch, m.vid_end, 4 * 2);
        span(m.slow_vid_start, m.vid_patch, m.slow_vid_end, 2 * 4);
      }
      if (part != 't') frames.push_back(part == 'i' ? 1 : 4);
    }
    index_t count = 0;
    for (const index_t n : frames) count += n;
    pixels = random_values(count * frame_size, 5);
  }
  PixelView view() const {
    return {pixels.data(), static_cast<index_t>(pixels.size()) / frame_size, 3, 16, 16};
  }
  Inputs inputs() const { return {.input_ids = ids, .pixel_values = view(), .frames = frames}; }
};

struct Setup {
  std::shared_ptr<ModelData<Tiny>> model = random_model<Tiny>();
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(1);
  Setup() { model->tokens.markers = ids_of_markers; }
  Session<Tiny> session(index_t chunk = 64) const {
    return {model,
            pool,
            kernel::kernels_of<kernel::scalar, float>,
            {.chunk = chunk, .arithmetic = Arithmetic::invariant}};
  }
};

TEST_CASE("96 tokens, and how the wrapper generates") {
  using Seed = Architecture<Seed96>;
  CHECK(Seed::Projector::tokens(8) == 96);
  CHECK(Seed::Projector::tokens(1) == 24);
  CHECK(Seed::Images::image_tokens(224, 224) == 24);
  CHECK(Architecture<BabyLmIt>::Projector::tokens(4) == 360);
  CHECK(Architecture<BabyLmIt>::Images::image_tokens(224, 224) == 256);
  CHECK(Architecture<BabyLmIt>::Images::image_tokens(518, 518) == 0);
  static_assert(LlavaGpt2Config::model_type == "llava_gpt2");
  static_assert(LlavaGpt2Config::temperature == 0 && !LlavaGpt2Config::do_sample);
  static_assert(LlavaGpt2Config::max_new_tokens == 1024 && !LlavaGpt2Config::has_top_p);
  CHECK(Seed::tied);
  static_assert(parameter_count_of<typename Seed::Language::Params>() == 108'888'576);
}

TEST_CASE("LLaVA-ST: 900 fast and 1620 slow tokens of a video, 729 of a picture") {
  using St = Architecture<LlavaSt>;
  static_assert(std::is_same_v<St::Projector, LlavaStProjector>);
  static_assert(St::Images::Packer::tracks(100).fast.tokens() == 900);
  static_assert(St::Images::slow_tokens() == 1620);
  static_assert(St::Images::image_tokens(384, 384) == 729);
  static_assert(St::Images::image_tokens(378, 378) == 729);
  static_assert(St::Images::image_tokens(448, 448) == 0);
  static_assert(St::Images::feature_layer == 26 && St::Images::deepest == 26);
  static_assert(parameter_count_of<typename St::Projector::Params>() ==
                66'109'440 + 16'980'992 + 2'150'400);
  CHECK(LlavaSt::config.problem() == "");
  CHECK_FALSE(St::tied);
}

// A tower without a class token, read before its last layer; any language model.
struct TinySt : LlavaGpt2 {
  using Vision = TinySiglipVit;
  struct Language : Qwen2 {
    static constexpr Qwen2Config config{.hidden_size = 12,
                                        .intermediate_size = 16,
                                        .num_hidden_layers = 1,
                                        .num_attention_heads = 2,
                                        .num_key_value_heads = 2,
                                        .vocab_size = 40};
  };
  static constexpr LlavaGpt2Config config{.num_frames = 4,
                                          .vision_feature_layer = -2,
                                          .mm_projector_hidden_size = 0,
                                          .mm_packer_type = MmPacker::fast_slow,
                                          .mm_packer_order = PackOrder::project_first,
                                          .mm_packer_fast = {4, 1, 1},
                                          .mm_packer_slow = {2, 2, 2},
                                          .mm_packer_grid = 4,
                                          .mm_packer_hidden_size = 8,
                                          .mm_packer_num_heads = 2,
                                          .mm_packer_images = false,
                                          .tie_word_embeddings = false};
};

template <index_t Depth, index_t Residuals, bool Sequential>
struct WithProjector : LlavaGpt2 {
  using Vision = TinySt::Vision;
  struct Language : Gpt2 {  // as wide as the tower
    static constexpr Gpt2Config config{
        .vocab_size = 40, .n_positions = 64, .n_embd = 32, .n_layer = 1, .n_head = 2};
  };
  static constexpr LlavaGpt2Config config = [] {
    LlavaGpt2Config config = TinySt::config;
    config.mm_projector_type = {Depth, Residuals, Sequential};
    return config;
  }();
};

TEST_CASE("any of LLaVA's projectors") {
  using None = WithProjector<0, 0, false>;
  using Linear = WithProjector<1, 0, false>;
  using Deep = WithProjector<3, 1, true>;
  constexpr index_t packer = parameter_count_of<typename None::Projector<None>::Params>();
  constexpr index_t layer = 32 * 32 + 32;
  static_assert(parameter_count_of<typename Linear::Projector<Linear>::Params>() == packer + layer);
  static_assert(parameter_count_of<typename Deep::Projector<Deep>::Params>() ==
                packer + 5 * layer + 2 * 32);
  const auto name = [](const Naming& naming, const char* ours) {
    return spell(Layout::llava, std::string("model.mm_projector.") + ours, naming).name;
  };
  CHECK(name(naming_of<Linear>(), "linear_1.bias") == "transformer.mm_projector.bias");
  CHECK(name(naming_of<Deep>(), "linear_3.bias") == "transformer.mm_projector.4.bias");
  CHECK(name(naming_of<Deep>(), "residual.0.pre_norm.bias") ==
        "transformer.mm_projector.5.pre_norm.bias");
  ModelDescription deep = ModelDescription::of<Deep>();
  const Json spelled = parse_json(config_json(deep, Layout::hf, "float32"), "deep");
  CHECK(spelled.at("mm_projector_type").as_string() == "mlp3x_res1x_gelu");
  CHECK(differences(describe_config(spelled), deep).empty());
  CHECK(differences(deep, ModelDescription::of<Linear>()) ==
        std::vector<std::string>{"mm_projector_type=\"mlp3x_res1x_gelu\" (compiled \"linear\")"});
  // Without a projector, the packer reads the tower's features.
  using A = Architecture<None>;
  const auto model = random_model<None>();
  const auto pixels = random_values(3 * 32 * 32, 5);
  const Inputs inputs{.pixel_values = {pixels.data(), 1, 3, 32, 32}};
  std::vector<float> features(16 * 32), states(16 * 32);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::kernels_of<kernel::scalar, float>, pool, arena};
  NoObserver none;
  REQUIRE(A::Images::rows(inputs) == 16);
  A::Images::forward(context, model->params.model, inputs, Rows<float>(features.data(), 16, 32),
                     none);
  A::Vision::forward(context, model->params.model.vision_tower, pixels.data(), 32, 32, 2,
                     Rows<float>(states.data(), 16, 32), none);
  std::vector<float> expected(16 * 32);
  A::Projector::forward(context, model->params.model, Rows<const float>(states.data(), 16, 32),
                        {1, 4, 4}, Rows<float>(expected.data(), 16, 32));
  CHECK(features == expected);
}

TEST_CASE("of a hidden state before the last, and without a class token") {
  using A = Architecture<TinySt>;
  const auto model = random_model<TinySt>();
  const auto& params = model->params.model;
  const auto pixels = random_values(4 * 3 * 32 * 32, 5);
  ThreadPool pool(1);
  Arena arena;
  Context<float> context{kernel::kernels_of<kernel::scalar, float>, pool, arena};
  NoObserver none;
  for (const index_t frames : {1, 4}) {
    const std::vector<index_t> counts{frames};
    const Inputs inputs{.pixel_values = {pixels.data(), frames, 3, 32, 32}, .frames = counts};
    const index_t tokens = A::Images::rows(inputs);
    CHECK(tokens == (frames == 1 ? 16 : 4 + 8));
    const auto buffer = [](index_t rows, index_t width) {
      return std::vector<float>(static_cast<std::size_t>(rows * width));
    };
    auto features = buffer(tokens, 12), states = buffer(frames * 16, 32), expected = features;
    A::Images::forward(context, params, inputs, Rows<float>(features.data(), tokens, 12), none);
    for (index_t i = 0; i < frames; ++i)
      A::Vision::forward(context, params.vision_tower, inputs.pixel_values.tile(i), 32, 32, 2,
                         Rows<float>(states.data() + i * 16 * 32, 16, 32), none);
    A::Projector::forward(context, params, Rows<float>(states.data(), frames * 16, 32),
                          {frames, 4, 4}, Rows<float>(expected.data(), tokens, 12));
    CHECK(features == expected);
  }
}

TEST_CASE("configs that do not hold together") {
  const auto problem = [](auto change) {
    LlavaGpt2Config config;
    change(config);
    return config.problem() != "";
  };
  CHECK_FALSE(problem([](auto&) {}));
  CHECK(problem([](auto& c) { c.mm_packer_fast = {8, 2}; }));
  CHECK(problem([](auto& c) { c.num_frames = 6; }));
  CHECK(problem([](auto& c) { c.mm_packer_grid = 15; }));
  CHECK(problem([](auto& c) { c.mm_packer_num_heads = 7; }));
  CHECK(problem([](auto& c) { c.mm_packer_images = false; }));
  CHECK(problem([](auto& c) { c.mm_packer_type = MmPacker::fast_slow; }));
  CHECK_FALSE(
      problem([](auto& c) { c.num_frames = 6, c.mm_packer_attention = PackAttention::global; }));
  CHECK_FALSE(problem([](auto& c) { c = BabyLmIt::config; }));
  CHECK(problem([](auto& c) {
    c = BabyLmIt::config;
    c.mm_packer_attention = PackAttention::window;
  }));
}

TEST_CASE("config.json: flat, written nested, read again") {
  const auto flat = describe_config(load_json("tests/fixtures/parity/llava-gpt2/config.json"));
  REQUIRE(flat.composition);
  CHECK(flat.composition->config.as<LlavaGpt2Config>().mm_projector_hidden_size == 28);
  CHECK(flat.composition->vision.is<Dinov2Config>());
  CHECK(flat.tokens.markers == VisualMarkerIds::from(40));
  CHECK(flat.tied());
  ModelDescription own = ModelDescription::of<Tiny>();
  own.tokens.markers = ids_of_markers;
  for (const Layout layout : {Layout::hf, Layout::llava}) {
    const auto again = describe_config(parse_json(config_json(own, layout, "float32"), "again"));
    CHECK(differences(again, own).empty());
    CHECK(again.tokens.markers == ids_of_markers);
  }
  const auto named = describe_config(
      parse_json(R"({"model_type":"llava_gpt2","vocab_size":30008,"mm_vision_select_layer":-2,)"
                 R"("mm_vision_tower":"facebook/dinov2-large"})",
                 "seed"));
  CHECK(differences(named, ModelDescription::of<Seed96>()).empty());
  CHECK(code_of([] {
          describe_config(parse_json(R"({"model_type":"llava_gpt2","num_frames":6,)"
                                     R"("mm_vision_tower":"facebook/dinov2-large"})",
                                     "odd"));
        }) == "bad_config");
}

TEST_CASE("markers are found in the tokenizer's files") {
  TempFolder folder;
  std::string config = file_bytes("tests/fixtures/parity/llava-gpt2/config.json"), added = "{";
  for (std::size_t at; (at = config.find("_token_id\": 4")) != config.npos;)
    config.replace(at, 11, "_unused\": ");
  folder.write("config.json", config);
  VisualMarkerIds::keys(ids_of_markers, [&](std::string_view name, int id) {
    added += (added.size() > 1 ? ",\"<" : "\"<") + std::string(name) + ">\":" + std::to_string(id);
  });
  CHECK(describe(folder / "config.json").tokens.markers == VisualMarkerIds{});
  folder.write("added_tokens.json", added + "}");
  folder.write("model.safetensors", std::string("\x02\0\0\0\0\0\0\0{}", 10));
  CHECK(describe(folder.path()).tokens.markers == ids_of_markers);
}

TEST_CASE("features take the place of markers and place-holders") {
  const Setup setup;
  const Prompt prompt("ttvtit");
  auto session = setup.session();
  Recorder<float> seen;
  session.forward(prompt.inputs(), {}, seen);
  const auto& features = seen.rows["image_features"];
  const auto& embeds = seen.rows["inputs_embeds"];
  constexpr std::ptrdiff_t width = 12;
  REQUIRE(features.size() == (16 + 6) * width);
  CHECK(std::equal(features.begin(), features.begin() + 16 * width, embeds.begin() + 2 * width));
  CHECK(std::equal(features.begin() + 16 * width, features.end(), embeds.begin() + 19 * width));
  // A video's features do not depend on what stands beside it.
  auto other = setup.session();
  const auto first =
      other.get_image_features({.pixel_values = prompt.view(), .frames = prompt.frames});
  CHECK(std::equal(features.begin(), features.end(), first.data));
  const std::vector<index_t> four{4};
  PixelView view = prompt.view();
  view.count = 4;
  const auto video = other.get_image_features({.pixel_values = view, .frames = four});
  REQUIRE(video.rows == 16);
  CHECK(std::equal(video.data, video.data + 16 * width, features.begin()));
}

TEST_CASE("any cut of the computation gives the same bits") {
  const Setup setup;
  const Prompt prompt("tivtvtt");
  auto whole = setup.session();
  const Kept<float> expected(whole.forward(prompt.inputs()));
  for (const index_t chunk : {1, 5, 19}) {
    auto session = setup.session(chunk);
    CHECK(same_bits(Kept<float>(session.forward(prompt.inputs())), expected));
  }
  // Text behind the visuals step by step.
  auto session = setup.session();
  Inputs before = prompt.inputs();
  before.input_ids = before.input_ids.first(prompt.ids.size() - 1);
  Kept<float> parts(session.forward(before));
  parts.append(session.forward({.input_ids = std::span(prompt.ids).last(1)}));
  CHECK(same_bits(parts, expected));
}

TEST_CASE("frames may be left out where they are plain") {
  const Setup setup;
  for (const char* const parts : {"ti", "tv", "vtv"}) {
    const Prompt prompt(parts);
    auto told = setup.session(), guessed = setup.session();
    Inputs inputs = prompt.inputs();
    const Kept<float> expected(told.forward(inputs));
    inputs.frames = {};
    CHECK(same_bits(Kept<float>(guessed.forward(inputs)), expected));
  }
}

TEST_CASE("wrong counts of frames and visuals are refused before any work") {
  const Setup setup;
  auto session = setup.session();
  const auto code = [&](const Inputs& inputs) {
    const auto thrown = code_of([&] { session.require_possible(inputs); });
    CHECK(code_of([&] { session.forward(inputs); }) == thrown);
    CHECK(session.length() == 0);
    return thrown;
  };
  const Prompt video("tvt"), picture("tit"), both("vi"), text("ttt");
  const auto changed = [](Inputs inputs, auto change) {
    change(inputs);
    return inputs;
  };
  const std::vector<index_t> three{3}, two_pictures{1, 1}, none_and_four{0, 4};
  // Frames that no visual has, or that are not there.
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.frames = three; })) == "bad_video");
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.frames = two_pictures; })) == "bad_video");
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.frames = none_and_four; })) == "bad_video");
  CHECK(code(changed(video.inputs(),
                     [&](Inputs& i) { i.frames = {}, i.pixel_values.count = 3; })) == "bad_video");
  CHECK(code(changed(text.inputs(), [&](Inputs& i) { i.frames = two_pictures; })) == "bad_video");
  // Pixels of another shape.
  CHECK(code(changed(picture.inputs(), [](Inputs& i) { i.pixel_values.channels = 1; })) ==
        "bad_argument");
  CHECK(code(changed(picture.inputs(), [](Inputs& i) { i.pixel_values.height = 3; })) ==
        "bad_argument");
  // Visuals and markers that are not each other's.
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.input_ids = text.ids; })) ==
        "image_count_mismatch");
  CHECK(code(changed(picture.inputs(), [&](Inputs& i) { i.input_ids = video.ids; })) ==
        "image_count_mismatch");
  CHECK(code(changed(picture.inputs(), [&](Inputs& i) { i.input_ids = both.ids; })) ==
        "image_count_mismatch");
  // Place-holders too few.
  std::vector<int> cut = video.ids;
  cut.erase(cut.begin() + 3);
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.input_ids = cut; })) == "bad_prompt");
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.input_ids = i.input_ids.first(5); })) ==
        "bad_prompt");
  // No token has a negative id here.
  std::vector<int> negative = video.ids;
  negative[0] = -1;
  CHECK(code(changed(video.inputs(), [&](Inputs& i) { i.input_ids = negative; })) ==
        "bad_argument");
  // Embeddings have no markers.
  const std::vector<float> embeds(20 * 12);
  CHECK(code(changed(video.inputs(), [&](Inputs& i) {
          i.input_ids = {}, i.inputs_embeds = {embeds.data(), 20, 12};
        })) == "bad_argument");
}

}  // namespace llava_gpt2_test
