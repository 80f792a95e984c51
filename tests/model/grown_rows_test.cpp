#include "gov/model/grown_rows.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

// A file with one matrix of `rows` rows of width 4: row r is r, r + 0.25, r + 0.5, r + 0.75.
struct Source {
  TempFolder folder;
  std::string path = folder / "model.safetensors";
  Source(DType dtype, index_t rows) {
    write_safetensors(
        path, {{"m", dtype, {rows, 4}}}, [&](const TensorSpec&, const ByteSink& sink) {
          for (index_t i = 0; i < rows * 4; ++i) {
            const float value = 0.25f * static_cast<float>(i);
            if (dtype == DType::F32)
              sink(std::as_bytes(std::span(&value, 1)));
            else if (dtype == DType::BF16)
              sink(std::as_bytes(std::span(&static_cast<const bf16&>(to_bf16(value)), 1)));
            else
              sink(std::as_bytes(std::span(&static_cast<const f16&>(to_f16(value)), 1)));
          }
        });
  }
};

// The numbers of the grown matrix.
std::vector<float> grown(const Source& source, index_t rows, std::vector<int> fresh,
                         const NewRows& policy, index_t known, std::uint64_t stream = 0) {
  const auto files = CheckpointFiles::open(source.path);
  GrownRows matrix(files.at("m"), rows, fresh, policy, known, stream);
  const DType dtype = matrix.spec().dtype;
  CHECK(matrix.spec().shape == std::vector<index_t>{rows, 4});
  std::vector<std::byte> bytes;
  matrix.supply([&](std::span<const std::byte> part) {
    bytes.insert(bytes.end(), part.begin(), part.end());
  });
  const std::size_t width = dtype == DType::F32 ? 4 : 2;
  std::vector<float> values(bytes.size() / width);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::F32) {
      std::memcpy(&values[i], &bytes[4 * i], 4);
      continue;
    }
    std::uint16_t bits;
    std::memcpy(&bits, &bytes[2 * i], 2);
    values[i] = dtype == DType::BF16 ? to_float(bf16{bits}) : to_float(f16{bits});
  }
  return values;
}

}  // namespace

TEST_CASE("old rows stay, new rows are a copy or the mean, in every dtype") {
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16}) {
    const Source source(dtype, 3);
    const auto copied = grown(source, 5, {3, 4}, NewRows::copy_token(1), 3);
    REQUIRE(copied.size() == 20);
    for (std::size_t i = 0; i < 12; ++i) CHECK(copied[i] == 0.25f * static_cast<float>(i));
    for (std::size_t i = 0; i < 8; ++i) CHECK(copied[12 + i] == copied[4 + i % 4]);
    const auto mean = grown(source, 4, {3}, NewRows::mean_rows(), 3);
    CHECK(std::vector(mean.end() - 4, mean.end()) == std::vector{1.0f, 1.25f, 1.5f, 1.75f});
  }
}

TEST_CASE("rows in reserve are used first, and do not count for the mean") {
  const Source source(DType::F32, 4);
  const auto values = grown(source, 4, {2}, NewRows::mean_rows(), 2);
  CHECK(std::vector(values.begin() + 8, values.end()) ==
        std::vector{0.5f, 0.75f, 1.0f, 1.25f, 3.0f, 3.25f, 3.5f, 3.75f});
}

TEST_CASE("normal rows: by seed and tensor, with the deviation asked for") {
  const Source source(DType::F32, 1);
  const auto a = grown(source, 2001, {}, NewRows::normal(0.5, 7), 1);
  CHECK(a == grown(source, 2001, {}, NewRows::normal(0.5, 7), 1));
  CHECK(a != grown(source, 2001, {}, NewRows::normal(0.5, 8), 1));
  CHECK(a != grown(source, 2001, {}, NewRows::normal(0.5, 7), 1, 1));
  double sum = 0, squares = 0;
  for (std::size_t i = 4; i < a.size(); ++i)
    sum += static_cast<double>(a[i]), squares += static_cast<double>(a[i] * a[i]);
  CHECK(std::abs(sum / 8000) < 0.03);
  CHECK(std::abs(std::sqrt(squares / 8000) - 0.5) < 0.03);
}

TEST_CASE("what cannot be copied or grown is refused") {
  const Source source(DType::F32, 3);
  for (const int id : {-1, 3, 100})
    CHECK(code_of([&] { grown(source, 4, {3}, NewRows::copy_token(id), 3); }) == "bad_argument");
  CHECK(code_of([&] { grown(source, 4, {2}, NewRows::copy_token(2), 2); }) == "bad_argument");
  CHECK(code_of([&] { grown(source, 4, {0}, NewRows::mean_rows(), 0); }) == "bad_argument");
  TempFolder folder;
  write_safetensors(folder / "a.safetensors", {{"m", DType::U8, {2, 4}}, {"v", DType::F32, {4}}},
                    [](const TensorSpec& spec, const ByteSink& sink) {
                      sink(std::vector<std::byte>(spec.dtype == DType::U8 ? 8 : 16));
                    });
  const auto files = CheckpointFiles::open(folder / "a.safetensors");
  for (const char* name : {"m", "v"})
    CHECK(code_of([&] { GrownRows(files.at(name), 4, {}, NewRows::mean_rows(), 2, 0); }) ==
          "unsupported");
}
