// Architecture<Cfg>: the modules and the parameters of a whole model, from types alone. Names are
// those of a Hugging Face state dict: model.vision_tower..., model.multi_modal_projector...,
// model.language_model..., lm_head.weight; a language model alone is model..., lm_head.weight.
#pragma once

#include "gov/io/name_map.hpp"
#include "gov/language/decoder.hpp"
#include "gov/model/explain.hpp"

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
  // Image features stand before the text of a call, not in the places of an image token.
  static constexpr bool prefix_fusion = requires { requires Cfg::prefix_fusion; };
  static constexpr bool has_markers = false;  // of the text; see below
  using Head = Linear<hidden_size, vocab_size, false>;

  // What the language model's family calls things in a checkpoint.
  static constexpr NameTable names = [] {
    if constexpr (requires { LanguageConfig::names; })
      return LanguageConfig::names;
    else
      return NameTable{};
  }();
  // What a composition's family calls whole parts, where it has names of its own.
  static constexpr std::span<const NameTable::Prefix> part_names = [] {
    if constexpr (Multimodal<Cfg> && requires { Cfg::names; })
      return std::span<const NameTable::Prefix>(Cfg::names);
    else
      return std::span<const NameTable::Prefix>();
  }();
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
  using Images = typename Cfg::template Images<Cfg>;  // from pixels to rows of features
  using VisionConfig = typename Images::VisionConfig;
  using Vision = typename Images::Vision;
  using Projector = typename Images::Projector;
  // Features go where markers of the prompt say, not to an image token.
  static constexpr bool has_markers = requires { &Images::positions; };
  // The pictures that the tower is usually shown: what its image processor cuts out of a larger
  // one, or, as the views of any resolution, of its own size.
  static constexpr bool crops =
      requires { Vision::crop_size; } && !requires { Cfg::config.image_grid_pinpoints; };
  static constexpr Extent picture_size = [] {
    if constexpr (crops)
      return Vision::crop_size;
    else
      return Vision::image_size;
  }();

  struct Base {
    struct Params : Images::Params {
      typename ArchitectureBase<Cfg>::Language::Params language_model;

      template <class V, class N, class... P>
      static constexpr void visit(V&& v, const N& name, P&... p) {
        Images::Params::visit(v, name, p...);
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
};

// How checkpoints of a Cfg are named.
template <class Cfg>
Naming naming_of() {
  using A = Architecture<Cfg>;
  std::string tower_prefix;
  if constexpr (requires { A::Vision::checkpoint_prefix; })
    tower_prefix = std::string(A::Vision::checkpoint_prefix) + ".";
  Naming naming{Multimodal<Cfg>, A::names, tower_prefix, A::part_names};
  if constexpr (requires { &Cfg::template original_projector_name<Cfg>; })
    naming.projector = &Cfg::template original_projector_name<Cfg>;
  return naming;
}

}  // namespace gov
