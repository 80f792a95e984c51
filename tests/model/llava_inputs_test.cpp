// Against tests/reference/llava_inputs.py: nothing is computed, so all is equal to the bit.
#include "gov/model/llava_inputs.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/errors.hpp"
#include "tests/support/reference_case.hpp"

namespace llava_inputs_test {

using namespace gov;
using namespace gov::test;

constexpr index_t hidden = 3;

struct Table {
  std::vector<float> values;
  void operator()(std::span<const int> ids, Rows<float> rows) const {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      REQUIRE((0 <= ids[i] && ids[i] < 20));
      std::copy_n(values.begin() + ids[i] * hidden, hidden, rows.row(static_cast<index_t>(i)));
    }
  }
};

struct Pictures {
  std::vector<std::vector<float>> values;
  std::vector<Rows<const float>> rows;
  Pictures(const std::string& name, const std::vector<std::int64_t>& sizes) {
    for (std::size_t i = 0; i < sizes.size(); ++i)
      values.push_back(generated(name, "picture." + std::to_string(i), sizes[i] * hidden));
    for (std::size_t i = 0; i < sizes.size(); ++i)
      rows.emplace_back(values[i].data(), static_cast<index_t>(sizes[i]), hidden);
  }
};

std::vector<int> ints(const std::vector<std::int64_t>& values) {
  return {values.begin(), values.end()};
}

void run(const ReferenceFile& file, const std::string& name) {
  CAPTURE(name);
  const auto ids = ints(file.integers(name + ".ids"));
  const auto shape = file.shape(name + ".ids");
  const auto options = file.integers(name + ".options");
  const Pictures pictures(name, file.integers(name + ".sizes"));
  std::vector<int> mask, positions, labels;
  if (file.has(name + ".mask-in")) mask = ints(file.integers(name + ".mask-in"));
  if (file.has(name + ".positions")) positions.assign(ids.size(), 77);  // only that it is given
  if (file.has(name + ".labels"))
    for (const int id : ids) labels.push_back(id >= 0 ? id + 40 : ignore_index);
  const LlavaBatch in{shape[0], shape[1], ids, mask, positions, labels};
  const auto out = prepare_inputs_labels_for_multimodal<float>(
      in, pictures.rows, hidden, Table{generated(name, "embed", 20 * hidden)},
      {.tokenizer_model_max_length = static_cast<index_t>(options[0]),
       .tokenizer_padding_side = options[1] ? PaddingSide::left : PaddingSide::right});
  CHECK(out.embedded);
  CHECK(out.input_ids.empty());
  CHECK(std::vector<index_t>{out.batch, out.length, hidden} == file.shape(name + ".embeds"));
  CHECK(std::vector<double>(out.inputs_embeds.begin(), out.inputs_embeds.end()) ==
        file.doubles(name + ".embeds"));
  const auto same = [&](const std::vector<int>& found, const std::string& tensor) {
    CAPTURE(tensor);
    CHECK(found == (file.has(tensor) ? ints(file.integers(tensor)) : std::vector<int>{}));
  };
  same(out.attention_mask, name + ".mask");
  same(out.position_ids, name + ".positions");
  same(out.labels, name + ".labels");
}

TEST_CASE("as the reference") {
  const ReferenceFile file("llava_inputs.safetensors");
  std::istringstream names(file.metadata("cases"));
  int count = 0;
  for (std::string name; names >> name; ++count) run(file, name);
  CHECK(count == 12);
}

TEST_CASE("nothing is embedded without pictures or for a single token") {
  const int ids[] = {4, 5}, mask[] = {1, 1};
  const Table table{generated("x", "embed", 20 * hidden)};
  const auto text =
      prepare_inputs_labels_for_multimodal<float>({1, 2, ids, mask}, std::nullopt, hidden, table);
  CHECK(!text.embedded);
  CHECK(text.input_ids == std::vector<int>{4, 5});
  CHECK(text.attention_mask == std::vector<int>{1, 1});
  CHECK(text.inputs_embeds.empty());
  const Pictures pictures("x", {4});
  const auto step =
      prepare_inputs_labels_for_multimodal<float>({2, 1, ids}, pictures.rows, hidden, table);
  CHECK(!step.embedded);
  CHECK(step.length == 1);
}

TEST_CASE("wrong inputs are refused") {
  const int ids[] = {4, image_token_index, 5, 6, 7, 8};
  const Table table{generated("x", "embed", 20 * hidden)};
  const auto code = [&](const LlavaBatch& in, const std::vector<std::int64_t>& sizes,
                        index_t width = hidden) {
    const Pictures pictures("x", sizes);
    return code_of(
        [&] { prepare_inputs_labels_for_multimodal<float>(in, pictures.rows, width, table); });
  };
  CHECK(code({2, 3, ids}, {1, 1}) == "none");
  CHECK(code({2, 3, ids}, {1}) == "image_count_mismatch");  // a row of text has one, too
  CHECK(code({2, 3, ids}, {1, 1, 1}) == "image_count_mismatch");
  CHECK(code({2, 3, ids}, {}) == "image_count_mismatch");
  CHECK(code({2, 3, ids}, {1, 1}, 4) == "bad_argument");
  CHECK(code({2, 4, ids}, {1, 1}) == "bad_argument");
  CHECK(code({-2, -3, ids}, {1, 1}) == "bad_argument");
  CHECK(code({2, 3, ids, std::span(ids).first(5)}, {1, 1}) == "bad_argument");
  CHECK(code({2, 3, ids, {}, std::span(ids).first(1)}, {1, 1}) == "bad_argument");
  CHECK(code({2, 3, ids, {}, {}, std::span(ids).first(3)}, {1, 1}) == "bad_argument");
}

}  // namespace llava_inputs_test
