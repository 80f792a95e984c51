// A video's features as LLaVA-NeXT-Video and LLaVA-OneVision take them: each frame's grid of tokens
// pooled (mm_spatial_pool_mode, mm_spatial_pool_stride), frame after frame, and image_newline where
// mm_newline_position says.
#pragma once

#include <string>

#include "gov/core/config.hpp"
#include "gov/nn/linear_resize.hpp"

namespace gov {

enum class PoolMode { average, max, bilinear };
enum class NewlinePosition { one_token, frame, grid, no_token };  // at the end, of frames, of rows

template <>
struct EnumNames<PoolMode> {
  static constexpr std::string_view type = "gov::PoolMode";
  static constexpr std::array<std::pair<std::string_view, PoolMode>, 3> values{
      {{"average", PoolMode::average}, {"max", PoolMode::max}, {"bilinear", PoolMode::bilinear}}};
  static constexpr std::array<std::string_view, 3> enumerators{"average", "max", "bilinear"};
};
template <>
struct EnumNames<NewlinePosition> {
  static constexpr std::string_view type = "gov::NewlinePosition";
  static constexpr std::array<std::pair<std::string_view, NewlinePosition>, 4> values{
      {{"one_token", NewlinePosition::one_token},
       {"frame", NewlinePosition::frame},
       {"grid", NewlinePosition::grid},
       {"no_token", NewlinePosition::no_token}}};
  static constexpr std::array<std::string_view, 4> enumerators{"one_token", "frame", "grid",
                                                               "no_token"};
};

struct VideoPool {
  index_t side = 0;  // a frame has side x side tokens
  PoolMode mode = PoolMode::bilinear;
  index_t stride = 2;  // 1: frames as they are
  NewlinePosition newline = NewlinePosition::one_token;

  // What does not fill a window is left out, but by bilinear.
  constexpr index_t pooled_side() const {
    if (stride < 1) return 0;
    return mode == PoolMode::bilinear ? (side + stride - 1) / stride : side / stride;
  }
  constexpr index_t tokens(index_t frames) const {
    const index_t rows = pooled_side();
    switch (newline) {
      case NewlinePosition::one_token: return frames * rows * rows + 1;
      case NewlinePosition::frame: return frames * (rows * rows + 1);
      case NewlinePosition::grid: return frames * rows * (rows + 1);
      case NewlinePosition::no_token: break;
    }
    return frames * rows * rows;
  }
};

// x [frames * side^2, C] -> y [pool.tokens(frames), C]; newline [C], unless there is none.
template <class T>
void pool_video(Context<T>& context, const VideoPool& pool, Input<T> x, const float* newline,
                Rows<T> y) {
  const index_t area = pool.side * pool.side, width = x.cols, side = pool.pooled_side();
  if (side < 1 || x.rows % area != 0 || y.cols != width || y.rows != pool.tokens(x.rows / area) ||
      (!newline && pool.newline != NewlinePosition::no_token))
    throw Error({.code = Errc::bad_video,
                 .file = {},
                 .field = "video features",
                 .expected = "frames of " + std::to_string(area) +
                             " tokens, at least one window of " + std::to_string(pool.stride) +
                             " each way",
                 .found = std::to_string(x.rows) + " tokens"});
  const index_t frames = x.rows / area;
  const ArenaScope scope(context.arena);
  const auto pooled = context.rows(frames * side * side, width);
  if (pool.mode == PoolMode::bilinear) {
    resize_linear(context, x, {frames, pool.side, pool.side}, {frames, side, side}, pooled);
  } else {
    const T share = T(1) / static_cast<T>(pool.stride * pool.stride);
    for_each_row(context, pooled.rows, width * pool.stride * pool.stride, [&](index_t row) {
      const index_t frame = row / (side * side), i = row / side % side, j = row % side;
      T* const out = pooled.row(row);
      for (index_t k = 0; k < pool.stride * pool.stride; ++k) {
        const index_t from = frame * area + (i * pool.stride + k / pool.stride) * pool.side +
                             j * pool.stride + k % pool.stride;
        for (index_t c = 0; c < width; ++c) {
          const T value = x(from, c);
          out[c] = k == 0                       ? value
                   : pool.mode == PoolMode::max ? std::max(out[c], value)
                                                : out[c] + value;
        }
      }
      if (pool.mode == PoolMode::average)
        for (index_t c = 0; c < width; ++c) out[c] *= share;
    });
  }
  index_t to = 0;
  for (index_t row = 0; row < pooled.rows; ++row) {
    std::copy_n(pooled.row(row), width, y.row(to++));
    const index_t done = row + 1;
    const index_t run = pool.newline == NewlinePosition::grid        ? side
                        : pool.newline == NewlinePosition::frame     ? side * side
                        : pool.newline == NewlinePosition::one_token ? pooled.rows
                                                                     : done + 1;
    if (done % run != 0) continue;
    for (index_t c = 0; c < width; ++c) y(to, c) = T(newline[c]);
    ++to;
  }
}

}  // namespace gov
