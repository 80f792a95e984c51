// LLaVA and LLaVA-NeXT in small: prompts and greedy answers of conversations about pictures, and of
// a batch, as tests/reference/llava_chat.py has them from transformers and its processors.
#include "gov/infer/chat.hpp"

#include <doctest/doctest.h>

#include <set>

#include "gov/language/mistral.hpp"
#include "gov/model/llava_next.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace llava_chat_test {

using namespace gov;
using namespace gov::test;

struct TinyClip : ClipVitModules {
  static constexpr ClipVitConfig config{.hidden_size = 16,
                                        .intermediate_size = 24,
                                        .num_hidden_layers = 3,
                                        .num_attention_heads = 2,
                                        .image_size = {28, 28},
                                        .patch_size = {7, 7}};
};

struct TinyLlava : Llava {
  static constexpr std::string_view name = "TinyLlava";
  using Vision = TinyClip;
  struct Language : Llama {
    static constexpr LlamaConfig config{.hidden_size = 32,
                                        .intermediate_size = 40,
                                        .num_hidden_layers = 2,
                                        .num_attention_heads = 4,
                                        .num_key_value_heads = 2,
                                        .vocab_size = 481,
                                        .max_position_embeddings = 512,
                                        .rms_norm_eps = 1e-5};
  };
  static constexpr LlavaConfig config{};
};

struct TinyLlavaNext : LlavaNext {
  static constexpr std::string_view name = "TinyLlavaNext";
  using Vision = TinyClip;
  struct Language : Mistral {
    static constexpr MistralConfig config{.hidden_size = 32,
                                          .intermediate_size = 40,
                                          .num_hidden_layers = 2,
                                          .num_attention_heads = 4,
                                          .num_key_value_heads = 2,
                                          .vocab_size = 481,
                                          .sliding_window = 0,
                                          .max_position_embeddings = 512,
                                          .rms_norm_eps = 1e-5};
  };
  static constexpr LlavaNextConfig config{.image_grid_pinpoints = {Extent{28, 56}, Extent{56, 28},
                                                                   Extent{56, 56}, Extent{84, 28},
                                                                   Extent{28, 84}}};
};

template <class Cfg>
constexpr const char* folder =
    std::is_same_v<Cfg, TinyLlava> ? "llava" : "llava_next";  // in llava_chats.json as well

const std::string fixtures = "tests/fixtures/chat/";

template <class Cfg>
const GovModel<Cfg>& model() {
  static const auto loaded = GovModel<Cfg>::from_pretrained(fixtures + folder<Cfg>, {.threads = 1});
  return loaded;
}
template <class Cfg>
Json fixture(std::string_view field) {
  static const Json json = load_json(fixtures + "llava_chats.json");
  return json.at(folder<Cfg>).at(field);
}
// transformers ran in f32, so activations are not to be rounded.
ChatOptions exact(const Json& talk = {}) {
  ChatOptions options;
  options.session.arithmetic = Arithmetic::invariant;
  if (talk.contains("system")) options.system = talk.at("system").as_string();
  return options;
}
GenerateOptions greedy() { return {.max_new_tokens = 8}; }

Attachments pictures_of(const Json& json) {
  Attachments attachments;
  if (const auto names = json.find("pictures"))
    for (const std::string& name : names->as_vector<std::string>())
      attachments.images.push_back(image(name));
  return attachments;
}
// A turn as ask() makes it of a question, or with the content of the fixture.
Message turn_of(const Json& json) {
  Message turn{.role = Role::user, .content = {}};
  if (json.contains("question")) {
    turn.content =
        place_visuals(json.at("question").as_string(), pictures_of(json).images.size(), 0);
  } else {
    for (const Json& part : json.at("content").elements())
      turn.content.push_back(part.is_string() ? Content::of_text(std::string(part.as_string()))
                                              : Content::image());
  }
  return turn;
}
void append(Attachments& to, const Attachments& more) {
  to.images.insert(to.images.end(), more.images.begin(), more.images.end());
}

TEST_CASE_TEMPLATE("conversations: prompts, tokens and answers of transformers", Cfg, TinyLlava,
                   TinyLlavaNext) {
  for (const Json& talk : fixture<Cfg>("chats").elements()) {
    auto chat = model<Cfg>().chat(exact(talk));
    Attachments seen;
    for (const Json& turn : talk.at("turns").elements()) {
      const std::string text(turn.at("text").as_string());
      CAPTURE(text);
      const Attachments here = pictures_of(turn);
      append(seen, here);
      std::vector<Message> messages = chat.messages();
      messages.push_back(turn_of(turn));
      const Prompt prompt =
          chat.processor().process(messages, seen, talk.get_or("system", "")).prompt;
      CHECK(prompt.ids == turn.at("ids").as_vector<int>());
      CHECK(prompt.visuals.size() == seen.images.size());
      CHECK(prompt.ids.front() == 1);  // the processors add <s>, and so do we
      // The session goes on from the turns before.
      const Generated answer =
          turn.contains("question")
              ? chat.ask(std::string(turn.at("question").as_string()), here, greedy())
              : chat.ask(turn_of(turn), here, greedy());
      CHECK(answer.tokens == turn.at("tokens").as_vector<int>());
      CHECK(answer.text == turn.at("response").as_string());
      CHECK(answer.prompt_tokens == static_cast<index_t>(turn.at("ids").size()));
      CHECK(chat.session().length() == answer.prompt_tokens + std::ssize(answer.tokens) - 1);
      CHECK(chat.messages().back().text() == turn.at("response").as_string());
      // So does one that begins with all of them.
      auto fresh = model<Cfg>().session(exact().session);
      const Processed whole = chat.processor().process(messages, seen, talk.get_or("system", ""));
      CHECK(generate(fresh, whole.inputs(), greedy()).tokens == answer.tokens);
    }
  }
}

