// Chat: a conversation with a model: processor, session, template and history in one.
//
//   auto chat = model.chat();
//   auto reply = chat.ask("What is on the table?", gov::image("desk.jpg"), {.max_new_tokens =
//   128});
#pragma once

#include "gov/infer/generate.hpp"
#include "gov/infer/generation_config.hpp"
#include "gov/infer/processor.hpp"
#include "gov/infer/visual_rules.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/text/harmony_parser.hpp"
#include "gov/text/latent_tokens.hpp"
#include "gov/text/placeholders.hpp"
#include "gov/text/trim.hpp"

namespace gov {

struct ChatOptions {
  SessionOptions session{};
  std::string system{};                // system text; "" is the template's own
  std::optional<ChatFormat> format{};  // default: what the folder tells (find_chat_format)
  HarmonyOptions harmony{};            // reasoning effort, tools, date: for ChatFormat::harmony
  index_t latents = 0;                 // thoughts between a question and its answer (COCONUT)
  LatentTokenNames latent_tokens{};    // what the tokenizer calls their tokens
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
        processor_(make_processor(model)),
        defaults_(load_generation_config(model.folder(), class_defaults())),
        session_(model.session(options.session)) {
    if (options.format) processor_.set_format(*options.format);
    processor_.harmony() = options.harmony;
    if (options.latents < 0 || options.latents >= session_.context())
      throw Error({.code = Errc::bad_argument,
                   .file = {},
                   .field = "latents",
                   .expected = "at least 0, and less than the context of " +
                               std::to_string(session_.context()),
                   .found = std::to_string(options.latents)});
    if (options.latents > 0)
      latent_tokens_ = find_latent_tokens(processor_.tokenizer(), options.latent_tokens);
  }

  // One turn; "<image>" and "<video>" in the question say where its attachments go (without any
  // they come first). If it throws or is cancelled before the first token, the conversation is as
  // it was.
  Generated ask(std::string question, const GenerateOptions& options) {
    return ask(std::move(question), Attachments{}, options);
  }
  Generated ask(std::string question, Attachments attachments = {}) {
    return ask(std::move(question), std::move(attachments), defaults());
  }
  Generated ask(std::string question, Attachments attachments, const GenerateOptions& options) {
    Message turn = turn_of(question, attachments);
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
    const Processed processed = prompt_of(messages, all, options.stop_token);
    preprocess_s_ = generate_detail::seconds_since(start);
    const Inputs inputs = rest_of(processed);
    Generated result = generate(session_, inputs, full(options), make_sink());
    finish(result, processed);
    taken_ = processed.prompt.ids;
    taken_.insert(taken_.end(), result.tokens.begin(), result.tokens.end());
    prefix_ = session_.length() == 0 ? 0 : processed.prefix_tokens;
    taken_.resize(static_cast<std::size_t>(session_.length() - prefix_));
    if (result.tokens.empty()) return result;
    messages_ = std::move(messages);
    attachments_ = std::move(all);
    for (auto& answer : answer_messages(result)) messages_.push_back(std::move(answer));
    return result;
  }

  // Several conversations of one question each, at once: every pass over the weights serves them
  // all. As transformers' left-padded batch, whose padding nobody sees. The chat itself stays as it
  // is.
  std::vector<Generated> ask_batch(std::span<const std::string> questions,
                                   std::vector<Attachments> attachments,
                                   const GenerateOptions& options) const {
    if (attachments.empty()) attachments.resize(questions.size());
    if (attachments.size() != questions.size())
      throw Error({.code = Errc::image_count_mismatch,
                   .file = {},
                   .field = "attachments",
                   .expected = "none, or one entry for each question",
                   .found = std::to_string(attachments.size())});
    std::vector<Processed> processed;
    std::vector<Session<Config>> sessions;
    std::vector<std::unique_ptr<TextSink>> sinks;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      const Message turn = turn_of(questions[i], attachments[i]);
      processed.push_back(prompt_of({&turn, 1}, attachments[i], options.stop_token));
      sessions.push_back(model_.session(options_.session));
      sinks.push_back(make_sink());
    }
    std::vector<typename Session<Config>::Item> items;
    for (std::size_t i = 0; i < questions.size(); ++i)
      items.push_back({&sessions[i], processed[i].inputs()});
    auto results = generate_batch<Config>(items, full(options), std::move(sinks));
    for (std::size_t i = 0; i < results.size(); ++i) finish(results[i], processed[i]);
    return results;
  }

  // Forgets the conversation.
  void reset() {
    session_.truncate(0);
    messages_.clear(), taken_.clear();
    attachments_ = {}, prefix_ = 0;
  }

  const std::vector<Message>& messages() const { return messages_; }
  Processor& processor() { return processor_; }
  Session<Config>& session() { return session_; }
  double preprocess_s() const { return preprocess_s_; }
  // What generation_config.json says, as options.
  GenerateOptions defaults() const { return defaults_.options(); }

