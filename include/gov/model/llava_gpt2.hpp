// LlavaGpt2: LLaVA-ST (arXiv 2501.08282), around GPT-2 as the BabyLM wrapper of it has it, with the
// packer of VideoPacker, or around any other language model. A visual is a picture (one frame) or a
// video (num_frames frames):
//   frames -> a hidden state of the tower, its class token dropped -> packer, projector and
//   positions (video_projector.hpp) -> rows of the language model
// The features overwrite place-holders and their markers (visual_spans.hpp): a picture's between
// <im_start> and <im_end>, a video's fast track between <vid_start> and <vid_end>, its slow track
// between <slow_vid_start> and <slow_vid_end>.
// Not here: location tokens' rows in the output head.
#pragma once

#include "gov/language/gpt2.hpp"
#include "gov/language/qwen2.hpp"
#include "gov/model/tile_features.hpp"
#include "gov/model/visual_spans.hpp"
#include "gov/nn/geometry.hpp"
#include "gov/projector/video_projector.hpp"
#include "gov/vision/dinov2.hpp"
#include "gov/vision/siglip_vit.hpp"

namespace gov {

enum class MmPacker {
  tracks,     // VideoPacker
  fast_slow,  // FastSlowPacker
};

template <>
struct EnumNames<MmPacker> {
  static constexpr std::string_view type = "gov::MmPacker";
  static constexpr std::array<std::pair<std::string_view, MmPacker>, 2> values{
      {{"tracks", MmPacker::tracks}, {"fast_slow", MmPacker::fast_slow}}};
  static constexpr std::array<std::string_view, 2> enumerators{"tracks", "fast_slow"};
};

using TrackGrid = ConfigList<index_t, 3>;  // frames, rows, columns

// The keys of config.json beside GPT-2's and the tower's. What the wrapper has no key for (its
// packer has another shape) is named here, mm_packer_..., and has the 96 tokens' value by default.
struct LlavaGpt2Config {
  static constexpr std::string_view model_type = "llava_gpt2";
  static constexpr std::string_view type = "gov::LlavaGpt2Config", modules = "gov::LlavaGpt2";
  static constexpr std::string_view header = "gov/model/llava_gpt2.hpp";
  static constexpr std::string_view architecture = "LlavaGPT2ForCausalLM";
  static constexpr std::string_view image_token_key{};  // eight ids in its place: VisualMarkerIds
  static constexpr int image_token_id = -1;
  using Vision = Dinov2Config;
  using Text = Gpt2Config;

  // How it generates unless told otherwise.
  static constexpr double temperature = 0;
  static constexpr index_t max_new_tokens = 1024;
  static constexpr bool do_sample = false;
  static constexpr bool has_top_p = false;

  index_t num_frames = 8;
  // Of the tower's hidden states; -1: the last, after the final norm. mm_vision_select_layer, which
  // neither the wrapper nor LLaVA-ST looks at, is another key.
  index_t vision_feature_layer = -1;
  MmProjectorType mm_projector_type = mlp2x_gelu;
  index_t mm_projector_hidden_size = 2560;  // 0 (null in config.json): the language model's width
  MmPacker mm_packer_type = MmPacker::tracks;
  PackOrder mm_packer_order = PackOrder::pack_first;
  PackAttention mm_packer_attention = PackAttention::window;
  TrackGrid mm_packer_fast{8, 2, 4}, mm_packer_slow{2, 4, 4};
  index_t mm_packer_grid = 16;  // rows and columns that the packer reads
  index_t mm_packer_hidden_size = 1024, mm_packer_num_heads = 8;
  bool mm_packer_images = true;    // false, with project_first: a picture keeps its tokens
  index_t mm_num_positions = 100;  // of height and of width; 0 (null): no positions
  bool tie_word_embeddings = true;

  static constexpr LlavaGpt2Config class_defaults() { return {}; }
  friend constexpr bool operator==(const LlavaGpt2Config&, const LlavaGpt2Config&) = default;

