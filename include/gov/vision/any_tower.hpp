// AnyTower: the config of one of the vision towers that the library knows, at run time. A new one
// is added to the list.
#pragma once

#include "gov/core/any_config.hpp"
#include "gov/vision/clip_vit.hpp"
#include "gov/vision/conv_patch.hpp"
#include "gov/vision/dinov2.hpp"
#include "gov/vision/intern_vit.hpp"
#include "gov/vision/siglip_vit.hpp"
#include "gov/vision/vit.hpp"

namespace gov {

using AnyTower = AnyConfig<InternVitConfig, ClipVitConfig, SiglipVitConfig, Dinov2Config,
                           Dinov2WithRegistersConfig, VitConfig, ConvPatchConfig>;

}  // namespace gov
