// GovModel<Cfg>: a vision-language model (or a language model alone) whose whole geometry is a
// type. It owns the weights, read-only and shared; sessions run it.
//
//   auto model = gov::GovModel<gov::InternVl35GptOss20b>::from_pretrained("folder");
//   auto session = model.session();
//   auto out = session.forward({.input_ids = ids, .pixel_values = pixels});
#pragma once

#include <filesystem>

#include "gov/model/description.hpp"
#include "gov/model/load.hpp"
#include "gov/model/memory_plan.hpp"
#include "gov/model/random_weights.hpp"
#include "gov/model/run_time_keys.hpp"
#include "gov/model/session.hpp"
#include "gov/text/visual_placeholders.hpp"

namespace gov {

template <class Model>
class Chat;          // infer/chat.hpp
struct ChatOptions;  // infer/chat.hpp

struct ModelOptions {
  int threads = 0;        // 0: one per hardware thread
  std::string backend{};  // scalar, avx2, avx512, eigen; "": GOV_BACKEND, else the best there is
  LoadOptions load{};
  int image_token_id = -1;     // for a checkpoint whose files do not say it; -1: what they say
  std::vector<Setting> set{};  // keys of the language model's config, as with GovModel::set()
  bool check_memory = true;    // refuse (out_of_memory) what the system has no memory for
};

template <class Cfg>
class GovModel {
  static_assert(explain<Cfg>());

 public:
  using Config = Cfg;
  using A = Architecture<Cfg>;
  using Params = typename A::Params;
  using LanguageConfig = typename ModelData<Cfg>::LanguageConfig;
  static constexpr bool multimodal = A::multimodal;

  // Loads a checkpoint folder. Throws gov::Error naming everything that does not fit this type, and
  // then leaves nothing behind.
  static GovModel from_pretrained(const std::filesystem::path& folder,
                                  const ModelOptions& options = {}) {
    GovModel model(options);
    const ModelDescription wanted = describe(folder);
    if (const auto different = differences(wanted, ModelDescription::of<Cfg>());
        !different.empty()) {
      std::string list;
      for (const auto& line : different) list += (list.empty() ? "" : ", ") + line;
      throw Error({.code = Errc::no_matching_model,
                   .file = (folder / "config.json").string(),
                   .field = {},
                   .expected = "the geometry of " + std::string(Cfg::name),
                   .found = list});
    }
    auto data = std::make_shared<ModelData<Cfg>>();
    if constexpr (requires { LanguageConfig::run_time_keys; })
      data->take_run_time(wanted.language.as<LanguageConfig>());
    apply(options.set, *data);
    CheckpointOptions checkpoint;
    checkpoint.map = options.load.map, checkpoint.check_finite = options.load.check_finite;
    auto files =
        std::make_shared<CheckpointFiles>(CheckpointFiles::open(folder.string(), checkpoint));
    LoadOptions load = options.load;
    if constexpr (requires { Cfg::storage; })
      if (!load.storage) load.storage = parse_storage(Cfg::storage);
    Loader loader(files, parameter_list(data->params), naming_of<Cfg>(), load);
    if (options.check_memory)
      gov::check_memory<Cfg>(files, loader, smallest_session, available_memory());
    auto weights = loader.load(*model.pool_);
    data->weights = std::move(weights.block), data->maps = std::move(weights.maps);
    data->conversion_errors = std::move(weights.conversion_errors);
    data->absent = loader.absent();
    data->tokens = wanted.tokens;
    if (options.image_token_id >= 0) data->tokens.image_token_id = options.image_token_id;
    if constexpr (A::has_markers) require_markers(data->tokens.markers, folder);
    if (multimodal && !A::has_markers && !A::prefix_fusion && data->tokens.image_token_id < 0 &&
        data->tokens.image_token_id != image_token_index)
      throw Error({.code = Errc::missing_field,
                   .file = folder.string(),
                   .field = "image_token_id",
                   .expected = "it in config.json, or <IMG_CONTEXT> in added_tokens.json or "
                               "tokenizer_config.json, or ModelOptions::image_token_id",
                   .found = "none of them"});
    if (data->tokens.image_token_id >= A::vocab_size)
      throw Error({.code = Errc::bad_argument,
                   .file = folder.string(),
                   .field = "image_token_id",
                   .expected = "an id below vocab_size = " + std::to_string(A::vocab_size),
                   .found = std::to_string(data->tokens.image_token_id)});
    data->max_position_embeddings = wanted.language.max_position_embeddings();
    model.data_ = std::move(data);
    model.folder_ = folder;
    return model;
  }

