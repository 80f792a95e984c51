// How the features of one picture's views become its tokens (transformers: pack_image_features of
// LlavaNextModel and LlavaOnevisionModel; the original's mm_patch_merge_type): the whole picture's
// tokens first, then those of the other views as one large grid, without the rows or columns that
// were margins, shrunk if there are too many, image_newline behind each row.
//
// AnyresLayout is made from sizes alone, so that a prompt can be given as many image tokens before
// anything is computed.
#pragma once

#include <cmath>
#include <string>

#include "gov/image/anyres.hpp"
#include "gov/nn/linear_resize.hpp"

namespace gov {

enum class PatchMerge { flat, spatial };  // flat: view after view

// image_aspect_ratio and mm_patch_merge_type of the original. transformers has spatial and unpad,
// with whole_number transformers.
struct AnyresRule {
  enum class WholeNumber { transformers, original };

  PatchMerge merge = PatchMerge::spatial;
  bool unpad = true;      // and image_newline behind each row, where there is one
  bool base = true;       // false: "nobase", without the whole picture
  bool max_pool = false;  // "maxpool2x2": neither unpad nor newline then
  index_t max_views = 0;  // anyres_max_N: shrinks what is more than N views; 0: any number
  // An unpadded side is int(round(x, 7)) in transformers and int(x) in the original.
  WholeNumber whole_number = WholeNumber::transformers;
};

// From their spelling: "flat", "spatial", "spatial_unpad", "spatial_maxpool2x2", "..._nobase";
// "anyres", "anyres_max_9".
inline AnyresRule parse_anyres_rule(std::string_view patch_merge_type,
                                    std::string_view aspect_ratio = "anyres") {
  const auto refuse = [](std::string_view field, std::string_view expected,
                         std::string_view found) {
    throw Error({.code = Errc::bad_config,
                 .file = {},
                 .field = std::string(field),
                 .expected = std::string(expected),
                 .found = std::string(found)});
  };
  AnyresRule rule{.whole_number = AnyresRule::WholeNumber::original};
  std::string_view rest = patch_merge_type;
  const auto take = [&rest](std::string_view part) {
    const bool found = rest.starts_with(part);
    if (found) rest.remove_prefix(part.size());
    return found;
  };
  rule.unpad = false;
  if (take("flat"))
    rule.merge = PatchMerge::flat;
  else if (take("spatial"))
    rule.max_pool = take("_maxpool2x2"), rule.unpad = take("_unpad"), rule.base = !take("_nobase");
  if (!rest.empty() || patch_merge_type.empty() || (rule.max_pool && rule.unpad))
    refuse("mm_patch_merge_type",
           "flat, or spatial with _unpad or _maxpool2x2 and with or without _nobase",
           patch_merge_type);
  rest = aspect_ratio;
  const bool limited = take("anyres_max_");
  if (limited)
    for (;
         !rest.empty() && '0' <= rest.front() && rest.front() <= '9' && rule.max_views < max_tiles;
         rest.remove_prefix(1))
      rule.max_views = 10 * rule.max_views + (rest.front() - '0');
  if (limited ? !rest.empty() || rule.max_views < 1 || rule.max_views > max_tiles
              : aspect_ratio != "anyres")
    refuse("image_aspect_ratio", "anyres or anyres_max_N", aspect_ratio);
  if (!rule.unpad) rule.max_views = 0;  // as in the original
  return rule;
}

namespace detail {

// Python's int(round(x, 7)).
inline index_t whole_number(double x, AnyresRule::WholeNumber how) {
  const double above = std::floor(x) + 1;
  if (how == AnyresRule::WholeNumber::transformers && above - x <= 5e-8)
    return static_cast<index_t>(above);
  return static_cast<index_t>(x);
}

// Python's x // y of positive floats, as a whole number.
inline index_t floor_divided(double x, double y) {
  const double quotient = (x - std::fmod(x, y)) / y, floor = std::floor(quotient);
  return static_cast<index_t>(quotient - floor > 0.5 ? floor + 1 : floor);
}

}  // namespace detail

// The tokens of one picture.
struct AnyresLayout {
  index_t side = 0;           // a view has side x side tokens
  TileGrid views{0, 0};       // behind the first; none: it is alone
  TokenGrid whole{1, 0, 0};   // their tokens as one grid
  index_t top = 0, left = 0;  // the part of it that is kept
  TokenGrid kept{1, 0, 0};    //   has this size
  TokenGrid packed{1, 0, 0};  // what becomes of it
  bool base = true, flat = false, max_pool = false, newline = false;

