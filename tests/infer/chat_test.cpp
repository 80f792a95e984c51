// Chats over the shipped checkpoint: the tokens of transformers for its PNG and JPEG pictures;
// later turns equal a fresh chat with the same messages; a turn that fails leaves the conversation
// as it was.
#include "gov/infer/chat.hpp"

#include <doctest/doctest.h>

#include "Digits.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/digits.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

const GovModel<Digits>& model() {
  static const auto loaded = GovModel<Digits>::from_pretrained(digits_model(), {.threads = 2});
  return loaded;
}
GenerateOptions greedy(index_t limit = 32) { return {.max_new_tokens = limit}; }

TEST_CASE("tokens and answers equal transformers', for PNG and for JPEG files") {
  int png = 0, jpeg = 0;
  auto chat = model().chat();
  for (const auto& each : digits_cases()) {
    CAPTURE(each.picture);
    CAPTURE(each.question);
    chat.reset();
    std::string streamed;
    GenerateOptions options = greedy();
    options.on_token = [&](std::string_view piece) { streamed += piece; };
    const auto result = chat.ask(each.question, image(each.picture), options);
    CHECK(result.tokens == each.token_ids);
    CHECK(streamed == result.text);
    CHECK(result.prompt_tokens == std::ssize(each.prompt_ids));
    CHECK(result.image_tokens == each.tiles * 9);
    ++(each.picture.ends_with(".jpg") ? jpeg : png);
  }
  CHECK(png >= 6);
  CHECK(jpeg >= 4);
}

TEST_CASE("scalar and eigen give the same tokens on one picture") {
  const auto cases = digits_cases();
  for (const char* backend : {"scalar", "eigen"}) {
    const auto other =
        GovModel<Digits>::from_pretrained(digits_model(), {.threads = 1, .backend = backend});
    auto chat = other.chat();
    CHECK(chat.ask(cases[0].question, image(cases[0].picture), greedy()).tokens ==
          cases[0].token_ids);
  }
}

// A new chat that is given all messages but the last, and asked that one.
std::vector<int> fresh(const std::vector<Message>& messages, const Attachments& attachments,
                       index_t limit) {
  auto chat = model().chat();
  const Processed processed = chat.processor().process(messages, attachments);
  GenerateOptions options = greedy(limit);
  options.stop_tokens = load_generation_config(digits_model()).eos_token_id;
  return generate(chat.session(),
                  {.input_ids = processed.prompt.ids, .pixel_values = processed.pixel_view()},
                  options)
      .tokens;
}

TEST_CASE(
    "a conversation: each turn equals a fresh chat with the same messages, and reuses what it "
    "can") {
  const auto cases = digits_cases();
  const auto& first = cases.front();
  auto chat = model().chat();
  Attachments attachments;
  const auto check_turn = [&](const std::string& question, Attachments more) {
    CAPTURE(question);
    std::vector<Message> messages = chat.messages();
    std::vector<Content> content(more.images.size(), Content::image());
    content.push_back(Content::of_text(question));
    messages.push_back({.role = Role::user, .content = content});
    attachments.images.insert(attachments.images.end(), more.images.begin(), more.images.end());
    const auto result = chat.ask(question, std::move(more), greedy(8));
    CHECK(result.tokens == fresh(messages, attachments, 8));
    CHECK(result.image_tokens > 0);  // of the whole prompt
    CHECK(chat.session().length() == result.prompt_tokens + std::ssize(result.tokens) - 1);
  };
  check_turn(first.question, image(first.picture));
  check_turn("How many digits are there?", {});
  check_turn("And here?", image(cases[4].picture));
  CHECK(chat.messages().size() >= 6);
  chat.reset();
  CHECK(chat.messages().empty());
  CHECK(chat.session().length() == 0);
  CHECK(chat.ask(first.question, image(first.picture), greedy()).tokens == first.token_ids);
}

// The shipped model has no latent tokens; three that it never uses stand for them.
ChatOptions thinking(index_t count) {
  return {.latents = count,
          .latent_tokens = {.start = "<quad>", .end = "</quad>", .latent = "<ref>"}};
}

TEST_CASE("thoughts between a question and its answer, in every turn") {
  const auto first = digits_cases().front();
  auto chat = model().chat(thinking(3));
  const auto tokens = find_latent_tokens(chat.processor().tokenizer(), thinking(3).latent_tokens);
  Attachments attachments;
  for (const std::string& question : {first.question, std::string("How many digits are there?")}) {
    std::vector<Message> messages = chat.messages();
    Message turn = message(Role::user, question);
    Attachments more;
    if (messages.empty()) {
      turn.content.insert(turn.content.begin(), Content::image());
      more = attachments = image(first.picture);
    }
    messages.push_back(turn);
    Processed processed = chat.processor().process(messages, attachments);
    append_latents(processed.prompt.ids, tokens, 3);
    GenerateOptions options = greedy(8);
    options.thoughts = 2;
    const auto result = chat.ask(turn, more, options);

    auto plain = model().chat();
    options.latent_token_id = tokens.latent;
    options.stop_tokens = load_generation_config(digits_model()).eos_token_id;
    const auto alone = generate(
        plain.session(),
        {.input_ids = processed.prompt.ids, .pixel_values = processed.pixel_view()}, options);
    CHECK(result.tokens == alone.tokens);
    CHECK(result.latent_passes == 4);
    CHECK(result.prompt_tokens == std::ssize(processed.prompt.ids));
    REQUIRE(result.thoughts.size() == 3);
    for (const auto& thought : result.thoughts) CHECK(thought.nearest.size() == 2);
    CHECK(chat.session().length() == result.prompt_tokens + std::ssize(result.tokens) - 1);
  }
}

