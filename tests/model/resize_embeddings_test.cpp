#include "gov/model/resize_embeddings.hpp"

#include <doctest/doctest.h>

#include <cstring>

#include "gov/model/description.hpp"
#include "gov/model/load.hpp"
#include "gov/model/model_data.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/checkpoint_copy.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/fixtures.hpp"

namespace {

using namespace gov;
using namespace gov::test;
namespace fs = std::filesystem;

const std::vector<NewToken> latents = {{"<|start-latent|>"}, {"<|end-latent|>"}, {"<|latent|>"}};

struct VlmBf16Latent : VlmBf16 {
  struct Language : VlmBf16::Language {
    static constexpr GptOssConfig config = [] {
      GptOssConfig larger = VlmBf16::Language::config;
      larger.vocab_size += 3;
      return larger;
    }();
  };
};

// A checkpoint of the fixtures with a tokenizer of `count` tokens, "<<" being 5 if it is there.
struct Folder {
  TempFolder folder, output;
  Folder(const std::string& name, int count, bool arrows = true) {
    for (const auto& file : fs::directory_iterator("tests/fixtures/parity/" + name))
      if (file.is_regular_file())
        fs::copy_file(file.path(), folder.path() / file.path().filename());
    JsonWriter out(-1);
    out.begin_object().field("version", "1.0").key("added_tokens").begin_array().end_array();
    out.key("pre_tokenizer").begin_object().field("type", "ByteLevel").end_object();
    out.key("decoder").begin_object().field("type", "ByteLevel").end_object();
    out.key("model").begin_object().key("vocab").begin_object();
    for (int id = 0; id < count; ++id)
      out.field(arrows && id == 5 ? "<<" : "t" + std::to_string(id), id);
    out.end_object().key("merges").begin_array().end_array().end_object().end_object();
    folder.write("tokenizer.json", out.str());
    folder.write("merges.txt", "#version: 0.2\n");
    folder.write("pytorch_model.bin", "old");
  }
  ResizedCheckpoint add(const ResizeOptions& options = {}) const {
    return add_tokens_to_checkpoint(folder.path(), output.path(), latents, options);
  }
};

// Row r of a matrix of a copied checkpoint.
std::vector<std::byte> row(const CheckpointCopy& copy, const std::string& name, index_t r) {
  const auto& tensor = copy.tensors.at(name);
  const auto bytes = static_cast<std::ptrdiff_t>(tensor.bytes.size()) / tensor.shape[0];
  return {tensor.bytes.begin() + r * bytes, tensor.bytes.begin() + (r + 1) * bytes};
}

}  // namespace

TEST_CASE("embeddings and head grow in every spelling, everything else stays bit by bit") {
  for (const std::string layout : {"vlm-bf16-hf-new", "vlm-bf16-internvl", "vlm-bf16-hf-old"}) {
    CAPTURE(layout);
    const Folder folder(layout, 128);
    const ResizedCheckpoint result = folder.add();
    CHECK(result.ids == std::vector{128, 129, 130});
    CHECK(result.old_rows == 128);
    CHECK(result.rows == 131);
    const CheckpointCopy before(folder.folder.path()), after(folder.output.path());
    int grown = 0;
    for (const auto& [name, tensor] : before.tensors) {
      const auto& now = after.tensors.at(name);
      CHECK(now.dtype == tensor.dtype);
      CHECK(std::memcmp(now.bytes.data(), tensor.bytes.data(), tensor.bytes.size()) == 0);
      if (now.shape == tensor.shape) continue;
      ++grown;
      CHECK(now.shape == std::vector<index_t>{131, tensor.shape[1]});
      for (index_t r = 128; r < 131; ++r) CHECK(row(after, name, r) == row(after, name, 5));
    }
    CHECK(grown == 2);
    CHECK(after.tensors.size() == before.tensors.size());
    // A type with the larger vocabulary loads it.
    CHECK(describe(folder.output.path()).language.as<GptOssConfig>().vocab_size == 131);
    ModelData<VlmBf16Latent> data;
    auto files =
        std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder.output.path().string()));
    Loader loader(files, parameter_list(data.params), naming_of<VlmBf16Latent>(), {});
    ThreadPool pool(1);
    CHECK_NOTHROW(loader.load(pool));
    CHECK(file_bytes(folder.output / "merges.txt") == "#version: 0.2\n");
    CHECK_FALSE(fs::exists(folder.output / "pytorch_model.bin"));
    CHECK(Tokenizer::load(folder.output.path().string()).token_to_id("<|latent|>") == 130);
  }
}

TEST_CASE("tied embeddings grow alone, and a reserve of rows is used first") {
  const Folder tied("text-tied-nobias", 60);
  const CheckpointCopy before(tied.folder.path());
  const std::string name = "model.embed_tokens.weight";
  const index_t rows = before.tensors.at(name).shape[0];
  REQUIRE(rows > 63);
  REQUIRE_FALSE(before.tensors.contains("lm_head.weight"));
  const ResizedCheckpoint result = tied.add();
  CHECK(result.ids == std::vector{60, 61, 62});
  CHECK(result.rows == rows);
  const CheckpointCopy after(tied.output.path());
  for (index_t r = 0; r < rows; ++r)
    CHECK(row(after, name, r) == row(before, name, r >= 60 && r < 63 ? 5 : r));
}

