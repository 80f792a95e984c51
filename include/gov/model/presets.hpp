// Whole models by name, and their tiny twins. Each count was derived by hand from the published
// geometry and is held against the types.
#pragma once

#include "gov/language/any_language.hpp"
#include "gov/model/any_composition.hpp"
#include "gov/model/architecture.hpp"
#include "gov/vision/any_tower.hpp"

namespace gov {

// OpenGVLab/InternVL3_5-GPT-OSS-20B-A4B-Preview(-HF): nine tokens after the 200019 of gpt-oss, and
// embeddings cut to what the tokenizer uses.
struct InternVl35GptOss20b : InternVl {
  static constexpr std::string_view name = "InternVl35GptOss20b";
  using Vision = InternVit300m;
  struct Language : GptOss {
    static constexpr GptOssConfig config{
        .num_hidden_layers = 24, .num_local_experts = 32, .vocab_size = 200028};
  };
  static constexpr InternVlConfig config{};
};

// InternViT-300M in front of gpt-oss-20b with its full vocabulary.
struct GovGptOss20b : InternVl {
  static constexpr std::string_view name = "GovGptOss20b";
  using Vision = InternVit300m;
  using Language = GptOss20b;
  static constexpr InternVlConfig config{};
};

// OpenGVLab/InternVL3-1B: InternViT-300M and Qwen2-0.5B, untied, with the tokenizer's own size of
// vocabulary, in the original spelling.
struct InternVl3_1b : InternVl {
  static constexpr std::string_view name = "InternVl3_1b";
  using Vision = InternVit300m;
  struct Language : Qwen2 {
    static constexpr Qwen2Config config{
        .hidden_size = 896,
        .intermediate_size = 4864,
        .num_hidden_layers = 24,
        .num_attention_heads = 14,
        .num_key_value_heads = 2,
        .vocab_size = 151674,
        .max_position_embeddings = 32768,
        .rope_parameters = {.rope_type = RopeType::dynamic, .rope_theta = 1000000, .factor = 2}};
  };
  static constexpr InternVlConfig config{.ps_version = PsVersion::v2};
};

// The same with COCONUT's three tokens added (resize_embeddings.hpp): ids 151674 to 151676. In
// transformers' files 151674 is <video>, which has no row, so that the three come behind it, as
// 151675 to 151677, and vocab_size is one larger.
struct InternVl3_1bLatent : InternVl3_1b {
  static constexpr std::string_view name = "InternVl3_1bLatent";
  struct Language : InternVl3_1b::Language {
    static constexpr Qwen2Config config = [] {
      Qwen2Config larger = InternVl3_1b::Language::config;
      larger.vocab_size += 3;
      return larger;
    }();
  };
};
struct InternVl3_1bHfLatent : InternVl3_1b {
  static constexpr std::string_view name = "InternVl3_1bHfLatent";
  struct Language : InternVl3_1b::Language {
    static constexpr Qwen2Config config = [] {
      Qwen2Config larger = InternVl3_1b::Language::config;
      larger.vocab_size += 4;
      return larger;
    }();
  };
};

struct TinyGov : InternVl {
  static constexpr std::string_view name = "TinyGov";
  using Vision = TinyInternVit;
  using Language = TinyGptOss;
  static constexpr InternVlConfig config{};
};

// The tiny configuration of the GOV notes: 128 experts, for its "num_experts": 4 is not a key that
// the class reads.
struct GovNotes : InternVl {
  static constexpr std::string_view name = "GovNotes";
  struct Vision : InternVitModules {
    static constexpr InternVitConfig config{.hidden_size = 64,
                                            .intermediate_size = 128,
                                            .num_hidden_layers = 2,
                                            .num_attention_heads = 4,
                                            .image_size = {32, 32},
                                            .patch_size = {8, 8}};
  };
  struct Language : GptOss {
    static constexpr GptOssConfig config{.hidden_size = 64,
                                         .intermediate_size = 128,
                                         .num_hidden_layers = 2,
                                         .num_attention_heads = 4,
                                         .num_key_value_heads = 2,
                                         .num_experts_per_tok = 2,
                                         .vocab_size = 1000};
  };
  static constexpr InternVlConfig config{};
};

static_assert(parameter_count<InternVit<InternVit300m>> == 304'012'288);
static_assert(parameter_count<Architecture<GptOss20b>> == 20'914'757'184);
static_assert(parameter_count<Architecture<GptOss120b>> == 116'829'156'672);
static_assert(parameter_count<Architecture<GptOssVision20b>> == 20'914'757'952);
static_assert(parameter_count<Architecture<GptOssVision120b>> == 116'829'161'280);
static_assert(parameter_count<Vit<VitLarge14>> == 303'178'752);
static_assert(parameter_count<Architecture<GptOssVisionVit20b>> == 21'220'891'776);
static_assert(parameter_count<Architecture<GptOssVisionConv20b>> == 20'918'316'160);
static_assert(parameter_count<Architecture<GptOssVisionVit120b>> == 117'135'295'104);
static_assert(parameter_count<Architecture<GovGptOss20b>> == 21'238'874'304);
static_assert(parameter_count<Architecture<InternVl35GptOss20b>> == 21'232'768'704);
static_assert(parameter_count<typename Architecture<GovNotes>::Base> == 6'655'240);
static_assert(parameter_count<Architecture<InternVl3_1b>> == 938'193'024);
static_assert(parameter_count<Architecture<InternVl3_1bLatent>> == 938'198'400);
static_assert(parameter_count<Architecture<InternVl3_1bHfLatent>> == 938'200'192);
static_assert(parameter_count<Architecture<Seed96>> == 136'900'352 + 304'368'640);
static_assert(parameter_count<Architecture<BabyLmIt>> ==
              108'888'576 + 31'506'432 + 1'377'792 + 304'368'640);
static_assert(parameter_count<Architecture<LlavaSt>> ==
              7'615'616'512 + 66'109'440 + 16'980'992 + 2'150'400 + 397'747'744);
static_assert(parameter_count<Architecture<Llama2_7b>> == 6'738'415'616);
static_assert(parameter_count<Architecture<Llama3_8b>> == 8'030'261'248);
static_assert(parameter_count<Architecture<Llama3_2_1b>> == 1'235'814'400);
static_assert(parameter_count<Architecture<Mistral7b>> == 7'241'732'096);
static_assert(parameter_count<Architecture<Qwen2_0_5b>> == 494'032'768);
static_assert(parameter_count<Architecture<Qwen2_7b>> == 7'615'616'512);
static_assert(parameter_count<Architecture<Qwen3_0_6b>> == 596'049'920);
static_assert(parameter_count<Architecture<Gemma2b>> == 2'506'172'416);
static_assert(parameter_count<Architecture<Gpt2Small>> == 124'439'808);
static_assert(parameter_count<Architecture<Bambi>> == 108'882'432);
static_assert(parameter_count<Architecture<Mpt7b>> == 6'649'286'656);
static_assert(parameter_count<Architecture<Mixtral8x7b>> == 46'702'792'704);
static_assert(parameter_count<Architecture<Gemma7b>> == 8'537'680'896);

}  // namespace gov
