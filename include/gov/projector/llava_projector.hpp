// LLaVA's projectors, token by token (mm_projector_type of the original; LlavaMultiModalProjector
// of transformers is mlp2x_gelu with its own bias and activation):
//   linear             linear_1
//   mlpNx_gelu         linear_1, then N - 1 times activation and linear_2 .. linear_N
//   mlpNx_resMx_gelu   behind it M residual blocks x -> n + linear_2(gelu(linear_1(n))),
//                      n = LayerNorm(x): the residual is the normed x
//   identity           nothing
// Hidden is the width between the layers where it is not the language model's. LLaVA-NeXT's
// `pooler` is not here.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>

#include "gov/kernel/activation_names.hpp"
#include "gov/nn/linear.hpp"
#include "gov/nn/norm.hpp"
#include "gov/projector/mm_projector_type.hpp"

namespace gov {

namespace detail {

inline constexpr std::array<std::string_view, MmProjectorType::most> linear_names{
    "linear_1", "linear_2", "linear_3", "linear_4", "linear_5",
    "linear_6", "linear_7", "linear_8", "linear_9"};

}  // namespace detail

// LLaVA-NeXT's SimpleResBlock.
template <index_t Width>
struct ProjectorResidual {
  static constexpr double layer_norm_eps = 1e-5;
  using Norm = LayerNorm<Width>;
  using Layer = Linear<Width, Width>;

  struct Params {
    typename Norm::Params pre_norm;
    typename Layer::Params linear_1, linear_2;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "pre_norm", p.pre_norm...);
      gov::visit(v, name / "linear_1", p.linear_1...);
      gov::visit(v, name / "linear_2", p.linear_2...);
    }
  };

  // In place; x [tokens, Width].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Rows<T> x) {
    const ArenaScope scope(context.arena);
    const auto inner = context.rows(x.rows, Width);
    Norm::forward(context, p.pre_norm, layer_norm_eps, x, x);
    Layer::forward(context, p.linear_1, x, inner);
    for_each_row(context, x.rows, Width, [&](index_t i) {
      context.kernels.activate(kernel::Activation::gelu, inner.row(i), Width);
    });
    Layer::forward(context, p.linear_2, inner, x, true);
  }
};

template <index_t VisionWidth, index_t TextWidth, index_t Depth = 2,
          kernel::Activation Act = kernel::Activation::gelu, bool HasBias = true,
          index_t Residuals = 0, index_t Hidden = TextWidth>
struct LlavaProjector {
  static_assert(1 <= Depth && Depth <= MmProjectorType::most && 0 <= Residuals,
                "gov: a LLaVA projector has 1 to 9 layers; IdentityProjector has none");
  static constexpr std::string_view takes = "at least one token of the tower";
  static constexpr index_t tokens(index_t rows) { return rows; }
  // Numbers of scratch memory for so many tokens.
  static constexpr index_t scratch(index_t tokens) {
    return 2 * tokens * std::max(Hidden, TextWidth);
  }
  static constexpr index_t input_width = VisionWidth, output_width = TextWidth;
  using First = Linear<VisionWidth, Depth == 1 ? TextWidth : Hidden, HasBias>;
  using Middle = Linear<Hidden, Hidden, HasBias>;
  using Last = Linear<Hidden, TextWidth, HasBias>;
  using Residual = ProjectorResidual<TextWidth>;
  static constexpr std::size_t middles = Depth > 2 ? Depth - 2 : 0;

