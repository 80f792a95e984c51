// A model with images before the text, from its folder to a conversation: tensors by the names of
// the published class, prompts without placeholders, and turns that bring another picture.
#include "gov/infer/chat.hpp"

#include <doctest/doctest.h>

#include "tests/support/checkpoint_copy.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/prefix_folder.hpp"

namespace prefix_chat_test {

using namespace gov;
using namespace gov::test;

constexpr index_t rows_per_image = PrefixFolder::rows_per_image;

// The language model alone.
struct Words : Prefix::Language {
  static constexpr std::string_view name = "Words";
};

const GovModel<Prefix>& model() {
  static const PrefixFolder folder;
  static const auto loaded = GovModel<Prefix>::from_pretrained(folder.path(), {.threads = 1});
  return loaded;
}
// Long histories are kept, so that a turn can be seen to take up the one before.
Chat<GovModel<Prefix>> new_chat() {
  return model().chat(
      {.session = {.context = 1024, .full_history = true}, .format = ChatFormat::harmony});
}
GenerateOptions greedy(index_t limit = 6) { return {.max_new_tokens = limit, .ignore_eos = true}; }

Image picture(std::uint8_t shade) {
  Image image(40, 30);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(shade * (i % 7) + i / 50);
  return image;
}

// The answer that a new chat's model gives to all messages at once.
std::vector<int> fresh(std::vector<Message> messages, std::vector<Content> content,
                       const Attachments& attachments) {
  messages.push_back({.role = Role::user, .content = std::move(content)});
  auto chat = new_chat();
  const Processed processed = chat.processor().process(messages, attachments);
  CHECK(processed.prompt.visuals.empty());
  CHECK(processed.prefix_tokens == rows_per_image * std::ssize(attachments.images));
  return generate(chat.session(),
                  {.input_ids = processed.prompt.ids, .pixel_values = processed.pixel_view()},
                  greedy())
      .tokens;
}

TEST_CASE("a conversation: pictures stand before its first text, also those of later turns") {
  auto chat = new_chat();
  Attachments all;
  index_t longest = 0;
  const auto turn = [&](const char* question, std::vector<ImageInput> more) {
    CAPTURE(question);
    std::vector<Content> content(more.size(), Content::image());
    content.push_back(Content::of_text(question));
    all.images.insert(all.images.end(), more.begin(), more.end());
    const auto expected = fresh(chat.messages(), content, all);
    const auto result = chat.ask({.role = Role::user, .content = content}, more, greedy());
    CHECK(result.tokens == expected);
    CHECK(result.image_tokens == rows_per_image * std::ssize(all.images));
    CHECK((result.vision_s > 0) == !more.empty());
    CHECK(chat.session().length() == result.prompt_tokens + std::ssize(result.tokens) - 1);
    CHECK(result.prompt_tokens > longest);
    longest = result.prompt_tokens;
  };
  turn("Hello", {});
  turn("What is this?", {image(picture(3))});  // begins again: it is before "Hello"
  turn("And now?", {});
  turn("Which of them?", {image(picture(90)), image(picture(17))});
  turn("Why?", {});
  chat.reset();
  longest = 0, all = {};
  turn("What is this?", {image(picture(3))});
  CHECK(longest > rows_per_image);
}

TEST_CASE("the picture's rows are there once, and other pictures give other answers") {
  const Message question{.role = Role::user,
                         .content = {Content::image(), Content::of_text("What is this?")}};
  const auto logprob = [&](std::uint8_t shade) {
    auto chat = new_chat();
    GenerateOptions options = greedy(1);
    options.logprobs = 0;
    return chat.ask(question, image(picture(shade)), options).logprobs.at(0).chosen.logprob;
  };
  CHECK(logprob(3) == logprob(3));
  CHECK(logprob(3) != logprob(90));
  const auto processor = new_chat().processor();
  const auto with = processor.process({&question, 1}, image(picture(3)));
  const Message words = message(Role::user, "What is this?");
  CHECK(with.prompt.ids == processor.process({&words, 1}, {}).prompt.ids);
  CHECK(with.pixels.count == 1);
  CHECK(with.pixels.height == 32);
}

TEST_CASE("a turn that fails or is cancelled leaves the conversation as it was") {
  auto chat = new_chat(), undisturbed = new_chat();
  for (auto* each : {&chat, &undisturbed}) each->ask("Look", image(picture(3)), greedy());
  const Message two{.role = Role::user, .content = {Content::image(), Content::image()}};
  CHECK(code_of([&] { chat.ask(two, image(picture(3)), greedy()); }) == "image_count_mismatch");
  GenerateOptions throws = greedy();
  throws.on_token_id = [](int) { throw std::runtime_error("from the callback"); };
  CHECK_THROWS_WITH(chat.ask("x", image(picture(90)), throws), "from the callback");
  CHECK_THROWS_WITH(chat.ask("x", throws), "from the callback");
  CHECK(code_of([&] { chat.ask(std::string(4000, 'x'), greedy()); }) == "context_full");
  std::stop_source source;
  source.request_stop();
  GenerateOptions cancelled = greedy();
  cancelled.stop_token = source.get_token();
  CHECK(chat.ask("x", image(picture(17)), cancelled).tokens.empty());
  CHECK(chat.ask("x", cancelled).tokens.empty());
  const auto a = chat.ask("Again?", greedy()), b = undisturbed.ask("Again?", greedy());
  CHECK(a.tokens == b.tokens);
  CHECK(a.image_tokens == rows_per_image);
  CHECK(a.prompt_tokens == b.prompt_tokens);
}

TEST_CASE("a batch of questions, with a picture and without") {
  const auto chat = new_chat();
  const std::vector<std::string> questions{"What is this?", "Hello"};
  const auto results = chat.ask_batch(questions, {image(picture(3)), Attachments{}}, greedy());
  CHECK(results[0].tokens ==
        fresh({}, {Content::image(), Content::of_text(questions[0])}, image(picture(3))));
  CHECK(results[1].tokens == fresh({}, {Content::of_text(questions[1])}, {}));
  CHECK(results[0].image_tokens == rows_per_image);
  CHECK(results[0].prompt_tokens > results[0].image_tokens);
  CHECK(results[1].image_tokens == 0);
}

TEST_CASE("tensors have the class's names; what is missing is named, the pooler is left out") {
  const PrefixFolder folder;
  CheckpointCopy copy(folder.path());
  for (const char* name :
       {"model.vision_adapter.vit.embeddings.cls_token",
        "model.vision_adapter.vit.encoder.layer.1.output.dense.bias",
        "model.vision_adapter.vit.layernorm.weight", "model.vision_adapter.pool_token",
        "model.vision_adapter.norm.bias", "model.vision_adapter.proj.weight",
        "model.embed_tokens.weight", "model.layers.1.mlp.router.vision_bias", "model.norm.weight",
        "lm_head.weight"})
    CHECK_MESSAGE(copy.tensors.contains(name), name);
  const TempFolder other;
  const auto load = [&] {
    copy.write(other.path());
    return GovModel<Prefix>::from_pretrained(other.path(), {.threads = 1});
  };
  copy.tensors["model.vision_adapter.vit.pooler.dense.bias"] =
      copy.tensors.at("model.vision_adapter.norm.bias");
  copy.tensors.erase("model.layers.1.mlp.router.vision_bias");
  const auto loaded = load();
  const auto& layers = loaded.language_model().layers;
  CHECK(layers[1].mlp.vision_bias.values()[0] == 0);
  CHECK(layers[0].mlp.vision_bias.values()[0] != 0);
  CHECK(loaded.tokens().image_token_id == -1);
  CHECK(loaded.absent() == std::vector<std::string>{"model.layers.1.mlp.router.vision_bias"});
  CHECK(model().absent().empty());

  for (const char* name : {"pool_token", "norm.bias", "proj.weight"})
    copy.tensors.erase(std::string("model.vision_adapter.") + name);
  const auto error = error_of(load);
  REQUIRE(error);
  const std::string text = error->what();
  for (const char* name : {"model.vision_adapter.pool_token", "model.vision_adapter.norm.bias",
                           "model.vision_adapter.proj.weight"})
    CHECK_MESSAGE(text.find(name) != text.npos, text);
  // gpt-oss's own files have no adapter and no bias: they load where no adapter is asked for.
  const std::string without = copy.config;
  copy.config.replace(copy.config.find("\"use_vision\": true"), 18, "\"use_vision\": false");
  CHECK(copy.config != without);
  std::erase_if(copy.tensors, [](const auto& tensor) {
    return tensor.first.find("vision_") != std::string::npos;
  });
  CHECK(code_of(load) == "no_matching_model");
  const auto words = GovModel<Words>::from_pretrained(other.path(), {.threads = 1});
  CHECK(words.absent() == std::vector<std::string>{"model.layers.0.mlp.router.vision_bias",
                                                   "model.layers.1.mlp.router.vision_bias"});
  CHECK(words.language_model().layers[0].mlp.vision_bias.values()[0] == 0);
  const auto& router = copy.tensors.at("model.layers.1.mlp.router.bias").bytes;
  CHECK(std::memcmp(words.language_model().layers[1].mlp.router.bias.values(), router.data(),
                    router.size()) == 0);
}

}  // namespace prefix_chat_test
