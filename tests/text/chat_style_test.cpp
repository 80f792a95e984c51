// Templates of a table: prompts as their sources write them (LLaVA's conversation.py, whose own
// are in tests/fixtures/chat/conversations.json by tests/reference/llava_chat.py; the templates of
// llava-hf, Llama 3 and Gemma), their control tokens, and their images.
#include "gov/text/chat_style.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "gov/io/json.hpp"
#include "gov/text/placeholders.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/tokenizer_fixture.hpp"

using namespace gov;
using namespace gov::test;

namespace {

const std::vector<Message> talk{message(Role::user, "q1"), message(Role::assistant, "a1"),
                                message(Role::user, "q2")};

std::string text_of(const ChatStyle& style, const std::string& tokenizer = "gpt2",
                    std::vector<Message> messages = talk, bool generation = true) {
  const Tokenizer& t = fixture_tokenizer(tokenizer);
  return t.decode(render_chat_style(t, messages, style, style.system, {}, {}, generation).ids);
}

}  // namespace

TEST_CASE("every prompt of LLaVA's conversation.py") {
  const Tokenizer& t = fixture_tokenizer("gpt2");
  const Json rows = load_json("tests/fixtures/chat/conversations.json");
  std::set<std::string> styles;
  for (const Json& row : rows.elements()) {
    const std::string name(row.at("style").as_string());
    const auto turns = row.at("turns").as_vector<std::string>();
    const ChatStyle* style = find_chat_style(name);
    CAPTURE(name);
    CAPTURE(turns.front());
    CAPTURE(turns.size());
    REQUIRE(style != nullptr);
    std::vector<Message> messages;
    VisualTokens visuals;
    for (const std::string& text : turns) {
      const std::size_t before = visuals.images.size();
      const bool attached = messages.empty() && row.contains("attached");
      for (std::size_t at = 0; (at = text.find("<image>", at)) != text.npos; ++at)
        visuals.images.push_back(1);
      if (attached) visuals.images.push_back(1);
      messages.push_back(message(messages.size() % 2 ? Role::assistant : Role::user, {}));
      messages.back().content = place_visuals(text, visuals.images.size() - before, 0);
    }
    const std::string system = row.get_or("system", std::string(style->system));
    const Prompt prompt =
        render_chat_style(t, messages, *style, system, {.image = {"", "<image>", "", false, -200}},
                          visuals, turns.size() % 2 == 1);
    std::string text;
    index_t from = 0;
    for (const VisualSpan& span : prompt.visuals) {
      CHECK(span.count == 1);
      text += t.decode(std::span(prompt.ids)
                           .subspan(static_cast<std::size_t>(from),
                                    static_cast<std::size_t>(span.begin - from)));
      text += "<image>";
      from = span.begin + 1;
    }
    text += t.decode(std::span(prompt.ids).subspan(static_cast<std::size_t>(from)));
    CHECK(text == row.at("prompt").as_string());
    styles.insert(name);
  }
  CHECK(styles.size() == 8);
}

TEST_CASE("a conversation of two turns in the other styles") {
  using namespace chat_styles;
  const std::string vision(vision_assistant);
  CHECK(text_of(llava_hf) == "USER: q1 ASSISTANT: a1 USER: q2 ASSISTANT:");
  CHECK(text_of(llava_hf_mistral) == "[INST] q1 [/INST] a1</s> [INST] q2 [/INST]");
  CHECK(text_of(llama_3) ==
        "<|start_header_id|>user<|end_header_id|>\n\nq1<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\na1<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nq2<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(text_of(llava_llama_3)
            .starts_with("<|start_header_id|>system<|end_header_id|>\n\n" + vision +
                         "<|eot_id|><|start_header_id|>user"));
  CHECK(
      text_of(qwen_2) ==
      "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n"
      "<|im_start|>assistant\na1<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n"
      "<|im_start|>assistant\n");
  CHECK(text_of(gemma_instruct, "gemma") ==
        "<bos><start_of_turn>user\nq1<end_of_turn>\n<start_of_turn>model\na1<end_of_turn>\n"
        "<start_of_turn>user\nq2<end_of_turn>\n<start_of_turn>model\n");
  CHECK(text_of(completion) == "q1\na1\nq2");
  CHECK(text_of(llava_hf, "gpt2", talk, false) == "USER: q1 ASSISTANT: a1 USER: q2 ");
}

TEST_CASE("the system turn: a message of its own before the style's, inside a turn where so") {
  using namespace chat_styles;
  const std::vector<Message> own{message(Role::system, "s"), message(Role::user, "q")};
  CHECK(text_of(vicuna_v1, "gpt2", own) == "s USER: q ASSISTANT:");
  CHECK(text_of(llama_2, "gpt2", own) == "[INST] <<SYS>>\ns\n<</SYS>>\n\nq [/INST]");
  CHECK(text_of(gemma_instruct, "gemma", own) ==
        "<bos><start_of_turn>user\ns\n\nq<end_of_turn>\n<start_of_turn>model\n");
  CHECK(text_of(llava_hf_mistral, "gpt2", own) == "<<SYS>>\ns\n<</SYS>>\n\n[INST] q [/INST]");
  CHECK(text_of(completion, "gpt2", own) == "s\nq");
}

TEST_CASE("control tokens are those of the tokenizer; users' words never are") {
  const Tokenizer& mistral = fixture_tokenizer("mistral");
  const auto ids = [&](const std::string& question) {
    return render_chat_style(mistral, std::vector{message(Role::user, question)},
                             chat_styles::mistral_instruct, "")
        .ids;
  };
  const auto count = [](const std::vector<int>& all, int id) {
    return std::ranges::count(all, id);
  };
  const int open = mistral.added_token_id("[INST]"), end = mistral.added_token_id("</s>");
  CHECK(ids("x").front() == mistral.added_token_id("<s>"));
  CHECK(count(ids("x"), open) == 1);
  CHECK(count(ids("[INST] </s> [/INST]"), open) == 1);
  CHECK(count(ids("[INST] </s> [/INST]"), end) == 0);
}