  index_t view_count() const { return 1 + views.tiles(); }
  index_t base_tokens() const { return base ? side * side : 0; }
  index_t tokens() const {
    return base_tokens() + packed.tokens() +
           (!newline             ? 0
            : views.tiles() == 0 ? 1
                                 : packed.height);
  }
};

// One view alone, as of a picture that is not cut: its tokens, and a newline if there are any.
inline AnyresLayout single_view_layout(index_t side, bool newline) {
  return {.side = side, .newline = newline};
}

// image: height and width of the picture as it came; view: pixels of a view's side; newline: the
// model has image_newline.
inline AnyresLayout anyres_layout(Extent image, std::span<const Extent> resolutions, index_t view,
                                  index_t side, const AnyresRule& rule, bool newline) {
  check_resolutions(resolutions, view);
  AnyresLayout layout{.side = side, .views = anyres_grid(image, resolutions, view)};
  layout.base = rule.base || rule.merge == PatchMerge::flat;
  layout.flat = rule.merge == PatchMerge::flat;
  layout.max_pool = rule.max_pool && !layout.flat;
  layout.newline = newline && rule.unpad && !layout.flat;
  layout.whole = layout.kept = {1, layout.views.rows * side, layout.views.columns * side};
  TokenGrid& kept = layout.kept;
  if (rule.unpad && !layout.flat) {
    const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
    const auto rows = static_cast<double>(kept.height), columns = static_cast<double>(kept.width);
    if (width / height > columns / rows) {
      const index_t used = detail::whole_number(height * (columns / width), rule.whole_number);
      layout.top = (kept.height - used) / 2;
      kept.height -= 2 * layout.top;
    } else {
      const index_t used = detail::whole_number(width * (rows / height), rule.whole_number);
      layout.left = (kept.width - used) / 2;
      kept.width -= 2 * layout.left;
    }
  }
  layout.packed = kept;
  if (layout.max_pool) layout.packed = {1, kept.height / 2, kept.width / 2};
  if (rule.max_views > 0) {
    const auto most = static_cast<double>(rule.max_views * side * side);
    const double ratio = std::sqrt(static_cast<double>(kept.tokens()) / most);
    if (ratio > 1.1)
      layout.packed = {1, detail::floor_divided(static_cast<double>(kept.height), ratio),
                       detail::floor_divided(static_cast<double>(kept.width), ratio)};
  }
  return layout;
}

// x [view_count * side^2, C], view after view -> y [tokens(), C]; newline [C] or null.
template <class T>
void pack_anyres_features(Context<T>& context, const AnyresLayout& layout, Input<T> x,
                          const float* newline, Rows<T> y) {
  const index_t area = layout.side * layout.side, width = x.cols;
  if (x.rows != layout.view_count() * area || y.rows != layout.tokens() || y.cols != width ||
      (layout.newline && !newline))
    throw Error({.code = Errc::bad_argument,
                 .file = {},
                 .field = "image features",
                 .expected = std::to_string(layout.view_count()) + " views of " +
                             std::to_string(area) + " tokens",
                 .found = std::to_string(x.rows) + " tokens"});
  const auto copy = [&](index_t from, index_t to) { std::copy_n(x.row(from), width, y.row(to)); };
  const auto put_newline = [&](index_t to) {
    std::transform(newline, newline + width, y.row(to), [](float v) { return T(v); });
  };
  index_t row = layout.base_tokens();
  for (index_t i = 0; i < row; ++i) copy(i, i);
  if (layout.flat) {
    for (; row < y.rows; ++row) copy(row, row);
    return;
  }
  if (layout.views.tiles() == 0) {
    if (layout.newline) put_newline(row);
    return;
  }
  // Of token (i, j) of the grid without margins.
  const auto source = [&](index_t i, index_t j) {
    i += layout.top, j += layout.left;
    const index_t view = 1 + i / layout.side * layout.views.columns + j / layout.side;
    return view * area + i % layout.side * layout.side + j % layout.side;
  };
  const ArenaScope scope(context.arena);
  const bool shrunk = !layout.max_pool && layout.packed != layout.kept;
  const auto whole = context.rows(shrunk ? layout.kept.tokens() : 0, width);
  const auto packed = context.rows(shrunk ? layout.packed.tokens() : 0, width);
  if (shrunk) {
    for (index_t i = 0; i < layout.kept.tokens(); ++i)
      std::copy_n(x.row(source(i / layout.kept.width, i % layout.kept.width)), width, whole.row(i));
    resize_linear(context, whole, layout.kept, layout.packed, packed);
  }
  for (index_t i = 0; i < layout.packed.height; ++i) {
    for (index_t j = 0; j < layout.packed.width; ++j, ++row) {
      if (shrunk) {
        std::copy_n(packed.row(i * layout.packed.width + j), width, y.row(row));
      } else if (!layout.max_pool) {
        copy(source(i, j), row);
      } else {
        copy(source(2 * i, 2 * j), row);
        for (const index_t from :
             {source(2 * i, 2 * j + 1), source(2 * i + 1, 2 * j), source(2 * i + 1, 2 * j + 1)})
          std::transform(x.row(from), x.row(from) + width, y.row(row), y.row(row),
                         [](T a, T b) { return std::max(a, b); });
      }
    }
    if (layout.newline) put_newline(row++);
  }
}

}  // namespace gov
