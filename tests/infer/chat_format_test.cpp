// Which template a folder asks for: by its control tokens, by what its Jinja template writes, by
// its model_type.
#include "gov/infer/chat_format.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/tokenizer_fixture.hpp"

namespace {

using namespace gov;
using namespace gov::test;

std::string found(const std::string& tokenizer, const std::string& jinja,
                  const std::string& config) {
  const TempFolder folder;
  if (!jinja.empty()) folder.write("chat_template.jinja", jinja);
  if (!config.empty()) folder.write("config.json", config);
  return std::string(find_chat_format(folder.path(), fixture_tokenizer(tokenizer)).name);
}

}  // namespace

TEST_CASE("formats by name") {
  CHECK(parse_chat_format("harmony") == ChatFormat::harmony);
  CHECK(parse_chat_format("internvl") == ChatFormat::internvl);
  CHECK(parse_chat_format("internvl-gpt-oss") == ChatFormat::internvl_gpt_oss);
  for (const ChatStyle& style : chat_styles::all) {
    const ChatFormat format = parse_chat_format(style.name);
    CHECK(format.style->name == style.name);
    CHECK(!format.channels);
    CHECK(chat_format_names().find(style.name) != std::string::npos);
  }
  const auto error = error_of([] { parse_chat_format("jinja"); });
  REQUIRE(error);
  CHECK(error->code() == Errc::bad_argument);
  CHECK(std::string(error->what()).find("gemma_instruct") != std::string::npos);
}

TEST_CASE("control tokens that only one template uses decide") {
  const TempFolder folder;
  const auto format = [&](const Tokenizer& tokenizer) {
    return find_chat_format(folder.path(), tokenizer);
  };
  CHECK(format(byte_tokenizer(SplitPattern::o200k)) == ChatFormat::internvl_gpt_oss);
  CHECK(format(fixture_tokenizer("llama3")) == ChatFormat::harmony);  // it has <|start|>
  CHECK(format(fixture_tokenizer("qwen2")) == ChatFormat::internvl);
}

TEST_CASE("what a folder's Jinja template writes") {
  CHECK(found("llama2", "{{ message['role'].upper() + ': ' }} 'ASSISTANT:'", "") == "llava_hf");
  CHECK(found("llama2", "'USER: ' 'ASSISTANT:' '</s>'", "") == "vicuna_v1");
  CHECK(found("mistral", "'[INST] ' + content + ' [/INST]'", "") == "mistral_instruct");
  CHECK(found("mistral", "'[INST] ' + content + ' [/INST]' ' ' + content + '</s> '", "") ==
        "llava_hf_mistral");
  CHECK(found("mistral", "'[INST] ' + content + ' [/INST]' ' ' + content + ' </s>'", "") ==
        "mistral_instruct");
  CHECK(found("llama2", "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}", "") ==
        "llama_2");
  CHECK(found("gemma", "'<start_of_turn>' + role", "") == "gemma_instruct");
  // A tokenizer without the template's tokens cannot speak it.
  CHECK(found("gpt2", "'<start_of_turn>' + role", "") == "completion");
}

TEST_CASE("a LLaVA folder without model_type or class is told by its name") {
  const TempFolder folder;
  for (const auto& [name, style] :
       {std::pair("llava-v1.5-7b", "vicuna_v1"), std::pair("llava-mpt-7b", "mpt")}) {
    std::filesystem::create_directories(folder / name);
    folder.write(std::string(name) + "/config.json", R"({"mm_vision_tower": "clip"})");
    CHECK(find_chat_format(folder / name, fixture_tokenizer("llama2")).name == style);
  }
}

TEST_CASE("templates in JSON files are found as well") {
  for (const char* file :
       {"chat_template.json", "processor_config.json", "tokenizer_config.json"}) {
    const TempFolder folder;
    folder.write(file, R"({"chat_template": "USER: x ASSISTANT:"})");
    CHECK(find_chat_format(folder.path(), fixture_tokenizer("llama2")).name == "llava_hf");
    folder.write(file, R"({"chat_template": [{"name": "default"}]})");  // several: not one of ours
    CHECK(find_chat_format(folder.path(), fixture_tokenizer("llama2")).name == "completion");
  }
}

TEST_CASE("without a template: the language model of LLaVA's folders, else text to complete") {
  CHECK(found("llama2", "", R"({"model_type": "llava_llama"})") == "vicuna_v1");
  CHECK(found("llama2", "", R"({"model_type": "llava"})") == "vicuna_v1");
  CHECK(found("llama2", "", R"({"model_type": "llava_next", "text_config": {}})") == "vicuna_v1");
  CHECK(found("mistral", "",
              R"({"model_type": "llava_next", "text_config": {"model_type": "mistral"}})") ==
        "mistral_instruct");
  CHECK(found("gpt2", "", R"({"model_type": "llava_mpt"})") == "mpt");
  // Called llava, or nothing: the class tells.
  CHECK(found("gpt2", "", R"({"model_type": "llava", "architectures": ["LlavaMptForCausalLM"]})") ==
        "mpt");
  CHECK(found("llama2", "", R"({"architectures": ["LlavaMistralForCausalLM"]})") ==
        "mistral_instruct");
  CHECK(found("gpt2", "", R"({"model_type": "llava_gpt2"})") == "completion");
  CHECK(found("gemma", "", "") == "gemma_instruct");
  CHECK(found("gpt2", "", R"({"model_type": "gpt2"})") == "completion");
  CHECK(found("llama2", "", R"({"model_type": "llama"})") == "completion");
}