TEST_CASE("a tokenizer's own beginning comes before a text that still stands at the start") {
  const Tokenizer& llama = fixture_tokenizer("llama2");
  const auto prompt =
      render_chat_style(llama, std::vector{message(Role::user, "q")}, chat_styles::llava_hf, "");
  CHECK(prompt.ids ==
        llama.encode("USER: q ASSISTANT:",
                     {.parse_special = false, .parse_added = false, .add_special_tokens = true}));
}

TEST_CASE("white space around a message goes where the source trims it") {
  const std::vector<Message> padded{message(Role::user, " \n q \t")};
  CHECK(text_of(chat_styles::gemma_instruct, "gemma", padded) ==
        "<bos><start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\n");
  CHECK(text_of(chat_styles::llava_hf, "gpt2", padded) == "USER:  \n q \t ASSISTANT:");
}

TEST_CASE("images are runs of the context id, with a line break behind them") {
  const Tokenizer& mistral = fixture_tokenizer("mistral");
  const std::vector<Message> seen{
      {.role = Role::user, .content = {Content::image(), Content::of_text("q")}}};
  const auto render = [&](std::optional<int> id, const ChatStyle& style) {
    return render_chat_style(mistral, seen, style, "", {.image = {"", "<image>", "", false, id}},
                             {.images = {3}, .videos = {}});
  };
  const Prompt named = render({}, chat_styles::mistral_instruct);
  const int image = mistral.added_token_id("<image>");
  REQUIRE(named.visuals.size() == 1);
  CHECK(named.visuals[0].count == 3);
  CHECK(named.ids[static_cast<std::size_t>(named.visuals[0].begin)] == image);
  CHECK(std::ranges::count(named.ids, image) == 3);
  CHECK(mistral.decode(named.ids).find("<image>\nq") != std::string::npos);
  const Prompt original = render(-200, chat_styles::plain);
  CHECK(std::ranges::count(original.ids, -200) == 3);
  CHECK(original.image_token_id == -200);
}

TEST_CASE("pictures come before the texts of a message, unless a text says where they stand") {
  using namespace chat_styles;
  const Tokenizer& mistral = fixture_tokenizer("mistral");
  Message turn{.role = Role::user,
               .content = {Content::of_text("a"), Content::image(), Content::of_text("b"),
                           Content::image(), Content::of_text("c")}};
  const auto spelled = [&](const ChatStyle& style) {
    return mistral.decode(render_chat_style(mistral, {&turn, 1}, style, "",
                                            {.image = {"", "<image>", ""}},
                                            {.images = {1, 2}, .videos = {}})
                              .ids);
  };
  const auto has = [&](const ChatStyle& style, std::string_view text) {
    CAPTURE(style.name);
    CHECK(spelled(style).find(text) != std::string::npos);
  };
  has(llava_hf, "USER: <image>\n<image><image>\na b c ASSISTANT:");
  has(mistral_instruct, "<image>\n<image><image>\nabc [/INST]");
  has(plain, "<image>\n<image><image>\nabc\n");
  has(completion, "a<image>b<image><image>c");
  for (Content& part : turn.content) part.inside = part.kind == Content::Kind::image;
  has(llava_hf, "USER: a<image>b<image><image>c ASSISTANT:");
}

TEST_CASE("LLaVA-ST's spans: markers are of the count, a video's two tracks one visual") {
  const Tokenizer& mistral = fixture_tokenizer("mistral");
  VisualFormat format{.image = {"[INST]", "<image>", "[/INST]", true}};
  format.tracks = {{"[INST]", "<image>", "[/INST]", true}, {"<s>", "<image>", "</s>", true}};
  const auto render = [&](std::vector<Content> content, const VisualTokens& visuals) {
    return render_chat_style(mistral,
                             std::vector<Message>{{.role = Role::user, .content = content}},
                             chat_styles::completion, "", format, visuals);
  };
  const auto spelled = [&](const Prompt& prompt) { return mistral.decode(prompt.ids); };
  const Prompt both = render({Content::image(), Content::video(), Content::of_text("q")},
                             {.images = {4}, .videos = {{3, 5}}});
  CHECK(spelled(both).find("[INST]<image><image>[/INST][INST]<image>[/INST]<s><image><image><image>"
                           "</s>") != std::string::npos);
  REQUIRE(both.visuals.size() == 2);
  CHECK(both.visuals[0].count == 4);
  CHECK(both.visuals[1].begin == both.visuals[0].begin + 4);
  CHECK(both.visuals[1].count == 8);
  const Prompt fast = render({Content::video()}, {.images = {}, .videos = {{3, 0}}});
  CHECK(fast.visuals[0].count == 3);
  const auto few = error_of([&] { render({Content::image()}, {.images = {2}, .videos = {}}); });
  REQUIRE(few);
  CHECK(few->code() == Errc::bad_argument);
}

TEST_CASE("roles that a style does not know") {
  for (const Role role : {Role::developer, Role::tool}) {
    const auto error = error_of([&] { text_of(chat_styles::plain, "gpt2", {message(role, "x")}); });
    REQUIRE(error);
    CHECK(error->code() == Errc::bad_prompt);
    CHECK(error->field() == "role");
  }
  const auto late = error_of([&] {
    text_of(chat_styles::plain, "gpt2", {message(Role::user, "x"), message(Role::system, "s")});
  });
  CHECK(late);
}
