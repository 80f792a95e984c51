// Processor: everything between a user and a model's inputs: tokenizer, image processor and chat
// template of a checkpoint folder. Messages and pictures go in, token ids and pixel values come
// out.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <stop_token>

#include "gov/image/decode.hpp"
#include "gov/image/image_flags.hpp"
#include "gov/image/pixel_values.hpp"
#include "gov/image/video.hpp"
#include "gov/infer/chat_format.hpp"
#include "gov/model/inputs.hpp"
#include "gov/text/harmony.hpp"
#include "gov/text/internvl_chat.hpp"
#include "gov/text/internvl_gpt_oss_chat.hpp"

namespace gov {

// A picture of a prompt, decoded when it is needed, or ready as tiles.
struct ImageInput {
  std::string path;
  Image pixels;
  std::shared_ptr<const PixelValues> tiles{};
  Image load() const { return path.empty() ? pixels : load_image(path); }
};
inline ImageInput image(std::string path) { return {std::move(path), {}, {}}; }
inline ImageInput image(Image pixels) { return {{}, std::move(pixels), {}}; }

// Pictures whose tiles come from elsewhere, as OpenGVLab's chat() takes them: num_patches_list says
// how many tiles each has (default: what `pixels` says), image_flags which tiles are dummies.
inline std::vector<ImageInput> images_of_tiles(PixelValues pixels,
                                               std::span<const index_t> num_patches_list = {},
                                               std::span<const int> image_flags = {}) {
  if (!num_patches_list.empty())
    pixels.num_patches.assign(num_patches_list.begin(), num_patches_list.end());
  if (pixels.num_patches.empty()) pixels.num_patches = {pixels.count};
  if (!image_flags.empty()) pixels = flagged_tiles(pixels, image_flags);
  std::vector<ImageInput> images;
  for (PixelValues& picture : split_pictures(pixels, pixels.num_patches))
    images.push_back({{}, {}, std::make_shared<const PixelValues>(std::move(picture))});
  return images;
}

// A video: a folder of frames, a file where gov/image/video_file.hpp is included, or the frames.
// Without sampling a model takes the frames that it was made for, or all.
struct VideoInput {
  std::string path;
  std::vector<Image> frames;
  std::optional<FrameSampling> sampling{};
  std::vector<Image> load(const FrameSampling& usual = {}, std::stop_token stop = {}) const {
    if (path.empty()) return frames;
    VideoLimits limits;
    limits.stop = std::move(stop);
    return load_video(path, sampling.value_or(usual), {}, limits);
  }
};
inline VideoInput video(std::string path, std::optional<FrameSampling> sampling = {}) {
  return {std::move(path), {}, sampling};
}
inline VideoInput video(std::vector<Image> frames) { return {{}, std::move(frames), {}}; }

// What comes with a question, in order; videos behind images.
struct Attachments {
  std::vector<ImageInput> images;
  std::vector<VideoInput> videos;
  Attachments() = default;
  Attachments(ImageInput one) { images.push_back(std::move(one)); }             // NOLINT
  Attachments(std::vector<ImageInput> several) : images(std::move(several)) {}  // NOLINT
  Attachments(VideoInput one) { videos.push_back(std::move(one)); }             // NOLINT
};

// What a model says of its pictures and videos in a prompt (visual_rules.hpp makes it).
struct VisualRules {
  // Tokens of one picture or video, by its tiles' shape, image_sizes and frames (Images::rows);
  // throws for what the model cannot take. Empty: a model without a vision tower.
  std::function<index_t(const Inputs&)> tokens{};
  VisualMarks image{};
  // LLaVA-ST's videos, which are one visual of so many frames: two tracks, of whose tokens the last
  // slow_tokens are the second's. 0: a video's frames are pictures.
  index_t num_frames = 0, slow_tokens = 0;
  std::vector<VisualMarks> tracks{};
  bool prefix_fusion = false;  // images stand before the whole prompt, wherever they are put
};

// So many tokens for each tile.
inline VisualRules tile_rules(index_t tokens_per_tile) {
  return {.tokens = [tokens_per_tile](const Inputs& inputs) {
    return tokens_per_tile * inputs.pixel_values.count;
  }};
}

inline PixelView view_of(const PixelValues& p) {
  return {p.data.data(), p.count, p.channels, p.height, p.width};
}

// A prompt ready for Session::forward.
struct Processed {
  Prompt prompt;
  PixelValues pixels;         // of images and frames in the order of their places
  index_t prefix_tokens = 0;  // of images, where they stand before the prompt and not in it
  PixelView pixel_view() const { return view_of(pixels); }
  // From a token on, with the images from a visual on; what they view is this prompt's.
  Inputs inputs(index_t from = 0, std::size_t first_visual = 0) const {
    const std::size_t seen = std::min(first_visual, pixels.num_patches.size());
    Inputs rest{.input_ids = std::span(prompt.ids).subspan(static_cast<std::size_t>(from))};
    const auto tiles = std::span(pixels.num_patches).first(seen);
    const index_t skipped = std::accumulate(tiles.begin(), tiles.end(), index_t{0});
    if (skipped == pixels.count) return rest;
    rest.pixel_values = pixel_view();
    rest.pixel_values.data = rest.pixel_values.tile(skipped);
    rest.pixel_values.count -= skipped;
    rest.frames = std::span(pixels.num_patches).subspan(seen);
    rest.image_sizes =
        std::span(pixels.image_sizes).subspan(std::min(seen, pixels.image_sizes.size()));
    return rest;
  }
};

class Processor {
 public:
  // images: how pictures become tiles; rules: what of them stands in a prompt.
  explicit Processor(const std::filesystem::path& folder, VisualRules rules = {},
                     const ImageProcessorConfig& images = {})
      : tokenizer_(Tokenizer::load(folder.string())),
        rules_(std::move(rules)),
        images_(images),
        videos_(images),
        format_(find_chat_format(folder, tokenizer_)) {
    namespace fs = std::filesystem;
    videos_.crop_to_patches = false;
    opengvlab_ = format_ == ChatFormat::internvl &&
                 detail::ModelTypes(folder).whole == InternVlConfig::chat_model_type;
    if (opengvlab_) default_system_ = internvl_system;
    if (const auto config = folder / "tokenizer_config.json"; fs::exists(config))
      default_system_ = load_json(config.string()).get_or("gov_default_system", default_system_);
  }

