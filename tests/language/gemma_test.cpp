// Gemma's config: the class's defaults, cross-checks, counts; and what is scaled by
// sqrt(hidden_size) and what is not.
#include "gov/language/gemma.hpp"

#include <doctest/doctest.h>

#include "tests/support/kernel_cases.hpp"
#include "tests/support/tiny_model.hpp"

namespace {

using namespace gov;
using namespace gov::test;

static_assert([] {
  constexpr GemmaConfig c;
  return c.hidden_size == 3072 && c.intermediate_size == 24576 && c.num_hidden_layers == 28 &&
         c.num_attention_heads == 16 && c.num_key_value_heads == 16 && c.head_dim == 256 &&
         c.vocab_size == 256000 && c.max_position_embeddings == 8192 && c.rms_norm_eps == 1e-6 &&
         c.hidden_act == kernel::Activation::gelu_tanh && !c.attention_bias &&
         !c.use_bidirectional_attention && c.tie_word_embeddings && c.window(0) == 0 &&
         c.problem() == "";
}());
static_assert(parameter_count<Decoder<Gemma7b>> == 8'537'680'896);  // tied

TEST_CASE("gelu means its tanh form; attention must be causal") {
  CHECK(resolved(GemmaConfig{.hidden_act = kernel::Activation::gelu}) == GemmaConfig{});
  CHECK(GemmaConfig{.hidden_act = kernel::Activation::silu}.activation() ==
        kernel::Activation::silu);
  CHECK(GemmaConfig{.use_bidirectional_attention = true}.problem().find("causal") !=
        std::string_view::npos);
}

struct Tiny : Gemma {
  [[maybe_unused]] static constexpr std::string_view name = "TinyGemma";
  static constexpr GemmaConfig config{.hidden_size = 10,
                                      .intermediate_size = 12,
                                      .num_hidden_layers = 1,
                                      .num_attention_heads = 2,
                                      .num_key_value_heads = 1,
                                      .head_dim = 4,
                                      .vocab_size = 20,
                                      .max_position_embeddings = 32};
};

TEST_CASE("looked-up rows times sqrt(hidden_size), rounded to the dtype that holds them") {
  const float root = std::sqrt(10.0f);
  for (const Format format : {Format::f32, Format::bf16, Format::f16}) {
    CAPTURE(std::string(to_string(format)));
    Decoder<Tiny>::Params params;
    const auto memory = random_params(params, {format, format});
    const float factor = format == Format::bf16  ? to_float(to_bf16(root))
                         : format == Format::f16 ? to_float(to_f16(root))
                                                 : root;
    CHECK((factor == root) == (format == Format::f32));
    ThreadPool pool(1);
    Arena arena;
    Context<float> context{*kernel::find_kernels<float>("scalar"), pool, arena};
    const std::vector<int> ids{3, 7};
    std::vector<float> x(20), row(10);
    Decoder<Tiny>::embed(context, params, ids, Rows<float>(x.data(), 2, 10));
    for (std::size_t i = 0; i < 2; ++i) {
      context.kernels.widen_row(params.embed_tokens.weight.view(), ids[i], row.data());
      for (std::size_t c = 0; c < 10; ++c) CHECK(x[i * 10 + c] == row[c] * factor);
    }
  }
}

TEST_CASE("inputs_embeds are taken as they are") {
  const auto model = random_model<Tiny>();
  const auto pool = std::make_shared<ThreadPool>(1);
  const auto& kernels = *kernel::find_kernels<float>("scalar");
  const auto run = [&](const Inputs& inputs) {
    Session<Tiny> session(model, pool, kernels);
    Recorder<float> seen;
    session.forward(inputs, {}, seen);
    return seen.rows;
  };
  const std::vector<int> ids{1, 2, 3};
  auto looked_up = run({.input_ids = ids});
  const auto embeds = looked_up.at("inputs_embeds");
  auto given = run({.inputs_embeds = Rows<const float>(embeds.data(), 3, 10)});
  CHECK(given.at("hidden_states.0") == embeds);
  CHECK(same_bits(given.at("logits"), looked_up.at("logits")));
}

TEST_CASE("a fresh norm multiplies by 1") {
  Decoder<Tiny>::Params params;
  int offsets = 0;
  for (const auto& p : parameter_list(params)) {
    CHECK(p.is_offset == (p.name.find("norm") != p.name.npos));
    offsets += p.is_offset;
  }
  CHECK(offsets == 3);
}

}  // namespace