  template <class Self, class V>
  static constexpr void keys(Self& self, V&& v) {
    v("num_frames", self.num_frames, Range{2, 1 << 12});
    v("vision_feature_layer", self.vision_feature_layer, Range{-256, 256});
    v("mm_projector_type", self.mm_projector_type);
    v("mm_projector_hidden_size", self.mm_projector_hidden_size, OrNull{1, 1 << 18});
    v("mm_packer_type", self.mm_packer_type);
    v("mm_packer_order", self.mm_packer_order);
    v("mm_packer_attention", self.mm_packer_attention);
    v("mm_packer_fast", self.mm_packer_fast, Range{1, 1 << 12});
    v("mm_packer_slow", self.mm_packer_slow, Range{1, 1 << 12});
    v("mm_packer_grid", self.mm_packer_grid, Range{1, 1 << 12});
    v("mm_packer_hidden_size", self.mm_packer_hidden_size, Range{1, 1 << 16});
    v("mm_packer_num_heads", self.mm_packer_num_heads, Range{1, 1 << 12});
    v("mm_packer_images", self.mm_packer_images);
    v("mm_num_positions", self.mm_num_positions, OrNull{1, 1 << 16});
    v("tie_word_embeddings", self.tie_word_embeddings);
  }

  constexpr std::string_view problem() const {
    const TrackGrid &fast = mm_packer_fast, &slow = mm_packer_slow;
    if (fast.size() != 3 || slow.size() != 3)
      return "mm_packer_fast and mm_packer_slow must each be frames, rows and columns";
    if (mm_packer_hidden_size % mm_packer_num_heads != 0)
      return "mm_packer_hidden_size must be a multiple of mm_packer_num_heads";
    if (!mm_packer_images && mm_packer_order == PackOrder::pack_first)
      return "mm_packer_images may be false with mm_packer_order project_first only";
    const bool windows = mm_packer_attention == PackAttention::window;
    const index_t side = mm_packer_grid;
    if (mm_packer_type == MmPacker::fast_slow) {
      if (fast[0] != num_frames || fast[1] != fast[2] || slow[1] != slow[2])
        return "the fast track of mm_packer_type fast_slow must have all frames, and both tracks "
               "square grids";
      if (windows && (side % slow[1] != 0 || slow[1] % fast[1] != 0 || num_frames % slow[0] != 0))
        return "each step of the packer must divide the grid before it";
    } else if (windows) {
      for (const TrackGrid* track : {&fast, &slow})
        if (num_frames % (*track)[0] != 0 || side % (*track)[1] != 0 || side % (*track)[2] != 0)
          return "num_frames and mm_packer_grid must be multiples of what the tracks have";
    }
    return mm_projector_type.problem();
  }
};

// The modules that a config names.
template <class Cfg>
struct LlavaGpt2Parts {
  static constexpr LlavaGpt2Config c = Cfg::config;
  static constexpr index_t vision = Cfg::Vision::config.hidden_size;
  static constexpr index_t text = geometry_of(Cfg::Language::config).hidden_size;
  static constexpr index_t width = c.mm_packer_order == PackOrder::pack_first ? vision : text;
  using Mlp = MmProjector<c.mm_projector_type.depth, c.mm_projector_type.residuals, vision, text,
                          kernel::Activation::gelu, true,
                          c.mm_projector_hidden_size != 0 ? c.mm_projector_hidden_size : text>;
  using Tracks =
      VideoPacker<width, PackGrid<c.mm_packer_fast[0], c.mm_packer_fast[1], c.mm_packer_fast[2]>,
                  PackGrid<c.mm_packer_slow[0], c.mm_packer_slow[1], c.mm_packer_slow[2]>,
                  c.num_frames, c.mm_packer_grid, c.mm_packer_attention, c.mm_packer_hidden_size,
                  c.mm_packer_num_heads>;
  using FastSlow = FastSlowPacker<width, c.num_frames, c.mm_packer_grid, c.mm_packer_slow[0],
                                  c.mm_packer_slow[1], c.mm_packer_fast[1], c.mm_packer_attention,
                                  c.mm_packer_hidden_size, c.mm_packer_num_heads>;
  using Packer = std::conditional_t<c.mm_packer_type == MmPacker::tracks, Tracks, FastSlow>;
  using Positions = std::conditional_t<c.mm_num_positions != 0,
                                       Lape<text, c.num_frames, c.mm_num_positions>, Absent>;
  using Projector = VideoProjector<Packer, Mlp, Positions, c.mm_packer_order, c.mm_packer_images>;
};

template <class Cfg>
struct VideoFeatures {
  using VisionConfig = typename Cfg::Vision;
  using Vision = typename VisionConfig::template Tower<VisionConfig>;
  using Packer = typename LlavaGpt2Parts<Cfg>::Packer;
  using Projector = typename Cfg::template Projector<Cfg>;
  static constexpr index_t num_frames = Cfg::config.num_frames;
  static constexpr index_t hidden_size = geometry_of(Cfg::Language::config).hidden_size;
  static constexpr index_t feature_layer =
      layer_number(Cfg::config.vision_feature_layer, Vision::num_hidden_layers, true);
  static_assert(feature_layer != no_layer,
                "gov: vision_feature_layer must name one of the tower's hidden states");
  static constexpr FeatureLayers feature_layers{feature_layer};
  static constexpr index_t deepest =  // layers of the tower that are run
      feature_layer < 0 ? Vision::num_hidden_layers : feature_layer;