 private:
  // How a family generates unless told otherwise (LlavaGpt2).
  static GenerationConfig class_defaults() {
    GenerationConfig config;
    if constexpr (requires { Config::config.max_new_tokens; }) {
      config.max_new_tokens = Config::config.max_new_tokens;
      config.sampling.do_sample = Config::config.do_sample;
    }
    return config;
  }

  static Processor make_processor(const Model& model) {
    if constexpr (Model::multimodal) {
      // Tiles are as large as the image processor says, which may not be the tower's native size.
      const ImageProcessorConfig images = image_config_of<Model>(model.folder());
      if (Model::A::Images::image_tokens(images.height, images.width) == 0)
        throw Error({.code = Errc::bad_config,
                     .file = model.folder().string(),
                     .field = "size of the image processor",
                     .expected = "a tile that gives " + std::string(Model::A::Projector::takes),
                     .found = std::to_string(images.height) + "x" + std::to_string(images.width)});
      return Processor(model.folder(), visual_rules(model), images);
    } else {
      return Processor(model.folder());
    }
  }

  // A conversation as the model reads it, with room for its thoughts behind it. A text that is only
  // to be continued ends its line before them, as COCONUT trains it; an answer begins a line
  // anyway.
  Processed prompt_of(std::span<const Message> conversation, const Attachments& attachments,
                      std::stop_token stop) const {
    std::vector<Message> messages(conversation.begin(), conversation.end());
    if (options_.latents > 0 && processor_.format() == chat_format(chat_styles::completion)) {
      auto& parts = messages.back().content;
      if (parts.empty() || parts.back().kind != Content::Kind::text)
        parts.push_back(Content::of_text({}));
      parts.back().text += "\n";
    }
    Processed processed = processor_.process(messages, attachments, options_.system,
                                             model_.pool().get(), std::move(stop));
    if (options_.latents > 0)
      append_latents(processed.prompt.ids, latent_tokens_, options_.latents);
    return processed;
  }

  // What of the prompt the session has not seen. It keeps the longest common beginning that it
  // still remembers and that does not cut an image, nor reaches into the thoughts. Where images
  // stand before the prompt, a new one is before all that the session holds: it begins again.
  Inputs rest_of(const Processed& processed) {
    const auto& ids = processed.prompt.ids;
    const index_t thinking_from =
        std::ssize(ids) - (options_.latents > 0 ? options_.latents + 2 : 0);
    auto common = static_cast<index_t>(
        std::mismatch(taken_.begin(), taken_.end(), ids.begin(), ids.end()).first - taken_.begin());
    common = std::min({common, std::ssize(ids) - 1, thinking_from});
    if (prefix_ != processed.prefix_tokens || prefix_ + common < session_.earliest())
      common = prefix_ = 0;
    const auto& visuals = processed.prompt.visuals;
    for (const auto& span : visuals)
      if (span.begin < common && common < span.begin + span.count) common = 0;
    std::size_t whole = 0;  // images that the session has seen
    while (whole < visuals.size() && visuals[whole].begin < common) ++whole;
    if (prefix_ > 0) whole = processed.pixels.num_patches.size();
    session_.truncate(prefix_ + common);
    taken_.resize(static_cast<std::size_t>(common));
    return processed.inputs(common, whole);
  }

  static Message turn_of(std::string_view question, const Attachments& attachments) {
    Message turn = message(Role::user, {});
    turn.content = place_visuals(question, attachments.images.size(), attachments.videos.size());
    return turn;
  }

  // A call's options with what the checkpoint and the chat's own options add.
  GenerateOptions full(GenerateOptions options) const {
    if (options_.latents > 0) options.latent_token_id = latent_tokens_.latent;
    if (options.ignore_eos) return options;
    auto& stops = options.stop_tokens;
    stops.insert(stops.end(), defaults_.eos_token_id.begin(), defaults_.eos_token_id.end());
    const std::string_view end = processor_.format().stop;
    const Tokenizer& tokenizer = processor_.tokenizer();
    if (tokenizer.has_added_token(end)) stops.push_back(tokenizer.added_token_id(end));
    return options;
  }

  bool has_channels() const { return processor_.format().channels; }

  std::unique_ptr<TextSink> make_sink() const {
    if (has_channels()) return std::make_unique<FinalChannelSink>(processor_.tokenizer());
    return std::make_unique<PlainSink>(processor_.tokenizer());
  }

  void finish(Generated& result, const Processed& processed) const {
    result.prompt_tokens = std::ssize(processed.prompt.ids) + processed.prefix_tokens;
    result.image_tokens = processed.prefix_tokens;
    for (const auto& span : processed.prompt.visuals) result.image_tokens += span.count;
    if (processor_.opengvlab())  // whose chat() strips answers
      result.text = std::string(trimmed(result.text));
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
  index_t prefix_ = 0;      // rows of images that it holds before them
  LatentTokens latent_tokens_;
  double preprocess_s_ = 0;
};

}  // namespace gov