TEST_CASE_TEMPLATE("a batch of questions equals transformers' left-padded batch", Cfg, TinyLlava,
                   TinyLlavaNext) {
  std::vector<std::string> questions;
  std::vector<Attachments> attachments;
  const Json batch = fixture<Cfg>("batch");
  for (const Json& each : batch.elements()) {
    questions.emplace_back(each.at("question").as_string());
    attachments.push_back(pictures_of(each));
  }
  const auto chat = model<Cfg>().chat(exact());
  const auto answers = chat.ask_batch(questions, attachments, greedy());
  REQUIRE(answers.size() == batch.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CAPTURE(i);
    CHECK(answers[i].tokens == batch.at(i).at("tokens").as_vector<int>());
    CHECK(answers[i].prompt_tokens == static_cast<index_t>(batch.at(i).at("ids").size()));
  }
}

TEST_CASE("every resolution of LLaVA-NeXT is taken") {
  std::set<std::pair<index_t, index_t>> taken;
  for (const Json& talk : fixture<TinyLlavaNext>("chats").elements())
    for (const Json& turn : talk.at("turns").elements())
      for (const ImageInput& picture : pictures_of(turn).images) {
        const Image pixels = picture.load();
        const auto parts = AnyresImages<TinyLlavaNext>::layout({pixels.height, pixels.width});
        taken.emplace(parts.views.rows, parts.views.columns);
      }
  CHECK(taken.size() == 5);
}

TEST_CASE("the published template over Mistral: </s> against the answer, the system text outside") {
  auto chat = model<TinyLlavaNext>().chat(exact());
  CHECK(chat.processor().format().name == "mistral_instruct");
  chat.processor().set_format(parse_chat_format("llava_hf_mistral"));
  for (const Json& talk : fixture<TinyLlavaNext>("published").elements()) {
    const auto turns = talk.at("turns").as_vector<std::string>();
    const Attachments attachments = pictures_of(talk);
    std::vector<Message> messages;
    for (const std::string& text : turns) {
      messages.push_back(message(messages.size() % 2 ? Role::assistant : Role::user, text));
      if (messages.size() == 1)
        messages[0].content = place_visuals(text, attachments.images.size(), 0);
    }
    CAPTURE(turns.back());
    CHECK(chat.processor().process(messages, attachments, talk.get_or("system", "")).prompt.ids ==
          talk.at("ids").as_vector<int>());
  }
}

TEST_CASE_TEMPLATE("pictures that do not fit are refused, and the conversation goes on", Cfg,
                   TinyLlava, TinyLlavaNext) {
  auto chat = model<Cfg>().chat(exact());
  const Attachments one = image("examples/digits/pictures/01.png");
  Attachments two = one;
  append(two, one);
  const auto code = [&](const std::string& question, const Attachments& given) {
    return code_of([&] { chat.ask(question, given, greedy()); });
  };
  CHECK(code("<image> <image>", one) == "image_count_mismatch");
  CHECK(code("<image>", two) == "image_count_mismatch");
  const Message text = message(Role::user, "No place for a picture");
  CHECK(code_of([&] { chat.ask(text, one, greedy()); }) == "image_count_mismatch");
  Message place = text;
  place.content.push_back(Content::image());
  CHECK(code_of([&] { chat.ask(place, {}, greedy()); }) == "image_count_mismatch");
  CHECK(code_of([&] {
          chat.ask_batch(std::vector<std::string>{"a", "b"}, {one}, greedy());
        }) == "image_count_mismatch");
  CHECK(chat.messages().empty());
  const Json turn = fixture<Cfg>("chats").at(1).at("turns").at(0);
  const std::string question(turn.at("question").as_string());
  CHECK(chat.ask(question, pictures_of(turn), greedy()).tokens ==
        turn.at("tokens").as_vector<int>());
  CHECK(code("<image> <image>", one) == "image_count_mismatch");
  CHECK(chat.messages().size() == 2);
  // Without a picture the mark is text.
  chat.ask("And <image>?", greedy());
  CHECK(chat.messages().size() == 4);
}

}  // namespace llava_chat_test
