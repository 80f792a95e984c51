// Everything of gov for a program that runs models. The command-line tool (tool/) and the xtensor
// edge (core/xtensor_compat.hpp, image/xtensor.hpp, model/xtensor.hpp) are included apart.
#pragma once

#include "gov/infer/chat.hpp"
#include "gov/model/anyres_features.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/llava_inputs.hpp"
#include "gov/model/presets.hpp"
#include "gov/model/registry.hpp"
#include "gov/model/save.hpp"
#include "gov/model/visual_spans.hpp"
#include "gov/projector/token_packer.hpp"
#include "gov/projector/video_pool.hpp"
#include "gov/projector/video_projector.hpp"
