// Plans against what is then taken, and refusals on machines that are too small.
#include "gov/model/memory_plan.hpp"

#include <doctest/doctest.h>

#include "gov/model/gov_model.hpp"
#include "gov/model/presets.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/models/fixtures.hpp"
#include "tests/support/models/tiny.hpp"

namespace {

using namespace gov;

TEST_CASE("caches are what a session reserves") {
  const auto model = test::tiny_model<TinyGov>();
  const auto pool = std::make_shared<ThreadPool>(1);
  for (const SessionOptions options :
       {SessionOptions{}, SessionOptions{.context = 100, .chunk = 16},
        SessionOptions{.context = 4, .chunk = 512}, SessionOptions{.context = 512, .chunk = 1},
        SessionOptions{.context = 300, .chunk = 8, .full_history = true},
        SessionOptions{.context = 300, .chunk = 8, .cache = Format::bf16}}) {
    CAPTURE(options.context);
    const Session<TinyGov> session(model, pool, kernel::default_kernels<float>(), options);
    CHECK(cache_bytes<TinyGov>(settled<TinyGov>(options)) == session.cache_bytes());
    CHECK(plan_memory<TinyGov>(7, options, 3).caches == 3 * session.cache_bytes());
  }
}

TEST_CASE("weights of random models are what is then allocated") {
  for (const auto name : storages) {
    CAPTURE(name);
    ModelData<TinyGov> data;
    const auto list = parameter_list(data.params);
    CHECK(fresh_weight_bytes(list, parse_storage(name)) ==
          fill_random(list, 1, parse_storage(name)).size());
  }
}

TEST_CASE("the published 20B model, in figures of its specification") {
  typename Architecture<GptOss20b>::Params params;
  const auto list = parameter_list(params);
  // 637 M of attention, 2 x 579 M of embeddings and head in bf16, 19.11 G of experts at 17/32.
  CHECK(static_cast<double>(fresh_weight_bytes(list, parse_storage("mxfp4-bf16"))) ==
        doctest::Approx(13.76e9).epsilon(0.002));
  CHECK(static_cast<double>(fresh_weight_bytes(list, parse_storage("mxfp4-q8"))) ==
        doctest::Approx(12.08e9).epsilon(0.002));
  CHECK(static_cast<double>(fresh_weight_bytes(list, parse_storage("f32"))) ==
        doctest::Approx(4 * 20'914'757'184.0).epsilon(0.001));
  // 12 full layers of 4,096 positions, 12 rings of 127 + 512, keys and values of 8 heads of 64,
  // f32.
  CHECK(cache_bytes<GptOss20b>({.context = 4096}) == (12 * 4096 + 12 * 639) * 2 * 512 * 4);
  // A chunk of 512: its experts' rows of hidden in and out, gate and up.
  const auto scratch = text_scratch_bytes<GptOss20b>({.context = 4096}, 2);
  CHECK(scratch > 512 * 4 * 4 * 2880 * 4);
  CHECK(scratch < 150'000'000);
  CHECK(text_scratch_bytes<GptOss20b>({.context = 4096, .chunk = 1024}, 2) > scratch + 90'000'000);
  CHECK(tile_scratch_bytes<GptOss20b>() == 0);
  CHECK(tile_scratch_bytes<GovGptOss20b>() > 1025 * (7 * 1024 + 4096) * 4 - 1);
}

TEST_CASE("a session of any size can be reckoned with") {
  const auto plan =
      plan_memory<GptOss20b>(0, {.context = index_t{1} << 62, .chunk = index_t{1} << 62});
  CHECK(plan.total() > index_t{1} << 50);
}

Error refusal(const MemoryPlan& plan, index_t available, const std::vector<MemoryChoice>& choices) {
  return test::thrown([&] { require_memory(plan, available, choices, "folder"); });
}

TEST_CASE("a machine too small is told what is needed, what there is, and what would fit") {
  const MemoryPlan plan{9'000'000'000, 500'000'000, 100'000'000};
  require_memory(plan, 9'600'000'000);
  require_memory(plan, std::nullopt);  // the system does not say
  const std::vector<MemoryChoice> choices{{"f32", {index_t{1} << 40, 0, 0}},
                                          {"mxfp4", {4'000'000'000, 500'000'000, 100'000'000}},
                                          {"mxfp4-q8", {2'000'000'000, 0, 0}}};
  const Error error = refusal(plan, 9'599'999'999, choices);
  CHECK(error.code() == Errc::out_of_memory);
  CHECK(
      std::string(error.what()) ==
      "folder: memory: expected 9.60 GB (weights 9.00 GB, caches 0.50 GB, scratch 0.10 GB), found "
      "9.60 GB available; storage that would fit: mxfp4 (4.60 GB), mxfp4-q8 (2.00 GB) "
      "[out_of_memory]");
  CHECK(refusal(plan, 9'200'000'000, {}).found() ==
        "9.20 GB available; a shorter context would fit");
  CHECK(refusal(plan, 50'000'000, choices).found() == "50 MB available; no storage would fit");
}

TEST_CASE("a checkpoint: the plan is what loading takes, under every storage") {
  using test::VlmBf16;
  const std::string folder = "tests/fixtures/parity/vlm-bf16";
  const auto files = std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder));
  ThreadPool pool(1);
  const auto choices = memory_choices<VlmBf16>(files, {});
  REQUIRE(choices.size() == storages.size());
  for (const auto& choice : choices) {
    CAPTURE(choice.storage);
    ModelData<VlmBf16> data;
    LoadOptions load;
    load.storage = parse_storage(choice.storage);
    Loader loader(files, parameter_list(data.params), true, load);
    CHECK(choice.plan.weights == loader.load(pool).block.size());
    CHECK(choice.plan.caches == cache_bytes<VlmBf16>(settled<VlmBf16>({})));
    check_memory<VlmBf16>(files, loader, {}, choice.plan.total());
    const Error error =
        test::thrown([&] { check_memory<VlmBf16>(files, loader, {}, choice.plan.total() - 1); });
    CHECK(error.code() == Errc::out_of_memory);
    CHECK(error.file() == folder);
    const bool smallest = choice.storage == "mxfp4-q8";
    CHECK((error.found().find("mxfp4-q8") == std::string::npos) == smallest);
  }
}

}  // namespace