  struct Params : Projector::Params {
    typename Vision::Params vision_tower;

    template <class V, class N, class... P>
    static constexpr void visit(V&& v, const N& name, P&... p) {
      gov::visit(v, name / "vision_tower", p.vision_tower...);
      Projector::Params::visit(v, name, p...);
    }
  };

  static constexpr TokenGrid grid_of(index_t frames, index_t height, index_t width) {
    const Extent grid = patch_grid({height, width}, VisionConfig::config.patch_size);
    return {frames, grid.height, grid.width};
  }
  // Tokens of a picture; 0 where one of this size cannot be taken.
  static constexpr index_t image_tokens(index_t height, index_t width) {
    const TokenGrid grid = grid_of(1, height, width);
    constexpr index_t side = Packer::grid.height;
    constexpr bool resizes = Cfg::config.mm_packer_type == MmPacker::tracks ||
                             Cfg::config.mm_packer_attention == PackAttention::global;
    const bool fits = resizes && Cfg::config.mm_packer_images
                          ? grid.tokens() > 0
                          : grid.height == side && grid.width == side;
    return fits ? Projector::tokens(1) : 0;
  }
  // Of a video's tokens, the last.
  static constexpr index_t slow_tokens() { return Packer::tracks(num_frames).slow.tokens(); }
  // Numbers of scratch memory for one video of the tower's own size.
  static constexpr index_t scratch() {
    constexpr Extent size = Vision::image_size;
    constexpr index_t tokens = Vision::tokens(size.height, size.width);
    constexpr index_t all = num_frames * grid_of(1, size.height, size.width).tokens(),
                      read = std::max(Packer::grid.tokens(), all),
                      width = std::max(Vision::hidden_size, hidden_size);
    return (all + tokens) * Vision::hidden_size +
           std::max(Vision::scratch(tokens),
                    read * (3 * width + 4 * Cfg::config.mm_packer_hidden_size));
  }

  // Frames of each visual of a call. Throws bad_argument or bad_video where they cannot be.
  static std::vector<index_t> visuals(const Inputs& inputs) {
    const index_t count = inputs.pixel_values.count;
    std::vector<index_t> frames(inputs.frames.begin(), inputs.frames.end());
    if (frames.empty() && count == 1) frames = {1};
    if (frames.empty() && count % num_frames == 0)
      frames.assign(static_cast<std::size_t>(count / num_frames), num_frames);
    index_t total = 0;
    for (const index_t n : frames) {
      check_frames(n, num_frames);
      total += n;
    }
    if (total != count)
      refuse(Errc::bad_video, "frames",
             inputs.frames.empty() ? "1, or a multiple of " + std::to_string(num_frames)
                                   : std::to_string(count) + " of all visuals together",
             std::to_string(inputs.frames.empty() ? count : total));
    return frames;
  }

  // Rows of features that the visuals of a call come to.
  static index_t rows(const Inputs& inputs) {
    const PixelView& pixels = inputs.pixel_values;
    index_t rows = 0;
    for (const index_t frames : visuals(inputs)) rows += Projector::tokens(frames);
    if (rows == 0) return 0;
    if (constexpr index_t channels = Vision::num_channels; pixels.channels != channels)
      refuse(Errc::bad_argument, "pixel_values", std::to_string(channels) + " channels",
             std::to_string(pixels.channels));
    if (image_tokens(pixels.height, pixels.width) == 0)
      refuse(Errc::bad_argument, "pixel_values",
             "frames that come to " + std::to_string(Packer::grid.height) + "x" +
                 std::to_string(Packer::grid.width) + " patches",
             std::to_string(pixels.height) + "x" + std::to_string(pixels.width) + " pixels");
    return rows;
  }

  // Where the features go: the place-holders of each visual, in the order of the prompt.
  static std::vector<index_t> positions(const Inputs& inputs, const VisualMarkerIds& markers) {
    if (inputs.inputs_embeds.rows > 0)
      refuse(Errc::bad_argument, "inputs", "input_ids, whose markers say where features go",
             "inputs_embeds");
    SpanFinder finder(inputs.input_ids, markers);
    for (const index_t frames : visuals(inputs)) {
      const index_t tokens = Projector::tokens(frames);
      if (frames == 1) {
        finder.take(SpanFinder::image, tokens);
        continue;
      }
      const index_t fast = Packer::tracks(frames).fast.tokens();
      finder.take(SpanFinder::video, fast);
      finder.take(SpanFinder::slow, tokens - fast);
    }
    return finder.finish();
  }