  const Tokenizer& tokenizer() const { return tokenizer_; }
  ImageProcessorConfig& image_config() { return images_; }
  const ImageProcessorConfig& image_config() const { return images_; }
  ChatFormat format() const { return format_; }
  void set_format(ChatFormat format) { format_ = format; }
  HarmonyOptions& harmony() { return harmony_; }
  // A checkpoint in OpenGVLab's spelling over Qwen: prompts are those of its chat(), with its
  // system sentence, and not those of transformers' template.
  bool opengvlab() const { return opengvlab_; }

  // Renders messages whose image and video places take the attachments in order. system: the system
  // text when no message is one; "" the template's own. stop: ends reading a video with
  // Errc::cancelled.
  Processed process(std::span<const Message> messages, const Attachments& attachments,
                    const std::string& system = {}, ThreadPool* pool = nullptr,
                    std::stop_token stop = {}) const {
    Processed result;
    VisualTokens visuals;
    std::vector<PixelValues> parts;  // by image, then by video
    if ((!attachments.images.empty() || !attachments.videos.empty()) && !rules_.tokens)
      throw Error({.code = Errc::image_count_mismatch,
                   .file = {},
                   .field = "images",
                   .expected = "none: this model has no vision tower",
                   .found = "some"});
    for (const auto& image : attachments.images) {
      if (image.tiles) {
        check_tiles(*image.tiles);
        parts.push_back(*image.tiles);
      } else {
        const Image decoded = image.load();
        parts.push_back(preprocess(std::span(&decoded, 1), images_, pool));
      }
      visuals.images.push_back(tokens_of(parts.back()));
    }
    for (const auto& video : attachments.videos) {
      const std::vector<Image> frames = video.load(usual_sampling(), stop);
      parts.push_back(preprocess(frames, videos_, pool));
      PixelValues& part = parts.back();
      if (rules_.num_frames > 0 && part.count > 1) {
        part.num_patches = {part.count}, part.image_sizes.resize(1);
        const index_t tokens = tokens_of(part);
        visuals.videos.push_back({tokens - rules_.slow_tokens, rules_.slow_tokens});
      } else {
        auto& counts = visuals.videos.emplace_back();
        for (const PixelValues& frame : split_pictures(part, part.num_patches))
          counts.push_back(tokens_of(frame));
      }
    }
    const auto order = order_of(messages, attachments.images.size());
    if (rules_.prefix_fusion) {
      if (order.size() != parts.size()) refuse_places(order.size(), parts.size());
      result.prompt = render(without_visuals(messages), system, {});
    } else {
      result.prompt = render(messages, system, visuals);
    }
    for (const auto index : order) append(result.pixels, parts[index]);
    if (rules_.prefix_fusion && result.pixels.count > 0)
      result.prefix_tokens = tokens_of(result.pixels);
    return result;
  }

  // Of videos that come without one: the model's own number of frames, or all.
  FrameSampling usual_sampling() const {
    FrameSampling sampling;
    if (rules_.num_frames == 0) return sampling;
    sampling.num_frames = rules_.num_frames;
    sampling.rule = FrameRule::uniform;
    return sampling;
  }

