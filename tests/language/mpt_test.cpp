// MPT's config: the class's defaults, what is refused, counts.
#include "gov/language/mpt.hpp"

#include <doctest/doctest.h>

#include "gov/model/parameter_list.hpp"

namespace {

using namespace gov;

static_assert([] {
  constexpr MptConfig c;
  return c.d_model == 2048 && c.n_heads == 16 && c.n_layers == 24 && c.max_seq_len == 2048 &&
         c.vocab_size == 50368 && c.layer_norm_epsilon == 1e-5 && c.attn_config.clip_qkv == 0 &&
         c.attn_config.softmax_scale == 0 && c.no_bias && c.tie_word_embeddings &&
         c.window(0) == 0 && c.problem() == "";
}());
static_assert(parameter_count<Decoder<Mpt7b>> == 6'649'286'656);  // tied

TEST_CASE("what transformers would silently compute otherwise is refused") {
  CHECK(MptConfig{.n_heads = 3}.problem().find("multiple of n_heads") != std::string_view::npos);
  for (const MptAttentionConfig& attention :
       {MptAttentionConfig{.alibi = false}, MptAttentionConfig{.alibi_bias_max = 4},
        MptAttentionConfig{.qk_ln = true}, MptAttentionConfig{.prefix_lm = true}})
    CHECK(MptConfig{.attn_config = attention}.problem().find("attn_config") !=
          std::string_view::npos);
  CHECK(MptConfig{.no_bias = false}.problem() != "");
}

TEST_CASE("no biases anywhere") {
  Decoder<Mpt7b>::Block::Params params;
  std::string names;
  for (const auto& p : parameter_list(params)) names += p.name + " ";
  CHECK(names ==
        "input_layernorm.weight self_attn.qkv_proj.weight self_attn.o_proj.weight "
        "post_attention_layernorm.weight mlp.up_proj.weight mlp.down_proj.weight ");
}

}  // namespace
