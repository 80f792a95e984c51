// The command-line tool as a program, built by gov_add_tool for the shipped checkpoint and two
// parity geometries: what it writes, and how it answers everything that is wrong.
#include "gov/tool/tool.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <numeric>
#include <set>
#include <thread>

#include "tests/image/picture.hpp"
#include "tests/parity/generated_weights.hpp"
#include "tests/support/checkpoint_copy.hpp"
#include "tests/support/digits.hpp"
#include "tests/support/prefix_folder.hpp"
#include "tests/tool/program.hpp"

namespace {

using namespace gov;
using namespace gov::test;
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

const std::string parity = "tests/fixtures/parity/";

Outcome tool(const Arguments& arguments) { return run_program(GOV_TEST_TOOL, arguments); }
Outcome good(const Arguments& arguments) {
  const Outcome outcome = tool(arguments);
  CHECK(outcome.err == "");
  CHECK(outcome.status == 0);
  return outcome;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

// The exit status, and one line that begins "gov: error: " and has all these parts.
void check_refused(const Outcome& outcome, const std::vector<std::string>& parts, int status = 1) {
  CHECK(outcome.status == status);
  CHECK(outcome.err.starts_with("gov: error: "));
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.ends_with("\n"));
  for (const auto& part : parts) {
    CAPTURE(part);
    CAPTURE(outcome.err);
    CHECK(has(outcome.err, part));
  }
}

// A folder of links to another folder's files, which a test replaces.
struct Copy {
  TempFolder folder;
  explicit Copy(const std::string& from) {
    for (const auto& entry : fs::directory_iterator(from))
      if (entry.is_regular_file())
        fs::create_symlink(fs::absolute(entry.path()), folder.path() / entry.path().filename());
  }
  std::string path() const { return folder.path().string(); }
  void write(const std::string& name, const std::string& bytes) const {
    fs::remove(folder / name);
    folder.write(name, bytes);
  }
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = file_bytes(folder / name);
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    write(name, text.replace(at, from.size(), to));
  }
};

