// Everything of gov for a program that runs models. The command-line tool (tool/) and the xtensor
// edge (core/xtensor_compat.hpp, image/xtensor.hpp, model/xtensor.hpp) are included apart.
#pragma once

#include "gov/infer/chat.hpp"
#include "gov/model/gov_model.hpp"
#include "gov/model/presets.hpp"
#include "gov/model/registry.hpp"
#include "gov/model/save.hpp"
