// Spellings of parameter names. Ours are those of a Hugging Face state dict ("hf"); checkpoints
// also come as transformers writes them ("hf-old"), as OpenGVLab spells them ("internvl"), as
// openai does ("openai") and as LLaVA's own repositories do ("llava"). Some spellings fuse several
// of our parameters, row block after row block.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"
#include "gov/core/name.hpp"

namespace gov {

enum class Layout { hf, hf_old, internvl, openai, llava };

inline constexpr std::array<std::pair<std::string_view, Layout>, 5> layout_names{
    {{"hf", Layout::hf},
     {"hf-old", Layout::hf_old},
     {"internvl", Layout::internvl},
     {"openai", Layout::openai},
     {"llava", Layout::llava}}};

constexpr std::string_view to_string(Layout layout) {
  return layout_names[static_cast<std::size_t>(layout)].first;
}

inline Layout parse_layout(std::string_view name) {
  for (const auto& [spelled, layout] : layout_names)
    if (spelled == name) return layout;
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "layout",
               .expected = "hf, hf-old, internvl, openai or llava",
               .found = std::string(name)});
}

// Where one of our parameters lies in another spelling: part `part` of `parts` equal-width row
// blocks of tensor `name`, or of what it holds for expert `expert`. blocks and scales are the
// suffixes of a packed (MXFP4) tensor.
struct SpelledName {
  std::string name;
  int part = 0, parts = 1;
  std::string_view blocks = "_blocks", scales = "_scales";
  bool experts_transposed = true;  // dense experts lie [experts, in, out]
  int expert = -1;                 // from 0 on where the tensor is [experts, rows, in]

  bool is_fused() const { return parts > 1 || expert >= 0; }
  bool is_first() const { return part == 0 && expert <= 0; }
};

// The rows of a fused tensor, as its parts take them.
struct FusedRows {
  index_t rows = 0, experts = 0;  // no experts: a matrix

  index_t take(const SpelledName& part, index_t count) {  // the part's first row
    experts = std::max<index_t>(experts, part.expert + 1);
    return std::exchange(rows, rows + count);
  }
  std::vector<index_t> shape() const {
    if (experts == 0) return {rows};
    return {experts, rows / experts};
  }
};