Arguments ask(const std::string& model, Arguments more = {}) {
  Arguments arguments{"generate", "--model", model, "--prompt", "Name the digits."};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// The question and the picture of a shipped case.
Arguments ask_shipped(const std::string& model, const DigitsCase& shipped,
                      const Arguments& more = {}) {
  Arguments arguments{"generate",       "--model", model,          "--prompt",
                      shipped.question, "--image", shipped.picture};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}
std::vector<int> tokens_of(const Outcome& outcome) {
  return parse_json(outcome.out, "stdout").at("tokens").as_vector<int>();
}

TEST_CASE("help lists what is built, and wrong usage is 2") {
  const Outcome help = good({"--help"});
  for (const char* command :
       {"generate", "dump", "bench", "inspect", "quantize", "convert", "add-tokens", "tokenize"}) {
    CHECK(has(help.out, std::string("\n  ") + command + " "));
    const Outcome own = good({command, "--help"});
    CHECK(has(own.out, "Usage: "));
  }
  for (const char* later : {"train", "eval"}) CHECK(!has(help.out, later));
  const std::string options = good({"generate", "--help"}).out;
  for (const char* option :
       {"--image", "--video", "--max-new-tokens", "--greedy", "--temperature", "--top-k", "--top-p",
        "--min-p", "--seed", "--stop", "--latents", "--latent-tokens", "--thoughts", "--threads",
        "--backend", "--set", "--router-stats", "--json"})
    CHECK(has(options, std::string("  ") + option));
  CHECK(has(options, "mxfp4-bf16 or mxfp4-q8"));
  const std::string timing = good({"bench", "--help"}).out;
  for (const char* option : {"--preset", "--random-weights", "--prefill", "--decode", "--depth",
                             "--batch", "--tiles", "--context", "--chunk", "--repetitions"})
    CHECK(has(timing, std::string("  ") + option));
  const Arguments wrong[] = {
      {},
      {"bench"},
      {"bench", "--preset", "Nothing"},
      {"bench", "--preset", "Digits", "--model", "x"},
      {"bench", "--model", "x", "--random-weights"},
      {"bench", "--preset", "Digits", "--decode", "-1"},
      {"bench", "--preset", "Digits", "--batch", "0"},
      {"bench", "--preset", "Digits", "--chunk", "0"},
      {"bench", "--preset", "Digits", "--context", "500"},
      {"bench", "--preset", "Digits", "--depth", "100", "--context", "600"},
      {"bench", "--preset", "Digits", "--prefill", "0", "--decode", "0", "--tiles", "0"},
      {"bench", "--preset", "Digits", "--prefill", "9000000000000000000"},
      {"bench", "--preset", "Digits", "--prefill", "16,9000000000000000000"},
      {"bench", "--preset", "Digits", "--depth", "0,-1"},
      {"bench", "--preset", "Digits", "--batch", "1,0"},
      {"bench", "--preset", "Digits", "--tiles", "1,-1"},
      {"bench", "--preset", "Digits", "--depth", "0,100", "--context", "600"},
      {"generate"},
      {"generate", "--model", "x"},
      {"generate", "--prompt", "x"},
      ask("x", {"--bogus"}),
      ask("x", {"--top-k", "many"}),
      ask("x", {"--greedy", "--temperature", "1"}),
      ask("x", {"--seed", "-1"}),
      ask("x", {"--latents", "-1"}),
      ask("x", {"--thoughts", "2"}),
      ask("x", {"--latents", "1", "--latent-tokens", "a", "b"}),
      {"dump", "--model", "x", "--output", "y"},
      {"dump", "--model", "x", "--token-ids", "1,2"},
      {"inspect"},
      {"convert", "--model", "x", "--output", "y"},
      {"quantize", "--model", "x", "--output", "y"},
      {"tokenize", "--model", "x"},
      {"tokenize", "--model", "x", "--text", "a", "--file", "b"}};
  for (const auto& arguments : wrong) {
    CAPTURE(arguments.size());
    const Outcome outcome = tool(arguments);
    CHECK(outcome.status == 2);
    CHECK(outcome.out == "");
    CHECK(outcome.err != "");
  }
}

TEST_CASE(
    "generate: one JSON object with the fields of the documentation; the stream is its text") {
  const auto first = digits_cases().front();
  const Arguments json{"--threads", "2", "--json", "--logprobs", "2", "--backend", "scalar"};
  const Json object = parse_json(good(ask_shipped(digits_model(), first, json)).out, "stdout");
  std::vector<std::string> keys, timings;
  for (const auto [key, value] : object.items()) keys.emplace_back(key);
  for (const auto [key, value] : object.at("timings").items()) timings.emplace_back(key);
  CHECK(keys == Arguments{"text", "tokens", "finish_reason", "prompt_tokens", "image_tokens",
                          "logprobs", "timings", "peak_rss_bytes", "backend", "threads"});
  CHECK(timings == Arguments{"load_s", "preprocess_s", "vision_s", "prefill_s", "decode_s",
                             "prefill_tokens_per_s", "decode_tokens_per_s"});
  CHECK(object.at("tokens").as_vector<int>() == first.token_ids);
  CHECK(object.at("finish_reason").as_string() == "stop");
  CHECK(object.at("prompt_tokens").as_int() == std::ssize(first.prompt_ids));
  CHECK(object.at("image_tokens").as_int() == first.tiles * 9);
  CHECK(object.at("backend").as_string() == "scalar");
  CHECK(object.at("threads").as_int() == 2);
  CHECK(object.at("peak_rss_bytes").as_int() > 1'000'000);
  CHECK(object.at("logprobs").size() == first.token_ids.size());
  CHECK(object.at("logprobs").at(0).at("top").size() == 2);
  CHECK(good(ask_shipped(digits_model(), first)).out == object.at("text").as<std::string>() + "\n");
}

TEST_CASE("generate: limits, stop strings, seeds") {
  const auto first = digits_cases().front();
  const auto answer = [&](Arguments more) {
    more.insert(more.begin(), {"--image", first.picture, "--json"});
    return parse_json(good(ask(digits_model(), more)).out, "stdout");
  };
  const Json short_one = answer({"--max-new-tokens", "2"});
  CHECK(short_one.at("finish_reason").as_string() == "length");
  CHECK(short_one.at("tokens").size() == 2);
  const Json stopped = answer({"--stop", "zzz", "--stop", " "});
  CHECK(stopped.at("finish_reason").as_string() == "stop");
  CHECK(!has(stopped.at("text").as<std::string>(), " "));
  const auto tokens = [&](const char* seed) {
    return answer({"--temperature", "50", "--top-k", "0", "--seed", seed, "--max-new-tokens", "20"})
        .at("tokens")
        .as_vector<int>();
  };
  CHECK(tokens("5") == tokens("5"));
  CHECK(tokens("5") != tokens("6"));
}

TEST_CASE("generate: latent thoughts before the answer") {
  const auto first = digits_cases().front();
  const Arguments three{"--latents", "3", "--latent-tokens", "<quad>", "<ref>", "</quad>"};
  const auto with = [&](Arguments more) {
    more.insert(more.end(), three.begin(), three.end());
    return ask_shipped(digits_model(), first, more);
  };
  const Json json = parse_json(good(with({"--json", "--thoughts", "2"})).out, "stdout");
  CHECK(json.at("latent_passes").as_int() == 4);
  CHECK(json.at("prompt_tokens").as_int() == std::ssize(first.prompt_ids) + 5);
  const Json thoughts = json.at("thoughts");
  REQUIRE(thoughts.size() == 3);
  for (const Json& thought : thoughts.elements()) {
    REQUIRE(thought.size() == 2);
    CHECK(thought.at(0).at("logprob").as_double() >= thought.at(1).at("logprob").as_double());
    CHECK(thought.at(0).at("token").as_int() < 448);
    CHECK(thought.at(0).at("text").is_string());
  }
  // Without --json: the thoughts beside the stream, which is the same text.
  const Outcome stream = tool(with({"--thoughts", "1"}));
  CHECK(stream.status == 0);
  CHECK(stream.out == json.at("text").as<std::string>() + "\n");
  CHECK(std::count(stream.err.begin(), stream.err.end(), '\n') == 3);
  CHECK(has(stream.err, "gov: thought 1: \""));
  CHECK(has(stream.err, "gov: thought 3: \""));
  CHECK(good(with({})).out == stream.out);

  check_refused(
      tool(ask(digits_model(), {"--latents", "2"})),
      {"tokenizer.json", "<|start-latent|>", "<|latent|>", "adding them", "bad_tokenizer"});
  check_refused(tool(with({"--context", "3"})), {"latents", "less than the context of 3"});
}

TEST_CASE("pictures of any kind, several, and places between text") {
  const auto cases = digits_cases();
  const TempFolder folder;
  const std::string small = folder.write("1x1.png", make_png(1, 1, 8, 0, std::string("\0\x80", 2)));
  const auto image_tokens = [&](Arguments more, const std::string& prompt) {
    Arguments arguments{"generate",         "--model", digits_model(), "--prompt", prompt,
                        "--max-new-tokens", "1",       "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return parse_json(good(arguments).out, "stdout").at("image_tokens").as_int();
  };
  CHECK(image_tokens({}, "Hello") == 0);
  CHECK(image_tokens({}, "no picture for <image>, so it is text") == 0);
  CHECK(image_tokens({"--image", small}, "x") > 0);
  const auto two = (cases[0].tiles + cases[4].tiles) * 9;
  CHECK(image_tokens({"--image", cases[0].picture, "--image", cases[4].picture}, "x") == two);
  CHECK(image_tokens({"--image", cases[0].picture, "--image", cases[4].picture},
                     "a <image> b <image> c") == two);
  fs::create_directories(folder.path() / "frames");
  for (const char* name : {"0.png", "1.png", "2.png"})
    fs::copy_file(cases[0].picture, folder.path() / "frames" / name);
  CHECK(image_tokens({"--video", folder / "frames", "--video-frames", "2"}, "x") == 18);
  CHECK(image_tokens({"--video", folder / "frames", "--video-rule", "linspace"}, "x") == 27);
#ifdef GOV_WITH_FFMPEG
  CHECK(image_tokens({"--video", "tests/fixtures/video/vp9.webm", "--video-frames", "3"}, "x") ==
        27);
#else
  check_refused(tool(ask(digits_model(), {"--video", "tests/fixtures/video/vp9.webm"})),
                {"vp9.webm", "folder of frames", "GOV_WITH_FFMPEG", "unsupported"});
#endif
}

TEST_CASE("bad command lines, prompts and pictures: one line that names what is wrong") {
  const auto first = digits_cases().front();
  const TempFolder folder;
  const std::string png = file_bytes(first.picture);
  const std::string cut = folder.write("cut.png", png.substr(0, png.size() / 2));
  const std::string gif = folder.write("a.gif", "GIF89a\x01\x01");
  const std::string bomb = folder.write("bomb.png", make_png(60000, 60000, 8, 2, "x"));
  const std::string thin =
      folder.write("thin.png", make_png(1, 10000, 8, 0, std::string(20000, '\0')));
  const std::string model = digits_model();
  struct Case {
    Arguments arguments;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {ask("no/such/folder"), {"no/such/folder"}},
      {ask(model, {"--image", folder / "none.png"}), {"none.png", "io_error"}},
      {ask(model, {"--image", cut}), {"cut.png", "bad_image"}},
      {ask(model, {"--image", gif}), {"a.gif", "PNG or JPEG"}},
      {ask(model, {"--image", bomb}), {"bomb.png", "image_too_large"}},
      {ask(model, {"--image", thin}), {"thin.png", "1x10000"}},
      {ask(model, {"--image", folder.path().string()}), {folder.path().string()}},
      {ask(model, {"--video", folder / "none"}), {"none"}},
      {ask(model, {"--video", gif}), {"a.gif", "video"}},
      {ask(model, {"--video", folder.path().string(), "--video-rule", "random"}),
       {"frame rule", "linspace", "random"}},
      {{"generate", "--model", model, "--image", first.picture, "--prompt", "<image><image>"},
       {"images", "image_count_mismatch", "found 1"}},
      {ask(model, {"--image", first.picture, "--context", "16"}),
       {"context", "of 16", "context_full"}},
      {{"generate", "--model", model, "--prompt", std::string(100'000, 'a')},
       {"context", "context_full"}},
      {ask(model, {"--context", "100000"}), {"context", "bad_argument"}},
      {ask(model, {"--chunk", "0"}), {"chunk", "bad_argument"}},
      {ask(model, {"--temperature", "0"}), {"temperature", "bad_argument"}},
      {ask(model, {"--top-p", "1.5"}), {"top_p", "bad_argument"}},
      {ask(model, {"--max-new-tokens", "0"}), {"max_new_tokens", "at least 1"}},
      {ask(model, {"--backend", "abacus"}), {"abacus"}},
      {ask(model, {"--storage", "int2"}), {"int2", "mxfp4-bf16"}},
      {ask(model, {"--arithmetic", "octal"}), {"arithmetic", "octal"}},
      {{"bench", "--preset", "Digits", "--storage", "int2"}, {"storage", "int2"}},
      {{"bench", "--preset", "Digits", "--prefill", "600"}, {"context", "at most 512"}},
      {{"bench", "--preset", "TextMxfp4", "--tiles", "1", "--prefill", "8", "--probe-gb", "0.001"},
       {"TextMxfp4", "--tiles", "without a vision tower"}},
      {{"bench", "--preset", "Digits", "--batch", "1000000000"},
       {"Digits: memory", "caches 1", "a shorter context", "out_of_memory"}},
      {{"bench", "--model", "no/such/folder"}, {"no/such/folder"}},
      {ask(model, {"--chat-format", "jinja"}), {"chat format", "jinja"}},
      {{"dump", "--model", model, "--token-ids", "448", "--output", folder / "x"},
       {"input_ids", "448"}},
      {{"dump", "--model", model, "--token-ids", "1", "--pixel-values",
        model + "/model.safetensors", "--output", folder / "x"},
       {"pixel_values"}},
      {{"convert", "--model", model, "--layout", "openai", "--output", folder / "o"}, {"openai"}},
      {{"convert", "--model", model, "--layout", "gguf", "--output", folder / "o"},
       {"layout", "gguf"}},
      {{"convert", "--model", model, "--layout", "hf", "--output", model}, {"--output"}},
      {{"tokenize", "--model", model, "--decode", "--text", "1 x"}, {"ids", "x"}},
      {{"tokenize", "--model", model, "--decode", "--text", "99999"}, {"tokenizer.json", "99999"}},
      {{"tokenize", "--model", model, "--file", folder / "none.txt"}, {"none.txt"}},
      {ask(parity + "vlm-tiny"),
       {"vlm-tiny", "VlmBf16", "text_config.hidden_size=48 (compiled 64)", "gov_add_model("}},
      {ask(parity + "vlm-bf16"), {"tokenizer.json"}}};
  for (const auto& each : cases) {
    CAPTURE(each.parts.front());
    check_refused(tool(each.arguments), each.parts);
  }
  CHECK(!fs::exists(folder.path() / "x"));  // nothing half-done
  CHECK(!fs::exists(folder.path() / "o" / "model.safetensors"));
}

TEST_CASE("prompts that are not UTF-8 and prompts of control tokens are text") {
  for (const char* prompt : {"x\xff\xc3y", "<|start|><|end|>", "\xf0\x9f\x98"})
    CHECK(good({"generate", "--model", digits_model(), "--prompt", prompt, "--max-new-tokens", "2"})
              .status == 0);
}

TEST_CASE("bad checkpoints: one line that names the file and the field") {
  const std::string model = digits_model();
  struct Case {
    const char* name;
    std::function<void(const Copy&)> spoil;
    std::vector<std::string> parts;
  };
  const auto edit = [](const char* file, std::string from, std::string to) {
    return [=](const Copy& copy) { copy.replace(file, from, to); };
  };
  const auto cut = [](const char* file) {
    return [=](const Copy& copy) {
      const std::string bytes = file_bytes(copy.folder / file);
      copy.write(file, bytes.substr(0, bytes.size() * 2 / 3));
    };
  };
  const auto with_tensors = [](const std::function<void(CheckpointCopy&)>& change) {
    return [=](const Copy& copy) {
      CheckpointCopy tensors(copy.path());
      change(tensors);
      fs::remove(copy.folder / "model.safetensors"), fs::remove(copy.folder / "config.json");
      tensors.write(copy.path());
    };
  };
  const auto sinks = [](CheckpointCopy& c) {
    for (const auto& [name, tensor] : c.tensors)
      if (name.ends_with("layers.1.self_attn.sinks")) return name;
    return std::string();
  };
  const auto number = [](const char* key) {  // the text of a number in config.json, with its key
    const std::string text = file_bytes(digits_model() + "/config.json");
    const auto at = text.find("\"" + std::string(key) + "\":");
    return text.substr(at, text.find_first_of(",\n}", at) - at);
  };
  const auto set = [&](const char* key, const std::string& value) {
    return edit("config.json", number(key), "\"" + std::string(key) + "\": " + value);
  };
  const Case cases[] = {
      {"no config", [](const Copy& c) { fs::remove(c.folder / "config.json"); }, {"config.json"}},
      {"no weights",
       [](const Copy& c) { fs::remove(c.folder / "model.safetensors"); },
       {"safetensors"}},
      {"no tokenizer",
       [](const Copy& c) { fs::remove(c.folder / "tokenizer.json"); },
       {"tokenizer.json"}},
      {"config.json cut", cut("config.json"), {"config.json", "bad_json"}},
      {"tokenizer.json cut", cut("tokenizer.json"), {"tokenizer.json", "bad_json"}},
      {"preprocessor_config.json cut",
       cut("preprocessor_config.json"),
       {"preprocessor_config.json", "bad_json"}},
      {"generation_config.json cut",
       cut("generation_config.json"),
       {"generation_config.json", "bad_json"}},
      {"weights cut", cut("model.safetensors"), {"model.safetensors", "file_truncated"}},
      {"weights empty",
       [](const Copy& c) { c.write("model.safetensors", ""); },
       {"model.safetensors", "header_too_small"}},
      {"a bit of the length",
       [](const Copy& c) {
         std::string bytes = file_bytes(c.folder / "model.safetensors");
         bytes[6] = static_cast<char>(bytes[6] ^ 1);
         c.write("model.safetensors", bytes);
       },
       {"model.safetensors", "header_too_large"}},
      {"a bit of the header",
       edit("model.safetensors", "\"dtype\":\"BF16\"", "\"dtype\":\"BF17\""),
       {"model.safetensors", "unknown_dtype"}},
      {"a tensor too few",
       with_tensors([=](CheckpointCopy& c) { c.tensors.erase(sinks(c)); }),
       {"sinks", "found nothing"}},
      {"a tensor too many",
       with_tensors(
           [=](CheckpointCopy& c) { c.tensors["lm_head.extra"] = c.tensors.at(sinks(c)); }),
       {"lm_head.extra", "no such tensor"}},
      {"a tensor of another shape",
       with_tensors([=](CheckpointCopy& c) {
         c.tensors.at(sinks(c)).shape = {2, 2};
       }),
       {"sinks", "[2, 2]"}},
      {"several at once",
       with_tensors([=](CheckpointCopy& c) {
         c.tensors.erase(sinks(c));
         c.tensors.begin()->second.dtype = DType::I16;
       }),
       {"2 problems", "sinks", "I16"}},
      {"no heads",
       set("num_key_value_heads", "0"),
       {"config.json", "num_key_value_heads", "found 0"}},
      {"2^31 layers",
       set("num_hidden_layers", "2147483648"),
       {"config.json", "num_hidden_layers", "2147483648"}},
      {"2^63 experts",
       set("num_local_experts", "9223372036854775808"),
       {"config.json", "num_local_experts"}},
      {"a negative window", set("sliding_window", "-8"), {"config.json", "sliding_window", "-8"}},
      {"a width of text", set("head_dim", "\"32\""), {"config.json", "head_dim"}},
      {"another model",
       edit("config.json", "\"gpt_oss\"", "\"gpt_oops\""),
       {"config.json", "model_type", "gpt_oops"}},
      {"another geometry",
       set("sliding_window", "33"),
       {"sliding_window=33 (compiled 32)", "gov_add_model(MyModel CONFIG "}},
      {"a merge of nothing",
       edit("tokenizer.json", "\"merges\":", "\"merges\": [\"no thing\"], \"m\":"),
       {"tokenizer.json"}},
      {"no mean",
       edit("preprocessor_config.json", "0.485", "null"),
       {"preprocessor_config.json", "image_mean"}}};
  const auto first = digits_cases().front();
  for (const auto& each : cases) {
    const std::string name = each.name;
    CAPTURE(name);
    const Copy copy(model);
    each.spoil(copy);
    check_refused(tool(ask(copy.path(), {"--image", first.picture})), each.parts);
  }
}

// Every tensor of a safetensors file, by name.
using Tensors = std::map<std::string, CheckpointCopy::Tensor>;
Tensors tensors_of(const std::string& path) {
  Tensors tensors;
  const auto files = CheckpointFiles::open(path);
  for (const auto& [file, entry] : files.tensors()) {
    CheckpointCopy::Tensor tensor{entry->dtype, entry->shape,
                                  std::vector<std::byte>(static_cast<std::size_t>(entry->bytes))};
    file->read(*entry, tensor.bytes);
    tensors.emplace(entry->name, std::move(tensor));
  }
  return tensors;
}
template <class T>
std::vector<T> values_of(const CheckpointCopy::Tensor& tensor) {
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}
std::string same_tensors(const Tensors& a, const Tensors& b) {  // "" or the first that differs
  for (const auto* one : {&a, &b})
    for (const auto& [name, tensor] : *one) {
      const auto other = (one == &a ? b : a).find(name);
      if (other == (one == &a ? b : a).end() || other->second.bytes != tensor.bytes ||
          other->second.shape != tensor.shape || other->second.dtype != tensor.dtype)
        return name;
    }
  return "";
}
std::string ids_of(const Tensors& tensors) {
  std::string text;
  for (const auto id : values_of<std::int64_t>(tensors.at("input_ids")))
    text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

TEST_CASE("shards: read by the index, and refused when two of them changed places") {
  const TempFolder folder;
  const std::string sharded = folder / "sharded";
  good({"convert", "--model", digits_model(), "--layout", "hf-old", "--max-shard-gb", "0.0015",
        "--output", sharded});
  const std::string one = sharded + "/model-00001-of-00003.safetensors",
                    two = sharded + "/model-00002-of-00003.safetensors";
  REQUIRE(fs::exists(one));
  const auto first = digits_cases().front();
  const Arguments arguments = ask_shipped(sharded, first, {"--json"});
  CHECK(tokens_of(good(arguments)) == first.token_ids);
  fs::rename(one, folder.path() / "aside"), fs::rename(two, one),
      fs::rename(folder.path() / "aside", two);
  check_refused(tool(arguments),
                {"model.safetensors.index.json", "model-00001-of-00003.safetensors", "problems"});
  fs::remove(one);
  check_refused(tool(arguments), {"model-00001-of-00003.safetensors"});
}

TEST_CASE("dump: the intermediates of transformers") {
  const TempFolder folder;
  for (const auto& [geometry, name] :
       {std::pair<std::string, std::string>{"vlm-bf16", "two-images"}, {"text-mxfp4", "prompt"}}) {
    const auto shown_geometry = geometry;  // clang 14: no capture of bindings
    CAPTURE(shown_geometry);
    const std::string fixture = parity + geometry + "/cases/" + name + ".safetensors",
                      output = folder / geometry;
    const Tensors expected = tensors_of(fixture);
    Arguments arguments{"dump",     "--model", parity + geometry, "--token-ids", ids_of(expected),
                        "--output", output};
    if (expected.contains("pixel_values"))
      arguments.insert(arguments.end(), {"--pixel-values", fixture});
    CHECK(good(arguments).out == "");
    const Tensors found = tensors_of(output);
    int compared = 0;
    for (const auto& [theirs, tensor] : expected) {
      const auto shown_theirs = theirs;  // clang 14: no capture of bindings
      CAPTURE(shown_theirs);
      std::string ours = theirs;
      if (ours.starts_with("router_logits.")) ours.replace(0, 13, "router");
      if (theirs == "input_ids")
        CHECK(values_of<std::int64_t>(found.at(ours)) == values_of<std::int64_t>(tensor));
      if (tensor.dtype != DType::F32) continue;
      REQUIRE(found.contains(ours));
      const auto a = values_of<float>(found.at(ours)), b = values_of<float>(tensor);
      REQUIRE(a.size() == b.size());
      float scale = 0, error = 0;
      for (std::size_t i = 0; i < a.size(); ++i)
        scale = std::max(scale, std::fabs(b[i])), error = std::max(error, std::fabs(a[i] - b[i]));
      CHECK(error <= 1e-5f * scale);
      ++compared;
    }
    CHECK(compared >= (geometry == "vlm-bf16" ? 9 : 5));
  }
}

TEST_CASE("keys that are not geometry: from config.json, or set") {
  const TempFolder folder;
  const fs::path model = folder.path() / "model";
  write_generated(parity + "text-nope", model);
  const std::string fixture = parity + "text-nope/cases/";
  const auto gap = [&](const char* name, Arguments more) {
    const Tensors expected = tensors_of(fixture + name + ".safetensors");
    Arguments arguments{"dump",           "--model",  model.string(), "--token-ids",
                        ids_of(expected), "--output", folder / "d"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    good(arguments);
    const auto a = values_of<float>(tensors_of(folder / "d").at("logits")),
               b = values_of<float>(expected.at("logits"));
    REQUIRE(a.size() == b.size());
    float scale = 0, error = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      scale = std::max(scale, std::fabs(b[i])), error = std::max(error, std::fabs(a[i] - b[i]));
    return error / scale;
  };
  CHECK(gap("off", {}) < 1e-5f);
  CHECK(gap("stride-2", {}) > 1e-2f);
  CHECK(gap("stride-2", {"--set", "use_nope=true", "--set", "nope_stride=2"}) < 1e-5f);
  CHECK(gap("list", {"--set", "use_nope=true", "--set", "no_rope_layers=[0,1,0]"}) < 1e-5f);
  std::string config = file_bytes(model / "config.json");
  const auto replace = [&](std::string_view from, std::string_view to) {
    REQUIRE(config.find(from) != config.npos);
    config.replace(config.find(from), from.size(), to);
  };
  replace("\"use_nope\": false", "\"use_nope\": true");
  replace("\"nope_stride\": 4", "\"nope_stride\": 2");
  folder.write("model/config.json", config);
  CHECK(gap("stride-2", {}) < 1e-5f);
  CHECK(gap("stride-1", {"--set", "nope_stride=1"}) < 1e-5f);
  CHECK(gap("off", {"--set", "use_nope=false"}) < 1e-5f);
  const auto refused = [&](const std::string& folder_of_model, const std::string& setting,
                           const std::vector<std::string>& parts) {
    check_refused(tool({"dump", "--model", folder_of_model, "--token-ids", "1", "--output",
                        folder / "d", "--set", setting}),
                  parts);
  };
  refused(model.string(), "hidden_size=3", {"hidden_size", "use_nope, nope_stride", "geometry"});
  refused(model.string(), "nope=3", {"nope", "no such key in gpt_oss_vision"});
  refused(model.string(), "nope_stride", {"KEY=VALUE"});
  refused(model.string(), "nope_stride=two", {"nope_stride"});
  refused(parity + "text-mxfp4", "use_nope=true", {"use_nope", "gpt_oss has no key"});
}

TEST_CASE("router statistics: by layer and modality, as a table and in JSON") {
  const auto shipped = digits_cases().front();
  const Outcome outcome =
      good(ask_shipped(digits_model(), shipped, {"--json", "--greedy", "--router-stats"}));
  const Json json = parse_json(outcome.out, "stdout");
  const Json router = json.at("router");
  CHECK(router.at("aux_loss").as_double() > 0.5);
  REQUIRE(router.at("layers").size() == 4);
  const auto prompt = json.at("prompt_tokens").as<index_t>(),
             image = json.at("image_tokens").as<index_t>();
  const auto generated = static_cast<index_t>(json.at("tokens").size());
  for (const Json& layer : router.at("layers").elements()) {
    CHECK(layer.at("image").at("tokens").as<index_t>() == image);
    CHECK(layer.at("text").at("tokens").as<index_t>() == prompt - image + generated - 1);
    for (const char* rows : {"text", "image"}) {
      const Json load = layer.at(rows);
      index_t choices = 0;
      for (const auto count : load.at("histogram").as_vector<index_t>()) choices += count;
      CHECK(choices > 0);
      CHECK(choices % load.at("tokens").as<index_t>() == 0);
      const double most = std::log(static_cast<double>(load.at("histogram").size()));
      for (const char* name : {"entropy", "token_entropy"}) {
        CHECK(load.at(name).as_double() >= 0);
        CHECK(load.at(name).as_double() <= most + 1e-9);
      }
      CHECK(load.at("load_variation").as_double() >= 0);
    }
  }
  const Outcome plain = good(ask_shipped(digits_model(), shipped, {"--json", "--greedy"}));
  CHECK(tokens_of(plain) == tokens_of(outcome));
  CHECK(!has(plain.out, "\"router\""));
  const std::string table =
      good(ask_shipped(digits_model(), shipped, {"--greedy", "--router-stats"})).out;
  for (const char* part : {"layer  rows", "    0  text ", "    3  image", "load-balancing loss"})
    CHECK(has(table, part));
}

TEST_CASE("dump: from a prompt and a picture") {
  const auto first = digits_cases().front();
  const TempFolder folder;
  good({"dump", "--model", digits_model(), "--image", first.picture, "--prompt", first.question,
        "--output", folder / "d"});
  const Tensors tensors = tensors_of(folder / "d");
  const auto ids = values_of<std::int64_t>(tensors.at("input_ids"));
  CHECK(std::equal(ids.begin(), ids.end(), first.prompt_ids.begin(), first.prompt_ids.end()));
  CHECK(tensors.at("pixel_values").shape == std::vector<index_t>{first.tiles, 3, 48, 48});
  CHECK(tensors.at("image_features").shape == std::vector<index_t>{first.tiles * 9, 128});
  CHECK(tensors.at("logits").shape == std::vector<index_t>{std::ssize(ids), 448});
  CHECK(tensors.contains("hidden_states.4"));
  CHECK(tensors.contains("router.3"));
}

TEST_CASE("images before the text: generate, dump, inspect, convert, quantize and bench") {
  const PrefixFolder model;
  const TempFolder folder;
  const std::string picture = digits_cases().front().picture;
  const auto run = [&](const std::string& path, Arguments more) {
    more.insert(more.end(), {"--json", "--greedy", "--max-new-tokens", "4"});
    return parse_json(good(ask(path, more)).out, "stdout");
  };
  const Json text = run(model.path(), {}), one = run(model.path(), {"--image", picture}),
             two = run(model.path(), {"--image", picture, "--image", picture});
  const auto count = [](const Json& json, const char* key) { return json.at(key).as_int(); };
  CHECK(count(text, "image_tokens") == 0);
  CHECK(count(one, "image_tokens") == 18);
  CHECK(count(two, "image_tokens") == 36);
  CHECK(count(one, "prompt_tokens") == count(text, "prompt_tokens") + 18);
  CHECK(count(two, "prompt_tokens") == count(text, "prompt_tokens") + 36);
  CHECK(one.at("tokens").size() == 4);
  const auto routed = [&](Arguments more) {
    more.insert(more.end(), {"--image", picture, "--router-stats"});
    const Json stats = run(model.path(), more);
    CHECK(stats.at("tokens").as_vector<int>() == one.at("tokens").as_vector<int>());
    return stats.at("router");
  };
  const Json router = routed({}), weighed = routed({"--set", "router_aux_loss_coef=0.25"});
  REQUIRE(router.at("layers").size() == 2);
  for (const Json& layer : router.at("layers").elements()) {
    const auto rows = [&](const char* kind) {
      const auto tokens = layer.at(kind).at("tokens").as<index_t>();
      const auto choices = layer.at(kind).at("histogram").as_vector<index_t>();
      CHECK(std::accumulate(choices.begin(), choices.end(), index_t{0}) == 2 * tokens);
      return tokens;
    };
    CHECK(rows("image") == 18);
    CHECK(rows("text") == count(text, "prompt_tokens") + 4 - 1);  // the last token is not fed
  }
  CHECK(router.at("router_aux_loss_coef").as_double() == 0.9);
  CHECK(weighed.at("router_aux_loss_coef").as_double() == 0.25);
  const double loss = router.at("aux_loss").as_double();
  CHECK(loss > 0);
  CHECK(weighed.at("aux_loss").as_double() == loss);
  CHECK_FALSE(routed({"--set", "router_aux_loss_coef=0"}).contains("router_aux_loss_coef"));
  const auto table = [&](const Arguments& more) {
    Arguments arguments{"--greedy", "--max-new-tokens", "4", "--image", picture, "--router-stats"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return good(ask(model.path(), arguments)).out;
  };
  const auto line = [&](double coefficient) {
    char expected[100];
    std::snprintf(expected, sizeof expected, "load-balancing loss %.3f, times %.3f: %.3f\n", loss,
                  coefficient, coefficient * loss);
    return std::string(expected);
  };
  const std::string usual = table({});
  for (const std::string& part :
       {std::string("    0  image      18 "), std::string("    1  image      18 "), line(0.9)})
    CHECK(has(usual, part));
  CHECK(has(table({"--set", "router_aux_loss_coef=0.25"}), line(0.25)));

  good({"dump", "--model", model.path(), "--image", picture, "--prompt", "Name the digits.",
        "--output", folder / "d"});
  const Tensors tensors = tensors_of(folder / "d");
  const auto rows = static_cast<index_t>(count(one, "prompt_tokens"));
  CHECK(tensors.at("input_ids").shape == std::vector<index_t>{rows - 18});
  CHECK(tensors.at("pixel_values").shape == std::vector<index_t>{1, 3, 32, 32});
  CHECK(tensors.at("image_features").shape == std::vector<index_t>{18, 64});
  CHECK(tensors.at("hidden_states.0").shape == std::vector<index_t>{rows, 64});
  CHECK(tensors.at("logits").shape == std::vector<index_t>{rows - 18, 448});
  const auto marks = values_of<std::int64_t>(tensors.at("modality"));
  CHECK(std::count(marks.begin(), marks.begin() + 18, 1) == 18);
  CHECK(std::count(marks.begin(), marks.end(), 1) == 18);

  const Json fits = parse_json(good({"inspect", "--json", model.path()}).out, "stdout");
  CHECK(fits.at("fits").as_string() == "Prefix");
  CHECK(fits.at("problems").size() == 0);
  CHECK(fits.at("absent").size() == 0);
  CheckpointCopy lacking(model.path());
  const std::string bias = "model.layers.1.mlp.router.vision_bias";
  lacking.tensors.erase(bias);
  lacking.write(folder / "lacking");
  const Json lacks = parse_json(good({"inspect", "--json", folder / "lacking"}).out, "stdout");
  CHECK(lacks.at("fits").as_string() == "Prefix");
  CHECK(lacks.at("problems").size() == 0);
  CHECK(lacks.at("absent").as_vector<std::string>() == std::vector{bias});
  CHECK(has(good({"inspect", folder / "lacking"}).out, "absent, so 0: " + bias));
  const std::string copy = folder / "copy", blocks = folder / "blocks";
  good({"convert", "--model", model.path(), "--layout", "hf", "--output", copy});
  CHECK(same_tensors(tensors_of(copy), tensors_of(model.path())) == "");
  CHECK(run(copy, {"--image", picture}).at("tokens").as_vector<int>() ==
        one.at("tokens").as_vector<int>());
  check_refused(
      tool({"convert", "--model", copy, "--layout", "internvl", "--output", folder / "no"}),
      {"internvl", "gpt_oss_vision"});
  good({"quantize", "--model", model.path(), "--storage", "mxfp4-q8", "--output", blocks});
  CHECK(count(run(blocks, {"--image", picture}), "image_tokens") == 18);
  const Json bench = parse_json(good({"bench", "--model", model.path(), "--prefill", "8",
                                      "--decode", "2", "--tiles", "1", "--json"})
                                    .out,
                                "stdout");
  CHECK(bench.at("vision_ms_per_tile").as_double() > 0);
}

TEST_CASE("inspect: what it holds, whether it fits, every problem") {
  const Json fits = parse_json(good({"inspect", "--json", digits_model()}).out, "stdout");
  CHECK(fits.at("fits").as_string() == "Digits");
  CHECK(fits.at("kind").as_string() == "checkpoint folder");
  CHECK(fits.at("problems").size() == 0);
  CHECK(fits.at("parameters").as_int() > 1'000'000);
  CHECK(fits.at("weight_bytes").as_int() >= fits.at("bytes").as_int());
  CHECK(fits.at("config").at("text_config.num_local_experts").as_int() == 8);
  CHECK(fits.at("cache_bytes").as_int() > 0);
  CHECK(fits.at("scratch_bytes").as_int() > 0);
  CHECK(fits.at("memory_bytes").as_int() == fits.at("weight_bytes").as_int() +
                                                fits.at("cache_bytes").as_int() +
                                                fits.at("scratch_bytes").as_int());
  CHECK(fits.at("available_bytes").as_int() > fits.at("memory_bytes").as_int());
  const Json storages = fits.at("memory_by_storage");
  CHECK(storages.at("as-stored").at("weight_bytes").as_int() == fits.at("weight_bytes").as_int());
  std::int64_t before = 0;
  for (const char* name : {"mxfp4-q8", "mxfp4-bf16", "bf16", "f32"}) {
    const Json storage = storages.at(name);
    CHECK(storage.at("fits").as_bool());
    CHECK(storage.at("memory_bytes").as_int() > before);
    before = storage.at("memory_bytes").as_int();
  }
  const std::string text = good({"inspect", parity + "text-mxfp4"}).out;
  for (const char* part : {"fits        TextMxfp4", "layout      hf", "U8", "num_local_experts = 4",
                           "scratch", "available", "\n    mxfp4-q8 "})
    CHECK(has(text, part));
  const Json file =
      parse_json(good({"inspect", "--json", digits_model() + "/model.safetensors"}).out, "stdout");
  CHECK(file.at("kind").as_string() == "safetensors file");
  CHECK(file.at("tensors").as_int() == fits.at("tensors").as_int());

  const Outcome other = tool({"inspect", parity + "vlm-tiny"});
  check_refused(other, {"vlm-tiny", "1 problem"});
  CHECK(has(other.out, "problem: "));
  CHECK(has(other.out, "gov_add_model("));
  const Copy broken(digits_model());
  broken.replace("config.json", "\"gpt_oss\"", "\"gpt_oops\"");
  broken.write("model.safetensors", "no");
  const Outcome two = tool({"inspect", "--json", broken.path()});
  check_refused(two, {"2 problems"});
  CHECK(parse_json(two.out, "stdout").at("problems").size() == 2);
  check_refused(tool({"inspect", "no/such/file"}), {"no/such/file"});
}

TEST_CASE("convert: through every layout and back to the same bits") {
  const TempFolder folder;
  const auto step = [&](const std::string& from, const std::string& layout, const std::string& to) {
    CHECK(has(good({"convert", "--model", from, "--layout", layout, "--output", folder / to}).out,
              "in layout " + layout));
    return folder / to;
  };
  const std::string source = parity + "vlm-bf16";
  const std::string hf = step(source, "hf", "hf"), internvl = step(hf, "internvl", "internvl");
  const std::string old = step(internvl, "hf-old", "old");
  CHECK(same_tensors(tensors_of(old), tensors_of(source)) == "");
  CHECK(same_tensors(tensors_of(internvl), tensors_of(parity + "vlm-bf16-internvl")) == "");
  CHECK(same_tensors(tensors_of(hf), tensors_of(parity + "vlm-bf16-hf-new")) == "");
  const std::string mxfp4 = parity + "text-mxfp4";
  const std::string openai = step(mxfp4, "openai", "openai"), back = step(openai, "hf", "back");
  CHECK(same_tensors(tensors_of(openai), tensors_of(parity + "text-mxfp4-openai")) == "");
  CHECK(same_tensors(tensors_of(back), tensors_of(mxfp4)) == "");
  // transformers needs to be told of the blocks, and openai's file cannot say it.
  CHECK(!load_json(openai + "/config.json").contains("quantization_config"));
  CHECK(load_json(back + "/config.json").at("quantization_config").at("quant_method").as_string() ==
        "mxfp4");
  // What is there is not replaced unasked, and everything else of the folder comes along.
  check_refused(tool({"convert", "--model", source, "--layout", "hf", "--output", hf}),
                {hf, "without a checkpoint"});
  good({"convert", "--model", source, "--layout", "hf", "--output", hf, "--overwrite"});
  const std::string digits = step(digits_model(), "internvl", "digits");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "preprocessor_config.json",
                           "generation_config.json"})
    CHECK(file_bytes(digits + "/" + name) == file_bytes(digits_model() + "/" + name));
  const auto first = digits_cases().front();
  CHECK(tokens_of(good(ask_shipped(digits, first, {"--json"}))) == first.token_ids);
}

TEST_CASE("quantize: blocks and scales, the same mapped and copied") {
  const TempFolder folder;
  const Tensors prompt = tensors_of(parity + "vlm-bf16/cases/text-only.safetensors");
  for (const auto& [storage, method] :
       {std::pair<std::string, std::string>{"mxfp4", "mxfp4"}, {"mxfp4-q8", "gov-mxfp4-q8"}}) {
    const auto shown_storage = storage;  // clang 14: no capture of bindings
    CAPTURE(shown_storage);
    const std::string output = folder / storage;
    CHECK(has(
        good({"quantize", "--model", parity + "vlm-bf16", "--storage", storage, "--output", output})
            .out,
        "nmse"));
    CHECK(load_json(output + "/config.json")
              .at("quantization_config")
              .at("quant_method")
              .as_string() == method);
    CHECK(fs::file_size(output + "/model.safetensors") <
          fs::file_size(parity + "vlm-bf16/model.safetensors"));
    const Arguments dump{"dump", "--model", output, "--token-ids", ids_of(prompt), "--output"};
    const auto run = [&](const std::string& to, Arguments more) {
      more.insert(more.begin(), folder / to), more.insert(more.begin(), dump.begin(), dump.end());
      good(more);
      return file_bytes(folder / to);
    };
    const std::string copied = run("copied", {});
    CHECK(run("mapped", {"--map"}) == copied);
    // What was loaded as blocks from the start has the same bits.
    good({"dump", "--model", parity + "vlm-bf16", "--storage", storage, "--token-ids",
          ids_of(prompt), "--output", folder / "direct"});
    CHECK(file_bytes(folder / "direct") == copied);
  }
  const std::string wide = folder / "wide";
  good({"quantize", "--model", folder / "mxfp4", "--storage", "f32", "--output", wide});
  const Json config = load_json(wide + "/config.json");
  CHECK(!config.contains("quantization_config"));
  CHECK(config.at("dtype").as_string() == "float32");
}

TEST_CASE("add-tokens: a larger checkpoint, and what it refuses") {
  const TempFolder output;
  const std::string first = output / "first", model = digits_model();
  const auto add = [&](const std::string& to, Arguments more) {
    Arguments arguments{"add-tokens", "--model", model, "--output", to};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const Arguments latents{"--token", "<|start-latent|>", "--token", "<|latent|>"};
  const Tokenizer before = Tokenizer::load(model), after = [&] {
    const Outcome outcome = good(add(first, latents));
    CHECK(has(outcome.out, std::to_string(before.vocab_size()) + "\t<|start-latent|>\n"));
    CHECK(has(outcome.out, "vocab_size "));
    return Tokenizer::load(first);
  }();
  CHECK(after.added_token_id("<|latent|>") == before.vocab_size() + 1);
  CHECK_FALSE(after.is_special(before.vocab_size()));
  const Outcome report = tool({"inspect", first});
  CHECK(report.status == 0);
  check_refused(tool(add(first, latents)), {"first", "without a checkpoint"});
  good(add(first, {"--token", "<a>", "--special", "--init", "normal:0.02:7", "--head-init", "mean",
                   "--overwrite"}));
  CHECK(Tokenizer::load(first).is_special(before.vocab_size()));
  const std::string other = output / "other";
  check_refused(tool(add(other, {"--token", "<|start|>"})), {"tokenizer.json", "<|start|>"});
  for (const char* init : {"normal:", "normal:x", "normal:1:2:3", "copy:", "copy:<nobody>", "none"})
    check_refused(tool(add(other, {"--token", "<a>", "--init", init})), {"--init"});
  check_refused(tool(add(model, latents)), {"another folder"});
  CHECK(tool({"add-tokens", "--model", model, "--output", other}).status == 2);
  CHECK_FALSE(fs::exists(other));
}

TEST_CASE("tokenize: ids and pieces, and back") {
  const Tokenizer tokenizer = Tokenizer::load(digits_model());
  const TempFolder folder;
  const std::string text = "Name the digits.\n<|end|> é \x01";
  const auto special = tokenizer.encode(text), plain = tokenizer.encode(text, plain_text);
  CHECK(special != plain);
  const auto ids = [&](Arguments more) {
    more.insert(more.begin(), {"tokenize", "--model", digits_model(), "--json"});
    const Json json = parse_json(good(more).out, "stdout");
    CHECK(json.at("ids").size() == json.at("pieces").size());
    return json.at("ids").as_vector<int>();
  };
  CHECK(ids({"--text", text}) == special);
  CHECK(ids({"--text", text, "--no-special"}) == plain);
  CHECK(ids({"--file", folder.write("text", text)}) == special);
  CHECK(ids({"--text", ""}).empty());
  const std::string lines =
      good({"tokenize", "--model", digits_model() + "/tokenizer.json", "--text", text}).out;
  CHECK(std::count(lines.begin(), lines.end(), '\n') == std::ssize(special));
  CHECK(lines.starts_with(std::to_string(special[0]) + "\t\""));
  std::string list;
  for (const int id : special) list += std::to_string(id) + ", ";
  const Arguments decode{"tokenize", "--model", digits_model(), "--decode", "--text", list};
  CHECK(good(decode).out == text + "\n");
  Arguments json = decode;
  json.push_back("--json");
  CHECK(parse_json(good(json).out, "stdout").at("text").as<std::string>() == text);
  Arguments shown = decode;
  shown.push_back("--no-special");
  CHECK(!has(good(shown).out, "<|end|>"));
}

// A copy of the shipped model that takes a million positions and more.
struct Endless : Copy {
  explicit Endless(const std::string& positions) : Copy(digits_model()) {
    replace("config.json", "\"max_position_embeddings\": 512",
            "\"max_position_embeddings\": " + positions);
    for (const char* name : {"config.json", "generation_config.json"}) {  // nothing ends it
      std::string text = file_bytes(folder / name);
      for (std::size_t at = 0; (at = text.find("\"eos_token_id\"", at)) != text.npos;)
        text.replace(at, 14, "\"no_token_id\"");
      write(name, text);
    }
  }
};

TEST_CASE("more memory than there is: refused before anything is loaded") {
  const Endless endless("1000000000");
  const std::string broken = endless.path() + "/tokenizer.json";
  fs::remove(broken);  // would be an error, but for the one before
  const TempFolder folder;
  const std::vector<std::string> parts{endless.path() + ": memory: ", "caches 1", "GB available",
                                       "a shorter context would fit", "[out_of_memory]"};
  const Arguments context{"--context", "1000000000"};
  check_refused(tool(ask(endless.path(), context)), parts);
  check_refused(tool({"dump", "--model", endless.path(), "--token-ids", "1", "--context",
                      "1000000000", "--output", folder / "x"}),
                parts);
  check_refused(tool({"bench", "--model", endless.path(), "--context", "1000000000"}), parts);
}

TEST_CASE("bench: one JSON object with the fields of the documentation") {
  const auto bench = [](Arguments more) {
    more.insert(more.begin(),
                {"bench", "--json", "--probe-gb", "0.002", "--threads", "2", "--repetitions", "2"});
    return parse_json(good(more).out, "stdout");
  };
  const Json fresh = bench({"--preset", "Digits", "--random-weights", "--prefill", "40", "--decode",
                            "5", "--tiles", "2", "--batch", "3", "--chunk", "16", "--depth", "50",
                            "--storage", "mxfp4-q8", "--cache", "bf16"});
  std::vector<std::string> keys;
  for (const auto [key, value] : fresh.items()) keys.emplace_back(key);
  for (const char* key : {"prefill_tokens_per_s", "decode_tokens_per_s", "vision_ms_per_tile",
                          "weight_bytes_per_token", "peak_rss_bytes", "limit_read_bytes_per_s",
                          "limit_flops_per_s", "share_of_read_limit", "share_of_flop_limit",
                          "vision_share_of_flop_limit", "load_s", "weight_bytes", "cache_bytes"}) {
    CAPTURE(key);
    REQUIRE(std::find(keys.begin(), keys.end(), key) != keys.end());
    CHECK(fresh.at(key).as<double>() > 0);
  }
  CHECK(fresh.at("model").as_string() == "Digits");
  CHECK(fresh.at("storage").as_string() == "mxfp4-q8");
  CHECK(fresh.at("random_weights").as_bool());
  CHECK(fresh.at("threads").as_int() == 2);
  CHECK(fresh.at("context").as_int() == 90);
  CHECK(fresh.at("cache").as_string() == "bf16");
  for (const char* times : {"prefill_s", "decode_s", "vision_s"})
    CHECK(fresh.at("repetitions").at(times).size() == 2);
  CHECK(fresh.at("probes").size() == 2);
  const auto number = [](const Json& json, const char* key) { return json.at(key).as<double>(); };
  const Json times = fresh.at("repetitions");
  const auto mean = [&](const char* key) {
    return (times.at(key).at(0).as<double>() + times.at(key).at(1).as<double>()) / 2;
  };
  CHECK(number(fresh, "prefill_tokens_per_s") == doctest::Approx(40 / mean("prefill_s")));
  CHECK(number(fresh, "decode_tokens_per_s") == doctest::Approx(3 * 5 / mean("decode_s")));
  CHECK(number(fresh, "vision_ms_per_tile") == doctest::Approx(500 * mean("vision_s")));
  CHECK(number(fresh, "share_of_flop_limit") ==
        doctest::Approx(number(fresh, "prefill_tokens_per_s") *
                        number(fresh, "flops_per_prefill_token") /
                        number(fresh, "limit_flops_per_s")));
  CHECK(number(fresh, "share_of_read_limit") ==
        doctest::Approx(
            number(fresh, "decode_tokens_per_s") *
            (number(fresh, "weight_bytes_per_token") + number(fresh, "cache_bytes_per_token")) /
            number(fresh, "limit_read_bytes_per_s")));

  const Json loaded = bench({"--model", digits_model(), "--prefill", "0", "--decode", "3"});
  CHECK(loaded.at("prefill_tokens_per_s").is_null());
  CHECK(loaded.at("share_of_flop_limit").is_null());
  CHECK(number(loaded, "decode_tokens_per_s") > 0);
  CHECK(loaded.at("tiles").as_int() == 1);
  CHECK(loaded.at("storage").as_string() == "as-stored");
  CHECK(loaded.at("weight_bytes").as_int() == 3143488);
  const Json text = bench({"--preset", "TextMxfp4", "--prefill", "8", "--decode", "0"});
  CHECK(text.at("vision_ms_per_tile").is_null());
  CHECK(text.at("storage").as_string() == "mxfp4-bf16");
  const std::string table =
      good({"bench", "--preset", "Digits", "--probe-gb", "0.002", "--prefill", "8"}).out;
  for (const char* part : {"Digits, mxfp4-bf16, ", "prefill ", "decode ", "vision ",
                           "limits before", "limits after", " tokens/s", " ms/tile"})
    CHECK(has(table, part));
}

TEST_CASE("bench: lists are measured in one run, each at the first of the others") {
  const Json json = parse_json(
      good({"bench",    "--preset", "Digits",        "--probe-gb", "0.002",     "--threads",
            "1",        "--json",   "--repetitions", "1",          "--prefill", "16,32",
            "--decode", "3",        "--depth",       "0,20,40",    "--batch",   "2,1",
            "--chunk",  "16",       "--tiles",       "1,3"})
          .out,
      "stdout");
  std::vector<std::string> found;
  for (std::size_t i = 0; i < json.at("rows").size(); ++i) {
    const Json row = json.at("rows").at(i);
    const std::string work(row.at("work").as_string());
    std::string text = work;
    for (const char* key : {"tokens", "batch", "depth"})
      if (work != "vision") text += " " + std::to_string(row.at(key).as_int());
    if (work == "vision") text += " " + std::to_string(row.at("tiles").as_int());
    found.push_back(text);
    CAPTURE(text);
    const auto number = [&](const char* key) { return row.at(key).as<double>(); };
    const double seconds = row.at("repetitions_s").at(0).as<double>();
    CHECK(row.at("repetitions_s").size() == 1);
    CHECK(number("share_of_flop_limit") ==
          doctest::Approx(number("flops") / seconds / json.at("limit_flops_per_s").as<double>()));
    CHECK(number("share_of_read_limit") ==
          doctest::Approx(number("bytes") / seconds /
                          json.at("limit_read_bytes_per_s").as<double>()));
    if (work == "vision")
      CHECK(number("ms_per_tile") == doctest::Approx(1e3 * seconds / number("tiles")));
    else
      CHECK(number("tokens_per_s") ==
            doctest::Approx(number("tokens") * number("batch") / seconds));
  }
  CHECK(found == std::vector<std::string>{"prefill 16 1 0", "prefill 32 1 0", "decode 3 2 0",
                                          "decode 3 1 0", "vision 1", "vision 3", "prefill 16 1 20",
                                          "decode 3 2 20", "prefill 16 1 40", "decode 3 2 40"});
  CHECK(json.at("prefill").as_int() == 16);
  CHECK(json.at("batch").as_int() == 2);
  CHECK(json.at("context").as_int() == 32);
  CHECK(json.at("machine").at("processors").as_int() > 0);
  CHECK(json.at("machine").at("memory_bytes").as_int() > 0);
  CHECK(json.at("machine").at("processor").as_string() != "");
}

TEST_CASE("Ctrl-C ends a benchmark") {
  Program program(GOV_TEST_TOOL, {"bench", "--preset", "Digits", "--probe-gb", "0.002",
                                  "--repetitions", "100000000"});
  for (int i = 0; i < 6000 && !program.catches(SIGINT); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  program.signal(SIGINT);
  check_refused(program.wait(), {"a request to stop", "[cancelled]"}, 130);
}

TEST_CASE("Ctrl-C ends a long answer, keeping what was written") {
  const Endless endless("1000000");
  Program program(GOV_TEST_TOOL,
                  ask(endless.path(), {"--image", digits_cases().front().picture,
                                       "--max-new-tokens", "900000", "--context", "1000000"}));
  for (int i = 0; i < 6000 && program.out().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const std::string before = program.out();
  CHECK(before != "");
  program.signal(SIGINT);
  const Outcome outcome = program.wait();
  check_refused(outcome, {"interrupted"}, 130);
  CHECK(outcome.out.starts_with(before));
  CHECK(outcome.out.ends_with("\n"));
}

}  // namespace