TEST_CASE("a batch thinks as each question alone does") {
  const auto cases = digits_cases();
  const auto chat = model().chat(thinking(3));
  std::vector<std::string> questions{"Hello"};
  std::vector<Attachments> attachments{{}};
  for (std::size_t i = 0; i < 2; ++i) {
    questions.push_back(cases[i].question);
    attachments.push_back(image(cases[i].picture));
  }
  const auto together = chat.ask_batch(questions, attachments, greedy(8));
  REQUIRE(together.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CAPTURE(questions[i]);
    const auto alone = model().chat(thinking(3)).ask(questions[i], attachments[i], greedy(8));
    CHECK(together[i].tokens == alone.tokens);
    CHECK(together[i].text == alone.text);
    CHECK(together[i].latent_passes == 4);
    CHECK(together[i].prompt_tokens == alone.prompt_tokens);
    CHECK(together[i].image_tokens == alone.image_tokens);
  }
  CHECK(together[0].image_tokens == 0);
  CHECK(together[1].image_tokens > 0);
}

TEST_CASE("a turn that is cancelled while it thinks leaves the conversation as it was") {
  const auto first = digits_cases().front();
  auto chat = model().chat(thinking(2)), other = model().chat(thinking(2));
  chat.ask(first.question, image(first.picture), greedy(4));
  other.ask(first.question, image(first.picture), greedy(4));
  std::stop_source source;
  source.request_stop();
  GenerateOptions stopped = greedy(4);
  stopped.stop_token = source.get_token();
  const auto nothing = chat.ask("How many digits are there?", stopped);
  CHECK(nothing.finish_reason == FinishReason::cancelled);
  CHECK(nothing.tokens.empty());
  CHECK(chat.messages().size() == other.messages().size());
  CHECK(chat.ask("How many digits are there?", greedy(6)).tokens ==
        other.ask("How many digits are there?", greedy(6)).tokens);
}

TEST_CASE("thoughts that cannot be had are refused when the chat is made") {
  CHECK(code_of([] { model().chat({.latents = 2}); }) == "bad_tokenizer");
  CHECK(code_of([] { model().chat(thinking(-1)); }) == "bad_argument");
  CHECK(code_of([] { model().chat(thinking(index_t{1} << 60)); }) == "bad_argument");
  CHECK(model().chat(thinking(0)).ask("Hello", greedy(2)).latent_passes == 0);
}

TEST_CASE("a second question about a picture does not look at it again") {
  const auto first = digits_cases().front();
  auto chat = model().chat({.session = {.full_history = true}});
  const auto one = chat.ask(first.question, image(first.picture), greedy(4));
  CHECK(one.vision_s > 0);
  const auto two = chat.ask("How many digits are there?", greedy(4));
  CHECK(two.vision_s == 0);
  CHECK(two.prompt_tokens > one.prompt_tokens);
  CHECK(two.image_tokens == one.image_tokens);
}

TEST_CASE("without pictures, with two, and with places between text") {
  const auto cases = digits_cases();
  auto chat = model().chat();
  const auto text_only = chat.ask("Hello", greedy(4));
  CHECK(text_only.image_tokens == 0);
  CHECK(!text_only.tokens.empty());
  chat.reset();
  const std::vector<ImageInput> two{image(cases[0].picture), image(cases[4].picture)};
  const auto both = chat.ask("Which?", two, greedy(4));
  CHECK(both.image_tokens == (cases[0].tiles + cases[4].tiles) * 9);
  chat.reset();
  const Message placed{.role = Role::user,
                       .content = {Content::of_text("this "), Content::image(),
                                   Content::of_text(" or "), Content::image()}};
  const auto between = chat.ask(placed, two, greedy(4));
  CHECK(between.image_tokens == both.image_tokens);
  CHECK(between.prompt_tokens != both.prompt_tokens);
}