namespace name_map_detail {

// Replaces a leading `from` by `to`; false when the text does not begin so.
inline bool replace_prefix(std::string& text, std::string_view from, std::string_view to) {
  if (!std::string_view(text).starts_with(from)) return false;
  text.replace(0, from.size(), to);
  return true;
}

using Renames = std::vector<std::pair<std::string_view, SpelledName>>;

// Applies the first rename whose left side is the whole of `rest`.
inline SpelledName rename(const std::string& prefix, std::string_view rest,
                          const Renames& renames) {
  for (const auto& [from, to] : renames)
    if (rest == from) {
      SpelledName result = to;
      result.name = prefix + to.name;
      return result;
    }
  return {prefix + std::string(rest)};
}

inline SpelledName internvl_vision(std::string rest) {
  static const Renames embeddings{
      {"embeddings.cls_token", {"embeddings.class_embedding"}},
      {"embeddings.position_embeddings", {"embeddings.position_embedding"}},
      {"embeddings.patch_embeddings.projection.weight", {"embeddings.patch_embedding.weight"}},
      {"embeddings.patch_embeddings.projection.bias", {"embeddings.patch_embedding.bias"}}};
  static const Renames layer{{"layernorm_before.weight", {"norm1.weight"}},
                             {"layernorm_before.bias", {"norm1.bias"}},
                             {"layernorm_after.weight", {"norm2.weight"}},
                             {"layernorm_after.bias", {"norm2.bias"}},
                             {"attention.q_proj.weight", {"attn.qkv.weight", 0, 3}},
                             {"attention.k_proj.weight", {"attn.qkv.weight", 1, 3}},
                             {"attention.v_proj.weight", {"attn.qkv.weight", 2, 3}},
                             {"attention.q_proj.bias", {"attn.qkv.bias", 0, 3}},
                             {"attention.k_proj.bias", {"attn.qkv.bias", 1, 3}},
                             {"attention.v_proj.bias", {"attn.qkv.bias", 2, 3}},
                             {"attention.q_norm.weight", {"attn.q_norm.weight"}},
                             {"attention.k_norm.weight", {"attn.k_norm.weight"}},
                             {"attention.projection_layer.weight", {"attn.proj.weight"}},
                             {"attention.projection_layer.bias", {"attn.proj.bias"}},
                             {"lambda_1", {"ls1"}},
                             {"lambda_2", {"ls2"}}};
  if (replace_prefix(rest, "encoder.layer.", "")) {
    const std::size_t dot = rest.find('.');
    return rename("vision_model.encoder.layers." + rest.substr(0, dot + 1),
                  std::string_view(rest).substr(dot + 1), layer);
  }
  return rename("vision_model.", rest, embeddings);
}

inline SpelledName openai(const std::string& ours) {
  static const Renames top{{"model.embed_tokens.weight", {"embedding.weight"}},
                           {"lm_head.weight", {"unembedding.weight"}},
                           {"model.norm.weight", {"norm.scale"}}};
  static const Renames layer{
      {"input_layernorm.weight", {"attn.norm.scale"}},
      {"post_attention_layernorm.weight", {"mlp.norm.scale"}},
      {"self_attn.q_proj.weight", {"attn.qkv.weight", 0, 3}},
      {"self_attn.k_proj.weight", {"attn.qkv.weight", 1, 3}},
      {"self_attn.v_proj.weight", {"attn.qkv.weight", 2, 3}},
      {"self_attn.q_proj.bias", {"attn.qkv.bias", 0, 3}},
      {"self_attn.k_proj.bias", {"attn.qkv.bias", 1, 3}},
      {"self_attn.v_proj.bias", {"attn.qkv.bias", 2, 3}},
      {"self_attn.o_proj.weight", {"attn.out.weight"}},
      {"self_attn.o_proj.bias", {"attn.out.bias"}},
      {"self_attn.sinks", {"attn.sinks"}},
      {"mlp.router.weight", {"mlp.gate.weight"}},
      {"mlp.router.bias", {"mlp.gate.bias"}},
      {"mlp.experts.gate_up_proj", {"mlp.mlp1_weight", 0, 1, ".blocks", ".scales", false}},
      {"mlp.experts.down_proj", {"mlp.mlp2_weight", 0, 1, ".blocks", ".scales", false}},
      {"mlp.experts.gate_up_proj_bias", {"mlp.mlp1_bias"}},
      {"mlp.experts.down_proj_bias", {"mlp.mlp2_bias"}}};
  std::string rest = ours;
  if (replace_prefix(rest, "model.layers.", "")) {
    const std::size_t dot = rest.find('.');
    return rename("block." + rest.substr(0, dot + 1), std::string_view(rest).substr(dot + 1),
                  layer);
  }
  return rename("", rest, top);
}

inline SpelledName internvl(std::string ours) {
  if (replace_prefix(ours, "model.vision_tower.", "")) return internvl_vision(ours);
  static const Renames projector{
      {"layer_norm.weight", {"0.weight"}}, {"layer_norm.bias", {"0.bias"}},
      {"linear_1.weight", {"1.weight"}},   {"linear_1.bias", {"1.bias"}},
      {"linear_2.weight", {"3.weight"}},   {"linear_2.bias", {"3.bias"}}};
  if (replace_prefix(ours, "model.multi_modal_projector.", ""))
    return rename("mlp1.", ours, projector);
  if (!replace_prefix(ours, "model.language_model.", "language_model.model."))
    replace_prefix(ours, "lm_head.", "language_model.lm_head.");
  return {ours};
}

}  // namespace name_map_detail

// What a model's names depend on, beside the layout: whether it has a vision tower, and what its
// language model's family calls things.
struct Naming {
  bool multimodal = false;
  NameTable language{};
  std::span<const NameTable::Prefix> parts{};  // a composition's own names, the first that fits
  std::string tower_prefix{};     // before the tower's names in published files, as "vision_model."
  bool has_tower_prefix = false;  // in these files
  bool has_stacked_experts = false;
  // LLaVA's own name of a parameter of the projector, without the projector's; none: ours.
  std::string (*projector)(std::string_view ours) = nullptr;

  Naming(bool has_tower, const NameTable& names = {}, std::string_view prefix = {},
         std::span<const NameTable::Prefix> own_parts = {})
      : multimodal(has_tower), language(names), parts(own_parts), tower_prefix(prefix) {}
  // As a file spells it, told by one of its names.
  void look_at(std::string_view name) {
    const std::size_t at = name.find("vision_tower." + tower_prefix);
    if (!tower_prefix.empty() && at != name.npos) has_tower_prefix = true;
    for (const auto& stacked : language.stacked)
      if (name.ends_with("mlp.experts." + std::string(stacked.theirs))) has_stacked_experts = true;
  }
};

