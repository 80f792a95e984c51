// config.json's spellings of activations (hidden_act, projector_hidden_act).
#pragma once

#include <utility>

#include "gov/core/config.hpp"
#include "gov/kernel/kernels.hpp"

namespace gov {

template <>
struct EnumNames<kernel::Activation> {
  using A = kernel::Activation;
  static constexpr std::string_view type = "gov::kernel::Activation";
  static constexpr std::array<std::pair<std::string_view, A>, 8> values{
      {{"gelu", A::gelu},
       {"gelu_pytorch_tanh", A::gelu_tanh},
       {"quick_gelu", A::quick_gelu},
       {"silu", A::silu},
       {"relu", A::relu},
       {"gelu_new", A::gelu_tanh},
       {"gelu_tanh", A::gelu_tanh},
       {"swish", A::silu}}};
  static constexpr std::array<std::string_view, 5> enumerators{"gelu", "gelu_tanh", "quick_gelu",
                                                               "silu", "relu"};
};

}  // namespace gov