TEST_CASE("a turn that fails or is cancelled leaves the conversation as it was") {
  const auto cases = digits_cases();
  auto chat = model().chat();
  chat.ask(cases[0].question, image(cases[0].picture), greedy(4));
  const auto before = chat.messages().size();
  const TempFolder folder;
  const Message too_many{.role = Role::user, .content = {Content::image(), Content::image()}};
  CHECK(code_of([&] { chat.ask("x", image(folder / "none.png"), greedy()); }) == "io_error");
  CHECK(code_of([&] { chat.ask(too_many, image(cases[0].picture), greedy()); }) ==
        "image_count_mismatch");
  CHECK(code_of([&] { chat.ask(std::string(20'000, 'x'), greedy()); }) == "context_full");
  CHECK(code_of([&] { chat.ask("x", greedy(0)); }) == "bad_argument");
  GenerateOptions throws = greedy();
  throws.on_token_id = [](int) { throw std::runtime_error("from the callback"); };
  CHECK_THROWS_WITH(chat.ask("x", throws), "from the callback");
  std::stop_source source;
  source.request_stop();
  GenerateOptions cancelled = greedy();
  cancelled.stop_token = source.get_token();
  CHECK(chat.ask("x", cancelled).finish_reason == FinishReason::cancelled);
  CHECK(chat.messages().size() == before);

  auto undisturbed = model().chat();
  undisturbed.ask(cases[0].question, image(cases[0].picture), greedy(4));
  CHECK(chat.ask(cases[1].question, greedy(8)).tokens ==
        undisturbed.ask(cases[1].question, greedy(8)).tokens);
}

TEST_CASE("a request to stop ends the reading of a video, and the conversation is as it was") {
  auto chat = model().chat();
  const auto cases = digits_cases();
  chat.ask(cases[0].question, image(cases[0].picture), greedy(4));
  const std::size_t messages = chat.messages().size();
  const index_t length = chat.session().length();
  std::stop_source source;
  source.request_stop();
  GenerateOptions stopped = greedy();
  stopped.stop_token = source.get_token();
  const auto folder = std::filesystem::path(cases[0].picture).parent_path().string();
  const auto error = error_of([&] { chat.ask("What is there?", video(folder), stopped); });
  REQUIRE(error);
  CHECK(error->code() == Errc::cancelled);
  CHECK(error->field() == "video");
  const std::string question = "What is there?";
  CHECK(code_of([&] { chat.ask_batch({&question, 1}, {video(folder)}, stopped); }) == "cancelled");
  CHECK(chat.messages().size() == messages);
  CHECK(chat.session().length() == length);
}

TEST_CASE("stop tokens: the model's, also from generation_config.json, unless they are ignored") {
  const auto first = digits_cases().front();
  auto chat = model().chat();
  CHECK(chat.defaults().max_new_tokens == load_generation_config(digits_model()).max_new_tokens);
  GenerateOptions stop = greedy();
  stop.stop_tokens = {first.token_ids[1]};
  CHECK(chat.ask(first.question, image(first.picture), stop).finish_reason == FinishReason::stop);
  chat.reset();
  GenerateOptions on = greedy(40);
  on.ignore_eos = true;
  const auto result = chat.ask(first.question, image(first.picture), on);
  CHECK(result.finish_reason == FinishReason::length);
  CHECK(result.tokens.size() == 40);
}

TEST_CASE("the final channel alone is shown") {
  const Tokenizer tokenizer = Tokenizer::load(digits_model());
  FinalChannelSink sink(tokenizer);
  std::string shown;
  const auto push = [&](std::string_view text) {
    for (const int id : tokenizer.encode(text)) shown += sink.push(id);
  };
  push(
      "<|channel|>analysis<|message|>hm 1 2<|end|><|start|>assistant<|channel|>final<|message|>3 "
      "4");
  CHECK(shown == "3 4");
  push(" 5<|return|>");
  shown += sink.finish();
  CHECK(shown == "3 4 5");
}

TEST_CASE("tiles of a size that the tower cannot fold") {
  const TempFolder folder;
  for (const auto& entry : std::filesystem::directory_iterator(digits_model()))
    std::filesystem::copy_file(entry.path(), folder.path() / entry.path().filename());
  std::filesystem::remove(folder / "processor_config.json");
  folder.write("preprocessor_config.json", R"({"size": {"height": 40, "width": 40}})");
  const auto other = GovModel<Digits>::from_pretrained(folder.path());
  const auto error = error_of([&] { other.chat(); });
  REQUIRE(error);
  CHECK(error->code() == Errc::bad_config);
  CHECK(error->found() == "40x40");
  std::filesystem::remove(folder / "preprocessor_config.json");  // then the tower's own size
  CHECK(other.chat().processor().image_config().height == 48);
  folder.write(
      "preprocessor_config.json",
      R"({"feature_extractor_type": "CLIPFeatureExtractor", "size": 48, "crop_size": 48})");
  const auto squeezed = other.chat().processor().image_config();  // OpenGVLab's files
  CHECK(squeezed.height == 48);
  CHECK(squeezed.shortest_edge == 0);
  CHECK_FALSE(squeezed.do_center_crop);
}

}  // namespace