TEST_CASE("a stored head is tied only where it equals the embeddings and the top level says so") {
  const std::string embed = "model.language_model.embed_tokens.weight", head = "lm_head.weight";
  // Whether the new row of the head comes from its own policy.
  const auto is_own = [](Folder& folder, const std::string& input, const std::string& output,
                         bool equal,
                         const std::vector<std::pair<std::string, std::string>>& edits) {
    CheckpointCopy copy(folder.folder.path());
    if (equal) copy.tensors.at(output) = copy.tensors.at(input);
    for (const auto& [from, to] : edits) {
      const auto at = copy.config.rfind(from);  // the last is the top level's
      REQUIRE(at != std::string::npos);
      copy.config.replace(at, from.size(), to);
    }
    copy.write(folder.folder.path());
    ResizeOptions options;
    options.head = NewRows::copy_token(7);
    options.write.overwrite = true;
    const index_t added = folder.add(options).ids.front();
    const CheckpointCopy grown(folder.output.path());
    CHECK(row(grown, input, added) == row(grown, input, 5));
    const bool own = row(grown, output, added) == row(grown, output, 7);
    CHECK((own || row(grown, output, added) == row(grown, output, 5)));
    CHECK((own || grown.tensors.at(output).bytes == grown.tensors.at(input).bytes));
    return own;
  };
  const std::string no = "\"tie_word_embeddings\": false", yes = "\"tie_word_embeddings\": true";
  const std::string place = "\"tie_word_embeddings\": kept";
  // Top and section of InternVL's config.json, the head equal or not.
  struct Row {
    bool top, text, equal, own;
  };
  for (const Row& r : {Row{true, true, false, true},
                       {true, false, false, true},
                       {true, true, true, false},
                       {true, false, true, false},
                       {false, true, true, true},
                       {false, false, true, true}}) {
    CAPTURE(r.top);
    CAPTURE(r.text);
    CAPTURE(r.equal);
    Folder folder("vlm-bf16-hf-new", 128);
    CHECK(is_own(folder, embed, head, r.equal,
                 {{no, place}, {no, r.text ? yes : no}, {place, r.top ? yes : no}}) == r.own);
  }
  // GPT-2's class ties where the file is silent.
  for (const bool equal : {true, false}) {
    Folder folder("gpt2-bf16", 60);
    CHECK(is_own(folder, "transformer.wte.weight", head, equal, {{no + ",", ""}}) == !equal);
  }
}

TEST_CASE("a policy each for embeddings and head; without << it is the mean") {
  const Folder folder("vlm-bf16-hf-new", 128, false);
  ResizeOptions options;
  options.embeddings = NewRows::normal(0.02, 1);
  folder.add(options);
  const CheckpointCopy drawn(folder.output.path());
  const std::string embed = "model.language_model.embed_tokens.weight", head = "lm_head.weight";
  CHECK(row(drawn, embed, 128) != row(drawn, embed, 129));
  CHECK(row(drawn, embed, 128) != row(drawn, head, 128));
  options.head = NewRows::copy_token(7);
  options.write.overwrite = true;
  folder.add(options);
  const CheckpointCopy both(folder.output.path());
  CHECK(row(both, embed, 130) == row(drawn, embed, 130));
  CHECK(row(both, head, 130) == row(both, head, 7));
  options = {};
  options.write.overwrite = true;
  folder.add(options);
  const CheckpointCopy mean(folder.output.path());
  double expected = 0;
  for (index_t r = 0; r < 128; ++r) {
    std::uint16_t bits;
    std::memcpy(&bits, row(mean, embed, r).data(), 2);
    expected += static_cast<double>(to_float(bf16{bits})) / 128;
  }
  std::uint16_t bits;
  std::memcpy(&bits, row(mean, embed, 130).data(), 2);
  CHECK(bits == to_bf16(static_cast<float>(expected)).bits);
}

TEST_CASE("what does not fit is refused before anything is written") {
  const Folder folder("vlm-bf16", 128);
  const auto code = [](auto&& call) { return code_of(call); };
  CHECK(code([&] {
          add_tokens_to_checkpoint(folder.folder.path(), folder.folder.path(), latents);
        }) == "bad_argument");
  CHECK(code([&] {
          add_tokens_to_checkpoint(folder.folder.path(), folder.output.path(),
                                   std::vector<NewToken>{{"<<"}});
        }) == "bad_tokenizer");
  ResizeOptions options;
  options.embeddings = NewRows::copy_token(128);
  CHECK(code([&] { folder.add(options); }) == "bad_argument");
  CHECK(folder.output.file_count() == 0);
  folder.output.write("model.safetensors", "there");
  CHECK(code([&] { folder.add(); }) == "io_error");
  CHECK(folder.output.file_count() == 1);

  const std::string config = file_bytes(folder.folder / "config.json");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = config;
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    folder.folder.write("config.json", text.replace(at, from.size(), to));
    const Folder& same = folder;
    TempFolder output;
    const std::string answer =
        code_of([&] { add_tokens_to_checkpoint(same.folder.path(), output.path(), latents); });
    CHECK(output.file_count() == 0);
    return answer;
  };
  CHECK(changed("\"vocab_size\": 128", "\"vocab_size\": 127") == "checkpoint_mismatch");
  CHECK(changed("\"vocab_size\"", "\"vocab_sizes\"") == "missing_field");
  const Folder packed("text-mxfp4", 112);  // experts in blocks go along
  CHECK(packed.add().rows == 115);
}