  struct Params {
    typename First::Params first;
    present_if<(Depth > 2), std::array<typename Middle::Params, middles>> middle;
    present_if<(Depth > 1), typename Last::Params> last;
    present_if<(Residuals > 0), std::array<typename Residual::Params, Residuals>> residual;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "linear_1", p.first...);
      if constexpr (Depth > 2)
        for (std::size_t i = 0; i < middles; ++i)
          gov::visit(v, name / detail::linear_names[i + 1], p.middle[i]...);
      if constexpr (Depth > 1) gov::visit(v, name / detail::linear_names[Depth - 1], p.last...);
      gov::visit(v, name / "residual", p.residual...);
    }
  };

  // x [tokens, VisionWidth] -> y [tokens, TextWidth].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, Rows<T> y) {
    if constexpr (Depth == 1) {
      First::forward(context, p.first, x, y);
    } else {
      const ArenaScope scope(context.arena);
      auto inner = context.rows(x.rows, Hidden);
      First::forward(context, p.first, x, inner);
      activate(context, inner);
      if constexpr (Depth > 2) {
        auto other = context.rows(x.rows, Hidden);
        for (const auto& layer : p.middle) {
          Middle::forward(context, layer, inner, other);
          activate(context, other);
          std::swap(inner, other);
        }
      }
      Last::forward(context, p.last, inner, y);
    }
    if constexpr (Residuals > 0)
      for (const auto& block : p.residual) Residual::forward(context, block, y);
  }

  // The original's name of one of the parameters, behind its "mm_projector.": layers and
  // activations share one count there.
  static std::string original_name(std::string_view ours, bool sequential = true) {
    if (!sequential) return std::string(ours.substr(ours.find('.') + 1));
    const auto position = [](std::string_view linear) {  // linear_3... -> 4
      return std::to_string(2 * (linear[7] - '1'));
    };
    if (ours.starts_with("linear_")) return position(ours) + std::string(ours.substr(8));
    const std::string_view block = ours.substr(std::string_view("residual.").size());
    const std::size_t dot = block.find('.');
    const std::string_view part = block.substr(dot + 1);
    const std::string prefix =
        std::to_string(2 * Depth - 1 + std::stol(std::string(block.substr(0, dot)))) + ".";
    if (!part.starts_with("linear_")) return prefix + std::string(part);
    return prefix + "proj." + position(part) + std::string(part.substr(8));
  }

 private:
  template <class T>
  static void activate(Context<T>& context, Rows<T> x) {
    for_each_row(context, x.rows, x.cols,
                 [&](index_t i) { context.kernels.activate(Act, x.row(i), x.cols); });
  }
};

template <index_t Width, index_t TextWidth = Width>
struct IdentityProjector {
  static_assert(Width == TextWidth,
                "gov: mm_projector_type identity keeps the tower's features, whose width must be "
                "the language model's hidden_size");
  static constexpr std::string_view takes = "at least one token of the tower";
  static constexpr index_t tokens(index_t rows) { return rows; }
  static constexpr index_t scratch(index_t) { return 0; }
  static constexpr index_t input_width = Width, output_width = Width;
  struct Params {
    template <class V, class N, class... P>
    static constexpr void visit(V&&, const N&, P&...) {}
  };
  static std::string original_name(std::string_view ours, bool = false) {
    return std::string(ours);  // there is none
  }
  template <class T>
  static void forward(Context<T>& context, const Params&, Input<T> x, Rows<T> y) {
    for_each_row(context, x.rows, Width,
                 [&](index_t i) { std::copy_n(x.row(i), Width, y.row(i)); });
  }
};

// The one that mm_projector_type names.
template <index_t Depth, index_t Residuals, index_t VisionWidth, index_t TextWidth,
          kernel::Activation Act = kernel::Activation::gelu, bool HasBias = true,
          index_t Hidden = TextWidth>
using MmProjector = std::conditional_t<
    Depth == 0, IdentityProjector<VisionWidth, TextWidth>,
    LlavaProjector<VisionWidth, TextWidth, Depth, Act, HasBias, Residuals, Hidden>>;

// 1024 -> 2560 -> 768, between DINOv2-large and a GPT-2 of the BabyLM kind.
using BabyLmProjector = LlavaProjector<1024, 768, 2, kernel::Activation::gelu, true, 0, 2560>;
static_assert(parameter_count<BabyLmProjector> == 4'590'848);

}  // namespace gov
