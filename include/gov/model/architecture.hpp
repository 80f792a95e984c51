// Architecture<Cfg>: the modules and the parameters of a whole model, from types alone. Names are
// those of a Hugging Face state dict: model.vision_tower..., model.multi_modal_projector...,
// model.language_model..., lm_head.weight; a language model alone is model..., lm_head.weight.
#pragma once

#include "gov/language/decoder.hpp"
#include "gov/model/explain.hpp"
#include "gov/model/internvl.hpp"

namespace gov {

template <class Cfg>
struct LanguageOf {
  using type = Cfg;
  static constexpr bool tied = Cfg::config.tie_word_embeddings;
};
template <Multimodal Cfg>
struct LanguageOf<Cfg> {
  using type = typename Cfg::Language;
  static constexpr bool tied = Cfg::config.tie_word_embeddings;  // the top level decides
};

template <class Cfg>
struct ArchitectureBase {
  static_assert(explain<Cfg>());
  using LanguageConfig = typename LanguageOf<Cfg>::type;
  using Language = Decoder<LanguageConfig>;
  static constexpr auto& language_config = LanguageConfig::config;
  static constexpr LanguageGeometry geometry = geometry_of(language_config);
  static constexpr index_t hidden_size = geometry.hidden_size;
  static constexpr index_t vocab_size = geometry.vocab_size;
  static constexpr bool tied = LanguageOf<Cfg>::tied;
  static constexpr bool multimodal = Multimodal<Cfg>;
  using Head = Linear<hidden_size, vocab_size, false>;
};

// The language model alone.
template <class Cfg>
struct Architecture : ArchitectureBase<Cfg> {
  using Base = typename ArchitectureBase<Cfg>::Language;  // without lm_head
  struct Params {
    typename Base::Params model;
    present_if<!ArchitectureBase<Cfg>::tied, typename ArchitectureBase<Cfg>::Head::Params> lm_head;

    auto& language_model() { return model; }
    const auto& language_model() const { return model; }
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "model", p.model...);
      gov::visit(v, name / "lm_head", p.lm_head...);
    }
  };
};

template <Multimodal Cfg>
struct Architecture<Cfg> : ArchitectureBase<Cfg> {
  using VisionConfig = typename Cfg::Vision;
  using Vision = typename VisionConfig::template Tower<VisionConfig>;
  using Projector = typename Cfg::template Projector<Cfg>;

  struct Base {
    struct Params {
      typename Vision::Params vision_tower;
      typename Projector::Params multi_modal_projector;
      typename ArchitectureBase<Cfg>::Language::Params language_model;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        gov::visit(v, name / "vision_tower", p.vision_tower...);
        gov::visit(v, name / "multi_modal_projector", p.multi_modal_projector...);
        gov::visit(v, name / "language_model", p.language_model...);
      }
    };
  };
  struct Params {
    typename Base::Params model;
    present_if<!ArchitectureBase<Cfg>::tied, typename ArchitectureBase<Cfg>::Head::Params> lm_head;

    auto& language_model() { return model.language_model; }
    const auto& language_model() const { return model.language_model; }
    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "model", p.model...);
      gov::visit(v, name / "lm_head", p.lm_head...);
    }
  };

  // The hidden state that the projector reads, counted from the embedding; -1 is the last one after
  // the tower's optional final norm.
  static constexpr index_t feature_layer = [] {
    constexpr index_t layer = Cfg::config.vision_feature_layer;
    constexpr index_t layers = VisionConfig::config.num_hidden_layers;
    static_assert(-layers - 1 <= layer && layer <= layers,
                  "gov: vision_feature_layer must name one of the tower's hidden states");
    return layer < -1 ? layers + 1 + layer : layer;
  }();

  // Tokens of the tower that reach the projector; they form a square grid.
  static constexpr index_t selected_tokens(index_t height, index_t width) {
    const bool drops_class = Cfg::config.vision_feature_select_strategy == FeatureSelect::default_;
    return Vision::tokens(height, width) - (drops_class ? 1 : 0);
  }
  static constexpr index_t grid(index_t height, index_t width) {
    index_t side = 0;
    while ((side + 1) * (side + 1) <= selected_tokens(height, width)) ++side;
    return side;
  }
  static constexpr bool foldable(index_t height, index_t width) {
    const index_t side = grid(height, width);
    return side > 0 && side * side == selected_tokens(height, width) && side % Projector::fold == 0;
  }
  // Language-model tokens of one tile.
  static constexpr index_t image_tokens(index_t height, index_t width) {
    const index_t side = grid(height, width) / Projector::fold;
    return side * side;
  }
};

}  // namespace gov
