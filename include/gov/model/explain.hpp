// explain<Cfg>(): every rule of composing a model, as a sentence from the compiler that says what
// to do. It runs before anything else of GovModel<Cfg> can fail.
#pragma once

#include <string_view>
#include <type_traits>

#include "gov/nn/geometry.hpp"

namespace gov {

// A Cfg with a vision tower; without one it is a language model's Config itself.
template <class Cfg>
concept Multimodal = requires { typename Cfg::Vision; };

template <class L>
consteval bool explain_language() {
  constexpr bool has_config = requires {
    L::config.vocab_size;
    L::config.problem();
  };
  static_assert(has_config,
                "gov: a language Config needs `static constexpr GptOssConfig config{...}` (or "
                "another language model's config struct)");
  constexpr bool has_modules = requires {
    typename L::template Position<L>;
    typename L::template Norm<L>;
    typename L::template Attention<L>;
    typename L::template FeedForward<L>;
  };
  static_assert(
      has_modules,
      "gov: a language Config must choose Position, Norm, Attention and FeedForward; derive "
      "from gov::GptOss, gov::Llama or another to take its choice");
  if constexpr (has_config) {
    constexpr LanguageGeometry g = geometry_of(L::config);
    static_assert(g.num_attention_heads % g.num_key_value_heads == 0,
                  "gov: num_attention_heads must be a multiple of num_key_value_heads");
    if constexpr (requires { L::config.rope_parameters; })
      static_assert(g.head_dim % 2 == 0, "gov: head_dim must be even");
    static_assert(g.num_experts_per_tok <= g.num_experts,
                  "gov: num_experts_per_tok must be at most num_local_experts");
    static_assert(L::config.problem() == "",
                  "gov: Language::config does not hold together; its problem() says why");
  }
  return has_config && has_modules;
}

template <class Cfg>
consteval bool explain() {
  if constexpr (Multimodal<Cfg>) {
    constexpr bool has_language = requires { typename Cfg::Language; };
    static_assert(has_language, "gov: a Cfg with a Vision needs `using Language = ...` as well");
    constexpr bool has_tower =
        requires { typename Cfg::Vision::template Tower<typename Cfg::Vision>; };
    static_assert(has_tower,
                  "gov: Vision must name its tower: `template <class C> using Tower = "
                  "gov::InternVit<C>;`");
    if constexpr (requires { Cfg::Vision::config.problem(); })
      static_assert(Cfg::Vision::config.problem() == "",
                    "gov: Vision::config does not hold together: hidden_size must be a multiple of "
                    "num_attention_heads, image_size of patch_size");
    constexpr bool has_config = requires { Cfg::config.problem(); };
    static_assert(
        has_config,
        "gov: a Cfg with a Vision needs `static constexpr gov::InternVlConfig config{...}`, or the "
        "config struct of the family that it derives from");
    if constexpr (has_config) {
      constexpr bool has_images = requires { typename Cfg::template Images<Cfg>; };
      static_assert(has_images,
                    "gov: a Cfg with a Vision must say how images become features (`Images`); "
                    "derive from gov::InternVl or another family to take its way");
      constexpr bool has_projector = requires { typename Cfg::template Projector<Cfg>; };
      static_assert(
          has_projector,
          "gov: a Cfg with a Vision must choose a Projector; derive from gov::InternVl to "
          "take its choice");
      static_assert(Cfg::config.problem() == "",
                    "gov: downsample_ratio must be 1 over a whole number, or what else "
                    "Cfg::config.problem() says of another family");
    }
    if constexpr (has_language)
      return explain_language<typename Cfg::Language>();
    else
      return false;
  } else {
    return explain_language<Cfg>();
  }
}

// What latent feedback (coconut.hpp) asks of an Architecture.
template <class A>
consteval bool explain_feedback() {
  using Table = decltype(A::Language::Tokens::Params::weight);
  static_assert(Table::in == A::hidden_size,
                "gov: COCONUT feeds hidden states back as embeddings: hidden_size must be the "
                "width of embed_tokens");
  return true;
}

}  // namespace gov
