// One tool of many types: each family's checkpoint folder, picked by its config.json, answers a
// prompt in the template that the folder tells, with the tokens that its pictures come to.
#include <doctest/doctest.h>

#include "gov/infer/processor.hpp"
#include "gov/io/json.hpp"
#include "gov/text/latent_tokens.hpp"
#include "tests/support/byte_tokenizer.hpp"
#include "tests/support/model_folder.hpp"
#include "tests/support/models/zoo.hpp"
#include "tests/support/prefix_folder.hpp"
#include "tests/tool/program.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using namespace gov::test::zoo;
using Arguments = std::vector<std::string>;
using Controls = std::vector<std::string_view>;

const Controls harmony{"<|start|>",  "<|end|>",  "<|message|>",  "<|channel|>",
                       "<|return|>", "<|call|>", "<|constrain|>"};
const Controls chatml{"<|im_start|>", "<|im_end|>"};
const Controls visual{"<img>", "</img>", "<IMG_CONTEXT>"};
const Controls gemma{"<start_of_turn>", "<end_of_turn>"};
const Controls llama3{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
const Controls mistral{"[INST]", "[/INST]", "<s>", "</s>"};
const Controls image_mark{"<image>"};
constexpr int first_control = 262;
const std::string wide_picture = "examples/digits/pictures/03.png",
                  square_picture = "examples/digits/pictures/01.png";

Controls operator+(Controls a, const Controls& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A folder, its type in the tool, and what its prompt "<image>Hi" must be.
template <class Cfg>
struct Folder : ModelFolder<Cfg> {
  Folder(const Controls& controls, const ModelTokens& tokens = {}, Layout layout = Layout::hf)
      : ModelFolder<Cfg>(tokens, layout) {
    this->folder.write("tokenizer.json", byte_tokenizer_json(SplitPattern::gpt2, controls));
  }
};

ModelTokens takes(int image_token_id) {
  ModelTokens tokens;
  tokens.image_token_id = image_token_id;
  return tokens;
}

Json answer(const std::string& folder, Arguments more) {
  Arguments all{"generate", "--model", folder, "--prompt", "Hi", "--greedy", "--json"};
  all.insert(all.end(), {"--max-new-tokens", "3", "--logprobs", "0", "--threads", "1"});
  all.insert(all.end(), more.begin(), more.end());
  const Outcome outcome = run_program(GOV_TEST_TOOL, all);
  CHECK(outcome.err == "");
  REQUIRE(outcome.status == 0);
  return parse_json(outcome.out, "the tool's answer");
}

// The folder is taken for this type, and answers `prompt` (its text, behind the tokenizer's start).
void check_text(const std::string& folder, std::string_view name, std::string_view prompt) {
  CAPTURE(name);
  const Outcome report = run_program(GOV_TEST_TOOL, {"inspect", folder, "--json"});
  CHECK(parse_json(report.out, "the report").at("fits").as_string() == name);
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const Json json = answer(folder, {});
  CHECK(json.at("tokens").size() >= 1);
  CHECK(json.at("prompt_tokens").as<std::size_t>() == tokenizer.encode(prompt).size());
  CHECK(json.at("image_tokens").as<index_t>() == 0);
}

double logprob(const Json& json) { return json.at("logprobs").at(0).at("logprob").as_double(); }

// Two pictures: the first takes so many tokens of a prompt of so many, and what they show is seen.
void check_picture(const std::string& folder, std::string_view name, index_t tokens,
                   index_t prompt) {
  CAPTURE(name);
  const Json one = answer(folder, {"--image", wide_picture}),
             other = answer(folder, {"--image", square_picture});
  CHECK(one.at("image_tokens").as<index_t>() == tokens);
  CHECK(one.at("prompt_tokens").as<index_t>() == prompt);
  CHECK(logprob(one) != logprob(other));
}

index_t length(const std::string& folder, std::string_view text) {
  return std::ssize(Tokenizer::load(folder).encode(text));
}

const std::string turn = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";

}  // namespace

TEST_CASE("language models") {
  check_text(Folder<ZooGpt2>({}).path(), "ZooGpt2", "Hi");
  check_text(Folder<ZooMixtral>({}).path(), "ZooMixtral", "Hi");
  check_text(Folder<ZooMpt>(chatml).path(), "ZooMpt", turn);
  check_text(Folder<ZooQwen2>(chatml).path(), "ZooQwen2", turn);
  check_text(Folder<ZooQwen3>(chatml).path(), "ZooQwen3", turn);
  check_text(Folder<ZooGemma>(gemma).path(), "ZooGemma",
             "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n");
  check_text(Folder<ZooLlama>(llama3).path(), "ZooLlama",
             "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
             "<|start_header_id|>assistant<|end_header_id|>\n\n");
  const Folder<ZooMistral> instruct(mistral);
  instruct.folder.write("chat_template.jinja", "'[INST] ' + content + ' [/INST]'");
  check_text(instruct.path(), "ZooMistral", "[INST] Hi [/INST]");
}

TEST_CASE("thoughts of a model that was never taught to chat: its line ends before them") {
  const LatentTokenNames names;
  const Folder<ZooGpt2> folder({names.start, names.end, names.latent});
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  const Json json = answer(folder.path(), {"--latents", "2"});
  CHECK(json.at("latent_passes").as<int>() == 3);
  CHECK(json.at("prompt_tokens").as<std::size_t>() ==
        latent_prompt(tokenizer, "Hi", find_latent_tokens(tokenizer), 2).size());
}

TEST_CASE("a mixture of experts in harmony") {
  const Folder<ZooGptOss> folder(harmony);
  const Message hi = message(Role::user, "Hi");
  const Json json = answer(folder.path(), {});
  CHECK(json.at("prompt_tokens").as<std::size_t>() ==
        Processor(folder.path()).process({&hi, 1}, {}).prompt.ids.size());
}

TEST_CASE("InternVL over Qwen and over GPT-OSS: a tile is <img>, its tokens, </img>") {
  const int context = first_control + 4;
  const Folder<ZooInternVl> qwen(chatml + visual, takes(context));
  check_text(qwen.path(), "ZooInternVl", turn);
  // The pictures are wide: three tiles and their thumbnail, each of 4 tokens.
  const index_t tokens =
      4 * patches_of(load_image(wide_picture).height, load_image(wide_picture).width, [] {
        ImageProcessorConfig tile;
        tile.height = tile.width = 32;
        return tile;
      }());
  check_picture(qwen.path(), "ZooInternVl", tokens, length(qwen.path(), turn) + tokens + 3);
  const Folder<ZooGov> gov(harmony + visual, takes(first_control + 9));
  const index_t text = answer(gov.path(), {}).at("prompt_tokens").as<index_t>();
  check_picture(gov.path(), "ZooGov", tokens, text + tokens + 3);
}

TEST_CASE("LLaVA over Mixtral and over MPT: <image> four times and a line break") {
  const Folder<ZooLlavaMixtral> mixtral(mistral + image_mark, takes(first_control + 4));
  check_text(mixtral.path(), "ZooLlavaMixtral", "[INST] Hi [/INST]");
  check_picture(mixtral.path(), "ZooLlavaMixtral", 4,
                length(mixtral.path(), "[INST] \nHi [/INST]") + 4);
  const Folder<ZooLlavaMpt> mpt(chatml + image_mark, takes(first_control + 2));
  const std::string talk = "<|im_start|>system\n" + std::string(chat_styles::mpt.system) +
                           "<|im_end|><|im_start|>user\n";
  check_picture(mpt.path(), "ZooLlavaMpt", 4,
                length(mpt.path(), talk + "\nHi<|im_end|><|im_start|>assistant\n") + 4);
}

TEST_CASE("LLaVA's own spelling: flat, -200 in the prompt, the same answer") {
  const Folder<ZooLlavaMixtral> own(mistral, takes(image_token_index), Layout::llava);
  const Folder<ZooLlavaMixtral> nested(mistral + image_mark, takes(first_control + 4));
  check_text(own.path(), "ZooLlavaMixtral", "[INST] Hi [/INST]");
  const Arguments seen{"--image", wide_picture};
  const Json flat = answer(own.path(), seen), other = answer(nested.path(), seen);
  CHECK(flat.at("image_tokens").as<index_t>() == 4);
  CHECK(flat.at("tokens").as_vector<int>() == other.at("tokens").as_vector<int>());
  CHECK(logprob(flat) == logprob(other));
  // The one becomes the other, down to the key that names the projector.
  const TempFolder made;
  for (const auto& step : {std::pair(nested.path(), std::string("llava")),
                           std::pair(made / "llava", std::string("hf"))}) {
    CAPTURE(step.second);
    const Outcome outcome =
        run_program(GOV_TEST_TOOL, {"convert", "--model", step.first, "--layout", step.second,
                                    "--output", made / step.second, "--threads", "1"});
    CHECK(outcome.err == "");
    CHECK(outcome.status == 0);
  }
  const Json spelled = load_json(made / "llava/config.json");
  CHECK(spelled.at("model_type").as_string() == "llava_mixtral");
  CHECK(load_json(made / "hf/config.json").at("image_token_index").as<int>() == first_control + 4);
  CHECK(spelled.at("mm_projector_type").as_string() == "mlp2x_gelu");
  CHECK_FALSE(load_json(made / "hf/config.json").contains("mm_projector_type"));
  for (const char* layout : {"llava", "hf"}) {
    CAPTURE(layout);
    const Json again = answer(made / layout, seen);
    CHECK(again.at("tokens").as_vector<int>() == other.at("tokens").as_vector<int>());
    CHECK(logprob(again) == logprob(other));
  }
}

TEST_CASE("LLaVA-NeXT: as many tokens as the picture's resolution asks for") {
  const Folder<ZooLlavaNext> next(mistral + image_mark, takes(first_control + 4));
  const Image wide = load_image(wide_picture);
  const index_t tokens =
      ZooLlavaNext::Images<ZooLlavaNext>::layout({wide.height, wide.width}).tokens();
  CHECK(tokens > 8);  // the whole and two views, with a newline for each row
  check_picture(next.path(), "ZooLlavaNext", tokens,
                length(next.path(), "[INST] \nHi [/INST]") + tokens);
}

TEST_CASE("LLaVA over GPT-2: pictures and videos between their markers") {
  Controls markers;
  VisualMarkerIds names;
  std::vector<std::string> spelled;
  VisualMarkerIds::keys(names, [&](std::string_view name, int&) {
    spelled.push_back("<" + std::string(name) + ">");
  });
  markers.assign(spelled.begin(), spelled.end());
  ModelTokens tokens;
  tokens.markers = VisualMarkerIds::from(first_control);
  const Folder<ZooLlavaGpt2> folder(markers, tokens);
  check_text(folder.path(), "ZooLlavaGpt2", "Hi");
  check_picture(folder.path(), "ZooLlavaGpt2", 2 + 4, 2 + 4 + 2);
  const TempFolder frames;
  for (int i = 0; i < 6; ++i)
    std::filesystem::copy_file(i % 2 == 0 ? wide_picture : square_picture,
                               frames.path() / ("frame" + std::to_string(i) + ".png"));
  const Json video = answer(folder.path(), {"--video", frames.path().string()});
  CHECK(video.at("image_tokens").as<index_t>() == 4 * 2 + 2 * 4);
  const Outcome few =
      run_program(GOV_TEST_TOOL, {"generate", "--model", folder.path(), "--prompt", "x", "--video",
                                  frames.path().string(), "--video-frames", "3"});
  CHECK(few.status == 1);
  CHECK(few.err.find("frames") != std::string::npos);
}

TEST_CASE("GPT-OSS-Vision: images before the prompt") {
  const PrefixFolder folder;
  const index_t text = answer(folder.path(), {}).at("prompt_tokens").as<index_t>();
  check_picture(folder.path(), "Prefix", PrefixFolder::rows_per_image,
                text + PrefixFolder::rows_per_image);
}

TEST_CASE("a folder of another geometry names what the tool has") {
  const Folder<ZooGpt2> folder({});
  std::string config = file_bytes(folder.path() + "/config.json");
  config.replace(config.find("\"n_layer\": 2"), 12, "\"n_layer\": 3");
  folder.folder.write("config.json", config);
  const Outcome outcome =
      run_program(GOV_TEST_TOOL, {"generate", "--model", folder.path(), "--prompt", "x"});
  CHECK(outcome.status == 1);
  for (const char* part : {"n_layer", "3", "ZooGpt2"}) {
    CAPTURE(part);
    CHECK(outcome.err.find(part) != std::string::npos);
  }
}
