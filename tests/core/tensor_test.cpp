#include "gov/core/tensor.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace gov;

static_assert(Matrix<3, 64>::size == 192 && Matrix<3, 64>::shape == std::array<index_t, 2>{3, 64});
static_assert(Matrix<8, 12, 8, 3, 2, 2>::shape == std::array<index_t, 4>{8, 3, 2, 2});
static_assert(Vector<1, 1, 8>::size == 8 && !Vector<8>::is_matrix);
static_assert(ExpertMatrix<4, 6, 32>::size == 768);
static_assert(ExpertMatrix<4, 6, 32>::shape == std::array<index_t, 3>{4, 32, 6}, "as HF stores it");
static_assert(ParameterHandle<Vector<3>> && ParameterHandle<Matrix<2, 2>> &&
              !ParameterHandle<Absent>);

TEST_CASE("rows: strides, slices and the const view") {
  std::vector<float> data(20);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  const Rows<float> rows(data.data(), 4, 3, 5);
  CHECK(rows(2, 1) == 11.f);
  CHECK(rows.row(3) == data.data() + 15);
  const Rows<float> part = rows.slice(1, 2);
  CHECK(part.rows == 2);
  CHECK(part(0, 0) == 5.f);
  const Rows<const float> view = part;
  CHECK(view(1, 2) == 12.f);
  CHECK(rows.slice(4, 0).rows == 0);
  CHECK(Rows<float>(data.data(), 4, 5).stride == 5);
}

TEST_CASE("bytes of a row and of its scales, per format") {
  CHECK(row_bytes(Format::f32, 2880) == 11520);
  CHECK(row_bytes(Format::bf16, 2880) == 5760);
  CHECK(row_bytes(Format::f16, 2880) == 5760);
  CHECK(row_bytes(Format::q8, 2880) == 2880);
  CHECK(row_bytes(Format::mxfp4, 2880) == 1440);
  CHECK(scale_bytes(Format::bf16, 2880) == 0);
  CHECK(scale_bytes(Format::q8, 2880) == 180);
  CHECK(scale_bytes(Format::mxfp4, 2880) == 90);
  CHECK(is_blocked(Format::q8));
  CHECK(!is_blocked(Format::f16));
  CHECK(to_string(Format::mxfp4) == "mxfp4");
}

TEST_CASE("a weight view walks rows and scales; an expert's view starts at its own") {
  std::vector<std::byte> data(4096), scales(512);
  const WeightView view{Format::mxfp4, data.data(), scales.data(), 4, 64};
  CHECK(view.row(3) == data.data() + 3 * 32);
  CHECK(view.row_scales(3) == scales.data() + 3 * 2);

  ExpertMatrix<3, 4, 64> experts;
  experts.format = Format::q8, experts.data = data.data(), experts.scales = scales.data();
  const WeightView second = experts.view(2);
  CHECK(second.data == data.data() + 2 * 4 * 64);
  CHECK(second.scales == scales.data() + 2 * 4 * 4);
  CHECK(second.out == 4);
  CHECK(second.in == 64);
  experts.format = Format::bf16;
  CHECK(experts.view(1).scales == nullptr);

  Matrix<2, 8> matrix;
  matrix.data = data.data();
  CHECK(matrix.view().row(1) == data.data() + 32);
}

TEST_CASE("a vector's values are the f32 in its memory") {
  float values[] = {1, 2, 3};
  Vector<3> vector;
  vector.data = reinterpret_cast<std::byte*>(values);
  vector.values()[1] = 5;
  const Vector<3>& view = vector;
  CHECK(view.values()[1] == 5.f);
}
