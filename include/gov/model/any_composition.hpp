// AnyComposition: what lies between a vision tower and a language model, at run time: the config of
// one of the families that the library knows. A new one is added to the list.
#pragma once

#include "gov/core/any_config.hpp"
#include "gov/model/gpt_oss_vision_adapter.hpp"
#include "gov/model/internvl.hpp"
#include "gov/model/llava.hpp"
#include "gov/model/llava_gpt2.hpp"
#include "gov/model/llava_next.hpp"
#include "gov/model/llava_token_packer.hpp"

namespace gov {

using AnyComposition =
    AnyConfig<InternVlConfig, LlavaConfig, LlavaNextConfig, LlavaTokenPackerConfig, LlavaGpt2Config,
              GptOssVisionAdapterConfig>;

}  // namespace gov
