// Spellings of parameter names. Ours are those of a Hugging Face state dict ("hf"); checkpoints
// also come as transformers writes them ("hf-old"), as OpenGVLab spells them ("internvl") and as
// openai does ("openai"). Some spellings fuse several of our parameters, row block after row block.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gov/core/error.hpp"

namespace gov {

enum class Layout { hf, hf_old, internvl, openai };

inline constexpr std::array<std::pair<std::string_view, Layout>, 4> layout_names{
    {{"hf", Layout::hf},
     {"hf-old", Layout::hf_old},
     {"internvl", Layout::internvl},
     {"openai", Layout::openai}}};

constexpr std::string_view to_string(Layout layout) {
  return layout_names[static_cast<std::size_t>(layout)].first;
}

inline Layout parse_layout(std::string_view name) {
  for (const auto& [spelled, layout] : layout_names)
    if (spelled == name) return layout;
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "layout",
               .expected = "hf, hf-old, internvl or openai",
               .found = std::string(name)});
}

// Where one of our parameters lies in another spelling: part `part` of `parts` equal-width row
// blocks of tensor `name`. blocks and scales are the suffixes of a packed (MXFP4) tensor.
struct SpelledName {
  std::string name;
  int part = 0, parts = 1;
  std::string_view blocks = "_blocks", scales = "_scales";
  bool experts_transposed = true;  // dense experts lie [experts, in, out]
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

// Our name in a layout. A language model alone is spelled alike in hf and hf-old.
inline SpelledName spell(Layout layout, const std::string& ours, bool multimodal) {
  using namespace name_map_detail;
  if (layout == Layout::openai) return openai(ours);
  if (!multimodal || layout == Layout::hf) return {ours};
  if (layout == Layout::internvl) return internvl(ours);
  std::string old = ours;
  if (!replace_prefix(old, "model.language_model.", "language_model.model.") &&
      !replace_prefix(old, "model.vision_tower.", "vision_tower.") &&
      !replace_prefix(old, "model.multi_modal_projector.", "multi_modal_projector."))
    replace_prefix(old, "lm_head.", "language_model.lm_head.");
  return {old};
}

// The layout of a checkpoint, told by a tensor that only it has.
template <class Contains>
Layout detect_layout(Contains&& contains, bool multimodal) {
  if (contains("embedding.weight")) return Layout::openai;
  if (!multimodal) return Layout::hf;
  if (contains("vision_model.embeddings.class_embedding")) return Layout::internvl;
  if (contains("vision_tower.embeddings.cls_token")) return Layout::hf_old;
  return Layout::hf;
}

// Tensors that older checkpoints carry and no model needs.
inline bool is_leftover(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq") || name.ends_with("position_ids");
}

}  // namespace gov
