// Chat: a conversation with a model: processor, session, template and history in one.
//
//   auto chat = model.chat();
//   auto reply = chat.ask("What is on the table?", gov::image("desk.jpg"), {.max_new_tokens =
//   128});
#pragma once

#include "gov/infer/generate.hpp"
#include "gov/infer/generation_config.hpp"
#include "gov/infer/processor.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/text/harmony_parser.hpp"

namespace gov {

struct ChatOptions {
  SessionOptions session{};
  std::string system{};                // system text; "" is the template's own
  std::optional<ChatFormat> format{};  // default: told by the tokenizer's control tokens
  HarmonyOptions harmony{};            // reasoning effort, tools, date: for ChatFormat::harmony
};

// Shows what the model says on the final channel.
class FinalChannelSink : public TextSink {
 public:
  explicit FinalChannelSink(const Tokenizer& tokenizer) : parser_(tokenizer) {}
  std::string push(int token) override { return shown(parser_.push(token)); }
  std::string finish() override { return shown(parser_.finish()); }

 private:
  static std::string shown(HarmonyParser::Delta delta) {
    const bool final =
        delta.recipient.empty() && (delta.channel == "final" || delta.channel.empty());
    return final ? std::move(delta.text) : std::string();
  }
  HarmonyParser parser_;
};

template <class Model>
class Chat {
 public:
  using Config = typename Model::Config;

  explicit Chat(const Model& model, const ChatOptions& options = {})
      : model_(model),
        options_(options),
        processor_(make_processor(model.folder())),
        defaults_(load_generation_config(model.folder())),
        session_(model.session(options.session)) {
    if (options.format) processor_.set_format(*options.format);
    processor_.harmony() = options.harmony;
  }

  // One turn. If it throws or is cancelled before the first token, the conversation is as it was.
  Generated ask(std::string question, const GenerateOptions& options) {
    return ask(std::move(question), Attachments{}, options);
  }
  Generated ask(std::string question, Attachments attachments = {}) {
    return ask(std::move(question), std::move(attachments), defaults());
  }
  Generated ask(std::string question, Attachments attachments, const GenerateOptions& options) {
    Message turn = message(Role::user, {});
    turn.content.clear();
    for (std::size_t i = 0; i < attachments.images.size(); ++i)
      turn.content.push_back(Content::image());
    for (std::size_t i = 0; i < attachments.videos.size(); ++i)
      turn.content.push_back(Content::video());
    turn.content.push_back(Content::of_text(std::move(question)));
    return ask(std::move(turn), std::move(attachments), options);
  }
  // A turn of any content, say text between images, or a tool's answer.
  Generated ask(Message turn, Attachments attachments, const GenerateOptions& options) {
    std::vector<Message> messages = messages_;
    messages.push_back(std::move(turn));
    Attachments all = attachments_;
    all.images.insert(all.images.end(), attachments.images.begin(), attachments.images.end());
    all.videos.insert(all.videos.end(), attachments.videos.begin(), attachments.videos.end());
    const auto start = std::chrono::steady_clock::now();
    const Processed processed =
        processor_.process(messages, all, options_.system, model_.pool().get());
    preprocess_s_ = generate_detail::seconds_since(start);
    const Inputs inputs = rest_of(processed);
    GenerateOptions with_stops = options;
    if (!options.ignore_eos)
      with_stops.stop_tokens.insert(with_stops.stop_tokens.end(), defaults_.eos_token_id.begin(),
                                    defaults_.eos_token_id.end());
    Generated result = generate(session_, inputs, with_stops, make_sink());
    result.prompt_tokens = std::ssize(processed.prompt.ids);
    result.image_tokens = 0;
    for (const auto& span : processed.prompt.visuals) result.image_tokens += span.count;
    taken_ = processed.prompt.ids;
    taken_.insert(taken_.end(), result.tokens.begin(), result.tokens.end());
    taken_.resize(static_cast<std::size_t>(session_.length()));
    if (result.tokens.empty()) return result;
    messages_ = std::move(messages);
    attachments_ = std::move(all);
    for (auto& answer : answer_messages(result)) messages_.push_back(std::move(answer));
    return result;
  }

