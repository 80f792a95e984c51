// InternVL3 in small, in both spellings: prompts and greedy answers of chat() with history, several
// images, frames, image_flags, and of a batch, as tests/reference/internvl3_chat.py has them from
// transformers.
#include "gov/infer/chat.hpp"

#include <doctest/doctest.h>

#include "gov/language/qwen2.hpp"
#include "gov/model/internvl.hpp"
#include "gov/vision/intern_vit.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace internvl3_chat_test {

using namespace gov;
using namespace gov::test;

struct TinyInternVl3 : InternVl {
  static constexpr std::string_view name = "TinyInternVl3";
  struct Vision : InternVitModules {
    static constexpr InternVitConfig config{.hidden_size = 16,
                                            .intermediate_size = 24,
                                            .num_hidden_layers = 2,
                                            .num_attention_heads = 2,
                                            .image_size = {32, 32},
                                            .patch_size = {8, 8},
                                            .attention_bias = true};
  };
  struct Language : Qwen2 {
    static constexpr Qwen2Config config{
        .hidden_size = 32,
        .intermediate_size = 40,
        .num_hidden_layers = 2,
        .num_attention_heads = 4,
        .num_key_value_heads = 2,
        .vocab_size = 262,
        .max_position_embeddings = 384,
        .rope_parameters = {.rope_type = RopeType::dynamic, .rope_theta = 1000000, .factor = 2}};
  };
  static constexpr InternVlConfig config{};
};

const std::string fixtures = "tests/fixtures/chat/";

GovModel<TinyInternVl3> model(const std::string& spelling) {
  return GovModel<TinyInternVl3>::from_pretrained(fixtures + spelling, {.threads = 1});
}
const Json& chats() {
  static const Json json = load_json(fixtures + "chats.json");
  return json;
}
// transformers ran in f32, so activations are not to be rounded.
ChatOptions exact() {
  ChatOptions options;
  options.session.arithmetic = Arithmetic::invariant;
  return options;
}
GenerateOptions greedy() { return {.max_new_tokens = 8}; }

// Tiles `first` and following of the script's pixels.
PixelValues tiles(index_t first, index_t count) {
  PixelValues pixels;
  pixels.count = count, pixels.height = 32, pixels.width = 32;
  const auto per_tile = static_cast<std::uint64_t>(3 * 32 * 32);
  for (std::uint64_t i = 0; i < per_tile * static_cast<std::uint64_t>(count); ++i) {
    const std::uint64_t at = i + per_tile * static_cast<std::uint64_t>(first) + 1;
    pixels.data.push_back(static_cast<float>((2654435761u * at & 0xFFFFFFFFu) >> 16) / 32768.0f -
                          1.0f);
  }
  return pixels;
}

index_t sum(const std::vector<index_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), index_t{0});
}
std::vector<index_t> patches_of(const Json& json) {
  return json.contains("num_patches") ? json.at("num_patches").as_vector<index_t>()
                                      : std::vector<index_t>{};
}
std::vector<int> flags_of(const Json& json) {
  return json.contains("image_flags") ? json.at("image_flags").as_vector<int>()
                                      : std::vector<int>{};
}

TEST_CASE("OpenGVLab's chat(): history, images by <image>, frames, image_flags") {
  const auto loaded = model("internvl");
  for (const Json& talk : chats().at("chat").elements()) {
    auto chat = loaded.chat(exact());
    CHECK(chat.processor().opengvlab());
    index_t first = 0;
    for (const Json& turn : talk.at("turns").elements()) {
      const std::string question(turn.at("question").as_string());
      CAPTURE(question);
      const auto patches = patches_of(turn);
      const index_t count = sum(patches);
      Attachments attachments;
      if (count > 0) attachments = images_of_tiles(tiles(first, count), patches, flags_of(turn));
      first += count;
      const Generated answer = chat.ask(question, attachments, greedy());
      CHECK(answer.tokens == turn.at("tokens").as_vector<int>());
      CHECK(answer.prompt_tokens == static_cast<index_t>(turn.at("ids").size()));
      CHECK(answer.text == turn.at("response").as_string());
      CHECK(chat.messages().back().text() == answer.text);
    }
  }
}

TEST_CASE("the prompts of chat(), and of frames as a video, token by token") {
  const Processor processor(fixtures + "internvl", tile_rules(4),
                            *find_image_config(fixtures + "internvl"));
  for (const Json& talk : chats().at("chat").elements()) {
    std::vector<Message> messages;
    Attachments attachments;
    for (const Json& turn : talk.at("turns").elements()) {
      const std::string question(turn.at("question").as_string());
      CAPTURE(question);
      const auto patches = patches_of(turn);
      std::vector<ImageInput> images;
      if (!patches.empty())
        images = images_of_tiles(tiles(0, sum(patches)), patches, flags_of(turn));
      messages.push_back(message(Role::user, {}));
      messages.back().content = place_visuals(question, images.size(), 0);
      attachments.images.insert(attachments.images.end(), images.begin(), images.end());
      const Prompt prompt = processor.process(messages, attachments).prompt;
      CHECK(prompt.ids == turn.at("ids").as_vector<int>());
      CHECK(processor.tokenizer().decode(prompt.ids) == to_nfc(turn.at("text").as_string()));
      messages.push_back(message(Role::assistant, std::string(turn.at("response").as_string())));
      if (!turn.contains("video")) continue;
      const Message film{.role = Role::user,
                         .content = {Content::video(), Content::of_text("What happens?")}};
      InternVlChatOptions options;
      options.default_system = internvl_system;
      const Prompt video =
          render_internvl_chat(processor.tokenizer(), {&film, 1}, options, {{}, {{4, 4, 4}}});
      CHECK(video.ids == prompt.ids);
    }
  }
}

