// Positions, locations and the filter of gradients against torch (tests/reference/packers.py).
#include "gov/projector/lape.hpp"

#include <doctest/doctest.h>

#include "tests/support/reference_case.hpp"

namespace {

using namespace gov;
using namespace gov::test;
using Positions = Lape<3, 8, 10>;

const ReferenceFile& file() {
  static const ReferenceFile opened("projector/packers.safetensors");
  return opened;
}

void run(const std::string& name, const TokenGrid& grid) {
  check_case<Positions::Params>(file(), name, grid.tokens(), 3,
                                [&](auto& context, const auto& p, auto x, auto y) {
                                  for (index_t i = 0; i < x.rows; ++i)
                                    std::copy_n(x.row(i), 3, y.row(i));
                                  Positions::add(context, p, grid, y);
                                });
}

TEST_CASE("positions on a grid") {
  run("lape.same", {8, 10, 10});
  run("lape.fast", {8, 2, 4});
  run("lape.slow", {2, 4, 4});
  run("lape.image", {1, 3, 3});
  run("lape.finer", {4, 13, 12});
}

TEST_CASE("locations between two rows") {
  const auto table = generated("location", "table", 30);
  const double places[] = {-1.0, 0.0, 0.05, 0.5, 0.999, 1.0, 7.0};
  std::vector<double> found(21);
  for (std::size_t i = 0; i < 7; ++i)
    Positions::embed_location(table.data(), 10, places[i], found.data() + 3 * i);
  CHECK(relative_gap(found, file().doubles("location")) < 1e-14);
  CHECK_THROWS_AS(location_taps(std::nan(""), 10), Error);
  CHECK(location_taps(0.5, 1).first == 0);
}

// The dense product with 2^-|i - j|, by torch's autograd.
TEST_CASE("the gradient of a propagated table") {
  for (const index_t rows : {1, 2, 5, 100}) {
    const std::string name = "propagation." + std::to_string(rows);
    CAPTURE(rows);
    auto gradient = generated_as<double>(name, "gradient", rows * 2);
    auto single = generated_as<float>(name, "gradient", rows * 2);
    ThreadPool pool(1);
    Arena arena;
    Context<double> context{*kernel::find_kernels<double>("scalar"), pool, arena};
    Context<float> single_context{*kernel::find_kernels<float>("scalar"), pool, arena};
    propagate_neighbours(context, Rows<double>(gradient.data(), rows, 2));
    propagate_neighbours(single_context, Rows<float>(single.data(), rows, 2));
    CHECK(relative_gap(gradient, file().doubles(name)) < 1e-14);
    CHECK(relative_gap(single, file().doubles(name)) < 1e-6);
  }
}

TEST_CASE("names and counts") {
  static_assert(parameter_count<Lape<3584, 100>> == 6 * 100 * 3584);
  Positions::Params p;
  const auto list = parameter_list(p);
  CHECK(list.front().name == "temporal_input_embeddings.weight");
  CHECK(list.back().name == "spatial_width_output_embeddings.weight");
  CHECK(list.front().shape == std::vector<index_t>{8, 3});
}

}  // namespace