  // Forgets the conversation.
  void reset() {
    session_.truncate(0);
    messages_.clear(), taken_.clear();
    attachments_ = {};
  }

  const std::vector<Message>& messages() const { return messages_; }
  Processor& processor() { return processor_; }
  Session<Config>& session() { return session_; }
  double preprocess_s() const { return preprocess_s_; }
  // What generation_config.json says, as options.
  GenerateOptions defaults() const { return defaults_.options(); }

 private:
  static Processor make_processor(const std::filesystem::path& folder) {
    if constexpr (Model::multimodal) {
      // Tiles are as large as the image processor says, which may not be the tower's native size.
      ImageProcessorConfig native;
      native.height = Config::Vision::config.image_size.height,
      native.width = Config::Vision::config.image_size.width;
      const ImageProcessorConfig images = Processor::find_image_config(folder).value_or(native);
      if (!Model::A::foldable(images.height, images.width))
        throw Error(
            {.code = Errc::bad_config,
             .file = folder.string(),
             .field = "size of the image processor",
             .expected = "a tile whose patches form a square grid that downsample_ratio divides",
             .found = std::to_string(images.height) + "x" + std::to_string(images.width)});
      return Processor(folder, Model::A::image_tokens(images.height, images.width), images);
    } else {
      return Processor(folder, 0);
    }
  }

  // What of the prompt the session has not seen. It keeps the longest common beginning that it
  // still remembers and that does not cut an image.
  Inputs rest_of(const Processed& processed) {
    const auto& ids = processed.prompt.ids;
    auto common = static_cast<index_t>(
        std::mismatch(taken_.begin(), taken_.end(), ids.begin(), ids.end()).first - taken_.begin());
    common = std::min<index_t>(common, std::ssize(ids) - 1);
    if (common < session_.earliest()) common = 0;
    const auto& visuals = processed.prompt.visuals;
    for (const auto& span : visuals)
      if (span.begin < common && common < span.begin + span.count) common = 0;
    std::size_t whole = 0;  // images that the session has seen
    while (whole < visuals.size() && visuals[whole].begin < common) ++whole;
    const index_t seen = tiles_before(processed, whole), tiles = processed.pixels.count - seen;
    session_.truncate(common);
    taken_.resize(static_cast<std::size_t>(common));
    Inputs inputs{.input_ids = std::span(ids).subspan(static_cast<std::size_t>(common))};
    if (tiles > 0) {
      inputs.pixel_values = processed.pixel_view();
      inputs.pixel_values.data = inputs.pixel_values.tile(seen);
      inputs.pixel_values.count = tiles;
    }
    return inputs;
  }

  static index_t tiles_before(const Processed& processed, std::size_t visuals) {
    index_t tiles = 0;
    for (std::size_t i = 0; i < visuals; ++i) tiles += processed.pixels.num_patches[i];
    return tiles;
  }

  bool has_channels() const { return processor_.format() != ChatFormat::internvl; }

  std::unique_ptr<TextSink> make_sink() const {
    if (has_channels()) return std::make_unique<FinalChannelSink>(processor_.tokenizer());
    return std::make_unique<PlainSink>(processor_.tokenizer());
  }

  std::vector<Message> answer_messages(const Generated& result) const {
    if (has_channels()) return parse_harmony(processor_.tokenizer(), result.tokens);
    return {message(Role::assistant, result.text)};
  }

  Model model_;
  ChatOptions options_;
  Processor processor_;
  GenerationConfig defaults_;
  Session<Config> session_;
  std::vector<Message> messages_;
  Attachments attachments_;
  std::vector<int> taken_;  // tokens that the session holds
  double preprocess_s_ = 0;
};

}  // namespace gov