TEST_CASE("a batch of questions equals transformers' left-padded batch") {
  const auto loaded = model("internvl");
  std::vector<std::string> questions;
  std::vector<Attachments> attachments;
  index_t first = 0;
  const Json batch = chats().at("batch");
  for (const Json& each : batch.elements()) {
    questions.emplace_back(each.at("question").as_string());
    const auto patches = patches_of(each);
    attachments.emplace_back();
    if (!patches.empty()) attachments.back() = images_of_tiles(tiles(first, sum(patches)), patches);
    first += sum(patches);
  }
  const auto chat = loaded.chat(exact());
  const auto answers = chat.ask_batch(questions, attachments, greedy());
  REQUIRE(answers.size() == batch.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CAPTURE(i);
    CHECK(answers[i].tokens == batch.at(i).at("tokens").as_vector<int>());
    CHECK(answers[i].prompt_tokens == static_cast<index_t>(batch.at(i).at("ids").size()));
    CHECK(answers[i].text == loaded.chat(exact()).ask(questions[i], attachments[i], greedy()).text);
  }
  CHECK(chat.messages().empty());
  CHECK(code_of([&] { chat.ask_batch(questions, {Attachments{}}, greedy()); }) ==
        "image_count_mismatch");
}

TEST_CASE("transformers' spelling: its template, without a system sentence") {
  const auto loaded = model("hf");
  for (const Json& each : chats().at("hf").elements()) {
    Message turn = message(Role::user, {});
    turn.content.clear();
    Attachments attachments;
    const auto images = each.at("images").as_vector<index_t>();
    const auto videos = each.at("videos").as_vector<index_t>();
    if (!images.empty()) attachments = images_of_tiles(tiles(0, sum(images)), images);
    // Frames as images in their places: a video input decodes pictures.
    for (const Json& part : each.at("content").elements()) {
      if (part.is_string())
        turn.content.push_back(Content::of_text(std::string(part.as_string())));
      else if (part.at("kind").as_string() == "image")
        turn.content.push_back(Content::image());
      else
        for (index_t f = 0; f < videos[0]; ++f) {
          turn.content.push_back(Content::of_text("Frame" + std::to_string(f + 1) + ": "));
          turn.content.push_back(Content::image());
        }
    }
    if (!videos.empty())
      attachments = images_of_tiles(tiles(0, sum(videos)),
                                    std::vector<index_t>(static_cast<std::size_t>(videos[0]), 1));
    auto chat = loaded.chat(exact());
    CHECK_FALSE(chat.processor().opengvlab());
    const Prompt prompt = chat.processor().process({&turn, 1}, attachments).prompt;
    CHECK(prompt.ids == each.at("ids").as_vector<int>());
    CHECK(chat.ask(turn, attachments, greedy()).tokens == each.at("tokens").as_vector<int>());
  }
}

TEST_CASE("tiles that do not fit are refused, and the conversation goes on") {
  const auto loaded = model("internvl");
  auto chat = loaded.chat(exact());
  const auto code = [&](const std::string& question, const auto& make) {
    return code_of([&] { chat.ask(question, Attachments(make()), greedy()); });
  };
  using List = std::vector<index_t>;
  CHECK(code("x", [] { return images_of_tiles(tiles(0, 2), List{1}); }) == "image_count_mismatch");
  CHECK(code("x", [] {
          return images_of_tiles(tiles(0, 2), List{1, 2});
        }) == "image_count_mismatch");
  CHECK(code("x", [] { return images_of_tiles(tiles(0, 2), List{2}, std::vector{1}); }) ==
        "image_count_mismatch");
  CHECK(code("<image> <image>", [] { return images_of_tiles(tiles(0, 2), List{2}); }) ==
        "image_count_mismatch");
  CHECK(code("<image>", [] {
          return images_of_tiles(tiles(0, 2), List{1, 1});
        }) == "image_count_mismatch");
  CHECK(code("x", [] {
          PixelValues wide = tiles(0, 1);
          wide.width = 16, wide.height = 64;
          return images_of_tiles(wide);
        }) == "bad_image");
  CHECK(chat.messages().empty());
  const Json turn = chats().at("chat").at(1).at("turns").at(0);
  CHECK(chat.ask(std::string(turn.at("question").as_string()),
                 images_of_tiles(tiles(0, 2), List{2}), greedy())
            .tokens == turn.at("tokens").as_vector<int>());
}

}  // namespace internvl3_chat_test