  // out [rows(inputs), hidden_size of the language model].
  template <class T, class O>
  static void forward(Context<T>& context, const Params& p, const Inputs& inputs, Rows<T> out,
                      O& observer) {
    const PixelView& pixels = inputs.pixel_values;
    index_t frame = 0, row = 0;
    for (const index_t frames : visuals(inputs)) {
      const ArenaScope scope(context.arena);
      const TokenGrid grid = grid_of(frames, pixels.height, pixels.width);
      const index_t patches = grid.height * grid.width,
                    all = Vision::tokens(pixels.height, pixels.width);
      const auto features = context.rows(grid.tokens(), Vision::hidden_size);
      const auto hidden = context.rows(all, Vision::hidden_size);
      for (index_t i = 0; i < frames; ++i) {
        Vision::forward(context, p.vision_tower, pixels.tile(frame++), pixels.height, pixels.width,
                        feature_layer, hidden, observer);
        std::copy_n(hidden.row(all - patches), patches * Vision::hidden_size,
                    features.row(i * patches));
      }
      const index_t tokens = Projector::tokens(frames);
      Projector::forward(context, p, features, grid, out.slice(row, tokens));
      row += tokens;
    }
    if (out.rows > 0) observe(observer, "image_features", out);
  }

 private:
  [[noreturn]] static void refuse(Errc code, std::string_view field, std::string expected,
                                  std::string found) {
    throw Error({.code = code,
                 .file = {},
                 .field = std::string(field),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
};

struct LlavaGpt2 {
  template <class Cfg>
  static std::string original_projector_name(std::string_view ours) {
    return LlavaGpt2Parts<Cfg>::Mlp::original_name(ours, Cfg::config.mm_projector_type.sequential);
  }
  template <class Cfg>
  using Projector = typename LlavaGpt2Parts<Cfg>::Projector;
  template <class Cfg>
  using Images = VideoFeatures<Cfg>;
};

// DINOv2-large, 8 frames as 64 fast and 32 slow tokens, Bambi with the eight markers.
struct Seed96 : LlavaGpt2 {
  static constexpr std::string_view name = "Seed96";
  using Vision = Dinov2Large;
  struct Language : Gpt2 {
    static constexpr Gpt2Config config{.vocab_size = 30008};
  };
  static constexpr LlavaGpt2Config config{};
};

// The BabyLM wrapper's Italian runs: 4 frames as 36 fast and 324 slow tokens at the language
// model's width, attention to all, no positions; a picture keeps its 256 tokens.
struct BabyLmIt : LlavaGpt2 {
  static constexpr std::string_view name = "BabyLmIt";
  using Vision = Dinov2Large;
  using Language = Seed96::Language;
  static constexpr LlavaGpt2Config config{.num_frames = 4,
                                          .mm_projector_hidden_size = 0,
                                          .mm_packer_type = MmPacker::fast_slow,
                                          .mm_packer_order = PackOrder::project_first,
                                          .mm_packer_attention = PackAttention::global,
                                          .mm_packer_fast = {4, 3, 3},
                                          .mm_packer_slow = {4, 9, 9},
                                          .mm_packer_images = false,
                                          .mm_num_positions = 0};
};

// LLaVA-ST itself, with Qwen2-7B's own vocabulary: 100 frames as 900 fast and 1620 slow tokens at
// the language model's width; a picture keeps its 729. SigLIP's last hidden state but one.
struct LlavaSt : LlavaGpt2 {
  static constexpr std::string_view name = "LlavaSt";
  using Vision = SiglipSo400m384OfLlava;
  using Language = Qwen2_7b;
  static constexpr LlavaGpt2Config config{
      .num_frames = 100,
      .vision_feature_layer = Vision::config.num_hidden_layers,  // before the final norm
      .mm_projector_hidden_size = 0,
      .mm_packer_type = MmPacker::fast_slow,
      .mm_packer_order = PackOrder::project_first,
      .mm_packer_fast = {100, 3, 3},
      .mm_packer_slow = {20, 9, 9},
      .mm_packer_grid = 27,
      .mm_packer_images = false,
      .tie_word_embeddings = false};
};

}  // namespace gov
