// Qwen2's config: the class's defaults, windows, cross-checks; and what dynamic positions mean for
// a session.
#include "gov/language/qwen2.hpp"

#include <doctest/doctest.h>

#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/kernel_cases.hpp"
#include "tests/support/tiny_model.hpp"

namespace {

using namespace gov;
using namespace gov::test;

static_assert([] {
  constexpr Qwen2Config c;
  return c.hidden_size == 4096 && c.intermediate_size == 22016 && c.num_hidden_layers == 32 &&
         c.num_attention_heads == 32 && c.num_key_value_heads == 32 && c.head_dim == 0 &&
         c.vocab_size == 151936 && c.max_position_embeddings == 32768 && c.rms_norm_eps == 1e-6 &&
         !c.use_sliding_window && c.sliding_window == 4096 && c.max_window_layers == 28 &&
         !c.tie_word_embeddings && c.problem() == "";
}());
static_assert(parameter_count<Decoder<Qwen2_0_5b>> == 494'032'768);  // tied
static_assert(parameter_count<Architecture<Qwen2_7b>> == 7'615'616'512);

TEST_CASE("windows: off by default, by the first sliding layer, or by the list") {
  Qwen2Config c{.num_hidden_layers = 4, .sliding_window = 9, .max_window_layers = 2};
  for (index_t layer = 0; layer < 4; ++layer) CHECK(c.window(layer) == 0);
  c.use_sliding_window = true;
  for (index_t layer = 0; layer < 4; ++layer) CHECK(c.window(layer) == (layer < 2 ? 0 : 9));
  c.layer_types = LayerTypes("fsff");
  for (index_t layer = 0; layer < 4; ++layer) CHECK(c.window(layer) == (layer == 1 ? 9 : 0));
  CHECK(c.problem() == "");
  c.use_sliding_window = false;
  CHECK(c.problem().find("use_sliding_window") != std::string_view::npos);
}

TEST_CASE("biases on q, k and v alone") {
  Decoder<Qwen2_0_5b>::Attention::Params params;
  std::string names;
  for (const auto& p : parameter_list(params))
    if (p.name.ends_with("bias")) names += p.name + " ";
  CHECK(names == "q_proj.bias k_proj.bias v_proj.bias ");
}

// Positions beyond 16 stretch the rotation.
struct Dynamic : Qwen2 {
  [[maybe_unused]] static constexpr std::string_view name = "Dynamic";
  static constexpr Qwen2Config config{
      .hidden_size = 16,
      .intermediate_size = 24,
      .num_hidden_layers = 2,
      .num_attention_heads = 2,
      .num_key_value_heads = 1,
      .vocab_size = 40,
      .max_position_embeddings = 16,
      .rope_parameters = {.rope_type = RopeType::dynamic, .rope_theta = 100, .factor = 2}};
};

struct Sessions {
  std::shared_ptr<ModelData<Dynamic>> model = random_model<Dynamic>();
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(1);
  Session<Dynamic> make(const SessionOptions& options) const {
    return {model, pool, *kernel::find_kernels<float>("scalar"), options};
  }
};

TEST_CASE("a session may go beyond the limit, as far as the factor says") {
  const Sessions sessions;
  CHECK(sessions.make({}).context() == 16);
  CHECK(sessions.make({.context = 32}).context() == 32);
  CHECK(code_of([&] { sessions.make({.context = 33}); }) == "bad_argument");
}

TEST_CASE("the length after the call counts, not how the call is cut") {
  const Sessions sessions;
  const auto ids = random_ids(24, 1, 30);
  const auto run = [&](index_t chunk, index_t first) {
    auto session =
        sessions.make({.context = 32, .chunk = chunk, .arithmetic = Arithmetic::invariant});
    const std::span<const int> all(ids);
    if (first > 0) session.forward({.input_ids = all.first(static_cast<std::size_t>(first))});
    return Kept<float>(session.forward({.input_ids = all.subspan(static_cast<std::size_t>(first))},
                                       {.logits_to_keep = 1}));
  };
  const auto whole = run(32, 0);
  CHECK(all_finite(whole.logits));
  CHECK(same_bits(run(5, 0), whole));
  CHECK(same_bits(run(1, 0), whole));
  CHECK_FALSE(same_bits(run(32, 12), whole));  // earlier keys keep the angles of their own call
}

}  // namespace