  // A model over parameters that the caller filled in.
  GovModel(std::shared_ptr<const ModelData<Cfg>> data, const ModelOptions& options = {})
      : GovModel(options) {
    data_ = std::move(data);
  }

  // A fresh model with random weights; image_token_id is the last id of the vocabulary, markers are
  // the last eight.
  static GovModel random(std::uint64_t seed, const ModelOptions& options = {}) {
    GovModel model(options);
    auto data = std::make_shared<ModelData<Cfg>>();
    apply(options.set, *data);
    const auto parameters = parameter_list(data->params);
    const StoragePolicy policy = options.load.storage.value_or(StoragePolicy{});
    if (options.check_memory) check_fresh_memory<Cfg>(policy, smallest_session, available_memory());
    data->weights = fill_random(parameters, seed, policy,
                                {model.pool_.get(), options.load.progress, options.load.stop});
    if constexpr (A::has_markers)
      data->tokens.markers = VisualMarkerIds::from(static_cast<int>(A::vocab_size - 8));
    else if (multimodal && !A::prefix_fusion)
      data->tokens.image_token_id = static_cast<int>(A::vocab_size - 1);
    if (options.image_token_id >= 0) data->tokens.image_token_id = options.image_token_id;
    model.data_ = std::move(data);
    return model;
  }

  // Changes a key that need not be compiled in, {"nope_stride", "2"} with the value in JSON, for
  // sessions and chats made from now on; those that are there go on as they were.
  void set(const Setting& setting) { set(with_setting(data_->config, setting)); }
  // The same of all such keys at once: the others of `config` are not looked at. What config.json
  // could not have is bad_argument, and changes nothing.
  void set(const LanguageConfig& config) {
    auto data = ModelData<Cfg>::over(data_);
    data->take_run_time(config);
    data_ = std::move(data);
  }
  // The language model's config, with what was changed.
  const LanguageConfig& config() const { return data_->config; }

  // A new sequence. T = double computes everything in double precision, as the truth for tests.
  template <class T = float>
  Session<Cfg, T> session(const SessionOptions& options = {}) const {
    return Session<Cfg, T>(data_, pool_, kernel::kernels_by_name<T>(backend_), options);
  }
  // The same on a backend named at compile time: model.session<float, gov::kernel::avx2>().
  template <class T, class Tag>
  Session<Cfg, T> session(const SessionOptions& options = {}) const {
    return Session<Cfg, T>(data_, pool_, kernel::kernels_of<Tag, T>, options);
  }

  // Projected features of some images (pixel_values and what goes with them), [rows, hidden_size]
  // row-major.
  std::vector<float> get_image_features(const Inputs& images) const
    requires multimodal
  {
    auto scratch = session({.context = 1, .chunk = 1});
    const auto features = scratch.get_image_features(images);
    return {features.data, features.data + features.rows * features.cols};
  }

  // The processor, a session and a chat template in one (infer/chat.hpp).
  Chat<GovModel> chat() const { return Chat<GovModel>(*this); }
  Chat<GovModel> chat(const ChatOptions& options) const { return Chat<GovModel>(*this, options); }

