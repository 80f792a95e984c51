// From the tower's features of a video to the language model's tokens: a projector, a packer and
// positions in either order.
//   pack_first     packer at the tower's width, projector, positions on each track's tokens
//   project_first  projector, positions on the tower's grid, packer at the language model's width
// Pos is a Lape or Absent.
#pragma once

#include "gov/projector/lape.hpp"
#include "gov/projector/video_packer.hpp"

namespace gov {

enum class PackOrder { pack_first, project_first };

template <>
struct EnumNames<PackOrder> {
  static constexpr std::string_view type = "gov::PackOrder";
  static constexpr std::array<std::pair<std::string_view, PackOrder>, 2> values{
      {{"pack_first", PackOrder::pack_first}, {"project_first", PackOrder::project_first}}};
  static constexpr std::array<std::string_view, 2> enumerators{"pack_first", "project_first"};
};

// pack_images: an image is packed too; otherwise, with project_first, it keeps its tokens (LLaVA-ST
// without use_downsample_image).
template <class Packer, class Projector, class Pos, PackOrder Order, bool pack_images = true>
struct VideoProjector {
  static constexpr bool pack_first = Order == PackOrder::pack_first;
  static_assert(pack_first ? Packer::width == Projector::input_width
                           : Packer::width == Projector::output_width,
                "gov: the packer has the projector's input width if it comes first, and its output "
                "width if it comes second");
  static_assert(pack_images || !pack_first, "gov: only project_first can leave images unpacked");
  static constexpr index_t input_width = Projector::input_width;
  static constexpr index_t output_width = Projector::output_width;
  static constexpr bool has_positions = !std::is_same_v<Pos, Absent>;
  static constexpr std::string_view takes = "at least one token of the tower";

  // Of a video, or with one frame of an image.
  static constexpr index_t tokens(index_t frame_count) {
    return frame_count == 1 && !pack_images ? Packer::grid.height * Packer::grid.width
                                            : Packer::tokens(frame_count);
  }

  template <class Module>
  struct ParamsOf {
    using type = typename Module::Params;
  };
  struct NoPositions {
    using type = Absent;
  };
  struct Params {
    typename Packer::Params packer;
    typename Projector::Params projector;
    typename std::conditional_t<has_positions, ParamsOf<Pos>, NoPositions>::type positions;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "vision_resampler", p.packer...);
      gov::visit(v, name / "mm_projector", p.projector...);
      gov::visit(v, name, p.positions...);
    }
  };

  // x [from.tokens(), input_width], frame by frame without class tokens -> y [tokens(from.frames),
  // output_width].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, const TokenGrid& from,
                      Rows<T> y) {
    check_frames(from.frames, Packer::frames);
    if (x.rows != from.tokens() || y.rows != tokens_of(from))
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "video features",
                   .expected = std::to_string(from.tokens()) + " tokens of " +
                               std::to_string(from.frames) + " frames",
                   .found = std::to_string(x.rows)});
    const ArenaScope scope(context.arena);
    if constexpr (pack_first) {
      const auto packed = context.rows(y.rows, input_width);
      Packer::forward(context, p.packer, x, from, packed);
      Projector::forward(context, p.projector, packed, y);
      if constexpr (has_positions) {
        const PackTracks to = Packer::tracks(from.frames);
        Pos::add(context, p.positions, to.fast, y.slice(0, to.fast.tokens()));
        Pos::add(context, p.positions, to.slow, y.slice(to.fast.tokens(), to.slow.tokens()));
      }
    } else {
      const bool keeps = from.frames == 1 && !pack_images;
      const auto projected = keeps ? y : context.rows(x.rows, output_width);
      Projector::forward(context, p.projector, x, projected);
      if constexpr (has_positions) Pos::add(context, p.positions, from, projected);
      if (!keeps) Packer::forward(context, p.packer, projected, from, y);
    }
  }

 private:
  static index_t tokens_of(const TokenGrid& from) {
    return from.frames == 1 && !pack_images ? from.tokens() : Packer::tokens(from.frames);
  }
};

// 8 frames of DINOv2-large as 8 x (2 x 4) fast and 2 x (4 x 4) slow tokens for a GPT-2 of width
// 768.
using Seed96Projector = VideoProjector<VideoPacker<1024, PackGrid<8, 2, 4>, PackGrid<2, 4, 4>>,
                                       BabyLmProjector, Lape<768, 8>, PackOrder::pack_first>;
static_assert(Seed96Projector::tokens(8) == 96 && Seed96Projector::tokens(1) == 24);

// LLaVA-ST with Qwen2-7B: 100 frames of SigLIP's 27 x 27 as 100 x 9 fast and 20 x 81 slow tokens.
using LlavaStProjector =
    VideoProjector<FastSlowPacker<3584, 100, 27, 20, 9, 3>, LlavaProjector<1152, 3584>,
                   Lape<3584, 100>, PackOrder::project_first, false>;
static_assert(LlavaStProjector::tokens(100) == 900 + 1620 && LlavaStProjector::tokens(1) == 729);

// The BabyLM fork's Italian runs: 4 frames of DINOv2 as 4 x 9 and 4 x 81 tokens, attention to all,
// no positions.
using BabyLmItProjector =
    VideoProjector<FastSlowPacker<768, 4, 16, 4, 9, 3, PackAttention::global>,
                   LlavaProjector<1024, 768>, Absent, PackOrder::project_first, false>;
static_assert(BabyLmItProjector::tokens(4) == 36 + 324);

static_assert(parameter_count_of<Seed96Projector::Params>() == 23'101'440 + 4'590'848 + 319'488);
static_assert(parameter_count<FastSlowPacker<3584, 100, 27, 20, 9, 3>> == 66'109'440);
static_assert(parameter_count<FastSlowPacker<768, 4, 16, 4, 9, 3, PackAttention::global>> ==
              31'506'432);

}  // namespace gov
