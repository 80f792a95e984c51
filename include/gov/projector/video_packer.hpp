// Packers of video tokens into a fast track (all frames, coarse) and a slow one (few frames, fine):
//   VideoPacker     each track straight from the tower's grid, by one PackerModule
//   FastSlowPacker  LLaVA-ST's: one shared module makes each frame coarser, then the slow track
//                   drops frames and the fast one drops rows and columns
// Both also take an image: one frame. Tokens come fast track first; in a track by frame, row,
// column. The tower's class token is not among the input.
#pragma once

#include "gov/projector/packer_module.hpp"

namespace gov {

// Where tokens of an output lie, track by track; an image may have one track only.
struct PackTracks {
  TokenGrid fast{}, slow{};
  constexpr index_t tokens() const { return fast.tokens() + slow.tokens(); }
};

template <index_t Frames, index_t Height, index_t Width>
struct PackGrid {
  static constexpr TokenGrid grid{Frames, Height, Width};
};

inline void check_frames(index_t frames, index_t expected) {
  if (frames != 1 && frames != expected)
    throw Error({.code = Errc::bad_video,
                 .file = {},
                 .field = "frames",
                 .expected = std::to_string(expected) + ", or 1 for an image",
                 .found = std::to_string(frames)});
}

template <index_t Width, class Fast, class Slow, index_t Frames = 8, index_t Side = 16,
          PackAttention Attention = PackAttention::window, index_t Inner = 1024, index_t Heads = 8>
struct VideoPacker {
  static constexpr index_t width = Width, frames = Frames;
  static constexpr TokenGrid grid{Frames, Side, Side};
  using Module = PackerModule<Width, Inner, Heads>;
  static_assert(Attention == PackAttention::global ||
                    (Frames % Fast::grid.frames == 0 && Frames % Slow::grid.frames == 0),
                "gov: the frames of a track must divide the video's");
  static_assert(Attention == PackAttention::global ||
                    (Side % Fast::grid.height == 0 && Side % Slow::grid.height == 0 &&
                     Side % Fast::grid.width == 0 && Side % Slow::grid.width == 0),
                "gov: rows and columns of a track must divide the side of the grid");

  static constexpr PackTracks tracks(index_t frame_count) {
    PackTracks result{Fast::grid, Slow::grid};
    if (frame_count == 1) result.fast.frames = result.slow.frames = 1;
    return result;
  }
  static constexpr index_t tokens(index_t frame_count) { return tracks(frame_count).tokens(); }

  struct Params {
    typename Module::Params fast, slow;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "token_packer_slow", p.slow...);
      gov::visit(v, name / "token_packer_fast", p.fast...);
    }
  };

  // x [from.tokens(), Width], any height and width -> y [tokens(from.frames), Width].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, const TokenGrid& from,
                      Rows<T> y) {
    check_frames(from.frames, Frames);
    const ArenaScope scope(context.arena);
    const TokenGrid square{from.frames, Side, Side};
    Rows<const T> source = x;
    if (square != from) {
      const auto resized = context.rows(square.tokens(), Width);
      resize_linear(context, x, from, square, resized);
      source = resized;
    }
    const PackTracks to = tracks(from.frames);
    Module::forward(context, p.fast, source, square, to.fast, Attention,
                    y.slice(0, to.fast.tokens()));
    Module::forward(context, p.slow, source, square, to.slow, Attention,
                    y.slice(to.fast.tokens(), to.slow.tokens()));
  }
};

template <index_t Width, index_t Frames, index_t Side, index_t SlowFrames, index_t SlowSide,
          index_t FastSide, PackAttention Attention = PackAttention::window, index_t Inner = 1024,
          index_t Heads = 8>
struct FastSlowPacker {
  static constexpr index_t width = Width, frames = Frames;
  static constexpr TokenGrid grid{Frames, Side, Side};
  using Module = PackerModule<Width, Inner, Heads>;
  static_assert(Attention == PackAttention::global ||
                    (Side % SlowSide == 0 && SlowSide % FastSide == 0 && Frames % SlowFrames == 0),
                "gov: each step of a packer must divide the grid before it");

  // Of an image only the slow track is used.
  static constexpr PackTracks tracks(index_t frame_count) {
    if (frame_count == 1) return {{0, 0, 0}, {1, SlowSide, SlowSide}};
    return {{Frames, FastSide, FastSide}, {SlowFrames, SlowSide, SlowSide}};
  }
  static constexpr index_t tokens(index_t frame_count) { return tracks(frame_count).tokens(); }

  struct Params {
    typename Module::Params shared, slow, fast;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "token_packer", p.shared...);
      gov::visit(v, name / "token_packer_slow", p.slow...);
      gov::visit(v, name / "token_packer_fast", p.fast...);
    }
  };

  // x [from.tokens(), Width] of Side x Side frames -> y [tokens(from.frames), Width].
  template <class T>
  static void forward(Context<T>& context, const Params& p, Input<T> x, const TokenGrid& from,
                      Rows<T> y) {
    check_frames(from.frames, Frames);
    const ArenaScope scope(context.arena);
    const TokenGrid middle{from.frames, SlowSide, SlowSide};
    const PackTracks to = tracks(from.frames);
    const auto coarse = context.rows(middle.tokens(), Width);
    Module::forward(context, p.shared, x, from, middle, Attention, coarse);
    if (to.fast.tokens() > 0)
      Module::forward(context, p.fast, coarse, middle, to.fast, Attention,
                      y.slice(0, to.fast.tokens()));
    Module::forward(context, p.slow, coarse, middle, to.slow, Attention,
                    y.slice(to.fast.tokens(), to.slow.tokens()));
  }
};

}  // namespace gov