namespace name_map_detail {

// Our name with its language model's parts as the family calls them.
inline std::string in_family(std::string ours, const Naming& naming) {
  if (naming.has_tower_prefix)
    replace_prefix(ours, "model.vision_tower.", "model.vision_tower." + naming.tower_prefix);
  std::string base = naming.multimodal ? "model.language_model." : "model.";
  if (!replace_prefix(ours, base, "")) return ours;
  const auto rename = [&ours](std::span<const NameTable::Prefix> table) {
    for (const auto& [own, theirs] : table)
      if (replace_prefix(ours, own, theirs)) return;
  };
  if (!naming.multimodal) base = std::string(naming.language.base) + ".";
  if (!replace_prefix(ours, "layers.", "")) {
    rename(naming.language.model);
    return base + ours;
  }
  const std::size_t part = ours.find('.') + 1;
  base += std::string(naming.language.layers) + "." + ours.substr(0, part);
  ours.erase(0, part);
  rename(naming.has_stacked_experts ? naming.language.stacked_layer : naming.language.layer);
  return base + ours;
}

// One expert's weight where a tensor holds those of all.
inline SpelledName stack(SpelledName single, const Naming& naming) {
  constexpr std::string_view experts = "mlp.experts.";
  const std::size_t at = single.name.find(experts);
  if (!naming.has_stacked_experts || at == single.name.npos) return single;
  const std::string_view weight = std::string_view(single.name).substr(at + experts.size());
  const std::size_t dot = weight.find('.');
  for (const auto& stacked : naming.language.stacked)
    if (dot != weight.npos && weight.substr(dot + 1) == stacked.ours) {
      SpelledName all{single.name.substr(0, at + experts.size()) + std::string(stacked.theirs),
                      stacked.part, stacked.parts};
      std::from_chars(weight.data(), weight.data() + dot, all.expert);
      return all;
    }
  return single;
}

// LLaVA's own spelling: the language model as it is alone, and the rest inside of it.
inline SpelledName llava(std::string ours, const Naming& naming) {
  if (!replace_prefix(ours, "model.", "")) return {ours};  // lm_head
  const std::string base = std::string(naming.language.base) + ".";
  if (replace_prefix(ours, "language_model.", "")) return {base + ours};
  if (replace_prefix(ours, "vision_tower.", "vision_tower.vision_tower.")) return {base + ours};
  for (const std::string_view projector : {"multi_modal_projector.", "mm_projector."})
    if (replace_prefix(ours, projector, ""))
      return {base + "mm_projector." + (naming.projector ? naming.projector(ours) : ours)};
  return {base + ours};
}

inline SpelledName spell_single(Layout layout, const std::string& name, const Naming& naming) {
  if (layout == Layout::openai) return openai(name);
  std::string ours = in_family(name, naming);
  for (const auto& [own, theirs] : naming.parts)
    if (replace_prefix(ours, own, theirs)) break;
  if (!naming.parts.empty()) return {ours};
  if (!naming.multimodal || layout == Layout::hf) return {ours};
  if (layout == Layout::llava) return llava(ours, naming);
  if (layout == Layout::internvl) return internvl(ours);
  std::string old = ours;
  if (!replace_prefix(old, "model.language_model.", "language_model.model.") &&
      !replace_prefix(old, "model.vision_tower.", "vision_tower.") &&
      !replace_prefix(old, "model.image_newline", "image_newline") &&
      !replace_prefix(old, "model.multi_modal_projector.", "multi_modal_projector."))
    replace_prefix(old, "lm_head.", "language_model.lm_head.");
  return {old};
}

}  // namespace name_map_detail

// Our name in a layout. A language model alone is spelled alike in hf and hf-old.
inline SpelledName spell(Layout layout, const std::string& name, const Naming& naming) {
  return name_map_detail::stack(name_map_detail::spell_single(layout, name, naming), naming);
}

// The layout of a checkpoint, told by a tensor that only it has.
template <class Contains>
Layout detect_layout(Contains&& contains, const Naming& naming) {
  if (contains("embedding.weight")) return Layout::openai;
  if (!naming.multimodal || !naming.parts.empty()) return Layout::hf;
  if (contains("vision_model.embeddings.class_embedding")) return Layout::internvl;
  if (contains("multi_modal_projector.linear_1.weight")) return Layout::hf_old;
  for (const Layout layout : {Layout::hf_old, Layout::llava})
    if (contains(spell(layout, "model.language_model.embed_tokens.weight", naming).name))
      return layout;
  return Layout::hf;
}

// Tensors that older checkpoints carry and no model needs.
inline bool is_leftover(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("position_ids") ||
         name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||  // GPT-2's masks
         name.find("vision_adapter.vit.pooler.") != name.npos ||  // no one reads what they pool
         name.find("vision_tower.head.") != name.npos ||          // SigLIP's
         name.find("vision_tower.vision_model.head.") != name.npos;
}

}  // namespace gov