  // The parts and sizes, by the names that people know them by, each with a class that has it so.
  // Every model has them all, whatever its language model, so that what is written for one serves
  // the others; a tower and a projector where there are some.
  const Params& params() const { return data_->params; }
  // What lies under the head, with the tower where there is one: LlamaForCausalLM and nearly all.
  const auto& model() const { return params().model; }
  const auto& transformer() const { return model(); }  // GPT2LMHeadModel, MptForCausalLM
  const auto& get_model() const { return model(); }    // LlavaMetaForCausalLM: all of LLaVA's
  const auto& vision_tower() const
    requires multimodal
  {
    return data_->params.model.vision_tower;
  }
  const auto& projector() const
    requires multimodal
  {
    if constexpr (A::has_markers)
      return data_->params.model.projector;  // LlavaGpt2's, beside its packer
    else
      return data_->params.model.multi_modal_projector;
  }
  const auto& language_model() const { return data_->params.language_model(); }  // without a head
  const auto& embed_tokens() const { return language_model().embed_tokens; }     // LlamaModel, ...
  const auto& wte() const { return embed_tokens(); }                   // GPT2Model, MptModel
  const auto& get_input_embeddings() const { return embed_tokens(); }  // PreTrainedModel: any
  const auto& lm_head() const {  // the embeddings themselves when they are tied
    if constexpr (A::tied)
      return embed_tokens();
    else
      return data_->params.lm_head;
  }

  static constexpr index_t hidden_size() { return A::geometry.hidden_size; }  // LlamaConfig, ...
  static constexpr index_t n_embd() { return hidden_size(); }                 // GPT2Config
  static constexpr index_t num_hidden_layers() { return A::geometry.num_hidden_layers; }
  static constexpr index_t n_layer() { return num_hidden_layers(); }  // GPT2Config
  index_t max_position_embeddings() const { return data_->max_position_embeddings; }
  index_t n_positions() const { return max_position_embeddings(); }  // GPT2Config

  const ModelTokens& tokens() const { return data_->tokens; }
  // What each parameter lost where loading converted it, by its name.
  const auto& conversion_errors() const { return data_->conversion_errors; }
  // Tensors that this type adds to the checkpoint's, by its names: loaded as 0.
  const std::vector<std::string>& absent() const { return data_->absent; }
  const std::filesystem::path& folder() const { return folder_; }
  const std::string& backend() const { return backend_; }
  int threads() const { return pool_->size(); }
  const std::shared_ptr<const ModelData<Cfg>>& data() const { return data_; }
  const std::shared_ptr<ThreadPool>& pool() const { return pool_; }

  ModelDescription description() const {
    ModelDescription description = ModelDescription::of<Cfg>();
    description.tokens = data_->tokens;
    description.language.set_max_position_embeddings(data_->max_position_embeddings);
    if constexpr (requires { LanguageConfig::run_time_keys; })
      description.language.as<LanguageConfig>().take_run_time(data_->config);
    return description;
  }

 private:
  static constexpr SessionOptions smallest_session{.context = 1, .chunk = 1};  // of a memory plan

  static void apply(const std::vector<Setting>& settings, ModelData<Cfg>& data) {
    for (const Setting& setting : settings) data.take_run_time(with_setting(data.config, setting));
  }

  static void require_markers(const VisualMarkerIds& markers, const std::filesystem::path& folder) {
    VisualMarkerIds::keys(markers, [&](std::string_view name, int id) {
      if (id < 0 || id >= A::vocab_size)
        throw Error({.code = id < 0 ? Errc::missing_field : Errc::bad_argument,
                     .file = folder.string(),
                     .field = std::string(name) + "_token_id",
                     .expected = "an id below vocab_size = " + std::to_string(A::vocab_size) +
                                 " in config.json, or <" + std::string(name) +
                                 "> in added_tokens.json or tokenizer_config.json",
                     .found = id < 0 ? "none of them" : std::to_string(id)});
    });
  }

  explicit GovModel(const ModelOptions& options)
      : pool_(std::make_shared<ThreadPool>(options.threads)),
        backend_(options.backend.empty() ? std::string(kernel::default_kernels().name)
                                         : options.backend) {
    kernel::kernels_by_name<float>(backend_);  // an unknown name is an error here
  }

  std::shared_ptr<const ModelData<Cfg>> data_;
  std::shared_ptr<ThreadPool> pool_;
  std::string backend_;
  std::filesystem::path folder_;
};

}  // namespace gov
