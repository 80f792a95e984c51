// Names of the presets' parameters in every layout, against lists written from the published
// checkpoints.
#include "gov/io/name_map.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "gov/model/parameter_list.hpp"
#include "gov/model/presets.hpp"
#include "tests/io/temp_folder.hpp"
#include "tests/support/errors.hpp"

namespace {

using namespace gov;
using namespace gov::test;

template <class Cfg>
std::vector<ParameterRef> parameters() {
  static typename Architecture<Cfg>::Params params;
  return parameter_list(params);
}

const Layout all_layouts[] = {Layout::hf, Layout::hf_old, Layout::internvl, Layout::openai};

// Both spellings of a part of a fused tensor are written "name#part/parts".
std::string text(const SpelledName& spelled) {
  return spelled.name + (spelled.parts > 1 ? "#" + std::to_string(spelled.part) + "/" +
                                                 std::to_string(spelled.parts)
                                           : "");
}

TEST_CASE("our names are those of a Hugging Face state dict") {
  std::set<std::string> names;
  for (const auto& p : parameters<InternVl35GptOss20b>()) names.insert(p.name);
  CHECK(names.size() == 4 + 24 * 18 + 6 + 2 + 24 * 17 + 1);
  for (const char* name : {"model.vision_tower.embeddings.cls_token",
                           "model.vision_tower.embeddings.position_embeddings",
                           "model.vision_tower.embeddings.patch_embeddings.projection.weight",
                           "model.vision_tower.embeddings.patch_embeddings.projection.bias",
                           "model.vision_tower.encoder.layer.23.layernorm_before.weight",
                           "model.vision_tower.encoder.layer.23.layernorm_after.bias",
                           "model.vision_tower.encoder.layer.0.attention.q_proj.bias",
                           "model.vision_tower.encoder.layer.0.attention.projection_layer.weight",
                           "model.vision_tower.encoder.layer.0.mlp.fc1.weight",
                           "model.vision_tower.encoder.layer.0.mlp.fc2.bias",
                           "model.vision_tower.encoder.layer.0.lambda_1",
                           "model.vision_tower.encoder.layer.0.lambda_2",
                           "model.multi_modal_projector.layer_norm.weight",
                           "model.multi_modal_projector.linear_1.bias",
                           "model.multi_modal_projector.linear_2.weight",
                           "model.language_model.embed_tokens.weight",
                           "model.language_model.layers.23.input_layernorm.weight",
                           "model.language_model.layers.23.post_attention_layernorm.weight",
                           "model.language_model.layers.0.self_attn.q_proj.weight",
                           "model.language_model.layers.0.self_attn.o_proj.bias",
                           "model.language_model.layers.0.self_attn.sinks",
                           "model.language_model.layers.0.mlp.router.weight",
                           "model.language_model.layers.0.mlp.experts.gate_up_proj",
                           "model.language_model.layers.0.mlp.experts.gate_up_proj_bias",
                           "model.language_model.layers.0.mlp.experts.down_proj",
                           "model.language_model.layers.0.mlp.experts.down_proj_bias",
                           "model.language_model.norm.weight",
                           "lm_head.weight"}) {
    CAPTURE(name);
    CHECK(names.contains(name));
  }
}

TEST_CASE("the table of spellings of a multimodal model") {
  struct Row {
    const char *ours, *old, *internvl;
  };
  const Row rows[] = {
      {"model.vision_tower.embeddings.cls_token", "vision_tower.embeddings.cls_token",
       "vision_model.embeddings.class_embedding"},
      {"model.vision_tower.embeddings.position_embeddings",
       "vision_tower.embeddings.position_embeddings", "vision_model.embeddings.position_embedding"},
      {"model.vision_tower.embeddings.patch_embeddings.projection.weight",
       "vision_tower.embeddings.patch_embeddings.projection.weight",
       "vision_model.embeddings.patch_embedding.weight"},
      {"model.vision_tower.encoder.layer.11.layernorm_before.bias",
       "vision_tower.encoder.layer.11.layernorm_before.bias",
       "vision_model.encoder.layers.11.norm1.bias"},
      {"model.vision_tower.encoder.layer.11.layernorm_after.weight",
       "vision_tower.encoder.layer.11.layernorm_after.weight",
       "vision_model.encoder.layers.11.norm2.weight"},
      {"model.vision_tower.encoder.layer.11.attention.q_proj.weight",
       "vision_tower.encoder.layer.11.attention.q_proj.weight",
       "vision_model.encoder.layers.11.attn.qkv.weight#0/3"},
      {"model.vision_tower.encoder.layer.11.attention.k_proj.bias",
       "vision_tower.encoder.layer.11.attention.k_proj.bias",
       "vision_model.encoder.layers.11.attn.qkv.bias#1/3"},
      {"model.vision_tower.encoder.layer.11.attention.v_proj.weight",
       "vision_tower.encoder.layer.11.attention.v_proj.weight",
       "vision_model.encoder.layers.11.attn.qkv.weight#2/3"},
      {"model.vision_tower.encoder.layer.11.attention.q_norm.weight",
       "vision_tower.encoder.layer.11.attention.q_norm.weight",
       "vision_model.encoder.layers.11.attn.q_norm.weight"},
      {"model.vision_tower.encoder.layer.11.attention.projection_layer.bias",
       "vision_tower.encoder.layer.11.attention.projection_layer.bias",
       "vision_model.encoder.layers.11.attn.proj.bias"},
      {"model.vision_tower.encoder.layer.11.lambda_1", "vision_tower.encoder.layer.11.lambda_1",
       "vision_model.encoder.layers.11.ls1"},
      {"model.vision_tower.encoder.layer.11.lambda_2", "vision_tower.encoder.layer.11.lambda_2",
       "vision_model.encoder.layers.11.ls2"},
      {"model.vision_tower.encoder.layer.11.mlp.fc1.weight",
       "vision_tower.encoder.layer.11.mlp.fc1.weight",
       "vision_model.encoder.layers.11.mlp.fc1.weight"},
      {"model.multi_modal_projector.layer_norm.weight", "multi_modal_projector.layer_norm.weight",
       "mlp1.0.weight"},
      {"model.multi_modal_projector.linear_1.bias", "multi_modal_projector.linear_1.bias",
       "mlp1.1.bias"},
      {"model.multi_modal_projector.linear_2.weight", "multi_modal_projector.linear_2.weight",
       "mlp1.3.weight"},
      {"model.language_model.embed_tokens.weight", "language_model.model.embed_tokens.weight",
       "language_model.model.embed_tokens.weight"},
      {"model.language_model.layers.3.mlp.experts.down_proj",
       "language_model.model.layers.3.mlp.experts.down_proj",
       "language_model.model.layers.3.mlp.experts.down_proj"},
      {"lm_head.weight", "language_model.lm_head.weight", "language_model.lm_head.weight"}};
  for (const auto& row : rows) {
    CAPTURE(std::string(row.ours));
    CHECK(text(spell(Layout::hf, row.ours, true)) == row.ours);
    CHECK(text(spell(Layout::hf_old, row.ours, true)) == row.old);
    CHECK(text(spell(Layout::internvl, row.ours, true)) == row.internvl);
  }
}

TEST_CASE("the table of openai's spellings") {
  const std::pair<const char*, const char*> rows[] = {
      {"model.embed_tokens.weight", "embedding.weight"},
      {"lm_head.weight", "unembedding.weight"},
      {"model.norm.weight", "norm.scale"},
      {"model.layers.7.input_layernorm.weight", "block.7.attn.norm.scale"},
      {"model.layers.7.post_attention_layernorm.weight", "block.7.mlp.norm.scale"},
      {"model.layers.7.self_attn.q_proj.weight", "block.7.attn.qkv.weight#0/3"},
      {"model.layers.7.self_attn.k_proj.weight", "block.7.attn.qkv.weight#1/3"},
      {"model.layers.7.self_attn.v_proj.bias", "block.7.attn.qkv.bias#2/3"},
      {"model.layers.7.self_attn.o_proj.weight", "block.7.attn.out.weight"},
      {"model.layers.7.self_attn.o_proj.bias", "block.7.attn.out.bias"},
      {"model.layers.7.self_attn.sinks", "block.7.attn.sinks"},
      {"model.layers.7.mlp.router.weight", "block.7.mlp.gate.weight"},
      {"model.layers.7.mlp.router.bias", "block.7.mlp.gate.bias"},
      {"model.layers.7.mlp.experts.gate_up_proj", "block.7.mlp.mlp1_weight"},
      {"model.layers.7.mlp.experts.gate_up_proj_bias", "block.7.mlp.mlp1_bias"},
      {"model.layers.7.mlp.experts.down_proj", "block.7.mlp.mlp2_weight"},
      {"model.layers.7.mlp.experts.down_proj_bias", "block.7.mlp.mlp2_bias"}};
  for (const auto& [ours, theirs] : rows) {
    const auto shown_ours = std::string(ours);  // clang 14: no capture of bindings
    CAPTURE(shown_ours);
    CHECK(text(spell(Layout::openai, ours, false)) == theirs);
  }
  const auto blocks = spell(Layout::openai, "model.layers.0.mlp.experts.down_proj", false);
  CHECK(blocks.blocks == ".blocks");
  CHECK(blocks.scales == ".scales");
  CHECK_FALSE(blocks.experts_transposed);
  const auto hf = spell(Layout::hf, "model.layers.0.mlp.experts.down_proj", false);
  CHECK(hf.blocks == "_blocks");
  CHECK(hf.scales == "_scales");
  CHECK(hf.experts_transposed);
}

template <class Cfg>
void check_unique(Layout layout) {
  std::map<std::string, std::vector<std::pair<int, int>>> taken;
  for (const auto& p : parameters<Cfg>()) {
    CAPTURE(p.name);
    const auto spelled = spell(layout, p.name, Multimodal<Cfg>);
    CHECK_FALSE(spelled.name.empty());
    taken[spelled.name].emplace_back(spelled.part, spelled.parts);
  }
  for (auto& [name, parts] : taken) {
    const auto shown_name = name;  // clang 14: no capture of bindings
    CAPTURE(shown_name);
    std::sort(parts.begin(), parts.end());
    CHECK(static_cast<int>(parts.size()) ==
          parts.front().second);  // a fused tensor has all its parts, in order
    for (std::size_t i = 0; i < parts.size(); ++i) CHECK(parts[i].first == static_cast<int>(i));
  }
}

TEST_CASE("in each layout every parameter has a place of its own") {
  for (const Layout layout : all_layouts) {
    CAPTURE(std::string(to_string(layout)));
    if (layout != Layout::openai) check_unique<InternVl35GptOss20b>(layout);
    if (layout != Layout::openai) check_unique<GovNotes>(layout);
    if (layout != Layout::internvl) check_unique<GptOss20b>(layout);
  }
}

TEST_CASE("a layout is told by its tensors") {
  const auto told = []<class Cfg>(Layout layout, std::type_identity<Cfg>) {
    std::set<std::string> names;
    for (const auto& p : parameters<Cfg>())
      names.insert(spell(layout, p.name, Multimodal<Cfg>).name);
    return detect_layout([&](std::string_view name) { return names.contains(std::string(name)); },
                         Multimodal<Cfg>);
  };
  for (const Layout layout : {Layout::hf, Layout::hf_old, Layout::internvl})
    CHECK(told(layout, std::type_identity<TinyGov>{}) == layout);
  for (const Layout layout : {Layout::hf, Layout::openai})
    CHECK(told(layout, std::type_identity<TinyGptOss>{}) == layout);
  CHECK(detect_layout([](std::string_view) { return false; }, true) == Layout::hf);
}

TEST_CASE("names of layouts") {
  for (const Layout layout : all_layouts) CHECK(parse_layout(to_string(layout)) == layout);
  const auto error = error_of([] { parse_layout("gguf"); });
  REQUIRE(error);
  CHECK(error->field() == "layout");
  CHECK(error->found() == "gguf");
}

TEST_CASE("leftovers") {
  CHECK(is_leftover("model.layers.0.self_attn.rotary_emb.inv_freq"));
  CHECK(is_leftover("vision_model.embeddings.position_ids"));
  CHECK_FALSE(is_leftover("lm_head.weight"));
}

TEST_CASE("a family that calls things otherwise, alone and behind a tower") {
  static constexpr NameTable::Prefix model[]{{"embed_tokens.", "wte."}, {"norm.", "ln_f."}};
  static constexpr NameTable::Prefix layer[]{{"mlp.up_proj.", "mlp.c_fc."},
                                             {"input_layernorm.", "ln_1."}};
  const NameTable names{"transformer", "h", model, layer};
  struct Row {
    const char *ours, *alone, *behind, *old;
  };
  const Row rows[] = {
      {"embed_tokens.weight", "transformer.wte.weight", "model.language_model.wte.weight",
       "language_model.model.wte.weight"},
      {"norm.bias", "transformer.ln_f.bias", "model.language_model.ln_f.bias",
       "language_model.model.ln_f.bias"},
      {"layers.11.input_layernorm.bias", "transformer.h.11.ln_1.bias",
       "model.language_model.h.11.ln_1.bias", "language_model.model.h.11.ln_1.bias"},
      {"layers.0.mlp.up_proj.weight", "transformer.h.0.mlp.c_fc.weight",
       "model.language_model.h.0.mlp.c_fc.weight", "language_model.model.h.0.mlp.c_fc.weight"},
      {"layers.0.other", "transformer.h.0.other", "model.language_model.h.0.other",
       "language_model.model.h.0.other"}};
  for (const auto& row : rows) {
    const std::string ours = row.ours;
    CHECK(spell(Layout::hf, "model." + ours, Naming(false, names)).name == row.alone);
    CHECK(spell(Layout::hf_old, "model." + ours, Naming(false, names)).name == row.alone);
    const std::string nested = "model.language_model." + ours;
    CHECK(spell(Layout::hf, nested, Naming(true, names)).name == row.behind);
    CHECK(spell(Layout::hf_old, nested, Naming(true, names)).name == row.old);
    CHECK(spell(Layout::internvl, nested, Naming(true, names)).name == row.old);
  }
  for (const char* kept : {"lm_head.weight", "model.vision_tower.layers.0.norm.weight"})
    CHECK(spell(Layout::hf, kept, Naming(true, names)).name == kept);
  CHECK(is_leftover("model.vision_adapter.vit.pooler.dense.weight"));
  for (const std::string tower : {"vision_tower.", "model.vision_tower.vision_model.",
                                  "model.vision_tower.vision_tower.vision_model."}) {
    CHECK(is_leftover(tower + "head.probe"));
    CHECK(is_leftover(tower + "head.mlp.fc1.bias"));
    CHECK_FALSE(is_leftover(tower + "encoder.layers.0.mlp.fc1.bias"));
  }
  CHECK_FALSE(is_leftover("head.probe"));
  CHECK(is_leftover("transformer.h.3.attn.bias"));
  CHECK(is_leftover("h.3.attn.masked_bias"));
  CHECK_FALSE(is_leftover("h.3.attn.c_attn.bias"));
}

TEST_CASE("experts that have weights of their own, or one tensor for all of a layer") {
  Naming naming(false, Mixtral::names), behind(true, Mixtral::names);
  const std::string expert = "layers.7.mlp.experts.12.";
  CHECK(spell(Layout::hf, "model." + expert + "w1.weight", naming).name ==
        "model.layers.7.block_sparse_moe.experts.12.w1.weight");
  naming.look_at("model.layers.0.mlp.experts.gate_up_proj_bias");
  CHECK_FALSE(naming.has_stacked_experts);
  naming.look_at("model.layers.0.mlp.experts.gate_up_proj");
  behind.look_at("language_model.model.layers.3.mlp.experts.down_proj");
  struct Row {
    const char *ours, *theirs;
    int part, parts;
  };
  for (const Row& row : {Row{"w1.weight", "gate_up_proj", 0, 2},
                         {"w3.weight", "gate_up_proj", 1, 2},
                         {"w2.weight", "down_proj", 0, 1}}) {
    const SpelledName alone = spell(Layout::hf, "model." + expert + row.ours, naming);
    CHECK(alone.name == std::string("model.layers.7.mlp.experts.") + row.theirs);
    CHECK(alone.expert == 12);
    CHECK(alone.part == row.part);
    CHECK(alone.parts == row.parts);
    CHECK(alone.is_fused());
    CHECK_FALSE(alone.is_first());
    const SpelledName old =
        spell(Layout::hf_old, "model.language_model." + expert + row.ours, behind);
    CHECK(old.name == std::string("language_model.model.layers.7.mlp.experts.") + row.theirs);
    CHECK(old.expert == 12);
  }
  CHECK(spell(Layout::hf, "model.layers.7.mlp.experts.0.w1.weight", naming).is_first());
  CHECK(spell(Layout::hf, "model.layers.7.mlp.router.weight", naming).name ==
        "model.layers.7.mlp.gate.weight");
  CHECK_FALSE(spell(Layout::hf, "model.layers.7.mlp.router.weight", naming).is_fused());
}

TEST_CASE("the parts of a fused tensor lie one behind the other") {
  FusedRows matrix, stack;
  CHECK(matrix.take({"qkv", 0, 3}, 8) == 0);
  CHECK(matrix.take({"qkv", 1, 3}, 4) == 8);
  CHECK(matrix.shape() == std::vector<index_t>{12});
  SpelledName part{"gate_up_proj", 0, 2};
  for (part.expert = 0; part.expert < 3; ++part.expert)
    for (int half = 0; half < 2; ++half) CHECK(stack.take(part, 5) == 10 * part.expert + 5 * half);
  CHECK(stack.shape() == std::vector<index_t>{3, 10});
}

TEST_CASE("LLaVA's own spelling: the language model's names, and the rest inside of it") {
  Naming llama{true, NameTable{}, "vision_model."};
  llama.look_at("model.vision_tower.vision_tower.vision_model.post_layernorm.bias");
  Naming gpt2{true, Gpt2::names};
  llama.projector = gpt2.projector = [](std::string_view ours) {
    return LlavaProjector<4, 4, 3>::original_name(ours);
  };
  const auto name = [](const char* ours, const Naming& naming) {
    return spell(Layout::llava, ours, naming).name;
  };
  for (const auto& [ours, theirs] : std::map<const char*, const char*>{
           {"model.vision_tower.encoder.layers.0.mlp.fc1.weight",
            "model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"},
           {"model.multi_modal_projector.linear_1.weight", "model.mm_projector.0.weight"},
           {"model.multi_modal_projector.linear_2.bias", "model.mm_projector.2.bias"},
           {"model.multi_modal_projector.linear_3.bias", "model.mm_projector.4.bias"},
           {"model.image_newline", "model.image_newline"},
           {"model.language_model.embed_tokens.weight", "model.embed_tokens.weight"},
           {"model.language_model.layers.3.mlp.up_proj.weight",
            "model.layers.3.mlp.up_proj.weight"},
           {"lm_head.weight", "lm_head.weight"}})
    CHECK(name(ours, llama) == theirs);
  for (const auto& [ours, theirs] : std::map<const char*, const char*>{
           {"model.language_model.embed_tokens.weight", "transformer.wte.weight"},
           {"model.language_model.layers.1.mlp.up_proj.bias", "transformer.h.1.mlp.c_fc.bias"},
           {"model.vision_tower.layernorm.bias",
            "transformer.vision_tower.vision_tower.layernorm.bias"},
           {"model.mm_projector.linear_2.bias", "transformer.mm_projector.2.bias"},
           {"model.vision_resampler.token_packer_fast.devide_attention.ln_q.bias",
            "transformer.vision_resampler.token_packer_fast.devide_attention.ln_q.bias"},
           {"model.temporal_input_embeddings.weight",
            "transformer.temporal_input_embeddings.weight"}})
    CHECK(name(ours, gpt2) == theirs);
  for (const auto& [tensor, layout] :
       std::map<std::string, Layout>{{"model.embed_tokens.weight", Layout::llava},
                                     {"model.language_model.embed_tokens.weight", Layout::hf}})
    CHECK(detect_layout([&name = tensor](std::string_view n) { return n == name; }, llama) ==
          layout);
  const auto has_wte = [](std::string_view n) { return n == "transformer.wte.weight"; };
  CHECK(detect_layout(has_wte, gpt2) == Layout::llava);
  CHECK(detect_layout(has_wte, Naming{false, Gpt2::names}) == Layout::hf);
  CHECK(detect_layout(
            [](std::string_view n) { return n == "language_model.model.embed_tokens.weight"; },
            llama) == Layout::hf_old);
  // A projector without names of its own there keeps ours.
  CHECK(name("model.multi_modal_projector.ln_q_1.bias", Naming{true}) ==
        "model.mm_projector.ln_q_1.bias");
}

TEST_CASE("a composition with names of its own has them in every layout of transformers") {
  const NameTable::Prefix parts[]{{"model.vision_tower.projection.", "model.adapter.patch_embed."},
                                  {"model.vision_tower.", "model.adapter.vit."},
                                  {"model.multi_modal_projector.", "model.adapter."},
                                  {"model.language_model.", "model."}};
  const Naming naming(true, {}, {}, parts);
  const std::pair<const char*, const char*> rows[] = {
      {"model.vision_tower.projection.bias", "model.adapter.patch_embed.bias"},
      {"model.vision_tower.embeddings.cls_token", "model.adapter.vit.embeddings.cls_token"},
      {"model.multi_modal_projector.pool_token", "model.adapter.pool_token"},
      {"model.language_model.layers.3.mlp.router.bias", "model.layers.3.mlp.router.bias"},
      {"model.language_model.embed_tokens.weight", "model.embed_tokens.weight"},
      {"lm_head.weight", "lm_head.weight"}};
  for (const auto& [ours, theirs] : rows)
    for (const Layout layout : {Layout::hf, Layout::hf_old})
      CHECK(spell(layout, ours, naming).name == theirs);
  const auto holds = [](std::string_view name) {
    return name == "multi_modal_projector.linear_1.weight";
  };
  CHECK(detect_layout(holds, naming) == Layout::hf);
  CHECK(detect_layout(holds, Naming(true)) == Layout::hf_old);
}

}  // namespace