  // A prompt that is plain text, without any template. Control tokens in it are found if `special`.
  std::vector<int> encode(std::string_view text, bool special) const {
    return tokenizer_.encode(text, special ? EncodeOptions{} : plain_text);
  }

 private:
  Prompt render(std::span<const Message> messages, const std::string& system,
                const VisualTokens& visuals) const {
    const std::string& chosen = system.empty() ? default_system_ : system;
    VisualFormat visual{.image = rules_.image, .tracks = rules_.tracks};
    if (const ChatStyle* style = format_.style) {
      visual.frame = visual.between_frames = "";
      return render_chat_style(tokenizer_, messages, *style,
                               chosen.empty() ? style->system : std::string_view(chosen),
                               std::move(visual), visuals);
    }
    if (format_ == ChatFormat::harmony) {
      std::vector<Message> all;
      const bool instructed = !messages.empty() && (messages.front().role == Role::system ||
                                                    messages.front().role == Role::developer);
      if (!chosen.empty() && !instructed) all.push_back(message(Role::developer, chosen));
      all.insert(all.end(), messages.begin(), messages.end());
      HarmonyOptions options = harmony_;
      options.visual = std::move(visual);
      return HarmonyRenderer(tokenizer_, options, visuals).render(all);
    }
    if (format_ == ChatFormat::internvl)
      return render_internvl_chat(tokenizer_, messages,
                                  {.default_system = chosen, .visual = std::move(visual)}, visuals);
    InternVlGptOssChatOptions options;
    options.visual = std::move(visual);
    if (!chosen.empty()) options.default_system = chosen;
    return render_internvl_gpt_oss_chat(tokenizer_, messages, options, visuals);
  }

  index_t tokens_of(const PixelValues& part) const {
    const index_t frames = part.count;
    const Inputs inputs{.pixel_values = view_of(part),
                        .image_sizes = part.image_sizes,
                        .frames = std::span(&frames, 1)};
    return rules_.tokens(inputs);
  }

  void check_tiles(const PixelValues& tiles) const {
    const auto spelled = [](index_t height, index_t width) {
      return std::to_string(height) + "x" + std::to_string(width);
    };
    const index_t numbers = tiles.count * tiles.channels * tiles.height * tiles.width;
    if (tiles.height != images_.height || tiles.width != images_.width ||
        std::ssize(tiles.data) != numbers)
      throw Error({.code = Errc::bad_image,
                   .file = {},
                   .field = "tiles",
                   .expected = "tiles of " + spelled(images_.height, images_.width) +
                               ", as the image processor makes them",
                   .found = spelled(tiles.height, tiles.width) + ", " +
                            std::to_string(tiles.data.size()) + " numbers"});
  }

  // Which part each visual place of the messages takes: images and videos count apart.
  static std::vector<std::size_t> order_of(std::span<const Message> messages, std::size_t images) {
    std::vector<std::size_t> order;
    std::size_t next_image = 0, next_video = images;
    for (const auto& message : messages)
      for (const auto& part : message.content) {
        if (part.kind == Content::Kind::image) order.push_back(next_image++);
        if (part.kind == Content::Kind::video) order.push_back(next_video++);
      }
    return order;
  }

  static std::vector<Message> without_visuals(std::span<const Message> messages) {
    std::vector<Message> text(messages.begin(), messages.end());
    for (auto& message : text)
      std::erase_if(message.content,
                    [](const Content& part) { return part.kind != Content::Kind::text; });
    return text;
  }

  [[noreturn]] static void refuse_places(std::size_t places, std::size_t given) {
    throw Error({.code = Errc::image_count_mismatch,
                 .file = {},
                 .field = "images and videos",
                 .expected = "as many as the messages have places for, " + std::to_string(places),
                 .found = std::to_string(given)});
  }

  static void append(PixelValues& to, const PixelValues& part) {
    if (to.count > 0 && (to.height != part.height || to.width != part.width))
      throw Error({.code = Errc::bad_image,
                   .file = {},
                   .field = "tiles",
                   .expected = "one size",
                   .found = "several"});
    to.height = part.height, to.width = part.width, to.channels = part.channels;
    to.count += part.count;
    to.data.insert(to.data.end(), part.data.begin(), part.data.end());
    to.num_patches.insert(to.num_patches.end(), part.num_patches.begin(), part.num_patches.end());
    to.image_sizes.insert(to.image_sizes.end(), part.image_sizes.begin(), part.image_sizes.end());
  }

  Tokenizer tokenizer_;
  VisualRules rules_;
  ImageProcessorConfig images_, videos_;
  ChatFormat format_;
  bool opengvlab_ = false;
  std::string default_system_;
  HarmonyOptions harmony_;
};

}  // namespace gov
