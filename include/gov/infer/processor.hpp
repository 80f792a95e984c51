// Processor: everything between a user and a model's inputs: tokenizer, image processor and chat
// template of a checkpoint folder. Messages and pictures go in, token ids and pixel values come
// out.
#pragma once

#include <filesystem>
#include <optional>

#include "gov/image/decode.hpp"
#include "gov/image/pixel_values.hpp"
#include "gov/image/video.hpp"
#include "gov/model/inputs.hpp"
#include "gov/text/harmony.hpp"
#include "gov/text/internvl_chat.hpp"
#include "gov/text/internvl_gpt_oss_chat.hpp"

namespace gov {

enum class ChatFormat { harmony, internvl, internvl_gpt_oss };

inline ChatFormat parse_chat_format(std::string_view name) {
  if (name == "harmony") return ChatFormat::harmony;
  if (name == "internvl") return ChatFormat::internvl;
  if (name == "internvl-gpt-oss") return ChatFormat::internvl_gpt_oss;
  throw Error({.code = Errc::bad_argument,
               .file = {},
               .field = "chat format",
               .expected = "harmony, internvl or internvl-gpt-oss",
               .found = std::string(name)});
}

// A picture of a prompt, decoded when it is needed.
struct ImageInput {
  std::string path;
  Image pixels;
  Image load() const { return path.empty() ? pixels : load_image(path); }
};
inline ImageInput image(std::string path) { return {std::move(path), {}}; }
inline ImageInput image(Image pixels) { return {{}, std::move(pixels)}; }

// A video: a folder of frames, or the frames themselves.
struct VideoInput {
  std::string folder;
  std::vector<Image> frames;
  FrameSampling sampling{};
  std::vector<Image> load() const { return folder.empty() ? frames : load_video(folder, sampling); }
};
inline VideoInput video(std::string folder, FrameSampling sampling = {}) {
  return {std::move(folder), {}, sampling};
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

// A prompt ready for Session::forward.
struct Processed {
  Prompt prompt;
  PixelValues pixels;  // of images and frames in the order of their places
  PixelView pixel_view() const {
    return {pixels.data.data(), pixels.count, pixels.channels, pixels.height, pixels.width};
  }
};

class Processor {
 public:
  // What a folder says about its images. A processor_config.json without image_processor leaves it
  // to preprocessor_config.json.
  static std::optional<ImageProcessorConfig> find_image_config(
      const std::filesystem::path& folder) {
    for (const std::string_view name : {"processor_config.json", "preprocessor_config.json"}) {
      if (!std::filesystem::exists(folder / name)) continue;
      const Json json = load_json((folder / name).string());
      if (name == "preprocessor_config.json" || json.has_value("image_processor"))
        return image_processor_config(json);
    }
    return std::nullopt;
  }

  // tokens_per_tile: language-model tokens of one tile; 0 for a model without a vision tower.
  Processor(const std::filesystem::path& folder, index_t tokens_per_tile,
            const ImageProcessorConfig& images = {})
      : tokenizer_(Tokenizer::load(folder.string())),
        tokens_per_tile_(tokens_per_tile),
        images_(images) {
    namespace fs = std::filesystem;
    videos_ = images_;
    videos_.crop_to_patches = false;
    const auto has = [this](std::string_view token) {
      return tokenizer_.token_to_id(token).has_value();
    };
    format_ = !has("<|start|>")      ? ChatFormat::internvl
              : has("<IMG_CONTEXT>") ? ChatFormat::internvl_gpt_oss
                                     : ChatFormat::harmony;
    if (const auto config = folder / "tokenizer_config.json"; fs::exists(config))
      default_system_ = load_json(config.string()).get_or("gov_default_system", "");
  }

  const Tokenizer& tokenizer() const { return tokenizer_; }
  ImageProcessorConfig& image_config() { return images_; }
  const ImageProcessorConfig& image_config() const { return images_; }
  ChatFormat format() const { return format_; }
  void set_format(ChatFormat format) { format_ = format; }
  HarmonyOptions& harmony() { return harmony_; }

  // Renders messages whose image and video places take the attachments in order. system: the system
  // text when no message is one; "" the template's own.
  Processed process(std::span<const Message> messages, const Attachments& attachments,
                    const std::string& system = {}, ThreadPool* pool = nullptr) const {
    Processed result;
    VisualTokens visuals;
    std::vector<PixelValues> parts;  // by image, then by video
    if ((!attachments.images.empty() || !attachments.videos.empty()) && tokens_per_tile_ == 0)
      throw Error({.code = Errc::image_count_mismatch,
                   .file = {},
                   .field = "images",
                   .expected = "none: this model has no vision tower",
                   .found = "some"});
    for (const auto& image : attachments.images) {
      const Image decoded = image.load();
      parts.push_back(preprocess(std::span(&decoded, 1), images_, pool));
      visuals.images.push_back(tokens_per_tile_ * parts.back().count);
    }
    for (const auto& video : attachments.videos) {
      const std::vector<Image> frames = video.load();
      parts.push_back(preprocess(frames, videos_, pool));
      visuals.videos.emplace_back(frames.size(), tokens_per_tile_);
    }
    result.prompt = render(messages, system, visuals);
    for (const auto index : order_of(messages, attachments.images.size()))
      append(result.pixels, parts[index]);
    return result;
  }

  // A prompt that is plain text, without any template. Control tokens in it are found if `special`.
  std::vector<int> encode(std::string_view text, bool special) const {
    return tokenizer_.encode(text, special ? EncodeOptions{} : plain_text);
  }

 private:
  Prompt render(std::span<const Message> messages, const std::string& system,
                const VisualTokens& visuals) const {
    const std::string& chosen = system.empty() ? default_system_ : system;
    switch (format_) {
      case ChatFormat::harmony: {
        std::vector<Message> all;
        const bool instructed = !messages.empty() && (messages.front().role == Role::system ||
                                                      messages.front().role == Role::developer);
        if (!chosen.empty() && !instructed) all.push_back(message(Role::developer, chosen));
        all.insert(all.end(), messages.begin(), messages.end());
        return HarmonyRenderer(tokenizer_, harmony_, visuals).render(all);
      }
      case ChatFormat::internvl: {
        InternVlChatOptions options;
        options.default_system = chosen;
        return render_internvl_chat(tokenizer_, messages, options, visuals);
      }
      case ChatFormat::internvl_gpt_oss: break;
    }
    InternVlGptOssChatOptions options;
    if (!chosen.empty()) options.default_system = chosen;
    return render_internvl_gpt_oss_chat(tokenizer_, messages, options, visuals);
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
  }

  Tokenizer tokenizer_;
  index_t tokens_per_tile_;
  ImageProcessorConfig images_, videos_;
  ChatFormat format_{};
  std::string default_system_;
  HarmonyOptions harmony_;
};

}  // namespace gov
